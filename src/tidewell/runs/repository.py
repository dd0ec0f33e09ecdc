"""All queries on runs and their logs.

Those that a worker makes before it knows the account are marked in `queries.sql`; every other one
takes the account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from tidewell.errors import NotFound
from tidewell.runs.messages import LogLine
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.runs", "queries.sql")

Cause = Literal["create", "schedule", "request"]
Ended = Literal["success", "failed", "stopped"]


@dataclass(frozen=True)
class Claim:
    """A run that this worker executes, in one attempt."""

    run_id: UUID
    account_id: UUID
    job_id: UUID
    attempt: int
    attempts: int


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended a run."""

    state: Ended
    rows_read: int = 0
    bytes_copied: int = 0
    rows_affected: int = 0
    receipt: dict[str, Any] | None = None
    error_code: str | None = None
    error_message: str | None = None


async def insert(
    connection: Connection,
    account_id: UUID,
    job_id: UUID,
    run_id: UUID,
    cause: Cause,
    now: datetime,
) -> bool:
    """Note a queued run; False when the job has a queued or running one already."""
    cursor = await connection.execute(
        _SQL["insert_run"],
        {"id": run_id, "account_id": account_id, "job_id": job_id, "cause": cause, "now": now},
    )
    return await cursor.fetchone() is not None


async def active(connection: Connection, account_id: UUID, job_id: UUID) -> dict[str, Any] | None:
    """The job's queued or running run, held until the transaction ends."""
    cursor = await connection.execute(
        _SQL["active_run"], {"account_id": account_id, "job_id": job_id}
    )
    return await cursor.fetchone()


async def set_queue_id(
    connection: Connection, account_id: UUID, run_id: UUID, queue_id: int
) -> None:
    """Note which job of the queue carries a run."""
    await connection.execute(
        _SQL["set_queue_id"], {"account_id": account_id, "id": run_id, "queue_id": queue_id}
    )


async def cancel_in_queue(connection: Connection, queue_id: int | None) -> str | None:
    """Cancel a job of the queue; returns its status then, None when it is gone."""
    cursor = await connection.execute(_SQL["cancel_in_queue"], {"queue_id": queue_id})
    row = await cursor.fetchone()
    return row["status"] if row else None


async def request_stop(
    connection: Connection, account_id: UUID, run_id: UUID, now: datetime
) -> None:
    """Note that a run has to end."""
    await connection.execute(
        _SQL["request_stop"], {"account_id": account_id, "id": run_id, "now": now}
    )


async def claim(connection: Connection, run_id: UUID, now: datetime) -> Claim | None:
    """Take a run into execution; None when it has ended, or shall not begin."""
    cursor = await connection.execute(_SQL["claim_run"], {"id": run_id, "now": now})
    row = await cursor.fetchone()
    if row is None:
        return None
    return Claim(run_id, row["account_id"], row["job_id"], row["attempt"], row["attempts"])


async def stop_unclaimed(connection: Connection, run_id: UUID, now: datetime) -> None:
    """End a run that was asked to end before a worker took it."""
    await connection.execute(_SQL["stop_unclaimed"], {"id": run_id, "now": now})


async def task(connection: Connection, claim: Claim) -> dict[str, Any] | None:
    """What is needed to execute a run, sealed; None when the job is gone."""
    cursor = await connection.execute(
        _SQL["run_task"], {"account_id": claim.account_id, "job_id": claim.job_id}
    )
    return await cursor.fetchone()


async def set_progress(connection: Connection, claim: Claim, rows: int, size: int) -> None:
    """Note how far an attempt has come, in rows and bytes."""
    await connection.execute(_SQL["set_progress"], _of(claim) | {"rows": rows, "bytes": size})


async def finish(connection: Connection, claim: Claim, outcome: Outcome, now: datetime) -> bool:
    """End a run; False when a newer attempt has taken it over, or it has ended already."""
    cursor = await connection.execute(
        _SQL["finish_run"],
        _of(claim)
        | {
            "now": now,
            "state": outcome.state,
            "rows_read": outcome.rows_read,
            "bytes_copied": outcome.bytes_copied,
            "rows_affected": outcome.rows_affected,
            "receipt": None if outcome.receipt is None else Jsonb(outcome.receipt),
            "error_code": outcome.error_code,
            "error_message": outcome.error_message,
        },
    )
    return cursor.rowcount == 1


async def requeue(connection: Connection, claim: Claim) -> bool:
    """Hand a run back to the queue; False when it is no longer this attempt's."""
    cursor = await connection.execute(_SQL["requeue_run"], _of(claim))
    return await cursor.fetchone() is not None


async def lost(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Active runs that no job of the queue carries, locked."""
    cursor = await connection.execute(_SQL["lost_runs"], {"limit": limit})
    return await cursor.fetchall()


async def insert_log(connection: Connection, claim: Claim, lines: Sequence[LogLine]) -> None:
    """Append lines to a run's log."""
    await connection.execute(
        _SQL["insert_log"],
        {
            "account_id": claim.account_id,
            "id": claim.run_id,
            "at": [line.at for line in lines],
            "levels": [line.level for line in lines],
            "messages": [line.message.replace("\0", "�") for line in lines],
        },
    )


async def one(connection: Connection, account_id: UUID, run_id: UUID) -> dict[str, Any]:
    """A run of the account. Raises NotFound."""
    cursor = await connection.execute(_SQL["run"], {"account_id": account_id, "id": run_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound.of("run")
    return row


async def of_job(
    connection: Connection, account_id: UUID, job_id: UUID, before: datetime | None, limit: int
) -> list[dict[str, Any]]:
    """A job's runs, newest first."""
    cursor = await connection.execute(
        _SQL["runs_of_job"],
        {"account_id": account_id, "job_id": job_id, "before": before, "limit": limit},
    )
    return await cursor.fetchall()


async def log(
    connection: Connection, account_id: UUID, run_id: UUID, after: int, limit: int
) -> list[dict[str, Any]]:
    """Lines of a run's log, in order, after a given line."""
    cursor = await connection.execute(
        _SQL["log_of_run"],
        {"account_id": account_id, "id": run_id, "after": after, "limit": limit},
    )
    return await cursor.fetchall()


def _of(claim: Claim) -> dict[str, Any]:
    return {"account_id": claim.account_id, "id": claim.run_id, "attempt": claim.attempt}
