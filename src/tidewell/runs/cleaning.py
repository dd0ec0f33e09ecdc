"""Drop what jobs have left in a cache."""

import asyncio
from uuid import UUID

from tidewell.cache import drop_cached_table
from tidewell.connections import cache as cache_connections
from tidewell.connections.sealing import SealingBox


async def drop_left_behind(
    sealing: SealingBox,
    job_id: UUID,
    sealed: str,
    cache_id: UUID,
    egress: str,
    attempt: int | None = None,
) -> None:
    """Drop what a job has left in a cache: all of it, or what its attempts up to one have loaded.

    Raises CacheUnavailable while the cache is away.
    """
    address = cache_connections.address(sealing.open(sealed, cache_id), egress)
    await asyncio.to_thread(drop_cached_table, address, job_id, attempt)
