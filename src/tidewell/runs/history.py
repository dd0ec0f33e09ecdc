"""What became of jobs over time: queries for those who look at many at once."""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.runs", "history.sql")


async def recent_runs(
    connection: Connection, account_id: UUID, job_ids: Sequence[UUID], limit: int
) -> dict[UUID, list[dict[str, Any]]]:
    """The newest runs of some jobs of the account, newest first, by job."""
    cursor = await connection.execute(
        _SQL["recent_runs"], {"account_id": account_id, "job_ids": list(job_ids), "limit": limit}
    )
    rows = await cursor.fetchall()
    return {job_id: list(found) for job_id, found in groupby(rows, lambda row: row["job_id"])}


async def last_successes(connection: Connection, account_id: UUID) -> dict[UUID, datetime]:
    """When the run began that a job last succeeded with, for the account's jobs that ever did."""
    cursor = await connection.execute(_SQL["last_successes"], {"account_id": account_id})
    return {row["job_id"]: row["started_at"] for row in await cursor.fetchall()}


async def active_runs(
    connection: Connection, account_id: UUID, connection_ids: Collection[UUID] | None
) -> list[dict[str, Any]]:
    """The account's runs that wait or work; of these connections only, where some are given."""
    narrowed = None if connection_ids is None else list(connection_ids)
    cursor = await connection.execute(
        _SQL["active_runs"], {"account_id": account_id, "connection_ids": narrowed}
    )
    return await cursor.fetchall()


async def last_change(connection: Connection, account_id: UUID) -> dict[str, Any]:
    """A mark of the account's jobs, another one whenever some were written."""
    cursor = await connection.execute(_SQL["last_change"], {"account_id": account_id})
    return await cursor.fetchone() or {}


async def accounts_at_a_glance(
    connection: Connection, search: str, limit: int
) -> list[dict[str, Any]]:
    """All sub-accounts for the operator, those with failed jobs first."""
    pattern = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    cursor = await connection.execute(
        _SQL["accounts_at_a_glance"], {"search": pattern, "limit": limit}
    )
    return await cursor.fetchall()
