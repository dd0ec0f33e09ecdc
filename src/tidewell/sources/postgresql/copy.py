"""From the bytes of PostgreSQL's binary COPY to Arrow, a column at a time.

A row is a count of fields and, for each, its length and its bytes (PostgreSQL's documentation,
COPY, "Binary Format"). Where the fields of all rows of a batch begin is found column by column,
with one vector operation each, so that no value is ever a Python object.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tidewell.errors import SourceBroken
from tidewell.sources.fields import (
    BlockFields,
    Fields,
    Positions,
    validity,
    varying,
)

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_POSTGRES_EPOCH_DAYS = 10_957
"""From 1970-01-01 to 2000-01-01, where PostgreSQL counts from."""
_POSTGRES_EPOCH_US = _POSTGRES_EPOCH_DAYS * 86_400_000_000


@dataclass(frozen=True)
class Decoder:
    """How the fields of a column become Arrow; `width` where each has the same number of bytes."""

    decode: Callable[[Fields], pa.Array]
    width: int | None = None


class CopyDecoder:
    """Decodes the rows of one COPY, whose columns are known.

    `order` is that in which the columns have to be selected: those of fixed width first. Where none
    of these is NULL they stand at the same place in each row, and are cut out of it in one piece.
    """

    def __init__(self, schema: pa.Schema, decoders: Sequence[Decoder]) -> None:
        self.schema = schema
        self._decoders = list(decoders)
        numbered = list(enumerate(decoders))
        self._fixed = [n for n, one in numbered if one.width is not None]
        self._varying = [n for n, one in numbered if one.width is None]
        self.order = [*self._fixed, *self._varying]
        self._widths = [decoders[n].width or 0 for n in self._fixed]
        self._block = sum(self._widths) + 4 * len(self._widths)

    def batch(self, rows: bytes, begins: Sequence[int]) -> pa.RecordBatch:
        """The batch of the rows that begin at these places, each with its count of fields.

        More bytes follow the rows than all columns of fixed width take, so that every row may be
        looked at as one that has them.
        """
        starts = np.array(begins, np.int64) + 2
        arrays: dict[int, pa.Array] = {}
        at = self._take_fixed(rows, starts, arrays)
        wire_lengths = _at_any_place(rows, ">i4")
        for n in self._varying:
            length = wire_lengths[at].astype(np.int64)
            nulls = length < 0
            some = bool(nulls.any())
            if some:
                length[nulls] = 0
            at = at + 4
            fields = Fields(self.schema.names[n], rows, at, length, nulls if some else None)
            arrays[n] = self._decoders[n].decode(fields)
            at = at + length
        ordered = [arrays[n] for n in range(len(arrays))]
        return pa.RecordBatch.from_arrays(ordered, schema=self.schema)

    def _take_fixed(self, data: bytes, starts: Positions, arrays: dict[int, pa.Array]) -> Positions:
        """Decode the columns of fixed width; where each row goes on behind them."""
        if not self._fixed:
            return starts
        at = starts + self._block
        block = _at_any_place(data, f"V{self._block}")[starts].view(np.uint8)
        block = block.reshape(len(starts), self._block)
        nulls: list[Any] = [None] * len(self._fixed)
        odd = np.zeros(len(starts), bool)
        place = 0
        for width in self._widths:
            odd |= block[:, place : place + 4].view(">i4")[:, 0] != width
            place += 4 + width
        if odd.any():
            rows = np.nonzero(odd)[0]
            at[rows] = self._straighten(data, starts, rows, block, nulls)
        place = 4
        for n, width, missing in zip(self._fixed, self._widths, nulls, strict=True):
            fields = BlockFields(
                self.schema.names[n], data, starts, starts, missing, block=block, column=place
            )
            arrays[n] = self._decoders[n].decode(fields)
            place += 4 + width
        return at

    def _straighten(
        self, data: bytes, starts: Positions, rows: Any, block: Any, nulls: list[Any]
    ) -> Any:
        """Put the values of rows with NULLs where they would stand without; where each goes on."""
        at = starts[rows]
        wire_lengths = _at_any_place(data, ">i4")
        place = 4
        for position, width in enumerate(self._widths):
            missing = wire_lengths[at] < 0
            if missing.any():
                nulls[position] = np.zeros(len(starts), bool)
                nulls[position][rows] = missing
            at = at + 4
            values = _at_any_place(data, f"V{width}")[at].view(np.uint8)
            block[rows, place : place + width] = values.reshape(len(rows), width)
            at = at + np.where(missing, 0, width)
            place += 4 + width
        return at


def _at_any_place(data: bytes, dtype: str) -> Any:
    """What the bytes are as values of a type, beginning at each of them."""
    width = np.dtype(dtype).itemsize
    return np.ndarray((len(data) - width + 1,), dtype=dtype, buffer=data, strides=(1,))


def plain(wire: str, kind: pa.DataType) -> Decoder:
    """Numbers of a fixed width, as the wire has them."""
    width = np.dtype(wire).itemsize
    return Decoder(lambda fields: fields.array(fields.gather(wire), kind), width)


def _boolean(fields: Fields) -> pa.Array:
    """One byte, 0 or 1."""
    bits = np.packbits(fields.gather("|u1"), bitorder="little")
    return pa.Array.from_buffers(
        pa.bool_(), len(fields.starts), [validity(fields.nulls), pa.py_buffer(bits)]
    )


def _date(fields: Fields) -> pa.Array:
    """Days since 2000-01-01. Raises SourceBroken for an infinite one."""
    days = fields.gather(">i4")
    _finite(fields, days, np.iinfo(np.int32))
    days += np.int32(_POSTGRES_EPOCH_DAYS)
    return fields.array(days, pa.date32())


def timestamp(kind: pa.DataType) -> Decoder:
    """Microseconds since 2000-01-01, with or without a zone. SourceBroken for an infinite one."""

    def decode(fields: Fields) -> pa.Array:
        moments = fields.gather(">i8")
        _finite(fields, moments, np.iinfo(np.int64))
        moments += np.int64(_POSTGRES_EPOCH_US)
        return fields.array(moments, kind)

    return Decoder(decode, 8)


def _uuid(fields: Fields) -> pa.Array:
    """Sixteen bytes."""
    kind = pa.binary(16)
    values = pa.Array.from_buffers(
        kind, len(fields.starts), [validity(fields.nulls), pa.py_buffer(fields.raw(16))]
    )
    return pa.ExtensionArray.from_storage(pa.uuid(), values)


def _text(fields: Fields) -> pa.Array:
    """Characters in UTF-8, which the session asks for."""
    return varying(fields, pa.string())


def extended_text(kind: pa.DataType) -> Decoder:
    """Text that is an extension type's storage."""
    return Decoder(lambda fields: pa.ExtensionArray.from_storage(kind, _text(fields)))


def _binary(fields: Fields) -> pa.Array:
    """Bytes as they are."""
    return varying(fields, pa.binary())


boolean = Decoder(_boolean, 1)
date = Decoder(_date, 4)
uuid = Decoder(_uuid, 16)
text = Decoder(_text)
binary = Decoder(_binary)


def _finite(fields: Fields, values: Any, limits: Any) -> None:
    if values.size and (values.max() == limits.max or values.min() == limits.min):
        raise SourceBroken(
            f"The column {fields.name} holds the date 'infinity', which no other system has: leave "
            "the column out, or read a view that replaces it (NULLIF)."
        )
