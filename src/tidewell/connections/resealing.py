"""Rotation of the key of secrets at rest: everything that is sealed is sealed anew."""

from contextlib import suppress
from uuid import UUID

from tidewell.connections.sealing import SealingBox
from tidewell.errors import TidewellError
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.connections", "resealing.sql")
_KINDS = (
    ("sealed_connections", "reseal_connection"),
    ("sealed_caches", "reseal_cache"),
    ("sealed_signing_keys", "reseal_signing_key"),
    ("sealed_webhooks", "reseal_webhook"),
)


async def reseal(connection: Connection, box: SealingBox) -> int:
    """Seal every stored secret with the box's newest key; returns how many there are.

    Raises TidewellError when one cannot be opened with any key of the box; nothing is changed then.
    Only an address in the queue may be left as it is: its cache is not known here any more.
    """
    count = 0
    for read, write in _KINDS:
        cursor = await connection.execute(_SQL[read])
        for row in await cursor.fetchall():
            sealed = box.seal(box.open(row["sealed"], row["id"]), row["id"])
            await connection.execute(_SQL[write], {"id": row["id"], "sealed": sealed})
            count += 1
    cursor = await connection.execute(_SQL["sealed_drops"])
    for row in await cursor.fetchall():
        with suppress(TidewellError):
            cache_id = UUID(row["cache_id"])
            sealed = box.seal(box.open(row["sealed"], cache_id), cache_id)
            await connection.execute(_SQL["reseal_drop"], {"id": row["id"], "sealed": sealed})
            count += 1
    return count
