"""The ticker: every second it queues the jobs whose time has come.

Any number of nodes may tick at once: due rows are taken `FOR UPDATE SKIP LOCKED`, and the run, its
place in the queue and the job's next time are written in the same transaction.
"""

import asyncio
from datetime import datetime

import structlog

from tidewell.clock import Clock
from tidewell.errors import Unavailable
from tidewell.jobs import repository as jobs
from tidewell.runs.commands import queue_run
from tidewell.runs.queue import Queue
from tidewell.state.database import Database

_BATCH = 100
_PERIOD_SECONDS = 1.0

log = structlog.get_logger()


async def tick(database: Database, queue: Queue, now: datetime) -> int:
    """Queue every due job once, however many times it has missed; returns how many there were."""
    total = 0
    while True:
        async with database.transaction() as connection:
            due = await jobs.take_due(connection, now, _BATCH)
            for account_id, job_id in due:
                await queue_run(connection, queue, account_id, job_id, "schedule", now)
        total += len(due)
        if len(due) < _BATCH:
            return total


async def keep_ticking(database: Database, queue: Queue, clock: Clock) -> None:
    """Tick until cancelled; while the database is away, try again each second."""
    while True:
        try:
            await tick(database, queue, clock())
        except Unavailable as error:
            log.warning("tick_failed", reason=error.message)
        await asyncio.sleep(_PERIOD_SECONDS)
