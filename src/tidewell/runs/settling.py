"""What became of an attempt whose process was killed: its sessions are ended, the target is asked.

A process can die between the commit and its last word. The receipt stands in the target, so the
run is then told the truth: committed, or as it was before.
"""

import asyncio
from dataclasses import asdict

from tidewell.cache import CacheAddress, settle_attempt
from tidewell.cache.plan import Fence, Receipt
from tidewell.errors import CacheError, CacheUnavailable
from tidewell.runs.messages import Done, Task


async def settle(task: Task, seconds: float) -> Done | None:
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
    return None if receipt is None else done_message(receipt)


def done_message(receipt: Receipt) -> Done:
    """The last word of a run that has committed."""
    return Done(
        rows_affected=receipt.rows_affected,
        rows_read=receipt.rows_read,
        bytes_copied=receipt.bytes_copied,
        receipt=asdict(receipt),
    )
