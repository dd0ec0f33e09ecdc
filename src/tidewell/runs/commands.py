"""Queue a run, stop a run: each inside the caller's transaction."""

from datetime import datetime
from uuid import UUID, uuid4

from tidewell.runs import repository
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
    """Queue a run of a job; where one is queued or running, that one is the answer."""
    run_id = uuid4()
    while not await repository.insert(connection, account_id, job_id, run_id, cause, now):
        existing = await repository.active(connection, account_id, job_id)
        if existing is not None:
            return UUID(str(existing["id"]))
        # It ended between the two statements: there is room for ours now.
    await carry(connection, queue, account_id, job_id, run_id)
    return run_id


async def carry(
    connection: Connection, queue: Queue, account_id: UUID, job_id: UUID, run_id: UUID
) -> None:
    """Give a queued run to the queue."""
    queue_id = await queue.defer_run(connection, account_id, job_id, run_id)
    await repository.set_queue_id(connection, account_id, run_id, queue_id)


async def stop_run(
    connection: Connection, account_id: UUID, job_id: UUID, now: datetime
) -> UUID | None:
    """End the job's queued or running run; returns its id, None when there is none.

    A queued run has ended when the transaction commits; a running one is told by the queue's
    notice, which goes out with the commit.
    """
    run = await repository.active(connection, account_id, job_id)
    if run is None:
        return None
    await repository.request_stop(connection, account_id, run["id"], now)
    if await repository.cancel_in_queue(connection, run["queue_id"]) == "cancelled":
        await repository.stop_unclaimed(connection, run["id"], now)
    return UUID(str(run["id"]))
