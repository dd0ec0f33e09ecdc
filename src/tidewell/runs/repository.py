"""All queries on runs and their logs.

Those that a worker makes before it knows the account are marked in `queries.sql`; every other one
takes the account.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from tidewell import metrics
from tidewell.errors import NotFound
from tidewell.given import without_nul
from tidewell.runs import life
from tidewell.runs.life import Ended
from tidewell.runs.messages import Done, LogLine
from tidewell.state.database import Connection
from tidewell.state.statements import statements
from tidewell.webhooks.events import announce_end

_SQL = statements("tidewell.runs", "queries.sql")

Cause = Literal["create", "schedule", "request"]

_WHY_QUEUED: dict[Cause, str] = {
    "create": "The job was created.",
    "schedule": "The time of the job has come.",
    "request": "Somebody asked for a run.",
}


@dataclass(frozen=True)
class Claim:
    """A run that this worker executes, in one attempt.

    `queue_id` is the queue's job that carries it; `attempts` counts all of them, `failures` those
    that failed for a passing reason. `unsettled`: one of those before may have committed.
    """

    run_id: UUID
    account_id: UUID
    job_id: UUID
    queue_id: int | None
    attempt: int
    attempts: int
    failures: int
    started_at: datetime
    unsettled: bool


_CLAIMED = tuple(field.name for field in fields(Claim) if field.name != "run_id")


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended a run, and why."""

    state: Ended
    reason: str
    rows_read: int = 0
    bytes_copied: int = 0
    rows_affected: int = 0
    receipt: dict[str, Any] | None = None
    error_code: str | None = None
    error_message: str | None = None


def success_of(ended: Done) -> Outcome:
    """The outcome of a run that has committed."""
    return Outcome(
        "success",
        "Its rows are committed.",
        rows_read=ended.rows_read,
        bytes_copied=ended.bytes_copied,
        rows_affected=ended.rows_affected,
        receipt=dict(ended.receipt),
    )


async def insert(
    connection: Connection,
    account_id: UUID,
    job_id: UUID,
    run_id: UUID,
    cause: Cause,
    now: datetime,
) -> bool:
    """Note a queued run; False when the job has an active one already."""
    cursor = await connection.execute(
        _SQL["insert_run"],
        {
            "id": run_id,
            "account_id": account_id,
            "job_id": job_id,
            "cause": cause,
            "reason": _WHY_QUEUED[cause],
            "now": now,
        },
    )
    return await cursor.fetchone() is not None


async def next_attempt(connection: Connection) -> int:
    """A number above those of all attempts that have begun, and below those of later ones."""
    row = await (await connection.execute(_SQL["next_attempt"])).fetchone()
    return int(row["attempt"]) if row else 0


async def active(connection: Connection, account_id: UUID, job_id: UUID) -> dict[str, Any] | None:
    """The job's active run, held until the transaction ends."""
    cursor = await connection.execute(
        _SQL["active_run"], {"account_id": account_id, "job_id": job_id}
    )
    return await cursor.fetchone()


async def turn(connection: Connection, account_id: UUID, run_id: UUID) -> int:
    """A run's place among all accounts' runs; a lower one goes first."""
    cursor = await connection.execute(_SQL["turn_of_run"], {"account_id": account_id, "id": run_id})
    row = await cursor.fetchone()
    return int(row["turn"]) if row else 0


async def set_queue_id(
    connection: Connection, account_id: UUID, run_id: UUID, queue_id: int
) -> None:
    """Note which job of the queue carries a run."""
    await connection.execute(
        _SQL["set_queue_id"], {"account_id": account_id, "id": run_id, "queue_id": queue_id}
    )


async def cancel_in_queue(connection: Connection, queue_id: int | None) -> None:
    """Take a job out of the queue, or tell its worker to end it; nothing when it is gone."""
    await connection.execute(_SQL["cancel_in_queue"], {"queue_id": queue_id})


async def next_of_queue(
    connection: Connection, queues: Sequence[str] | None, worker_id: int
) -> dict[str, Any] | None:
    """Take the next job of the queue for a worker; None where there is none to be had."""
    cursor = await connection.execute(
        _SQL["next_of_queue"], {"queues": queues, "worker_id": worker_id}
    )
    row = await cursor.fetchone()
    return None if row is None or row["id"] is None else row


async def remove_from_queue(connection: Connection, queue_id: int | None) -> None:
    """Take a job out of the queue whatever becomes of it."""
    await connection.execute(_SQL["remove_from_queue"], {"queue_id": queue_id})


async def request_stop(
    connection: Connection, account_id: UUID, run_id: UUID, now: datetime
) -> None:
    """Note that a run has to end."""
    await connection.execute(
        _SQL["request_stop"], {"account_id": account_id, "id": run_id, "now": now}
    )


async def stop_waiting(
    connection: Connection, account_id: UUID, run_id: UUID, reason: str, now: datetime
) -> None:
    """End a run that waits, and of which no attempt can have committed."""
    await connection.execute(
        _SQL["stop_waiting"],
        {"account_id": account_id, "id": run_id, "reason": reason, "now": now},
    )


