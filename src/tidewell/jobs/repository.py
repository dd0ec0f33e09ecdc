"""All queries on jobs; every one takes the account, save the ticker's own."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import tuple_row
from psycopg.types.json import Json

from tidewell.errors import NotFound
from tidewell.jobs.job import JobSettings
from tidewell.jobs.schedule import Interval, Unit, next_after
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.jobs", "queries.sql")
_ROWS_AT_ONCE = 250


@dataclass(frozen=True)
class Schedule:
    """The first point of a job's grid and the next one to run at (None: it does not run again)."""

    anchor_at: datetime
    next_run_at: datetime | None


async def insert(
    connection: Connection,
    account_id: UUID,
    job_id: UUID,
    settings: JobSettings,
    schedule: Schedule,
    now: datetime,
) -> None:
    """Store a new job. A UniqueViolation says that another one keeps this table or this place."""
    await connection.execute(
        _SQL["insert_job"], _columns(settings, schedule) | _identity(account_id, job_id, now)
    )


async def update(
    connection: Connection,
    account_id: UUID,
    job_id: UUID,
    settings: JobSettings,
    schedule: Schedule,
    now: datetime,
    *,
    reload: bool,
) -> None:
    """Replace a job's settings; `reload` makes its next run a full load."""
    await connection.execute(
        _SQL["update_job"],
        _columns(settings, schedule) | _identity(account_id, job_id, now) | {"reload": reload},
    )


