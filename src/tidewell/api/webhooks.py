"""Webhooks: where a sub-account wants to be told of events, and what was delivered there."""

import asyncio
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from tidewell import clock
from tidewell.accounts import audit
from tidewell.accounts.audit import Action
from tidewell.api.answers.base import Done
from tidewell.api.answers.webhooks import WEBHOOK, Deliveries, Webhook, Webhooks, WebhookTest
from tidewell.api.bodies import StrictRoute
from tidewell.api.callers import Account, WholeAccountCaller
from tidewell.api.openapi import conflict, leads_to
from tidewell.api.services import Node, Services
from tidewell.egress import EgressRefused, HostNotFound
from tidewell.errors import InvalidRequest, NotFound
from tidewell.lax import LaxBool, NullIsAbsent
from tidewell.state.database import Connection
from tidewell.webhooks import events, repository
from tidewell.webhooks.events import Event
from tidewell.webhooks.repository import WebhookSettings

router = APIRouter(route_class=StrictRoute, prefix="/api/webhooks", tags=["webhooks"])

_MASK = "********"
_OF_WEBHOOK = ("getWebhook", "updateWebhook", "deleteWebhook", "testWebhook", "listDeliveries")
WebhookId = Annotated[
    str,
    Path(
        description="The id of a webhook.",
        json_schema_extra={"format": "uuid", "example": WEBHOOK},
    ),
]


class WebhookBody(NullIsAbsent):
    """The body that makes or changes a webhook."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "url": "https://app.example/hooks/tidewell",
                    "events": ["run.failed", "run.recovered"],
                    "enabled": True,
                }
            ]
        },
    )

    url: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[^\x00-\x20\x7f]*$")]
    """An http(s) address; the egress rules hold for it."""
    events: Annotated[list[Event], Field(max_length=10, default_factory=list)]
    """The types of events to be told; none: all of them."""
    enabled: LaxBool = True
    new_secret: LaxBool = False
    """On a change: sign with a new secret from now on; the answer shows it."""


@router.get("", operation_id="listWebhooks", response_model=Webhooks)
async def list_webhooks(caller: WholeAccountCaller, node: Node) -> dict[str, Any]:
    """The sub-account's webhooks, oldest first."""
    async with node.database.transaction() as connection:
        rows = await repository.listed(connection, caller.account_id)
    return {"webhooks": [_to_wire(row) for row in rows]}


@router.post(
    "",
    operation_id="createWebhook",
    status_code=201,
    response_model=Webhook,
    responses=conflict("the account has too many webhooks")
    | leads_to(*_OF_WEBHOOK, status=201, webhook_id="$response.body#/webhook/id"),
)
async def create_webhook(
    body: WebhookBody, caller: WholeAccountCaller, node: Node
) -> dict[str, Any]:
    """Make a webhook; this answer alone shows its secret."""
    settings = await _settings(body, node)
    webhook_id, secret, now = uuid4(), repository.new_secret(), clock.now()
    async with node.database.transaction() as connection:
        row = await repository.insert(
            connection, node.sealing, caller.account_id, webhook_id, settings, secret, now
        )
        await _note(connection, caller, Action.WEBHOOK_CREATED, webhook_id, body.url)
    return {"webhook": _one(row, secret)}


@router.get("/{webhook_id}", operation_id="getWebhook", response_model=Webhook)
async def get_webhook(
    webhook_id: WebhookId, caller: WholeAccountCaller, node: Node
) -> dict[str, Any]:
    """One webhook; its secret is masked."""
    async with node.database.transaction() as connection:
        row = await repository.one(connection, caller.account_id, _id(webhook_id))
    return {"webhook": _to_wire(row)}


@router.put("/{webhook_id}", operation_id="updateWebhook", response_model=Webhook)
async def update_webhook(
    webhook_id: WebhookId, body: WebhookBody, caller: WholeAccountCaller, node: Node
) -> dict[str, Any]:
    """Change a webhook, or give it a new secret."""
    key = _id(webhook_id)
    async with node.database.transaction() as connection:
        await repository.one(connection, caller.account_id, key)
    settings = await _settings(body, node)
    secret = repository.new_secret() if body.new_secret else None
    async with node.database.transaction() as connection:
        row = await repository.update(
            connection, node.sealing, caller.account_id, key, settings, secret, clock.now()
        )
        await _note(connection, caller, Action.WEBHOOK_UPDATED, key, body.url)
    return {"webhook": _one(row, secret or _MASK)}


@router.delete("/{webhook_id}", operation_id="deleteWebhook", response_model=Done)
async def delete_webhook(
    webhook_id: WebhookId, caller: WholeAccountCaller, node: Node
) -> dict[str, Any]:
    """Forget a webhook, and what was still to be delivered to it."""
    key = _id(webhook_id)
    async with node.database.transaction() as connection:
        url = await repository.delete(connection, caller.account_id, key)
        await _note(connection, caller, Action.WEBHOOK_DELETED, key, url)
    return {}


@router.post("/{webhook_id}/test", operation_id="testWebhook", response_model=WebhookTest)
async def test_webhook(
    webhook_id: WebhookId, caller: WholeAccountCaller, node: Node
) -> dict[str, Any]:
    """Queue a test event for a webhook; its deliveries tell what came of it."""
    key = _id(webhook_id)
    async with node.database.transaction() as connection:
        await repository.one(connection, caller.account_id, key)
        delivery = await events.announce_test(connection, caller.account_id, key, clock.now())
    return {"deliveryId": str(delivery)}


@router.get("/{webhook_id}/deliveries", operation_id="listDeliveries", response_model=Deliveries)
async def list_deliveries(
    webhook_id: WebhookId,
    caller: WholeAccountCaller,
    node: Node,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """What has been, and has to be, delivered to a webhook, newest first; kept 7 days."""
    key = _id(webhook_id)
    async with node.database.transaction() as connection:
        await repository.one(connection, caller.account_id, key)
        rows = await repository.deliveries(connection, caller.account_id, key, limit)
    return {"deliveries": [_delivery(row) for row in rows]}


async def _settings(body: WebhookBody, node: Services) -> WebhookSettings:
    await asyncio.to_thread(_check_url, body.url, node)
    return WebhookSettings(body.url, tuple(dict.fromkeys(body.events)), body.enabled)


def _check_url(url: str, node: Services) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise InvalidRequest.of("url", "is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise InvalidRequest.of(
            "url", "must be an absolute http or https address without a user or a password"
        )
    try:
        node.egress.resolve(parts.hostname, port)
    except HostNotFound:
        return  # it may be found later: the deliveries tell
    except EgressRefused as error:
        raise InvalidRequest.of("url", error.message) from None


async def _note(
    connection: Connection, caller: Account, action: Action, target: UUID, name: str
) -> None:
    await audit.record(connection, caller.author, action, target, name, clock.now())


def _one(row: dict[str, Any], secret: str) -> dict[str, Any]:
    return _to_wire(row) | {"secret": secret}


def _to_wire(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "accountId": str(row["account_id"]),
        "url": row["url"],
        "events": row["events"],
        "enabled": row["enabled"],
        "secret": _MASK,
        "created": clock.to_wire(row["created_at"]),
        "lastModified": clock.to_wire(row["modified_at"]),
    }


def _delivery(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "event": row["event"],
        "created": clock.to_wire(row["created_at"]),
        "attempts": row["attempts"],
        "status": row["status"],
        "error": row["error"],
        "delivered": clock.to_wire(row["delivered_at"]),
        "nextAttempt": clock.to_wire(row["next_attempt_at"]),
        "payload": row["payload"],
    }


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"There is no webhook {text[:60]}.") from None