async def claim(
    connection: Connection, run_id: UUID, queue_id: int, now: datetime
) -> tuple[Claim, dict[str, Any]] | None:
    """Take a run into execution; None when it has ended, or this job of the queue is not its.

    Returns with it what is needed to execute it, as `task` does.
    """
    cursor = await connection.execute(
        _SQL["claim_run"],
        {
            "id": run_id,
            "queue_id": queue_id,
            "from_states": life.CLAIM.from_states,
            "reason": "A worker took it.",
            "now": now,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Claim(run_id=run_id, **{name: row[name] for name in _CLAIMED}), row


async def beat(connection: Connection, claims: Sequence[Claim]) -> dict[UUID, bool]:
    """Give a sign of life for these runs.

    Returns those that are still this worker's, each with whether somebody asked for its end.
    """
    cursor = await connection.execute(
        _SQL["beat"],
        {
            "ids": [claim.run_id for claim in claims],
            "attempts": [claim.attempt for claim in claims],
        },
    )
    return {row["id"]: row["stop_requested"] for row in await cursor.fetchall()}


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
    """End a run, and take what carried it out of the queue.

    Returns False when a newer attempt has taken it over, or it has ended already.
    """
    cursor = await connection.execute(
        _SQL["finish_run"],
        _of(claim)
        | {
            "now": now,
            "state": life.ENDINGS[outcome.state].target,
            "from_states": life.ENDINGS[outcome.state].from_states,
            "reason": outcome.reason,
            "rows_read": outcome.rows_read,
            "bytes_copied": outcome.bytes_copied,
            "rows_affected": outcome.rows_affected,
            "receipt": None if outcome.receipt is None else Jsonb(outcome.receipt),
            "error_code": outcome.error_code,
            # It may hold what a source says.
            "error_message": without_nul(outcome.error_message or "") or None,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return False
    if row["is_told"]:
        await announce_end(connection, claim.account_id, claim.run_id, now)
    metrics.count_run(
        outcome.state,
        (now - row["started_at"]).total_seconds(),
        outcome.rows_read,
        outcome.rows_affected,
        outcome.bytes_copied,
    )
    return True


async def retry(
    connection: Connection,
    claim: Claim,
    retry_at: datetime,
    reason: str,
    now: datetime,
    *,
    unsettled: bool = False,
) -> bool:
    """Plan the next attempt; False when somebody has asked for the run's end, or has taken it.

    `unsettled`: this attempt may have committed.
    """
    cursor = await connection.execute(
        _SQL["retry_run"],
        _of(claim) | {"retry_at": retry_at, "reason": reason, "now": now, "unsettled": unsettled},
    )
    return await cursor.fetchone() is not None


async def due_retries(connection: Connection, now: datetime, limit: int) -> list[dict[str, Any]]:
    """Runs whose next attempt has come, locked."""
    cursor = await connection.execute(_SQL["due_retries"], {"now": now, "limit": limit})
    return await cursor.fetchall()


async def requeue(
    connection: Connection,
    transition: life.Transition,
    account_id: UUID,
    run_id: UUID,
    attempt: int | None,
    reason: str,
    now: datetime,
    *,
    unsettled: bool,
) -> bool:
    """Into the queue again by a transition; False when the run is elsewhere by now.

    `attempt` is the one that gives it back; None where it has no owner. `unsettled`: it may have
    committed.
    """
    cursor = await connection.execute(
        _SQL["requeue_run"],
        {
            "account_id": account_id,
            "id": run_id,
            "attempt": attempt,
            "from_states": transition.from_states,
            "recoveries": int(transition is life.RECOVER),
            "unsettled": unsettled,
            "reason": reason,
            "now": now,
        },
    )
    return await cursor.fetchone() is not None


async def lost(connection: Connection, dead_after: float, limit: int) -> list[dict[str, Any]]:
    """Active runs without a sign of life for so many seconds, or that nothing carries; locked."""
    cursor = await connection.execute(_SQL["lost_runs"], {"dead_after": dead_after, "limit": limit})
    return await cursor.fetchall()


async def take_over(connection: Connection, account_id: UUID, run_id: UUID) -> Claim | None:
    """Take a lost run over to settle it, as one more attempt; None when no worker has it by now."""
    return await _taken(connection, "take_over", account_id, run_id)


async def take_waiting(connection: Connection, account_id: UUID, run_id: UUID) -> Claim | None:
    """The same for a run that was asked to end between two attempts; None when it is no such."""
    return await _taken(connection, "take_waiting", account_id, run_id)


async def _taken(connection: Connection, name: str, account_id: UUID, run_id: UUID) -> Claim | None:
    cursor = await connection.execute(_SQL[name], {"account_id": account_id, "id": run_id})
    row = await cursor.fetchone()
    return None if row is None else Claim(run_id=run_id, **row)


async def end_lost(
    connection: Connection, account_id: UUID, run_id: UUID, outcome: Outcome, now: datetime
) -> None:
    """End a lost run."""
    await connection.execute(
        _SQL["end_lost"],
        {
            "account_id": account_id,
            "id": run_id,
            "state": life.ENDINGS[outcome.state].target,
            "reason": outcome.reason,
            "error_code": outcome.error_code,
            "error_message": outcome.error_message,
            "now": now,
        },
    )


async def free_lanes(connection: Connection, task_name: str, dead_after: float) -> int:
    """Take jobs out of the queue whose runs are over; returns how many."""
    cursor = await connection.execute(
        _SQL["free_lanes"], {"task": task_name, "dead_after": dead_after}
    )
    return cursor.rowcount


async def changes(connection: Connection, account_id: UUID, run_id: UUID) -> list[dict[str, Any]]:
    """Every change of a run's state, in order."""
    cursor = await connection.execute(
        _SQL["changes_of_run"], {"account_id": account_id, "id": run_id}
    )
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
            "messages": [without_nul(line.message) for line in lines],
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
