"""Which rows of a full refresh have to travel: those of buckets that are not the same.

The server hashes the rows of the cached table while we read and hash those of the source; both put
each row into a bucket by its key, or by its own hash where there is no key, and sum the hashes of
each bucket. Where the sums of a bucket and its rows agree, the same rows are in it: two others
would agree with a chance of one in 2^64. All rows wait in a file meanwhile.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.digest import Digest
from tidewell.cache.lookup3 import Hashes
from tidewell.cache.rowhash import RowHash
from tidewell.cache.spool import Spool
from tidewell.cache.types import Held
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "difference.sql")
_ROWS_OF_A_BUCKET = 16
_FEWEST, _MOST = 10, 17
"""Powers of two: the buckets of a small and of a large table."""
_STALE = 10
"""The cached table is looked at again where reading took so many times as long as the look."""
_CANCEL_SECONDS = 1.0

Column = tuple[str, Held]


@dataclass
class Buckets:
    """Rows, and the sums of the lower and upper halves of their hashes, for each bucket."""

    rows: npt.NDArray[np.int64]
    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]

    @classmethod
    def none(cls, size: int) -> "Buckets":
        """Buckets without a row."""
        return cls(*(np.zeros(size, np.int64) for _ in range(3)))

    def add(self, buckets: npt.NDArray[np.uint32], hashes: Hashes) -> None:
        """Take rows into account."""
        halves = hashes.view(np.int32).reshape(-1, 2).astype(np.int64)
        np.add.at(self.rows, buckets, 1)
        np.add.at(self.low, buckets, halves[:, 0])
        np.add.at(self.high, buckets, halves[:, 1])

    def differ(self, other: "Buckets") -> npt.NDArray[np.bool_]:
        """Which buckets are not the same."""
        found: npt.NDArray[np.bool_] = self.rows != other.rows
        found |= self.low != other.low
        found |= self.high != other.high
        return found


class Difference:
    """One full refresh of a table that stands, from reading to the rows that are staged.

    `columns` are all columns of the load, which stand in the cache under the same names and types;
    `key` are some of them. `digest` is of all rows that were read.
    """

    def __init__(
        self,
        connection: Connection,
        table: sql.Identifier,
        columns: Sequence[Column],
        key: Sequence[str],
        *,
        estimated_rows: float,
        utf8: bool,
    ) -> None:
        self._connection = connection
        self._table = table
        self.digest = Digest(columns, utf8=utf8)
        self._row = self.digest.row_hash
        self._key_positions = [at for at, (name, _) in enumerate(columns) if name in key]
        self._key = RowHash([columns[at] for at in self._key_positions], utf8=utf8)
        power = int(max(estimated_rows, 1) / _ROWS_OF_A_BUCKET).bit_length()
        self._mask = (1 << min(max(power, _FEWEST), _MOST)) - 1
        self._read = Buckets.none(self._mask + 1)
        self._cached = Buckets.none(self._mask + 1)
        self._is_stale = False
        self._changed = np.zeros(self._mask + 1, np.bool_)

    @staticmethod
    def possible(columns: Sequence[Column]) -> bool:
        """Whether all columns have a hash."""
        return not RowHash(columns).unhashed

    def read(
        self, batches: Iterable[pa.RecordBatch], spool: Spool, progress: Callable[[], None]
    ) -> None:
        """Read all batches into the spool, and look at the cached table meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(self._look)
            try:
                started = time.monotonic()
                for batch in batches:
                    self._take(batch, spool)
                    progress()
                took = time.monotonic() - started
            except BaseException:
                with suppress(psycopg.Error, OSError):
                    self._connection.cancel_safe(timeout=_CANCEL_SECONDS)
                raise
            self._is_stale = took > _STALE * looking.result()

    def changed(self, spool: Spool) -> Iterator[pa.RecordBatch]:
        """The rows that have to be staged."""
        if self._is_stale:
            self._look()
        self._changed = self._read.differ(self._cached)
        return spool.chosen(self._changed)

    @property
    def unchanged_rows(self) -> int:
        """Rows that were read and stand in the cache already."""
        return int(self._read.rows[~self._changed].sum())

    @property
    def is_changed(self) -> bool:
        """Whether anything is not the same."""
        return bool(self._changed.any())

    def of_changed(self) -> sql.Composed:
        """A condition on rows of the `cached` table: they are in a bucket that is not the same."""
        changed = np.packbits(self._changed, bitorder="little").tobytes()
        return sql.SQL(_SQL["in_changed"]).format(
            changed=sql.Literal(changed), bucket=self._bucket()
        )

    def _take(self, batch: pa.RecordBatch, spool: Spool) -> None:
        hashes = self.digest.see(batch)
        by = self._key.of(batch.select(self._key_positions)) if self._key_positions else hashes
        buckets = (by & np.uint64(self._mask)).astype(np.uint32)
        self._read.add(buckets, hashes)
        spool.write(batch, buckets)

    def _look(self) -> float:
        """Sum up the cached table; returns the seconds that it took."""
        started = time.monotonic()
        statement = sql.SQL(_SQL["sums"]).format(
            table=self._table,
            bucket=self._bucket(),
            row=self._row.expression("cached", unseen=True),
        )
        with self._connection.cursor(binary=True) as cursor:
            cursor.execute(_SQL["work_mem"])
            row = cursor.execute(statement).fetchone() or (None,)
        # Nobody has to wait for a lock of ours while the source is read.
        self._connection.commit()
        self._cached = Buckets.none(self._mask + 1)
        if row[0] is not None:
            numbers = np.frombuffer(row[0], ">i4")
            self._cached.rows[numbers] = np.frombuffer(row[1], ">i8")
            self._cached.low[numbers] = np.frombuffer(row[2], ">i8")
            self._cached.high[numbers] = np.frombuffer(row[3], ">i8")
        return time.monotonic() - started

    def _bucket(self) -> sql.Composed:
        by = self._key if self._key_positions else self._row
        return sql.SQL(_SQL["bucket"]).format(
            hash=by.expression("cached", unseen=True), mask=sql.Literal(self._mask)
        )
