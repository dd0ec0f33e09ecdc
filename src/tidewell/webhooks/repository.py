"""All queries on webhooks; every one takes the account."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tidewell.connections.sealing import SealingBox
from tidewell.errors import Conflict, NotFound
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.webhooks", "queries.sql")
_MOST = 20
_SECRET_BYTES = 32


@dataclass(frozen=True)
class WebhookSettings:
    """What a client sets; no events: all of them."""

    url: str
    events: tuple[str, ...]
    enabled: bool


def new_secret() -> str:
    """A signing secret as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


async def insert(
    connection: Connection,
    sealing: SealingBox,
    account_id: UUID,
    webhook_id: UUID,
    settings: WebhookSettings,
    secret: str,
    now: datetime,
) -> dict[str, Any]:
    """Store a new webhook. Raises Conflict when there are too many."""
    count = await _row(connection, "count_webhooks", account_id=account_id)
    if count is None or count["webhooks"] >= _MOST:
        raise Conflict(f"This account has {_MOST} webhooks already: delete one first.")
    row = await _row(
        connection,
        "insert_webhook",
        id=webhook_id,
        account_id=account_id,
        sealed=sealing.seal(secret, webhook_id),
        now=now,
        **_values(settings),
    )
    return row or {}


async def update(
    connection: Connection,
    sealing: SealingBox,
    account_id: UUID,
    webhook_id: UUID,
    settings: WebhookSettings,
    secret: str | None,
    now: datetime,
) -> dict[str, Any]:
    """Change a webhook; with a secret, that one signs from now on. Raises NotFound."""
    row = await _row(
        connection,
        "update_webhook",
        id=webhook_id,
        account_id=account_id,
        sealed=None if secret is None else sealing.seal(secret, webhook_id),
        now=now,
        **_values(settings),
    )
    return _found(row, webhook_id)


async def one(connection: Connection, account_id: UUID, webhook_id: UUID) -> dict[str, Any]:
    """A webhook of the account. Raises NotFound."""
    row = await _row(connection, "webhook", account_id=account_id, id=webhook_id)
    return _found(row, webhook_id)


async def listed(connection: Connection, account_id: UUID) -> list[dict[str, Any]]:
    """The account's webhooks, oldest first."""
    cursor = await connection.execute(_SQL["webhooks"], {"account_id": account_id})
    return await cursor.fetchall()


async def delete(connection: Connection, account_id: UUID, webhook_id: UUID) -> str:
    """Forget a webhook; returns its address. Raises NotFound."""
    row = await _row(connection, "delete_webhook", account_id=account_id, id=webhook_id)
    return str(_found(row, webhook_id)["url"])


async def deliveries(
    connection: Connection, account_id: UUID, webhook_id: UUID, limit: int
) -> list[dict[str, Any]]:
    """What has been, and has to be, delivered to a webhook, newest first."""
    cursor = await connection.execute(
        _SQL["deliveries"], {"account_id": account_id, "webhook_id": webhook_id, "limit": limit}
    )
    return await cursor.fetchall()


def _values(settings: WebhookSettings) -> dict[str, Any]:
    return {
        "url": settings.url,
        "events": list(settings.events),
        "enabled": settings.enabled,
    }


def _found(row: dict[str, Any] | None, webhook_id: UUID) -> dict[str, Any]:
    if row is None:
        raise NotFound(f"There is no webhook {webhook_id}.")
    return row


async def _row(connection: Connection, name: str, **values: Any) -> dict[str, Any] | None:
    return await (await connection.execute(_SQL[name], values)).fetchone()


async def forget_deliveries(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` deliveries that are over, from before a time; returns how many."""
    cursor = await connection.execute(_SQL["forget_deliveries"], {"before": before, "limit": limit})
    return cursor.rowcount
