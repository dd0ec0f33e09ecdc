"""The audit: who wrote what, when; kept 400 days (contract §7)."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from tidewell.clock import to_wire
from tidewell.given import without_nul
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.accounts", "audit.sql")


class Action(Enum):
    """What can be written: its name, its number, and the type of what it is done to.

    The numbers are ours; like the reference's they keep kinds of things in ranges.
    """

    CONNECTION_CREATED = ("connection.create", 1001, 1)
    CONNECTION_UPDATED = ("connection.update", 1002, 1)
    CONNECTION_DELETED = ("connection.delete", 1003, 1)
    CACHE_CONNECTION_SAVED = ("cacheConnection.save", 1011, 1)
    ACCOUNT_CREATED = ("account.create", 1101, 2)
    ACCOUNT_UPDATED = ("account.update", 1102, 2)
    ACCOUNT_DELETED = ("account.delete", 1103, 2)
    JOB_CREATED = ("job.create", 1201, 3)
    JOB_UPDATED = ("job.update", 1202, 3)
    JOB_DELETED = ("job.delete", 1203, 3)
    JOB_RUN = ("job.run", 1204, 3)
    JOB_STOPPED = ("job.stop", 1205, 3)
    KEY_ADDED = ("key.add", 1301, 4)
    KEY_REVOKED = ("key.revoke", 1302, 4)
    HOSTS_SET = ("account.hosts", 1303, 2)
    PAT_CREATED = ("personalAccessToken.create", 1304, 4)
    PAT_REVOKED = ("personalAccessToken.revoke", 1305, 4)
    WEBHOOK_CREATED = ("webhook.create", 1501, 5)
    WEBHOOK_UPDATED = ("webhook.update", 1502, 5)
    WEBHOOK_DELETED = ("webhook.delete", 1503, 5)
    LINK_MADE = ("formLink.create", 1401, 1)


_BY_NAME = {action.value[0]: action for action in Action}


@dataclass(frozen=True)
class Author:
    """Who writes: a vendor, for one of its customers or itself, in one request."""

    parent_id: UUID
    account_id: UUID | None
    request_id: str

    def about(self, account_id: UUID) -> "Author":
        """The same, writing about one of its customers: the event is that customer's, too."""
        return replace(self, account_id=account_id)


async def record(
    connection: Connection,
    author: Author,
    action: Action,
    target_id: UUID,
    target_name: str,
    now: datetime,
) -> None:
    """Note a write, in the transaction that writes."""
    await connection.execute(
        _SQL["insert_event"],
        {
            "at": now,
            "parent_id": author.parent_id,
            "account_id": author.account_id,
            "action": action.value[0],
            "target_id": target_id,
            "target_name": without_nul(target_name),
            "request_id": author.request_id,
        },
    )


async def listed(
    connection: Connection,
    parent_id: UUID,
    account_id: UUID | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Events of a vendor, of one customer where given, newest first."""
    cursor = await connection.execute(
        _SQL["list_events"],
        {
            "parent_id": parent_id,
            "account_id": account_id,
            "since": since,
            "until": until,
            "limit": limit,
        },
    )
    return await cursor.fetchall()


async def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` events from before a time; returns how many."""
    cursor = await connection.execute(_SQL["forget_events"], {"before": before, "limit": limit})
    return cursor.rowcount


def event_to_wire(row: dict[str, Any]) -> dict[str, Any]:
    """An event as `POST /api/log/audit/list` answers it: the reference's fields, then ours."""
    action = _BY_NAME[row["action"]]
    return {
        "eventType": action.value[1],
        "timestamp": to_wire(row["at"]),
        "targetId": str(row["target_id"]),
        "targetName": row["target_name"],
        "targetType": action.value[2],
        "userId": str(row["account_id"] or row["parent_id"]),
        "userName": row["user_name"] or "",
        "userType": 0,
        "action": row["action"],
        "accountId": str(row["account_id"]) if row["account_id"] else None,
        "requestId": row["request_id"],
    }
