"""The log of queries: those of the Query API, and of runs, of the last seven days (contract §7)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tidewell.clock import to_wire
from tidewell.counted import counted
from tidewell.errors import NotFound
from tidewell.state.database import Connection
from tidewell.state.statements import statements

QUERY, CACHING, SCHEDULED_QUERY = 200, 204, 205
"""The reference's codes of what asked: the Query API, a caching job, a scheduled query."""
_LONGEST = 10_000
_SQL = statements("tidewell.query", "queries.sql")


@dataclass(frozen=True)
class Entry:
    """A query that has ended. `credential` says whose token asked; `milliseconds` how long."""

    id: UUID
    at: datetime
    milliseconds: int
    query: str
    credential: str
    drivers: str
    rows_returned: int
    error_code: str | None
    error_message: str | None
    user_agent: str


async def note(connection: Connection, account_id: UUID, entry: Entry) -> None:
    """Write down a query; a longer text than can be shown is cut."""
    await connection.execute(
        _SQL["insert_log"],
        {
            "account_id": account_id,
            "id": entry.id,
            "at": entry.at,
            "milliseconds": entry.milliseconds,
            "query": _shown(entry.query),
            "credential": entry.credential,
            "drivers": entry.drivers,
            "rows_returned": entry.rows_returned,
            "error_code": entry.error_code,
            "error_message": entry.error_message and _shown(entry.error_message),
            "user_agent": _shown(entry.user_agent)[:512],
        },
    )


async def listed(
    connection: Connection,
    account_id: UUID,
    now: datetime,
    *,
    kept: timedelta,
    since: datetime | None = None,
    until: datetime | None = None,
    type_code: int | None = None,
    query_id: UUID | None = None,
    connection_ids: Collection[UUID] | None = None,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """What was asked in a span of the time that it is kept, newest first."""
    cursor = await connection.execute(
        _SQL["list_log"],
        {
            "account_id": account_id,
            "since": max(since or now - kept, now - kept),
            "until": until or now + timedelta(minutes=1),
            "type": type_code,
            "id": query_id,
            "connection_ids": None if connection_ids is None else list(connection_ids),
            "limit": limit,
        },
    )
    return await cursor.fetchall()


async def one(
    connection: Connection,
    account_id: UUID,
    query_id: UUID,
    now: datetime,
    kept: timedelta,
    connection_ids: Collection[UUID] | None = None,
) -> dict[str, Any]:
    """One of them. Raises NotFound."""
    rows = await listed(
        connection,
        account_id,
        now,
        kept=kept,
        query_id=query_id,
        connection_ids=connection_ids,
        limit=1,
    )
    if not rows:
        raise NotFound(f"There is no query {query_id} in the log of the last {kept.days} days.")
    return rows[0]


async def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` queries from before a time; returns how many."""
    cursor = await connection.execute(_SQL["forget_log"], {"before": before, "limit": limit})
    return cursor.rowcount


def entry_to_wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as the reference's log answers it; `duration` in milliseconds."""
    return {
        "queryId": str(row["id"]),
        "timestamp": to_wire(row["at"]),
        "queryType": row["type"],
        "query": row["query"],
        "credential": row["credential"],
        "drivers": row["drivers"],
        "duration": row["milliseconds"],
        "rowsReturned": row["rows_returned"],
        "rowsAffected": row["rows_affected"],
        "rowsInput": 0,
        "logVerbosity": row["verbosity"],
        "errorCode": row["error_code"] or "",
        "errorMessage": row["error_message"] or "",
        "userAgent": row["user_agent"],
    }


def lines_of(row: Mapping[str, Any]) -> list[str]:
    """The log of a query that is no run's."""
    lines = [f"{to_wire(row['at'])} {row['query']}"]
    if row["error_code"]:
        lines.append(f"It failed after {row['milliseconds']} ms: {row['error_message']}")
    else:
        rows = counted(row["rows_returned"], "row")
        lines.append(f"It took {row['milliseconds']} ms and gave {rows}.")
    return lines


def _shown(text: str) -> str:
    return text.replace("\0", "�")[:_LONGEST]
