"""What became of an attempt whose process was killed: its sessions are ended, the target is asked.

A process can die between the commit and its last word. The receipt stands in the target, so the
run is then told the truth: committed, or as it was before.
"""

import asyncio

from tidewell.cache import CacheAddress, settle_attempt
from tidewell.cache.plan import Fence
from tidewell.connections.sealing import SealingBox
from tidewell.errors import CacheError, CacheUnavailable, TidewellError
from tidewell.runs import repository
from tidewell.runs.messages import Done, Task
from tidewell.runs.repository import Claim
from tidewell.runs.tasks import task_of_claim
from tidewell.settings import Settings
from tidewell.state.database import Database

_LOST_SECONDS = 7.0  # less than a run goes without a sign of life: one sweeper settles it


class Settling:
    """Settles the runs of dead workers, for the sweeper."""

    def __init__(self, database: Database, sealing: SealingBox, settings: Settings) -> None:
        self._database = database
        self._sealing = sealing
        self._settings = settings

    async def settle(self, claim: Claim) -> Done | None:
        """End what older attempts of a run do in the cache, and tell whether one has committed.

        `claim` is the attempt that has taken over. Raises CacheUnavailable.
        """
        try:
            async with self._database.transaction() as connection:
                row = await repository.task(connection, claim)
            if row is None:
                return None
            task = await task_of_claim(self._database, claim, row, self._sealing, self._settings)
        except TidewellError:
            return None  # without its job, or its cache, nothing of it can be told any more
        return await settle(task, _LOST_SECONDS, take_over=True)


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
