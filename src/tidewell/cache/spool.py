"""What waits in files without a name until it is known what has to travel.

The files are gone with the process, whatever ends it. Raises OSError where the disk is full.
"""

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidewell.cache.lookup3 import Hashes

_HASHES = np.dtype([("key", np.uint64), ("row", np.uint64)])
ROWS_AT_ONCE = 65_536

Array = npt.NDArray[Any]


class Records:
    """Records of one type, written one after another and read in the same order."""

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._file = tempfile.TemporaryFile(prefix="tidewell-")  # noqa: SIM115 - closed below
        self._kind = np.dtype(kind)
        self.count = 0

    def close(self) -> None:
        """Forget them."""
        self._file.close()

    def clear(self) -> None:
        """Forget what was taken, and begin again."""
        self._file.seek(0)
        self._file.truncate()
        self.count = 0

    def add(self, records: Array) -> None:
        """Take records."""
        self._file.write(records.tobytes())
        self.count += len(records)

    def blocks(self, size: int = ROWS_AT_ONCE) -> Iterator[Array]:
        """All records, by at most `size`."""
        self._file.seek(0)
        while data := self._file.read(size * self._kind.itemsize):
            yield np.frombuffer(data, self._kind)


class Spool:
    """The rows that were read, with the hashes of their keys and of themselves."""

    def __init__(self, schema: pa.Schema) -> None:
        self._file = tempfile.TemporaryFile(prefix="tidewell-")  # noqa: SIM115 - closed below
        # Not compressed: the disk's cache takes it faster than a core packs it.
        self._writer = pa.ipc.new_stream(self._file, schema)
        self._hashes = Records(_HASHES)

    def close(self) -> None:
        """Forget all."""
        self._file.close()
        self._hashes.close()

    @property
    def rows(self) -> int:
        """How many rows wait here."""
        return self._hashes.count

    def write(self, batch: pa.RecordBatch, keys: Hashes, rows: Hashes) -> None:
        """Take a batch and its rows' hashes."""
        self._writer.write_batch(batch)
        hashes = np.empty(len(rows), _HASHES)
        hashes["key"], hashes["row"] = keys, rows
        self._hashes.add(hashes)

    def hashes(self) -> Iterator[tuple[Hashes, Hashes]]:
        """The hashes of all keys and rows, in the order in which they were read."""
        for block in self._hashes.blocks():
            yield block["key"], block["row"]

    def chosen(self, wanted: npt.NDArray[np.bool_]) -> Iterator[pa.RecordBatch]:
        """The rows that are wanted, of all in the order in which they were read."""
        self._writer.close()
        self._file.seek(0)
        at = 0
        for batch in pa.ipc.open_stream(self._file):
            rows = wanted[at : at + batch.num_rows]
            at += batch.num_rows
            if rows.any():
                yield batch if rows.all() else batch.filter(pa.array(rows))
