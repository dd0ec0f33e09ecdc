"""One load of a cached table: the statements of its transaction, up to the bookkeeping."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing

import numpy as np
import pyarrow as pa
from psycopg import sql

from tidewell.cache import shape, untouched
from tidewell.cache.address import Connection
from tidewell.cache.alter import Alteration, TableStatements, Trace, make_schema
from tidewell.cache.anew import Anew
from tidewell.cache.bookkeeping import BOOKS
from tidewell.cache.copying import send
from tidewell.cache.difference import CHANGED_MEANWHILE, Difference
from tidewell.cache.digest import Digest
from tidewell.cache.keys import SeenKeys
from tidewell.cache.merge import ALL, Counts, Merge, add_key, count_of, make_keys_unique
from tidewell.cache.pairing import Found
from tidewell.cache.plan import Fence, LoadPlan, Place, Receipt
from tidewell.cache.ranges import Loaded, into_place
from tidewell.cache.shape import LoadedColumn
from tidewell.cache.spool import Spool
from tidewell.cache.types import Held
from tidewell.cache.wire import CopyStream, Fitting
from tidewell.counted import counted
from tidewell.errors import CacheConflict, CacheError
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")
_STAGING = "tidewell_staging"
_KEYS = "tidewell_keys"
_ANALYZE_SHARE = 0.1
"""From this share of changed rows on, statistics are made anew; else autovacuum does it."""
_FEW_ROWS = 3000
"""Up to so many rows the usual statistics cost no more than those of a small sample."""
_WHOLE_SHARE = 0.3
"""From this share of rows on that are written, they go straight into the cached table ..."""
_ANEW_SHARE, _ANEW_ROWS = 0.5, 50_000
"""... and from this one on, and so many rows, all rows into a new table."""

Batches = Iterable[pa.RecordBatch]


class Load:
    """One load, from its first statement to the last before the bookkeeping."""

    def __init__(
        self,
        connection: Connection,
        fence: Fence,
        place: Place,
        trace: Trace,
        plan: LoadPlan,
        progress: Callable[[int, int], None],
        ending: Callable[[], None] = lambda: None,
    ) -> None:
        """`ending` is called where from then on readers may wait for the caller's COMMIT."""
        self._connection = connection
        self._fence = fence
        self._place = place
        self._table = sql.Identifier(place.schema, place.table)
        self._staging = sql.Identifier("pg_temp", _STAGING)
        self._plan = plan
        self._progress = progress
        self._ending = ending
        self.columns = shape.loaded_columns(plan.columns)
        self._utf8 = connection.info.parameter_status("server_encoding") == "UTF8"
        self._fitting = Fitting(plan.columns, plan.key, truncate_strings=plan.truncate_strings)
        self._digest = Digest(self._held, utf8=self._utf8)
        """Of all rows that are read."""
        self.made_schema = False
        self.is_sampled = False
        """Whether the table's statistics are of a small sample, and others should follow."""
        self._key = [self.columns[name].name for name in plan.key]
        self._time_column = (
            self.columns[plan.time_column].name if plan.time_column in self.columns else None
        )
        self._notes: list[str] = []
        self._changes: list[str] = []
        self._trace = trace
        self._statements = TableStatements(connection, place, trace)
        self._alteration = Alteration(
            connection, place, plan, self.columns, fence.job_id, self._statements, self._changes
        )
        self._open = ExitStack()
        self.is_anew = False
        """Whether a new table has taken the place; the one before is still to be dropped."""
        self._confirmed = 0
        self._bytes = 0
        self._stands: int | None = None
        """The rows of the table after a full load, and no other."""
        self._since: int | None = None
        """As of the look at the rows that the load has not written; None: it wrote all."""

    def close(self) -> None:
        """Forget what waits in files; not before the COMMIT, for which readers may wait."""
        self._open.close()

    def run(
        self,
        batches: Batches,
        keys: Callable[[], Batches] | None = None,
        fresh: Callable[[], int] = lambda: 0,
    ) -> Receipt:
        """Load the batches; the caller commits. Raises a CacheError or what the batches raise."""
        if shape.relation_kind(self._connection, self._place) is None:
            counts = self._first(lambda: self._fill(batches))
        else:
            counts = self._refresh(batches, keys, fresh)
        return self._receipt(counts)

    def rehearse(self) -> None:
        """Refuse now, before all has been read, what would be refused in the end."""
        with self._connection.transaction(force_rollback=True):
            make_schema(self._connection, self._place, self._statements)
            self._make_table()

    def finish(self, hidden: Place, ranges: Sequence[Loaded]) -> Receipt:
        """Prove and put into place what several processes have loaded; the caller commits."""
        sent = self._fitting.counts
        for one in ranges:
            sent.rows += one.counts.rows
            sent.strings_cut += one.counts.strings_cut
            sent.nul_bytes_replaced += one.counts.nul_bytes_replaced
            self._bytes += one.bytes
            self._digest.take(one.sums, one.seen)
        self._confirmed = sent.rows
        return self._receipt(self._first(lambda: self._take(hidden)))

    def _receipt(self, counts: Counts) -> Receipt:
        sent = self._fitting.counts
        return Receipt(
            mode=self._plan.mode,
            rows_read=sent.rows,
            rows_staged=self._confirmed,
            inserted=counts.inserted,
            updated=counts.updated,
            deleted=counts.deleted,
            strings_cut=sent.strings_cut,
            nul_bytes_replaced=sent.nul_bytes_replaced,
            bytes_copied=self._bytes,
            digest=self._digest.read.text,
            schema_changes=tuple(self._changes),
            notes=(*self._changes, *self._notes, *sent.notes()),
        )

    def left(self) -> untouched.Left | None:
        """How the table is left; None where it could not be proved later that it still is so."""
        if self._stands is None:
            return None
        since = untouched.since(self._connection) if self._since is None else self._since
        return untouched.left(self._connection, self._place, self._stands, since)

    def _first(self, fill: Callable[[], int]) -> Counts:
        """Nothing stands yet: a new table, which nobody sees before the commit."""
        self.made_schema = make_schema(self._connection, self._place, self._statements)
        rows = fill()
        if self._key:
            time_column, notes = self._time_column, self._notes
            rows -= add_key(self._connection, self._statements, self._key, time_column, notes)
        self._alteration.index(self._time_column)
        self._alteration.comment_table()
        self._alteration.comment_columns(self._listed)
        self._sample(rows)
        self._stands = rows
        return Counts(inserted=rows)

    def _fill(self, batches: Batches) -> int:
        """Straight into a table that is made here."""
        fitted = self._fitting.fitted(batches)
        self._make_table()
        if any(column.staged != column.declared for column in self._listed):
            self._stage(fitted, self._digest)
            return self._merge({c.name: c.declared for c in self._listed}).into_empty()
        return self._copy("copy_frozen", self._table, fitted, self._digest)

    def _make_table(self) -> None:
        self._statements.execute("make_table", definitions=shape.definitions(self._listed))

    def _take(self, hidden: Place) -> int:
        """The table that others have filled."""
        table = sql.Identifier(hidden.schema, hidden.table)
        # Who holds it is waited for before the proof, and nobody comes between that and the move.
        self._statements.execute("lock_table", table=table)
        self._prove(table, self._digest, self._confirmed)
        into_place(self._connection, hidden, self._statements, self._place, self._listed)
        return self._confirmed

    def _refresh(
        self,
        batches: Batches,
        keys: Callable[[], Batches] | None,
        fresh: Callable[[], int],
    ) -> Counts:
        standing = shape.look(self._connection, self._place)
        fits = self._plan.mode == "full" and self._fits(standing)
        # While the source is read nobody has to wait for us, neither at the table nor at the fence.
        self._connection.commit()
        counts = (
            self._by_difference(batches, standing)
            if fits
            else self._by_staging(batches, keys, fresh)
        )
        if self.is_anew:
            return counts
        self._alteration.index(self._time_column)
        self._after(counts)
        return counts

    def _fits(self, standing: shape.Standing) -> bool:
        """Whether the cached table is as this load would make it, and all of it can be hashed."""
        old_key, old_columns = self._last_load()
        return (
            old_key == list(self._plan.key)
            and (not self._key or frozenset(self._key) in standing.unique)
            and set(old_columns) <= {column.name for column in self._listed}
            and all(
                standing.columns.get(column.name) == column.declared == column.staged
                for column in self._listed
            )
            and Difference.possible(self._connection, self._place, self._held)
        )

    def _last_load(self) -> tuple[list[str], list[str]]:
        """The key of the last load, and its cached columns."""
        held = self._connection.execute(BOOKS["hold"], {"job_id": self._fence.job_id}).fetchone()
        return (held[3] or [], held[4] or []) if held else ([], [])

    def _by_difference(self, batches: Batches, standing: shape.Standing) -> Counts:
        """What is not the same is found out by hashes; only that travels."""
        difference = Difference(
            self._connection,
            self._place,
            self._held,
            self._key,
            estimated_rows=shape.estimated_rows(self._connection, self._place),
            utf8=self._utf8,
        )
        self._digest = difference.digest
        self._open.callback(difference.close)
        spool = self._open.enter_context(closing(Spool(self._fitting.schema)))

        def progress() -> None:
            self._progress(self._fitting.counts.rows, 0)

        difference.read(self._fitting.fitted(batches), spool, progress)
        if shape.look(self._connection, self._place) != standing:
            raise CacheConflict(CHANGED_MEANWHILE)
        same = not difference.is_changed()
        self._stands, self._since = spool.rows, difference.since
        if same:
            self._confirmed = spool.rows
            return Counts()
        self._last_load()  # from here on under the fence
        if difference.has_null_keys:
            return self._by_changed_buckets(difference, spool)
        found = self._open.enter_context(difference.pairing(spool, progress)).found()
        if found.repeated:
            return self._by_changed_buckets(difference, spool)
        most = found.written > max(_ANEW_SHARE * spool.rows, _ANEW_ROWS)
        if most and self._anew(spool, list(standing.columns)):
            return _counts(found)
        replace = not self._key or (
            set(standing.columns) == {column.name for column in self._listed}
            and difference.is_replaceable()
        )
        return self._write(difference, spool, found, replace=replace)

    def _anew(self, spool: Spool, order: list[str]) -> bool:
        """All rows into a new table that takes the place, where nobody would notice."""
        if set(order) != {column.name for column in self._listed}:
            return False
        to = (self._connection, self._fence, self._place)
        anew = Anew(*to, self._plan, self.columns, order, self._trace)
        if not anew.is_possible():
            return False
        anew.make()
        all_rows = spool.chosen(np.ones(spool.rows, np.bool_))
        confirmed = self._copy("copy_frozen", anew.table, all_rows, self._digest, see=False)
        anew.furnish()
        self._statements.execute("sample", table=anew.table)
        self._ending()
        self.is_anew = anew.take_place()
        if self.is_anew:
            self.is_sampled, self._since = True, None
        else:
            self._confirmed -= confirmed
        return self.is_anew

    def _write(
        self, difference: Difference, spool: Spool, found: Found, *, replace: bool
    ) -> Counts:
        """Write exactly what differs; `replace`: rows with new values are written anew."""
        counts = _counts(found)
        difference.delete(found.deleted)
        if replace:
            difference.delete(found.replaced)
        self._confirmed = spool.rows - found.written
        if not found.written:
            return counts
        rows = spool.chosen(found.new)
        if replace and found.written > _WHOLE_SHARE * spool.rows:
            # What stands in the end is proved as a whole, so that nothing is written twice.
            self._copy("copy", self._table, rows, self._digest, see=False)
            return counts
        self._stage(rows, Digest(self._held, utf8=self._utf8), sample=not replace)
        merge = self._merge({column.name: column.declared for column in self._listed})
        if replace:
            merge.into_empty()
        else:
            merge.by_key(delete=False)
        return counts

    def _by_changed_buckets(self, difference: Difference, spool: Spool) -> Counts:
        """Keys are missing or came more than once: the server sorts out what that means."""
        self._stands = None
        chosen = difference.in_changed(spool)
        self._confirmed = spool.rows - int(chosen.sum())
        self._stage(spool.chosen(chosen), Digest(self._held, utf8=self._utf8))
        self._make_keys_unique()
        types = {column.name: column.declared for column in self._listed}
        return self._merge(types, difference.of_changed()).by_key(delete=True)

    def _by_staging(
        self,
        batches: Batches,
        keys: Callable[[], Batches] | None,
        fresh: Callable[[], int],
    ) -> Counts:
        """All that is read is staged, and compared with what stands."""
        seen = SeenKeys(self._held, self._key, utf8=self._utf8)
        self._stage(seen.watched(self._fitting.fitted(batches)), self._digest)
        are_unique = not self._key or seen.are_unique()
        if not are_unique:
            self._make_keys_unique()
        old_key, old_columns = self._last_load()
        if self._plan.mode == "full":
            self._since = untouched.since(self._connection)
            self._stands = (
                self._confirmed if are_unique else count_of(self._connection, self._staging)
            )
        standing, retyped = self._alteration.adapt()
        types = {column.name: standing.columns[column.name] for column in self._listed}
        dropped = [n for n in old_columns if n in standing.columns and n not in types]
        if dropped:
            self._changes.append(
                f"The source no longer has {', '.join(dropped)}: the cached column stays, NULL."
            )
        merge = self._merge(types | {name: standing.columns[name] for name in dropped})
        if self._plan.mode == "append":
            return Counts(inserted=merge.into_empty())
        keyed = bool(self._key) and frozenset(self._key) in standing.unique
        if self._plan.mode == "incremental":
            if not keyed:
                self._statements.execute("add_unique", key=shape.identifiers(self._key))
            counts = merge.by_key(delete=False, mostly_new=fresh() > self._confirmed / 2)
            return counts + self._delete_gone(types, keys()) if keys is not None else counts
        if keyed and old_key == list(self._plan.key) and retyped.isdisjoint(self._key):
            return merge.by_key(delete=True)
        self._alteration.drop_old_key(old_key)
        counts = merge.as_multiset()
        self._alteration.ensure_key()
        return counts

    def _make_keys_unique(self) -> None:
        if self._key:
            note = make_keys_unique(self._connection, self._staging, self._key, self._time_column)
            if note:
                self._notes.append(note)

    def _delete_gone(self, types: dict[str, str], keys: Batches) -> Counts:
        """Compare keys only: what is cached and no longer in the source is deleted."""
        by_name = {column.name: column for column in self._plan.columns}
        parts = [by_name[name] for name in self._plan.key]
        columns = [self.columns[column.name] for column in parts]
        staging = sql.Identifier("pg_temp", _KEYS)
        self._statements.execute(
            "make_keys",
            keys=sql.Identifier(_KEYS),
            definitions=shape.definitions(columns, staged=True),
        )
        fitting = Fitting(parts, self._plan.key, truncate_strings=self._plan.truncate_strings)
        names = [column.name for column in columns]
        digest = Digest(list(zip(names, fitting.held, strict=True)), utf8=self._utf8)
        stream = CopyStream(fitting, digest)
        self._send("copy", staging, columns, stream, fitting.fitted(keys))
        self._prove(staging, digest, stream.rows)
        self._statements.execute("sample", table=staging)
        merge = Merge(
            self._connection,
            self._table,
            staging,
            {name: types[name] for name in names},
            names,
            self._key,
        )
        deleted = merge.delete_gone()
        self._notes.append(
            f"deleteDetection: the source has {counted(stream.rows, 'key')}; "
            f"{counted(deleted, 'row')} that it no longer has {'was' if deleted == 1 else 'were'} "
            "deleted."
        )
        return Counts(deleted=deleted)

    def _after(self, counts: Counts) -> None:
        """Statistics and the comment follow where rows were written."""
        written = counts.inserted + counts.updated + counts.deleted
        if not written:
            return
        before = shape.estimated_rows(self._connection, self._place)
        if written >= _ANALYZE_SHARE * before:
            self._sample(before + counts.inserted)
        self._alteration.comment_table()

    def _sample(self, most: float) -> None:
        """Statistics of a table of so many rows at most."""
        self.is_sampled = most > _FEW_ROWS
        self._statements.execute("sample" if self.is_sampled else "statistics")

    @property
    def _listed(self) -> list[LoadedColumn]:
        return list(self.columns.values())

    @property
    def _held(self) -> list[tuple[str, Held]]:
        """The names of the cached columns, and how each is held."""
        names = [column.name for column in self._listed]
        return list(zip(names, self._fitting.held, strict=True))

    def _merge(self, types: dict[str, str], within: sql.Composable = ALL) -> Merge:
        staged = [column.name for column in self._listed]
        return Merge(self._connection, self._table, self._staging, types, staged, self._key, within)

    def _stage(self, batches: Batches, digest: Digest, *, sample: bool = True) -> None:
        self._statements.execute(
            "make_staging",
            staging=sql.Identifier(_STAGING),
            definitions=shape.definitions(self._listed, staged=True),
        )
        self._copy("copy", self._staging, batches, digest)
        if sample:
            self._statements.execute("sample", table=self._staging)

    def _copy(
        self,
        statement: str,
        table: sql.Identifier,
        batches: Batches,
        digest: Digest,
        *,
        see: bool = True,
    ) -> int:
        """COPY all batches, and prove that the table is then what the digest is of.

        `see`: the digest is of these batches; else of more that stands there.
        """
        stream = CopyStream(self._fitting, digest if see else None)
        rows = self._send(statement, table, self._listed, stream, batches)
        self._confirmed += rows
        self._prove(table, digest, digest.read.rows)
        return rows

    def _send(
        self,
        statement: str,
        table: sql.Identifier,
        columns: Sequence[LoadedColumn],
        stream: CopyStream,
        batches: Batches,
    ) -> int:
        composed = sql.SQL(_SQL[statement]).format(
            table=table, columns=shape.identifiers([column.name for column in columns])
        )
        self._statements.tell(composed)
        before = self._bytes

        def progress() -> None:
            self._bytes = before + stream.bytes
            self._progress(self._fitting.counts.rows, self._bytes)

        return send(self._connection, composed, stream, batches, progress)

    def _prove(self, table: sql.Identifier, digest: Digest, rows: int) -> None:
        """What stands in the table has to be what was read, value by value (receipt)."""
        stands = digest.of_table(self._connection, table)
        if stands != digest.read:
            raise CacheError(
                f"What stands in the cache after {rows} rows were read is not what was read "
                f"(digest {stands.text}, not {digest.read.text}); nothing was written. Run the job "
                "again, and have the server's memory and disks checked."
            )


def _counts(found: Found) -> Counts:
    updated = int(found.replaced.sum())
    return Counts(found.written - updated, updated, int(found.deleted.sum()))
