"""The fields of one column in raw bytes, as database servers send rows: to Arrow in one go.

Where each value begins and how long it is has been found out before; here they become arrays, with
one vector operation for all of them, so that no value is ever a Python object.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Buffer = bytes | bytearray | memoryview
Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Fields:
    """The values of one column in a batch: where each begins, how long it is, which are NULL.

    A NULL has length 0 and a position inside the bytes.
    """

    name: str
    data: Buffer
    starts: Positions
    lengths: Positions
    nulls: Any
    """A mask, or None where no value is NULL."""

    def gather(self, dtype: str, offset: int = 0) -> Any:
        """The fixed-width number at an offset inside each value; zero for a NULL."""
        width = np.dtype(dtype).itemsize
        view: Any = np.ndarray(
            (len(self.data) - width + 1,), dtype=dtype, buffer=self.data, strides=(1,)
        )
        at = self.starts + offset if offset else self.starts
        found = view[np.minimum(at, len(view) - 1)].astype(dtype[1:])
        if self.nulls is not None:
            found[self.nulls] = 0
        return found

    def raw(self, width: int) -> Any:
        """The first bytes of each value, one after another; anything for a NULL."""
        kind = np.dtype((np.void, width))
        view: Any = np.ndarray((len(self.data) - width + 1,), kind, self.data, strides=(1,))
        return view[np.minimum(self.starts, len(view) - 1)]

    def array(self, values: Any, kind: pa.DataType) -> pa.Array:
        """An Arrow array of a type, of values that have its physical form already."""
        return pa.Array.from_buffers(
            kind,
            len(values),
            [validity(self.nulls), pa.py_buffer(np.ascontiguousarray(values))],
        )


@dataclass(frozen=True)
class BlockFields(Fields):
    """Values of a fixed width that stand, value under value, in a block of bytes: `block` has the
    bytes of each row in a line, `column` says where in it the value begins."""

    block: Any = None
    column: int = 0

    def gather(self, dtype: str, offset: int = 0) -> Any:
        """The number at an offset inside each value; zero for a NULL."""
        kind = np.dtype(dtype)
        first = self.column + offset
        found = self.block[:, first : first + kind.itemsize].view(kind)[:, 0].astype(dtype[1:])
        if self.nulls is not None:
            found[self.nulls] = 0
        return found

    def raw(self, width: int) -> Any:
        """The first bytes of each value, one after another; anything for a NULL."""
        return np.ascontiguousarray(self.block[:, self.column : self.column + width])


def varying(fields: Fields, kind: pa.DataType) -> pa.Array:
    """Values of varying length, copied out by Arrow.

    The offsets 'begin, end, begin, end …' over the raw bytes make an array of which every second
    element is a value, and every other what lies between two of them.
    """
    count = len(fields.starts)
    if not count:
        return pa.array([], kind)
    offsets = np.empty(2 * count, np.int32)
    offsets[0::2] = fields.starts
    offsets[1::2] = fields.starts + fields.lengths
    between = pa.Array.from_buffers(
        kind, 2 * count - 1, [None, pa.py_buffer(offsets), pa.py_buffer(fields.data)]
    )
    wanted: Any = np.arange(0, 2 * count, 2, dtype=np.int32)
    indices = pa.array(wanted, mask=fields.nulls)
    return pc.take(between, indices, boundscheck=False)


def validity(nulls: Any) -> pa.Buffer | None:
    return None if nulls is None else pa.py_buffer(np.packbits(~nulls, bitorder="little"))
