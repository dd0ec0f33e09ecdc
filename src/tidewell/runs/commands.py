"""Queue a run, stop a run, carry on with one: each inside the caller's transaction."""

from datetime import datetime
from uuid import UUID, uuid4

from tidewell.runs import life, repository
from tidewell.runs.life import State
from tidewell.runs.queue import Queue
from tidewell.runs.repository import Cause
from tidewell.state.database import Connection


async def queue_run(
    connection: Connection,
    queue: Queue,
    account_id: UUID,
    job_id: UUID,
    cause: Cause,
    now: datetime,
) -> UUID:
    """Queue a run of a job; where one is active, that one is the answer."""
    run_id = uuid4()
    while not await repository.insert(connection, account_id, job_id, run_id, cause, now):
        existing = await repository.active(connection, account_id, job_id)
        if existing is not None:
            return UUID(str(existing["id"]))
        # It ended between the two statements: there is room for ours now.
    await _carry(connection, queue, account_id, job_id, run_id)
    return run_id


async def queue_again(
    connection: Connection,
    queue: Queue,
    transition: life.Transition,
    account_id: UUID,
    job_id: UUID,
    run_id: UUID,
    reason: str,
    now: datetime,
    *,
    attempt: int | None = None,
    unsettled: bool = False,
) -> bool:
    """Bring a run back into the queue by a transition; False when it is elsewhere by now.

    `attempt` is the one that gives it back; None where it has no owner. `unsettled`: it may have
    committed.
    """
    if not await repository.requeue(
        connection, transition, account_id, run_id, attempt, reason, now, unsettled=unsettled
    ):
        return False
    await _carry(connection, queue, account_id, job_id, run_id)
    return True


async def stop_run(
    connection: Connection, account_id: UUID, job_id: UUID, now: datetime
) -> UUID | None:
    """End the job's active run; returns its id, None when there is none.

    One that waits has ended when the transaction commits; a running one is told by the queue's
    notice, which goes out with the commit. One that waits for another attempt while an earlier one
    may have committed is settled (`Settling.end_waiting`), by the caller or else by the sweeper.
    """
    run = await repository.active(connection, account_id, job_id)
    if run is None:
        return None
    run_id = UUID(str(run["id"]))
    await repository.request_stop(connection, account_id, run_id, now)
    if run["state"] != State.RUNNING and not run["unsettled"]:
        reason = "Somebody asked for its end while it waited."
        await repository.stop_waiting(connection, account_id, run_id, reason, now)
    if run["queue_id"] is not None:
        await repository.cancel_in_queue(connection, run["queue_id"])
    return run_id


async def _carry(
    connection: Connection, queue: Queue, account_id: UUID, job_id: UUID, run_id: UUID
) -> None:
    """Give a queued run to the queue."""
    turn = await repository.turn(connection, account_id, run_id)
    queue_id = await queue.defer_run(connection, account_id, job_id, run_id, turn)
    await repository.set_queue_id(connection, account_id, run_id, queue_id)
