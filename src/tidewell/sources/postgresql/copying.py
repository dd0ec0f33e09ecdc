"""The rows of a binary COPY, as the server sends them.

psycopg's own `Copy` asks through a generator for each row, which takes longer than the row itself.
Here the rows come straight from libpq (its documentation, 32.10.2), and the waiting is ours, so
that it has an end.
"""

import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg import pq, sql
from psycopg.errors import error_from_result

from tidewell.errors import SourceUnavailable
from tidewell.sources.fields import Buffer
from tidewell.sources.postgresql.copy import SIGNATURE
from tidewell.sources.postgresql.session import Connection
from tidewell.sources.server import ServerAddress

ROWS_AT_ONCE = 8192
BYTES_AT_ONCE = 16 << 20
_HEADER = len(SIGNATURE) + 8
_TRAILER = b"\xff\xff"
_KEPT = 128
_GRACE_SECONDS = 1
"""The server's own timeouts, of the same length, know more: they are heard first."""


@dataclass
class Rows:
    """Rows one after another, each with its count of fields, and their lengths."""

    pieces: list[bytes] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


def copied_rows(
    connection: Connection, statement: sql.Composed, address: ServerAddress
) -> Iterator[Rows]:
    """All rows, so many at once as a batch takes. Raises psycopg.Error; SourceUnavailable where
    the server sends nothing for longer than the address's timeout."""
    raw = connection.pgconn
    poll = select.poll()
    poll.register(raw.socket, select.POLLIN)
    milliseconds = (address.timeout + _GRACE_SECONDS) * 1000

    def wait() -> None:
        if not poll.poll(milliseconds):
            raise SourceUnavailable(
                f"{address.place} sent nothing for {address.timeout} s: end what holds it up, or "
                "set a longer Timeout."
            )
        raw.consume_input()

    raw.send_query(statement.as_bytes(connection))
    while raw.flush():
        select.select([], [raw.socket], [], address.timeout)
    _expect(raw, wait, pq.ExecStatus.COPY_OUT)
    yield from _batched(raw, wait)
    _expect(raw, wait, pq.ExecStatus.COMMAND_OK)
    while raw.get_result() is not None:
        pass


def _batched(raw: pq.abc.PGconn, wait: Callable[[], None]) -> Iterator[Rows]:
    get = raw.get_copy_data
    rows, size = Rows(), 0
    # Few rows are kept as objects at a time: many would set the garbage collector going.
    some: list[Buffer] = []
    keep, count = some.append, rows.lengths.append
    header = True
    while True:
        length, row = get(1)
        if length > 0:
            keep(row)
            count(length)
            if len(some) < _KEPT:
                continue
        if some:
            piece = b"".join(some)
            some.clear()
            if header:
                # It comes together with what follows it.
                piece = piece[_HEADER:]
                rows.lengths[0] -= _HEADER
                header = False
            if rows.lengths[-1] == len(_TRAILER) and piece.endswith(_TRAILER):
                piece = piece[: -len(_TRAILER)]
                rows.lengths.pop()
            rows.pieces.append(piece)
            size += len(piece)
        if length < 0:
            break
        if length == 0:
            wait()
        if len(rows.lengths) >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield rows
            rows, size = Rows(), 0
            count = rows.lengths.append
    if rows.lengths:
        yield rows


def _expect(raw: pq.abc.PGconn, wait: Callable[[], None], status: pq.ExecStatus) -> None:
    while raw.is_busy():
        wait()
    result = raw.get_result()
    if result is None or result.status != status:
        while result is not None and raw.get_result() is not None:
            pass
        if result is None:
            raise psycopg.OperationalError("the server ended the COPY without a word")
        raise error_from_result(result)
