"""The ticker: every second it queues the jobs, and the retries, whose time has come.

Any number of nodes may tick at once: due rows are taken `FOR UPDATE SKIP LOCKED`, and the run, its
place in the queue and the job's next time are written in the same transaction.
"""

import asyncio
from datetime import datetime

import structlog

from tidewell.clock import Clock
from tidewell.errors import Unavailable
from tidewell.failpoint import reached
from tidewell.jobs import repository as jobs
from tidewell.runs import life, repository
from tidewell.runs.commands import queue_again, queue_run
from tidewell.runs.queue import Queue
from tidewell.state.database import Database

_BATCH = 100
_PERIOD_SECONDS = 1.0
_MEND_EVERY = 60

log = structlog.get_logger()


async def tick(database: Database, queue: Queue, now: datetime) -> int:
    """Queue every due job once, however many times it has missed, and every due retry.

    Returns how many there were.
    """
    return await _tick_jobs(database, queue, now) + await _tick_retries(database, queue, now)


async def _tick_jobs(database: Database, queue: Queue, now: datetime) -> int:
    total = 0
    while True:
        async with database.transaction() as connection:
            due = await jobs.take_due(connection, now, _BATCH)
            for account_id, job_id in due:
                await queue_run(connection, queue, account_id, job_id, "schedule", now)
            if due:
                reached("before tick")
        if due:
            reached("after tick")
        total += len(due)
        if len(due) < _BATCH:
            return total


async def _tick_retries(database: Database, queue: Queue, now: datetime) -> int:
    total = 0
    while True:
        async with database.transaction() as connection:
            due = await repository.due_retries(connection, now, _BATCH)
            for run in due:
                await queue_again(
                    connection,
                    queue,
                    life.RESUME,
                    run["account_id"],
                    run["job_id"],
                    run["id"],
                    "The time of the next try has come.",
                    now,
                )
        total += len(due)
        if len(due) < _BATCH:
            return total


async def mend(database: Database, now: datetime) -> int:
    """Pull back what a clock that ran ahead has put off; returns how many jobs that were.

    A job's next time is never later than the next point of its grid.
    """
    async with database.transaction() as connection:
        return await jobs.pull_back(connection, now)


async def keep_ticking(database: Database, queue: Queue, clock: Clock) -> None:
    """Tick until cancelled; while the database is away, try again each second."""
    ticks = 0
    while True:
        try:
            if ticks % _MEND_EVERY == 0 and (mended := await mend(database, clock())):
                log.warning("schedules_mended", jobs=mended)
            await tick(database, queue, clock())
            ticks += 1
        except Unavailable as error:
            log.warning("tick_failed", reason=error.message)
        await asyncio.sleep(_PERIOD_SECONDS)
