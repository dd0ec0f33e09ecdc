"""The sweeper: gives runs of dead workers to living ones.

Two things can be left behind by a worker that dies: a job of the queue that nobody executes
(Procrastinate's stalled jobs, known by the missing heartbeat), and an active run whose job has
left the queue before the run's end was written. Both are queued again; the attempt number keeps
whatever is left of the old worker from committing.
"""

import asyncio

import procrastinate.exceptions
import structlog

from tidewell.errors import Unavailable
from tidewell.runs import repository
from tidewell.runs.commands import carry
from tidewell.runs.queue import QUEUE, Queue
from tidewell.state.database import Database

HEARTBEAT_SECONDS = 3.0
DEAD_AFTER_SECONDS = 10.0
_PERIOD_SECONDS = 2.0
_BATCH = 100

log = structlog.get_logger()


async def sweep(database: Database, queue: Queue) -> int:
    """Queue again whatever dead workers left; returns how many runs that were."""
    stalled = await queue.app.job_manager.get_stalled_jobs(
        queue=QUEUE, seconds_since_heartbeat=DEAD_AFTER_SECONDS
    )
    found = 0
    for job in stalled:
        await queue.app.job_manager.retry_job(job)
        found += 1
    async with database.transaction() as connection:
        lost = await repository.lost(connection, _BATCH)
        for run in lost:
            await carry(connection, queue, run["account_id"], run["job_id"], run["id"])
    return found + len(lost)


async def keep_sweeping(database: Database, queue: Queue) -> None:
    """Sweep until cancelled; while the database is away, try again."""
    while True:
        try:
            if found := await sweep(database, queue):
                log.warning("runs_recovered", runs=found)
        except (Unavailable, procrastinate.exceptions.ConnectorException) as error:
            log.warning("sweep_failed", reason=str(error))
        await asyncio.sleep(_PERIOD_SECONDS)