async def lock(connection: Connection, account_id: UUID, job_id: UUID) -> dict[str, Any]:
    """The job's own row, held until the transaction ends. Raises NotFound."""
    cursor = await connection.execute(_SQL["lock_job"], {"account_id": account_id, "id": job_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound.of("job")
    return row


async def delete(connection: Connection, account_id: UUID, job_id: UUID) -> None:
    """Forget a job with its runs and logs."""
    await connection.execute(_SQL["delete_job"], {"account_id": account_id, "id": job_id})


async def listed(
    connection: Connection,
    account_id: UUID,
    connection_ids: Collection[UUID] | None = None,
    job_id: UUID | None = None,
) -> list[dict[str, Any]]:
    """The account's jobs with their latest runs, oldest first, as `job_to_wire` takes them."""
    cursor = await connection.execute(
        _SQL["list_jobs"],
        {
            "account_id": account_id,
            "id": job_id,
            "connection_ids": None if connection_ids is None else list(connection_ids),
        },
    )
    return await cursor.fetchall()


async def listed_as_text(
    connection: Connection,
    account_id: UUID,
    connection_ids: Collection[UUID] | None,
    now: datetime,
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """The same jobs in the same order, each as the arguments of `job_of_texts`, some at a time.

    They come while PostgreSQL still looks for the next ones: two processors share the work.
    """
    params = {
        "account_id": account_id,
        "now": now,
        "connection_ids": None if connection_ids is None else list(connection_ids),
    }
    async with connection.cursor(row_factory=tuple_row) as cursor:
        rows = []
        async for row in cursor.stream(_SQL["list_jobs_as_text"], params, size=_ROWS_AT_ONCE):
            rows.append(row)
            if len(rows) == _ROWS_AT_ONCE:
                yield rows
                rows = []
        if rows:
            yield rows


async def one(
    connection: Connection,
    account_id: UUID,
    job_id: UUID,
    connection_ids: Collection[UUID] | None = None,
) -> dict[str, Any]:
    """One of the jobs that `listed` gives. Raises NotFound."""
    rows = await listed(connection, account_id, connection_ids, job_id)
    if not rows:
        raise NotFound.of("job")
    return rows[0]


async def is_seen(
    connection: Connection,
    account_id: UUID,
    job_id: UUID,
    connection_ids: Collection[UUID] | None,
) -> bool:
    """Whether somebody who is narrowed to some connections, or to none of them, sees a job."""
    if connection_ids is None:
        return True
    return bool(await listed(connection, account_id, connection_ids, job_id))


async def hold_account(connection: Connection, account_id: UUID) -> None:
    """Keep an account from going until the transaction ends. Raises NotFound where it has gone."""
    cursor = await connection.execute(_SQL["hold_account"], {"account_id": account_id})
    if await cursor.fetchone() is None:
        raise NotFound.of("sub-account")


async def hold_connections(
    connection: Connection, account_id: UUID, connection_ids: Collection[UUID]
) -> set[UUID]:
    """Keep connections from going until the transaction ends; returns those that are there."""
    cursor = await connection.execute(
        _SQL["hold_connections"],
        {"account_id": account_id, "connection_ids": list(connection_ids)},
    )
    return {row["id"] for row in await cursor.fetchall()}


async def of_connection(
    connection: Connection, account_id: UUID, connection_id: UUID
) -> list[dict[str, Any]]:
    """The jobs that use a connection: id and name."""
    cursor = await connection.execute(
        _SQL["jobs_of_connection"], {"account_id": account_id, "connection_id": connection_id}
    )
    return await cursor.fetchall()


async def of_account(connection: Connection, account_id: UUID) -> list[dict[str, Any]]:
    """All jobs of the account: id and name."""
    cursor = await connection.execute(
        _SQL["jobs_of_connection"], {"account_id": account_id, "connection_id": None}
    )
    return await cursor.fetchall()


async def occupant(
    connection: Connection, account_id: UUID, job_id: UUID, settings: JobSettings
) -> dict[str, Any] | None:
    """Another caching job that keeps the same table, or has the same place in the cache."""
    cursor = await connection.execute(
        _SQL["same_table"],
        {
            "account_id": account_id,
            "id": job_id,
            "connection_id": settings.connection_id,
            "source_schema": settings.source_schema,
            "source_table": settings.source_table,
            "cache_schema": settings.cache_schema,
            "cache_table": settings.cache_table,
        },
    )
    return await cursor.fetchone()


async def take_due(connection: Connection, now: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Take the jobs whose time has come and move each to its next time.

    The rows stay locked until the transaction ends. Returns (account id, job id) pairs.
    """
    cursor = await connection.execute(_SQL["due_jobs"], {"now": now, "limit": limit})
    rows = await cursor.fetchall()
    await _to_the_grid(connection, rows, now)
    return [(row["account_id"], row["id"]) for row in rows]


async def pull_back(connection: Connection, now: datetime) -> int:
    """Give jobs whose next time is off their grid the next time on it; returns how many."""
    cursor = await connection.execute(_SQL["put_off_jobs"], {"now": now})
    rows = await cursor.fetchall()
    await _to_the_grid(connection, rows, now)
    return len(rows)


async def _to_the_grid(
    connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    if not rows:
        return
    times = [
        next_after(
            row["anchor_at"], Interval(Unit(row["interval_unit"]), row["interval_value"]), now
        )
        for row in rows
    ]
    await connection.execute(
        _SQL["set_next_runs"],
        {"ids": [row["id"] for row in rows], "times": times, "now": now},
    )


async def clear_reload(
    connection: Connection, account_id: UUID, job_id: UUID, settings_at: datetime
) -> None:
    """Note that a full load of a job as it was set at that time has been committed."""
    await connection.execute(
        _SQL["clear_reload"],
        {"account_id": account_id, "id": job_id, "settings_at": settings_at},
    )


async def cache_of(connection: Connection, account_id: UUID) -> dict[str, Any] | None:
    """The account's cache connection, sealed; None when it has none yet."""
    cursor = await connection.execute(_SQL["cache_of_account"], {"account_id": account_id})
    return await cursor.fetchone()


def _identity(account_id: UUID, job_id: UUID, now: datetime) -> dict[str, Any]:
    return {"account_id": account_id, "id": job_id, "now": now}


def _columns(settings: JobSettings, schedule: Schedule) -> dict[str, Any]:
    return {
        "connection_id": settings.connection_id,
        "connection_ids": settings.connection_ids and list(settings.connection_ids),
        "job_type": settings.job_type,
        "name": settings.name,
        "enabled": settings.enabled,
        "interval_unit": settings.interval.unit.value,
        "interval_value": settings.interval.value,
        "log_verbosity": settings.log_verbosity,
        "anchor_at": schedule.anchor_at,
        "next_run_at": schedule.next_run_at,
        "params": Json(settings.params),
        "source_schema": settings.source_schema,
        "source_table": settings.source_table,
        "cache_schema": settings.cache_schema,
        "cache_table": settings.cache_table,
    }
