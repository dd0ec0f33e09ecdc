"""One load of a cached table: the statements of its transaction, up to the bookkeeping."""

from collections.abc import Callable, Iterable

import psycopg
import pyarrow as pa
from psycopg import sql

from tidewell.cache import shape
from tidewell.cache.address import Connection
from tidewell.cache.merge import Counts, Merge, make_keys_unique
from tidewell.cache.plan import Fence, LoadPlan, Place, Receipt
from tidewell.cache.shape import LoadedColumn
from tidewell.cache.wire import CopyStream
from tidewell.errors import CacheConflict, CacheError
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")
_BOOKS = statements("tidewell.cache", "bookkeeping.sql")
_STAGING = "tidewell_staging"

Trace = Callable[[int, str], None]
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
    ) -> None:
        self._connection = connection
        self._fence = fence
        self._place = place
        self._table = sql.Identifier(place.schema, place.table)
        self._staging = sql.Identifier("pg_temp", _STAGING)
        self._trace = trace
        self._plan = plan
        self._progress = progress
        self._stream = CopyStream(plan.columns, plan.key, truncate_strings=plan.truncate_strings)
        self.columns = shape.loaded_columns(plan)
        self.made_schema = False
        self._key = [self.columns[name].name for name in plan.key]
        self._time_column = (
            self.columns[plan.time_column].name if plan.time_column in self.columns else None
        )
        self._notes: list[str] = []
        self._confirmed = 0

    def run(self, batches: Batches) -> Receipt:
        """Load the batches; the caller commits. Raises a CacheError or what the batches raise."""
        if shape.relation_kind(self._connection, self._place) is None:
            counts = self._first(batches)
        else:
            counts = self._refresh(batches)
        sent = self._stream.counts
        if sent.strings_cut:
            self._notes.append(f"{sent.strings_cut} strings were cut to their column's length.")
        if sent.nul_bytes_replaced:
            self._notes.append(
                f"{sent.nul_bytes_replaced} NUL characters were replaced by U+FFFD: PostgreSQL "
                "cannot hold them."
            )
        return Receipt(
            mode=self._plan.mode,
            rows_read=sent.rows,
            rows_staged=self._confirmed,
            inserted=counts.inserted,
            updated=counts.updated,
            deleted=counts.deleted,
            strings_cut=sent.strings_cut,
            nul_bytes_replaced=sent.nul_bytes_replaced,
            bytes_copied=sent.bytes,
            notes=tuple(self._notes),
        )

    def _first(self, batches: Batches) -> Counts:
        """Nothing stands yet: straight into the new table, which nobody sees before the commit."""
        self._make_schema()
        self._execute("make_table", definitions=shape.definitions(self._listed, staged=False))
        if any(column.staged != column.declared for column in self._listed):
            self._stage(batches)
            rows = self._merge({c.name: c.declared for c in self._listed}).into_empty()
        else:
            rows = self._copy("copy_frozen", self._table, batches)
        if self._key:
            rows -= self._add_key()
        self._comment()
        self._execute("analyze")
        return Counts(inserted=rows)

    def _refresh(self, batches: Batches) -> Counts:
        self._stage(batches)
        if self._key:
            note = make_keys_unique(self._connection, self._staging, self._key, self._time_column)
            if note:
                self._notes.append(note)
        held = self._connection.execute(_BOOKS["hold"], {"job_id": self._fence.job_id}).fetchone()
        old_key, old_columns = (held[3] or [], held[4] or []) if held else ([], [])
        standing = self._adapt()
        types = {column.name: standing.columns[column.name] for column in self._listed}
        dropped = [n for n in old_columns if n in standing.columns and n not in types]
        if dropped:
            self._notes.append(
                f"The source no longer has {', '.join(dropped)}: the cached column stays, NULL."
            )
        merge = self._merge(types | {name: standing.columns[name] for name in dropped})
        if self._plan.mode == "incremental":
            if frozenset(self._key) not in standing.unique:
                self._execute("add_unique", key=shape.identifiers(self._key))
            return merge.by_key(delete=False)
        if (
            self._key
            and frozenset(self._key) in standing.unique
            and old_key == list(self._plan.key)
        ):
            return merge.by_key(delete=True)
        self._drop_old_key(old_key)
        counts = merge.as_multiset()
        if (
            self._key
            and frozenset(self._key) not in shape.look(self._connection, self._place).unique
        ):
            self._execute("add_unique", key=shape.identifiers(self._key))
        return counts

    @property
    def _listed(self) -> list[LoadedColumn]:
        return list(self.columns.values())

    def _merge(self, types: dict[str, str]) -> Merge:
        staged = [column.name for column in self._listed]
        return Merge(self._connection, self._table, self._staging, types, staged, self._key)

    def _make_schema(self) -> None:
        at = {"schema": self._place.schema}
        row = self._connection.execute(_SQL["schema_exists"], at).fetchone()
        if row and row[0]:
            return
        self._connection.execute(_BOOKS["lock_creation"])
        row = self._connection.execute(_SQL["schema_exists"], at).fetchone()
        if row and not row[0]:
            self._execute("make_schema", schema=sql.Identifier(self._place.schema))
            self.made_schema = True

    def _stage(self, batches: Batches) -> None:
        self._execute(
            "make_staging",
            staging=sql.Identifier(_STAGING),
            definitions=shape.definitions(self._listed, staged=True),
        )
        self._copy("copy", self._staging, batches)
        self._execute("analyze", table=self._staging)

    def _copy(self, statement: str, table: sql.Identifier, batches: Batches) -> int:
        """COPY all batches; the server has to confirm exactly the rows that were read."""
        composed = sql.SQL(_SQL[statement]).format(
            table=table, columns=shape.identifiers([column.name for column in self._listed])
        )
        self._tell(composed)
        counts = self._stream.counts
        with self._connection.cursor() as cursor:
            with cursor.copy(composed) as copy:
                for piece in self._stream.pieces(batches):
                    copy.write(piece)
                    self._progress(counts.rows, counts.bytes)
            self._confirmed = cursor.rowcount
        if self._confirmed != counts.rows:
            raise CacheError(
                f"The cache took {self._confirmed} of {counts.rows} rows; nothing was written."
            )
        return counts.rows

    def _add_key(self) -> int:
        """The primary key of a new table; returns how many older rows of a key were dropped."""
        try:
            with self._connection.transaction():
                self._execute("add_key", key=shape.identifiers(self._key))
            return 0
        except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation):
            before = self._count()
            note = make_keys_unique(self._connection, self._table, self._key, self._time_column)
            if note:
                self._notes.append(note)
            self._execute("add_key", key=shape.identifiers(self._key))
            return before - self._count()

    def _count(self) -> int:
        row = self._connection.execute(sql.SQL(_SQL["count"]).format(table=self._table)).fetchone()
        return int(row[0]) if row else 0

    def _adapt(self) -> shape.Standing:
        """Follow the source's schema: add its new columns, widen types that grew."""
        standing = shape.look(self._connection, self._place)
        new, widened = shape.differences(standing, self._listed)
        for column in new:
            self._execute(
                "add_column",
                column=sql.Identifier(column.name),
                type=shape.declared(column.declared),
            )
            self._notes.append(f"New column {column.name} ({column.declared}).")
        for name, now, wanted in widened:
            try:
                self._execute(
                    "change_type", column=sql.Identifier(name), type=shape.declared(wanted)
                )
            except psycopg.errors.FeatureNotSupported as error:
                raise CacheConflict(
                    f"The source's column {name} no longer fits {now}, and {wanted} cannot be set "
                    f"because {error.diag.message_detail or 'a view depends on it'}: drop that "
                    "view, let the job run, and make it again."
                ) from error
            self._notes.append(f"The column {name} was widened from {now} to {wanted}.")
        return shape.look(self._connection, self._place) if new or widened else standing

    def _drop_old_key(self, old_key: list[str]) -> None:
        """The key of the job has changed: the old one no longer holds."""
        found = shape.primary_key(self._connection, self._place)
        old = {self.columns[name].name if name in self.columns else name for name in old_key}
        if found is None or found[1] != old or found[1] == set(self._key):
            return
        self._execute("drop_constraint", constraint=sql.Identifier(found[0]))
        for name in sorted(found[1] - set(self._key)):
            self._execute("drop_not_null", column=sql.Identifier(name))

    def _comment(self) -> None:
        text = f"Tidewell keeps this copy of {self._plan.origin} (job {self._fence.job_id})."
        self._execute("comment_table", text=sql.Literal(text))
        for column in self._listed:
            if column.remarks:
                self._execute(
                    "comment_column",
                    column=sql.Identifier(column.name),
                    text=sql.Literal(column.remarks.replace("\0", "")),
                )

    def _tell(self, statement: sql.Composed) -> None:
        lines = statement.as_string(self._connection).splitlines()
        self._trace(2, "\n".join(line for line in lines if not line.startswith("-- ")))

    def _execute(self, name: str, **parts: sql.Composable) -> None:
        composed = sql.SQL(_SQL[name]).format(**({"table": self._table} | parts))
        self._tell(composed)
        self._connection.execute(composed)
