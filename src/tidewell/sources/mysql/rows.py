"""Rows of MySQL's text protocol, from the bytes of the connection to Arrow batches.

A row is a packet (three bytes of length, one of sequence) of fields, each with its length before
it: one byte, or 251 for NULL, or 252 to 254 for a length of two, three or eight bytes ("Protocol::
LengthEncodedInteger" and "Text Resultset Row" of MySQL's source documentation).
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from typing import Any

import numpy as np
import pyarrow as pa
from pymysql import err
from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from tidewell.sources.fields import Buffer, Fields, Positions

ROWS_AT_ONCE = 8192
BYTES_AT_ONCE = 16 << 20
_READ_BYTES = 1 << 18
_HEADER = 4
_FRAGMENT = 0xFFFFFF
"""A packet of this length goes on in the next one."""
_LONGEST_END = 9
_PADDING = bytes(8)
_length_at: Callable[[Buffer, int], tuple[int]] = Struct("<I").unpack_from

Decoder = Callable[[Fields], pa.Array]


class RowDecoder:
    """Decodes the rows of one SELECT, whose columns are known."""

    def __init__(self, schema: pa.Schema, decoders: Sequence[Decoder]) -> None:
        self.schema = schema
        self._decoders = list(decoders)

    def batch(self, data: bytes, starts: Sequence[int]) -> pa.RecordBatch:
        """The batch of rows that start at these positions; eight bytes follow the last one."""
        one_byte = np.frombuffer(data, np.uint8)
        at = np.array(starts, np.int64)
        arrays = []
        for field, decode in zip(self.schema, self._decoders, strict=True):
            lengths = one_byte[at].astype(np.int64)
            at = at + 1
            nulls = None
            if lengths.size and lengths.max() > 250:
                nulls = lengths == 251
                at, lengths = _long(data, at, lengths)
                nulls = nulls if nulls.any() else None
            arrays.append(decode(Fields(field.name, data, at, lengths, nulls)))
            at = at + lengths
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _long(data: bytes, at: Positions, lengths: Positions) -> tuple[Positions, Positions]:
    """Positions and lengths where some lengths are NULL or have more than one byte."""
    at, found = at.copy(), lengths.copy()
    found[lengths == 251] = 0
    for sign, size in ((252, 2), (253, 3), (254, 8)):
        mask = lengths == sign
        if mask.any():
            view: Any = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
            longer = view[at[mask]]
            found[mask] = longer if size == 8 else longer & ((1 << 8 * size) - 1)
            at[mask] += size
    return at, found


class RowConnection(Connection):
    """A connection that gives the rows of a SELECT as raw bytes."""

    # What pymysql keeps for itself, and its published types leave out.
    _rfile: Any
    _sock: Any
    _read_timeout: float
    _execute_command: Any
    _read_packet: Any
    thread_id: Callable[[], int]

    def batches(self, statement: str, decoder: RowDecoder) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT, batch by batch. Raises pymysql.Error."""
        self._execute_command(COMMAND.COM_QUERY, statement.encode())
        first = self._read_packet()
        for _ in range(first.read_length_encoded_integer()):
            self._read_packet(FieldDescriptorPacket)
        self._read_packet()
        buffer = bytearray()
        position = 0
        starts: list[int] = []
        while True:
            while len(buffer) - position >= _HEADER:
                length = _length_at(buffer, position)[0] & 0xFFFFFF
                end = position + _HEADER + length
                if length == _FRAGMENT:
                    end = _join(buffer, position)
                if end < 0 or end > len(buffer):
                    break
                kind = buffer[position + _HEADER] if length else 0
                if kind == 0xFE and length < _LONGEST_END:
                    if starts:
                        yield decoder.batch(bytes(buffer[:position]) + _PADDING, starts)
                    return
                if kind == 0xFF:
                    packet = bytes(buffer[position + _HEADER : end])
                    MysqlPacket(packet, self.encoding).raise_for_error()
                starts.append(position + _HEADER)
                position = end
                if len(starts) >= ROWS_AT_ONCE or position >= BYTES_AT_ONCE:
                    yield decoder.batch(bytes(buffer[:position]) + _PADDING, starts)
                    del buffer[:position]
                    position = 0
                    starts = []
            buffer += self._more()

    def _more(self) -> bytes:
        try:
            data: bytes = self._rfile.read1(_READ_BYTES)
        except OSError as error:
            raise err.OperationalError(2013, f"Lost connection during query ({error})") from error
        if not data:
            raise err.OperationalError(2013, "Lost connection during query")
        return data

    def wait_for_answers(self, seconds: float) -> None:
        """How long each answer may take from now on."""
        self._read_timeout = seconds
        self._sock.settimeout(seconds)

    def hang_up(self) -> None:
        """End the connection from another thread."""
        sock = self._sock
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)


def _join(buffer: bytearray, position: int) -> int:
    """Take the headers out of a row's fragments, when all are there; its end, or -1."""
    at = position
    while True:
        if len(buffer) - at < _HEADER:
            return -1
        length = _length_at(buffer, at)[0] & 0xFFFFFF
        at += _HEADER + length
        if at > len(buffer):
            return -1
        if length < _FRAGMENT:
            break
    at = position + _HEADER + _FRAGMENT
    while True:
        length = _length_at(buffer, at)[0] & 0xFFFFFF
        del buffer[at : at + _HEADER]
        at += length
        if length < _FRAGMENT:
            return at
