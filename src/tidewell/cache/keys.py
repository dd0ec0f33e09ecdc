"""Whether each merge key came once, told while rows pass by."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from tidewell.cache.lookup3 import Hashes
from tidewell.cache.rowhash import RowHash
from tidewell.cache.types import Held, Wire

_MOST = 4_000_000
"""Rows of which hashes are kept: 32 MB."""


class SeenKeys:
    """The hashes of the keys of a load's rows: equal keys have equal hashes.

    `columns` are those of the load with how each is held; `key` are some of them.
    """

    def __init__(
        self, columns: Sequence[tuple[str, Held]], key: Sequence[str], *, utf8: bool
    ) -> None:
        self._positions = [at for at, (name, _) in enumerate(columns) if name in key]
        parts = [columns[at] for at in self._positions]
        self._hash = RowHash(parts, utf8=utf8)
        # What is staged as text is the same key in several spellings.
        self._tells = (
            bool(parts)
            and not self._hash.unhashed
            and all(held.wire is not Wire.TEXT for _, held in parts)
        )
        self._seen: list[Hashes] = []
        self._rows = 0

    def watched(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, as they are."""
        for batch in batches:
            if self._tells:
                self._see(batch.select(self._positions))
            yield batch

    def are_unique(self) -> bool:
        """Whether every row has a key of its own; False where that is not known."""
        if not self._tells:
            return False
        hashes = np.sort(np.concatenate([np.zeros(0, np.uint64), *self._seen]))
        return not bool((hashes[1:] == hashes[:-1]).any())

    def _see(self, keys: pa.RecordBatch) -> None:
        self._rows += keys.num_rows
        if self._rows > _MOST or any(column.null_count for column in keys.columns):
            self._tells = False
            self._seen.clear()
        else:
            self._seen.append(self._hash.of(keys))
