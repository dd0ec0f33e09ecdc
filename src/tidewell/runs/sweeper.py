"""The sweeper: gives runs of dead workers to living ones, and clears up after both.

Four things can be left behind: a running run whose worker gives no sign of life, a queued run that
nothing carries, a job of the queue that holds its lane although its run is over, and a drop of a
cached table that nobody executes. Times are compared by the state database's own clock, so that
nodes need not agree on theirs. The attempt number keeps whatever is left of a worker that was
thought dead from committing.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import procrastinate.exceptions
import structlog

from tidewell.clock import Clock
from tidewell.errors import Unavailable
from tidewell.runs import life, repository
from tidewell.runs.commands import queue_again
from tidewell.runs.queue import DROP, EXECUTE, QUEUE, Queue
from tidewell.runs.repository import Claim, Outcome
from tidewell.runs.settling import Settle, end
from tidewell.state.database import Database

DEAD_AFTER_SECONDS = 9.0
MOST_RECOVERIES = 20
"""A run whose worker died this often is given up: it may well be what kills them."""

_PERIOD_SECONDS = 2.0
_BATCH = 100

log = structlog.get_logger()

_GIVEN_UP = Outcome(
    "failed",
    "Its workers died again and again.",
    error_code="RUN_LOST",
    error_message=(
        f"The worker of this run died {MOST_RECOVERIES} times while it worked on it, often because "
        "memory ran out: look at the workers' own logs, then run the job again."
    ),
)
_STOPPED = Outcome("stopped", "Somebody asked for its end, and its worker is gone.")


@dataclass(frozen=True)
class Swept:
    """How many runs of dead workers were found, and those of them that are not tried again.

    These are settled before they end: their worker may have died between the commit and the word
    of it, and may even wake up.
    """

    found: int
    over: list[tuple[Claim, Outcome]]


async def sweep(database: Database, queue: Queue, now: datetime) -> Swept:
    """Queue again whatever dead workers left."""
    over: list[tuple[Claim, Outcome]] = []
    async with database.transaction() as connection:
        lost = await repository.lost(connection, DEAD_AFTER_SECONDS, _BATCH)
        for run in lost:
            await repository.remove_from_queue(connection, run["queue_id"])
            if run["stop_requested_at"] is not None or run["recoveries"] >= MOST_RECOVERIES:
                outcome = _GIVEN_UP if run["stop_requested_at"] is None else _STOPPED
                take = (
                    repository.take_over
                    if run["state"] == life.State.RUNNING
                    else repository.take_waiting
                )
                claim = await take(connection, run["account_id"], run["id"])
                if claim is None:  # no attempt of it can have committed
                    await repository.end_lost(
                        connection, run["account_id"], run["id"], outcome, now
                    )
                else:
                    over.append((claim, outcome))
            else:
                await queue_again(
                    connection,
                    queue,
                    life.RECOVER,
                    run["account_id"],
                    run["job_id"],
                    run["id"],
                    "Its worker gives no sign of life."
                    if run["state"] == life.State.RUNNING
                    else "The queue had lost it.",
                    now,
                    attempt=run["attempt"],
                    unsettled=run["state"] == life.State.RUNNING,
                )
        await repository.free_lanes(connection, EXECUTE, DEAD_AFTER_SECONDS)
    stalled = await queue.app.job_manager.get_stalled_jobs(
        queue=QUEUE, task_name=DROP, seconds_since_heartbeat=DEAD_AFTER_SECONDS
    )
    for job in stalled:
        await queue.app.job_manager.retry_job(job)
    return Swept(len(lost), over)


async def keep_sweeping(database: Database, queue: Queue, settle: Settle, clock: Clock) -> None:
    """Sweep until cancelled; while the database is away, try again."""
    async with asyncio.TaskGroup() as ending:  # a cache that is slow to answer holds nobody up
        while True:
            try:
                swept = await sweep(database, queue, clock())
                if swept.found:
                    log.warning("runs_recovered", runs=swept.found)
                for claim, outcome in swept.over:
                    ending.create_task(_end_or_leave(database, settle, claim, outcome, clock))
            except (Unavailable, procrastinate.exceptions.ConnectorException) as error:
                log.warning("sweep_failed", reason=str(error))
            await asyncio.sleep(_PERIOD_SECONDS)


async def _end_or_leave(
    database: Database, settle: Settle, claim: Claim, outcome: Outcome, clock: Clock
) -> None:
    try:
        await end(database, settle, claim, outcome, clock())
    except Unavailable as error:  # a later sweep finds it again
        log.warning("sweep_failed", reason=error.message)
