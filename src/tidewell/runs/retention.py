"""How long history is kept, and the duty that forgets the rest: of runs, queries and the audit."""

import asyncio
from datetime import datetime, timedelta

import structlog

from tidewell.accounts import audit
from tidewell.clock import Clock
from tidewell.errors import Unavailable
from tidewell.query import log as query_log
from tidewell.runs import repository
from tidewell.runs.queue import EXECUTE
from tidewell.state.database import Database

LOGS_KEPT = timedelta(days=7)
"""Contract §7."""
RUNS_KEPT = timedelta(days=90)
"""The newest run of a job stays for as long as the job."""

_PERIOD_SECONDS = 600.0
_BATCH = 5000

log = structlog.get_logger()


async def forget(database: Database, now: datetime) -> int:
    """Forget what is older than its retention, in small transactions; returns how much it was."""
    total = 0
    while True:
        async with database.transaction() as connection:
            found = await repository.forget(
                connection, EXECUTE, now - LOGS_KEPT, now - RUNS_KEPT, _BATCH
            )
            found += await audit.forget_old(connection, now, _BATCH)
        total += found
        if found < _BATCH:
            break
    async with database.transaction() as connection:
        await query_log.forget(connection, now)
    return total


async def keep_forgetting(database: Database, clock: Clock) -> None:
    """Forget at intervals until cancelled; while the database is away, later."""
    while True:
        try:
            if found := await forget(database, clock()):
                log.info("history_forgotten", rows=found)
        except Unavailable as error:
            log.warning("forgetting_failed", reason=error.message)
        await asyncio.sleep(_PERIOD_SECONDS)
