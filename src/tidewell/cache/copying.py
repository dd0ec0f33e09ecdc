"""COPY into a table of the cache, with the number of rows confirmed by the server."""

from collections.abc import Callable, Iterable

import pyarrow as pa
from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.wire import CopyStream
from tidewell.errors import CacheError
from tidewell.failpoint import reached


def send(
    connection: Connection,
    statement: sql.Composed,
    stream: CopyStream,
    batches: Iterable[pa.RecordBatch],
    progress: Callable[[], None],
) -> int:
    """COPY all batches; the server has to confirm exactly the rows that were sent.

    `progress` is called after each piece. Raises CacheError, psycopg.Error, or what the batches
    raise.
    """
    reached("before COPY")
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for piece in stream.pieces(batches):
                copy.write(piece)
                progress()
        confirmed = cursor.rowcount
    reached("after COPY")
    if confirmed != stream.rows:
        raise CacheError(f"The cache took {confirmed} of {stream.rows} rows; nothing was written.")
    return confirmed
