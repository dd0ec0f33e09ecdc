"""The rows of a binary COPY, as the server sends them.

libpq hands out each row as an object of its own, which takes longer than the server needs to make
it. So the answer to a COPY is read from the connection's socket itself, in large pieces, by the
protocol's messages (PostgreSQL's documentation, 54.7 "Message Formats"): the connection is used for
nothing else afterwards. Over TLS only libpq has the bytes, and the rows come from it.
"""

import select
import socket
from collections.abc import Callable, Iterator, Sequence
from struct import Struct

import psycopg
from psycopg import pq, sql
from psycopg.errors import error_from_result

from tidewell.errors import SourceUnavailable
from tidewell.sources.fields import Buffer
from tidewell.sources.postgresql.copy import SIGNATURE
from tidewell.sources.postgresql.session import Connection
from tidewell.sources.server import ServerAddress

ROWS_AT_ONCE = 8192
BYTES_AT_ONCE = 8 << 20
PADDING = 65_536
"""Zeros behind the rows, so that a row may be looked at as longer than it is."""
_HEADER = len(SIGNATURE) + 8
_TRAILER = b"\xff\xff"
_MESSAGE = 5
"""Bytes before each message: its kind, and its length without the kind."""
_COPY_DATA, _ERROR, _READY = b"dEZ"
_READ_BYTES = 1 << 18
_message_at: Callable[[Buffer, int], tuple[int, int]] = Struct(">BI").unpack_from
_KEPT = 128
_GRACE_SECONDS = 1
"""The server's own timeouts, of the same length, know more: they are heard first."""


Rows = tuple[bytes, Sequence[int]]
"""Bytes, and where in them rows begin, each with its count of fields."""


def copied_rows(
    connection: Connection, statement: sql.Composed, address: ServerAddress
) -> Iterator[Rows]:
    """All rows, so many at once as a batch takes; the connection can only be closed afterwards.

    Raises psycopg.Error; SourceUnavailable where the server sends nothing for longer than the
    address's timeout.
    """
    raw = connection.pgconn
    poll = select.poll()
    poll.register(raw.socket, select.POLLIN)
    milliseconds = (address.timeout + _GRACE_SECONDS) * 1000

    def wait_for_bytes() -> None:
        if not poll.poll(milliseconds):
            raise SourceUnavailable(
                f"{address.place} sent nothing for {address.timeout} s: end what holds it up, or "
                "set a longer Timeout."
            )

    def wait() -> None:
        wait_for_bytes()
        raw.consume_input()

    raw.send_query(statement.as_bytes(connection))
    while raw.flush():
        select.select([], [raw.socket], [], address.timeout)
    if not raw.ssl_in_use:
        yield from _from_socket(raw.socket, wait_for_bytes)
        return
    _expect(raw, wait, pq.ExecStatus.COPY_OUT)
    yield from from_libpq(raw, wait)
    _expect(raw, wait, pq.ExecStatus.COMMAND_OK)
    while raw.get_result() is not None:
        pass


def _from_socket(descriptor: int, wait: Callable[[], None]) -> Iterator[Rows]:
    buffer = bytearray()
    position = 0
    starts: list[int] = []
    header = True
    # Not a copy of the descriptor: whoever closes the connection hangs up for certain, also while a
    # read that nobody goes on with is still held by somebody, as an error's traceback does. The
    # server would wait for good for a reader of the rest.
    way = socket.socket(fileno=descriptor)
    try:
        way.setblocking(False)
        while True:
            end = len(buffer)
            begins = starts.append
            # The inner loop runs once a row, and so does nothing that need not be.
            while end - position >= _MESSAGE:
                kind, length = _message_at(buffer, position)
                following = position + 1 + length
                if following > end:
                    break
                if kind == _COPY_DATA:
                    begins(position + _MESSAGE)
                elif kind == _ERROR:
                    raise _error(bytes(buffer[position + _MESSAGE : following]))
                elif kind == _READY:
                    yield from _cut(buffer, position, starts, header=header)
                    return
                position = following
            if len(starts) >= ROWS_AT_ONCE or position >= BYTES_AT_ONCE:
                yield from _cut(buffer, position, starts, header=header)
                del buffer[:position]
                position, starts, header = 0, [], header and not starts
            buffer += _received(way, wait)
    finally:
        way.detach()


def _received(way: socket.socket, wait: Callable[[], None]) -> bytes:
    while True:
        try:
            data = way.recv(_READ_BYTES)
        except BlockingIOError:
            wait()
            continue
        except OSError as error:
            raise psycopg.OperationalError(f"the connection was lost: {error}") from error
        if not data:
            raise psycopg.OperationalError("the server closed the connection unexpectedly")
        return data


def _cut(buffer: bytearray, end: int, starts: list[int], *, header: bool) -> Iterator[Rows]:
    """The rows in a buffer up to an end: without the header, which comes together with what follows
    it, and without the trailer, which is two bytes where a count of fields would be."""
    if header and starts:
        starts[0] += _HEADER
        if starts[0] >= (starts[1] - _MESSAGE if len(starts) > 1 else end):
            del starts[0]
    data = b"".join((memoryview(buffer)[:end], bytes(PADDING)))
    if starts and data.startswith(_TRAILER, starts[-1]):
        starts.pop()
    if starts:
        yield data, starts


def _error(fields: bytes) -> psycopg.Error:
    """An ErrorResponse: fields of a letter and a text, each ended by a zero."""
    found = {one[:1]: one[1:].decode(errors="replace") for one in fields.split(b"\0") if one}
    try:
        kind = psycopg.errors.lookup(found.get(b"C", ""))
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(found.get(b"M", "the server reports an error"))


def from_libpq(raw: pq.abc.PGconn, wait: Callable[[], None]) -> Iterator[Rows]:
    """The rows of a COPY that has begun; `wait` waits for more bytes and takes them in."""
    get = raw.get_copy_data
    # Few rows are kept as objects at a time: many would set the garbage collector going.
    some: list[Buffer] = []
    buffer = bytearray()
    starts: list[int] = []
    size = 0
    header = True
    while True:
        length, row = get(1)
        if length > 0:
            starts.append(size)
            some.append(row)
            size += length
            if len(some) < _KEPT:
                continue
        if some:
            buffer += b"".join(some)
            some.clear()
        if length < 0:
            break
        if length == 0:
            wait()
        if len(starts) >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield from _cut(buffer, size, starts, header=header)
            buffer, starts, size, header = bytearray(), [], 0, False
    yield from _cut(buffer, size, starts, header=header)


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
