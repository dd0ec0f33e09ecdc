"""Drop the cached tables of deleted jobs, again and again until each is gone."""

import asyncio
from uuid import UUID

from tidewell.cache import drop_cached_table
from tidewell.connections import cache as cache_connections
from tidewell.connections.sealing import SealingBox


async def drop_deleted(
    sealing: SealingBox, job_id: UUID, sealed: str, cache_id: UUID, egress: str
) -> None:
    """Drop what a deleted job left in its cache. Raises CacheUnavailable while it is away."""
    address = cache_connections.address(sealing.open(sealed, cache_id), egress)
    await asyncio.to_thread(drop_cached_table, address, job_id)
