"""What became of an attempt whose process was killed: its sessions are ended, the target is asked.

A process can die between the commit and its last word. The receipt stands in the target, so the
run is then told the truth: committed, or as it was before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog

from tidewell.cache import CacheAddress, settle_attempt
from tidewell.cache.plan import Fence
from tidewell.clock import Clock
from tidewell.connections.sealing import SealingBox
from tidewell.errors import CacheError, CacheUnavailable, TidewellError, Unavailable
from tidewell.runs import repository
from tidewell.runs.messages import Done, Task
from tidewell.runs.repository import Claim, Outcome, success_of
from tidewell.runs.tasks import task_of_claim
from tidewell.settings import Settings
from tidewell.state.database import Database

_LOST_SECONDS = 7.0  # less than a run goes without a sign of life: one sweeper settles it
_STOP_SECONDS = 1.2  # a stop takes two seconds at most

UNKNOWN = " The cache does not say whether it had committed."
_STOPPED = Outcome("stopped", "Somebody asked for its end while it waited.")

Settle = Callable[[Claim], Awaitable[Done | None]]
"""Tells whether a run that no worker has any more had committed.

Raises CacheUnavailable, and Unavailable.
"""

log = structlog.get_logger()


class Settling:
    """Settles the runs of dead workers, for the sweeper."""

    def __init__(self, database: Database, sealing: SealingBox, settings: Settings) -> None:
        self._database = database
        self._sealing = sealing
        self._settings = settings

    async def settle(self, claim: Claim, seconds: float = _LOST_SECONDS) -> Done | None:
        """End what older attempts of a run do in the cache, and tell whether one has committed.

        `claim` is the attempt that has taken over. Raises CacheUnavailable, also when the cache
        has not answered after so many seconds, and Unavailable.
        """
        try:
            async with self._database.transaction() as connection:
                row = await repository.task(connection, claim)
            if row is None:
                return None
            task = await task_of_claim(self._database, claim, row, self._sealing, self._settings)
        except Unavailable:
            raise
        except TidewellError:
            return None  # without its job, or its cache, nothing of it can be told any more
        return await settle(task, seconds, take_over=True)

    async def end_waiting(self, account_id: UUID, run_id: UUID, clock: Clock) -> None:
        """End a run that was asked to end between two attempts; nothing when it is no such."""
        async with self._database.transaction() as connection:
            claim = await repository.take_waiting(connection, account_id, run_id)
        if claim is not None:
            in_time = partial(self.settle, seconds=_STOP_SECONDS)
            await end(self._database, in_time, claim, _STOPPED, clock())


async def end(
    database: Database, settle: Settle, claim: Claim, outcome: Outcome, now: datetime
) -> None:
    """End a run that no worker has any more: as a success where it had committed.

    Raises Unavailable; the run is then as it was.
    """
    try:
        told = await settle(claim)
    except Unavailable:
        raise
    except Exception as error:  # whatever its cache holds: the run has to have an end
        if not isinstance(error, CacheUnavailable):
            log.exception("settling_broke", run_id=str(claim.run_id), kind=type(error).__name__)
        outcome = replace(outcome, reason=outcome.reason + UNKNOWN)
    else:
        outcome = outcome if told is None else success_of(told)
    async with database.transaction() as connection:
        await repository.finish(connection, claim, outcome, now)


async def settle(task: Task, seconds: float, *, take_over: bool = False) -> Done | None:
    """End what the attempt still does in the cache, and tell whether it committed.

    Raises CacheUnavailable when the cache does not say so in time; its sessions are then ended
    whenever it answers.
    """
    if task.cache is None:
        return None
    asking = asyncio.create_task(
        asyncio.to_thread(
            settle_attempt,
            CacheAddress(**task.cache),
            Fence(task.job_id, task.run_id, task.attempt),
            take_over=take_over,
        )
    )
    done, _ = await asyncio.wait([asking], timeout=seconds)
    if not done:
        asking.add_done_callback(lambda task: task.exception())
        raise CacheUnavailable("The cache does not say whether the run has committed.")
    try:
        receipt = asking.result()
    except CacheError as error:
        raise CacheUnavailable(
            f"The cache does not say whether the run has committed: {error.message}"
        ) from error
    return None if receipt is None else Done.of(receipt)
