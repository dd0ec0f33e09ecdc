"""From the bytes of PostgreSQL's binary COPY to Arrow, a column at a time.

A row is a count of fields and, for each, its length and its bytes (PostgreSQL's documentation,
COPY, "Binary Format"). Where the fields of all rows of a batch begin is found column by column,
with one vector operation each, so that no value is ever a Python object.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tidewell.errors import SourceBroken
from tidewell.sources.fields import Buffer, Fields, validity, varying

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_POSTGRES_EPOCH_DAYS = 10_957
"""From 1970-01-01 to 2000-01-01, where PostgreSQL counts from."""
_POSTGRES_EPOCH_US = _POSTGRES_EPOCH_DAYS * 86_400_000_000

Decoder = Callable[[Fields], pa.Array]


class CopyDecoder:
    """Decodes the rows of one COPY, whose columns are known."""

    def __init__(self, schema: pa.Schema, decoders: Sequence[Decoder]) -> None:
        self.schema = schema
        self._decoders = list(decoders)

    def batch(self, rows: Sequence[Buffer]) -> pa.RecordBatch:
        """The batch of rows, each with its count of fields but without header and trailer."""
        # Eight bytes more, so that every field may be looked at as a number of eight bytes.
        data = b"".join((*rows, b"\0\0\0\0\0\0\0\0"))
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        at = np.cumsum(lengths) - lengths + 2
        wire_lengths: Any = np.ndarray((len(data) - 3,), dtype=">i4", buffer=data, strides=(1,))
        arrays = []
        for field, decode in zip(self.schema, self._decoders, strict=True):
            length = wire_lengths[at].astype(np.int64)
            nulls = length < 0
            some = bool(nulls.any())
            if some:
                length[nulls] = 0
            at = at + 4
            arrays.append(decode(Fields(field.name, data, at, length, nulls if some else None)))
            at = at + length
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def plain(wire: str, kind: pa.DataType) -> Decoder:
    """Numbers of a fixed width, as the wire has them."""
    return lambda fields: fields.array(fields.gather(wire), kind)


def boolean(fields: Fields) -> pa.Array:
    """One byte, 0 or 1."""
    bits = np.packbits(fields.gather("|u1"), bitorder="little")
    return pa.Array.from_buffers(
        pa.bool_(), len(fields.starts), [validity(fields.nulls), pa.py_buffer(bits)]
    )


def date(fields: Fields) -> pa.Array:
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

    return decode


def uuid(fields: Fields) -> pa.Array:
    """Sixteen bytes."""
    values = varying(fields, pa.binary()).cast(pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), values)


def text(fields: Fields) -> pa.Array:
    """Characters in UTF-8, which the session asks for."""
    return varying(fields, pa.string())


def extended_text(kind: pa.DataType) -> Decoder:
    """Text that is an extension type's storage."""
    return lambda fields: pa.ExtensionArray.from_storage(kind, text(fields))


def binary(fields: Fields) -> pa.Array:
    """Bytes as they are."""
    return varying(fields, pa.binary())


def _finite(fields: Fields, values: Any, limits: Any) -> None:
    if values.size and (values.max() == limits.max or values.min() == limits.min):
        raise SourceBroken(
            f"The column {fields.name} holds the date 'infinity', which no other system has: leave "
            "the column out, or read a view that replaces it (NULLIF)."
        )
