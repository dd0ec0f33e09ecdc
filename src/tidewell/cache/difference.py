"""What a full refresh has to write: the rows that are not cached as they were read, and no other.

The server hashes the rows of the cached table while we read and hash those of the source; both put
each row into a bucket by its key, or by its own hash where there is no key, and we sum the hashes
of each bucket. Where the sums of a bucket agree, the same rows are in it: two others would agree
with a chance of one in 2^64. The rows of the other buckets are then paired one by one. All rows
wait in a file meanwhile.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
from psycopg import sql

from tidewell.cache import untouched
from tidewell.cache.address import Connection
from tidewell.cache.digest import Digest, sum_signed
from tidewell.cache.lookup3 import Hashes
from tidewell.cache.pairing import Chosen, Pairing
from tidewell.cache.plan import Place
from tidewell.cache.rowhash import RowHash
from tidewell.cache.spool import Array, Records, Spool
from tidewell.cache.types import Held
from tidewell.errors import CacheConflict
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "difference.sql")
_FEWEST, _MOST = 10, 18
"""Powers of two: the buckets of a small and of a large table."""
_PAGES_AT_ONCE = 2048
_PLACES_AT_ONCE = 20_000
_LEAST_SERVER = 140_000
"""From PostgreSQL 14 on some pages of a table can be read without the others."""
_STALE = 10
"""The cached table is looked at again where reading took so many times as long as the look."""
_CANCEL_SECONDS = 1.0
_PLACE = np.dtype([("block", ">u4"), ("offset", ">u2")])
_CACHED = np.dtype([("place", _PLACE), ("key", ">u8"), ("row", ">u8")])
"""A row that is cached: its place (`ctid`), the hashes of its key and of itself."""
_END = sql.SQL("'(4294967295,0)'")

_A_ROW = np.uint64(0x9E3779B97F4A7C15)
"""Added for each row: one whose hash is zero (nothing but NULLs can be) counts as well."""
CHANGED_MEANWHILE = "The cached table was changed while the run read its source: run it again."
_ANOTHER_SHAPE = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)
"""What PostgreSQL says where a table is not as it was when the statement was made."""

Column = tuple[str, Held]


class Difference:
    """One full refresh of a table that stands, from reading to the rows that have to be written.

    `columns` are all columns of the load, which stand in the cache under the same names and types;
    `key` are some of them. `digest` is of all rows that were read.
    """

    def __init__(
        self,
        connection: Connection,
        place: Place,
        columns: Sequence[Column],
        key: Sequence[str],
        *,
        estimated_rows: float,
        utf8: bool,
    ) -> None:
        self._connection = connection
        self._place = place
        self._table = sql.Identifier(place.schema, place.table)
        self.digest = Digest(columns, utf8=utf8)
        self._row = self.digest.row_hash
        self._key_positions = [at for at, (name, _) in enumerate(columns) if name in key]
        self._key = (
            RowHash([columns[at] for at in self._key_positions], utf8=utf8)
            if self._key_positions
            else self._row
        )
        size = 1 << min(max(int(estimated_rows).bit_length(), _FEWEST), _MOST)
        self._mask = size - 1
        self._read = np.zeros(size, np.uint64)
        self._cached = np.zeros(size, np.uint64)
        self._rows_read = np.zeros(size, np.uint32)
        self._seen = Records(_CACHED)
        """All cached rows, as of the look."""
        self._changed = np.zeros(size, np.bool_)
        self.has_null_keys = False
        """Whether a row was read that has no key."""
        self.since = 0
        """The oldest transaction that may have been at work at the look (`untouched`)."""
        self._is_stale = False
        self._ended = threading.Event()

    def close(self) -> None:
        """Forget the rows that were seen."""
        self._seen.close()

    @staticmethod
    def possible(connection: Connection, place: Place, columns: Sequence[Column]) -> bool:
        """Whether all columns have a hash, the server reads a table by its pages, and what is
        written to this one is what then stands there."""
        if connection.info.server_version < _LEAST_SERVER or RowHash(columns).unhashed:
            return False
        row = connection.execute(_SQL["is_plain"], place.names).fetchone()
        return bool(row and row[0])

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
                self._ended.set()
                with suppress(psycopg.Error, OSError):
                    self._connection.cancel_safe(timeout=_CANCEL_SECONDS)
                raise
            self._is_stale = took > _STALE * looking.result()

    def is_changed(self) -> bool:
        """Whether anything is not the same."""
        if self._is_stale:
            self._look()
        self._changed = self._read != self._cached
        return bool(self._changed.any())

    @contextmanager
    def pairing(self, spool: Spool, progress: Callable[[], None]) -> Iterator[Pairing]:
        """All rows of the buckets that are not the same, to be paired."""
        read = int(self._rows_read[self._changed].sum())
        cached = self._seen.count - (spool.rows - read)
        keyed = bool(self._key_positions)
        most = max(read, cached)
        with closing(Pairing(spool.rows, self._seen.count, keyed=keyed, most=most)) as pairing:
            for side, rows in (
                (pairing.read, spool.hashes()),
                (pairing.cached, self._cached_hashes()),
            ):
                at = 0
                for keys, hashes in rows:
                    chosen = np.flatnonzero(self._changed[self._buckets(keys)])
                    side.add(keys[chosen], hashes[chosen], at + chosen)
                    at += len(keys)
                    progress()
            yield pairing

    def in_changed(self, spool: Spool) -> npt.NDArray[np.bool_]:
        """Of each row that was read: whether its bucket is not the same."""
        found = [self._changed[self._buckets(keys)] for keys, _ in spool.hashes()]
        return np.concatenate(found) if found else np.zeros(0, np.bool_)

    def of_changed(self) -> sql.Composed:
        """A condition on rows of the `cached` table: they are in a bucket that is not the same."""
        changed = np.packbits(self._changed, bitorder="little").tobytes()
        return sql.SQL(_SQL["in_changed"]).format(
            changed=sql.Literal(changed), key=self._hash(self._key), mask=sql.Literal(self._mask)
        )

    def is_replaceable(self) -> bool:
        """Whether rows may be deleted and written anew, for all that others have built on them."""
        row = self._connection.execute(_SQL["is_replaceable"], self._place.names).fetchone()
        return bool(row and row[0])

    def delete(self, chosen: Chosen) -> int:
        """Delete some of the rows that were seen; returns how many. Raises CacheConflict."""
        count = int(chosen.sum())
        if count == self._seen.count > _PLACES_AT_ONCE:
            statement = sql.SQL(_SQL["delete_all"]).format(table=self._table)
            if self._connection.execute(statement).rowcount != count:
                raise CacheConflict(CHANGED_MEANWHILE)
            return count
        at = 0
        for block in self._seen.blocks():
            wanted = block[chosen[at : at + len(block)]]
            at += len(block)
            for first in range(0, len(wanted), _PLACES_AT_ONCE):
                self._delete_at(wanted[first : first + _PLACES_AT_ONCE])
        return count

    def _delete_at(self, rows: Array) -> None:
        statement = sql.SQL(_SQL["delete_at"]).format(
            table=self._table,
            places=sql.Literal(_as_array(rows["place"])),
            row=self._hash(self._row),
        )
        deleted, hashes = self._connection.execute(statement).fetchone() or (0, 0)
        # Nobody else writes to the copy as a rule: these have to be the rows that were seen.
        if deleted != len(rows) or int(hashes) != sum_signed(rows["row"].astype(np.uint64)):
            raise CacheConflict(CHANGED_MEANWHILE)

    def _cached_hashes(self) -> Iterator[tuple[Hashes, Hashes]]:
        for block in self._seen.blocks():
            yield block["key"].astype(np.uint64), block["row"].astype(np.uint64)

    def _take(self, batch: pa.RecordBatch, spool: Spool) -> None:
        hashes = self.digest.see(batch)
        keys = hashes
        if self._key_positions:
            keys = self._key.of(batch.select(self._key_positions))
            if any(batch.column(at).null_count for at in self._key_positions):
                self.has_null_keys = True
        buckets = self._buckets(keys)
        np.add.at(self._read, buckets, hashes + _A_ROW)
        np.add.at(self._rows_read, buckets, np.uint32(1))
        spool.write(batch, keys, hashes)

    def _look(self) -> float:
        """Sum up the cached table; returns the seconds that it took."""
        started = time.monotonic()
        self._cached[:] = 0
        self._seen.clear()
        self._connection.commit()
        self._connection.execute(_SQL["snapshot"])
        self.since = untouched.since(self._connection)
        for places, keys, rows in self._of_pages():
            seen = np.empty(len(rows) // 8, _CACHED)
            seen["place"] = np.frombuffer(places, _PLACE)
            seen["row"] = np.frombuffer(rows, ">u8")
            seen["key"] = seen["row"] if keys is None else np.frombuffer(keys, ">u8")
            self._seen.add(seen)
            buckets = self._buckets(seen["key"].astype(np.uint64))
            np.add.at(self._cached, buckets, seen["row"].astype(np.uint64) + _A_ROW)
        # Nobody has to wait for a lock of ours while the source is read.
        self._connection.commit()
        return time.monotonic() - started

    def _of_pages(self) -> Iterator[tuple[Any, ...]]:
        """The cached rows, those of some pages after others."""
        row = self._connection.execute(_SQL["pages"], self._place.names).fetchone()
        pages = int(row[0]) if row else 0
        keys = sql.SQL(_SQL["keys"]).format(key=self._hash(self._key))
        with self._connection.cursor(binary=True) as cursor:
            for first in range(0, pages + 1, _PAGES_AT_ONCE):
                if self._ended.is_set():
                    return
                after = first + _PAGES_AT_ONCE
                statement = sql.SQL(_SQL["rows"]).format(
                    table=self._table,
                    keys=keys if self._key_positions else sql.NULL,
                    row=self._hash(self._row),
                    first=sql.Literal(f"({first},0)"),
                    # The table may have grown since it was asked.
                    end=_END if after > pages else sql.Literal(f"({after},0)"),
                )
                try:
                    answer = cursor.execute(statement).fetchone()
                except _ANOTHER_SHAPE as error:
                    raise CacheConflict(CHANGED_MEANWHILE) from error
                if answer and answer[0] is not None:
                    yield answer

    def _buckets(self, keys: Hashes) -> npt.NDArray[np.intp]:
        return (keys & np.uint64(self._mask)).astype(np.intp)

    @staticmethod
    def _hash(one: RowHash) -> sql.Composable:
        return one.expression("cached", unseen=True)


def _as_array(places: Array) -> str:
    """Places as PostgreSQL's text of an array of tid."""
    pairs = zip(places["block"].tolist(), places["offset"].tolist(), strict=True)
    return "{" + ",".join([f'"({block},{offset})"' for block, offset in pairs]) + "}"
