"""Run a statement in DuckDB, over readers that we hand it and nothing else.

Each use of a table is a stream that starts a read of its own whenever DuckDB scans it, with the
columns, comparisons and the limit that the statement lets us push down. Where a statement joins
several, it matters in which order, and DuckDB cannot count a stream's rows: they are loaded into
tables of its own first.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, Protocol

import duckdb
import pyarrow as pa
from psycopg import sql

from tidewell.errors import (
    QueryFailed,
    SourceBroken,
    SourceUnavailable,
    Stopped,
    TidewellError,
)
from tidewell.query.binding import APART, Use
from tidewell.query.ducks import DUCKS, opened
from tidewell.query.places import failure
from tidewell.query.plans import Plan
from tidewell.query.result import Chunk, Result, ResultColumn
from tidewell.sources.protocol import Column, FileScan, ReadRequest, Source
from tidewell.sources.residual import apply_residual
from tidewell.state.statements import statements

ROWS_AT_ONCE = 8192
_NARROW_DIGITS = 18
"""Decimals of no more digits are no 128-bit numbers in DuckDB, as they are in Arrow."""
_KIND = re.compile(r"^[A-Z][A-Za-z -]* Error: ")
"""What DuckDB puts before its messages."""
_NO_ROOM = (
    "it needs more memory, or more room on disk, than a query may take: narrow it with WHERE, name "
    "fewer columns, or keep its tables in the cache"
)
_SQL = statements("tidewell.query", "live.sql")


class Table(Protocol):
    """A table that can be read again and again, with what is pushed down to it."""

    @property
    def schema(self) -> pa.Schema: ...

    def read(self) -> Iterator[pa.RecordBatch]: ...

    def cancel(self) -> None: ...


class SourceTable:
    """A table of a source. Every read opens the source anew: scans may run side by side."""

    def __init__(
        self, open_source: Callable[[], Source], request: ReadRequest, columns: Sequence[Column]
    ) -> None:
        self._open = open_source
        self._request = request
        self._columns = columns
        self._reading: set[Source] = set()
        self._cancelled = False

    @property
    def schema(self) -> pa.Schema:
        """What DuckDB sees: the columns of the request, with types that it can compute with."""
        return pa.schema([pa.field(one.name, computable(one.type)) for one in self._columns])

    def read(self) -> Iterator[pa.RecordBatch]:
        """The rows of the request."""
        with self._open() as source:
            self._reading.add(source)
            try:
                if self._cancelled:
                    raise Stopped
                reading = source.read(self._request)
                for batch in reading.batches:
                    yield self._fitted(apply_residual(batch, reading.residual))
            finally:
                self._reading.discard(source)

    def cancel(self) -> None:
        """End every read that is going on, from another thread."""
        self._cancelled = True
        for source in list(self._reading):
            source.cancel()

    def _fitted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        schema = self.schema
        arrays = []
        for field in schema:
            position = batch.schema.get_field_index(field.name)
            if position < 0:
                raise SourceBroken(f"The source gave no column {field.name}.")
            arrays.append(_as_type(batch.column(position), field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Stream:
    """What DuckDB scans: each time it asks for a stream, the table is read again."""

    def __init__(self, use: Use, table: Table, note: Callable[[TidewellError], None]) -> None:
        apart = {
            use.named.stored_name(column): name
            for name, column in use.columns.items()
            if APART in name
        }
        self._table = table
        self._note = note
        names = [apart.get(name, name) for name in table.schema.names]
        self.schema = pa.schema(
            [field.with_name(name) for field, name in zip(table.schema, names, strict=True)]
        )

    def __arrow_c_schema__(self) -> Any:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        reader = pa.RecordBatchReader.from_batches(self.schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._table.read():
                yield pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)
        except TidewellError as error:
            # Through the C interface only its text would arrive.
            self._note(error)
            raise


class LiveSession:
    """A DuckDB of one query (`duck`): bounded, and shut off from networks and from files.

    `scans` are tables that it reads by itself, by the keys of their uses: it is let to their files
    and no others.
    """

    def __init__(
        self,
        *,
        memory: str,
        threads: int,
        spill: str,
        scans: Mapping[str, FileScan] | None = None,
        world: bytes = b"",
    ) -> None:
        """`spill`: a folder in which it makes one of its own for what memory cannot hold. `world`:
        a digest of the account and its connections."""
        scans = scans or {}
        self._threads = threads
        files = tuple(sorted({str(file) for scan in scans.values() for file in scan.files}))
        self._bounds = (world, memory, threads, spill, files)
        self._tables: list[Table] = []
        self._errors: list[TidewellError] = []
        self._cancelled = threading.Event()
        self._whole = False
        self._made: list[tuple[str, str]] = []
        self._loading: list[duckdb.DuckDBPyConnection] = []
        self._kept = DUCKS.take(self._bounds) or opened(memory, threads, spill, files)
        self.duck = self._kept.connection
        with self._told():
            self._scan(scans)

    def run(
        self,
        plan: Plan,
        tables: Mapping[str, Table],
        values: Sequence[Any],
        *,
        schema_only: bool,
    ) -> Result:
        """Run a statement over tables by the keys of their uses; rows come as they are taken."""
        self._tables.extend(tables.values())
        handed = [
            (use, _Stream(use, tables[use.key], self._errors.append))
            for use in plan.uses
            if use.key in tables
        ]
        if plan.joins and not schema_only:
            self._load(handed)
        else:
            for use, stream in handed:
                self._hand_over(use, stream)
        text = _SQL["described"].replace("{statement}", plan.text) if schema_only else plan.text
        with self._told():
            reader = self.duck.execute(text, list(values)).to_arrow_reader(ROWS_AT_ONCE)
        return Result(
            tuple(
                ResultColumn(output, _told_type(field.type))
                for output, field in zip(plan.outputs, reader.schema, strict=True)
            ),
            self._chunks(reader),
        )

    def _load(self, handed: Sequence[tuple[Use, "_Stream"]]) -> None:
        """Read streams into tables, some at a time; what memory cannot hold goes to disk."""
        with ThreadPoolExecutor(self._threads) as pool:
            going = [
                pool.submit(self._loaded, self.duck.cursor(), use.key, stream)
                for use, stream in handed
            ]
            ended = wait(going, return_when=FIRST_EXCEPTION)
            if ended.not_done:
                for table in self._tables:
                    table.cancel()
        for one in ended.done:
            one.result()

    def _loaded(self, duck: duckdb.DuckDBPyConnection, key: str, stream: "_Stream") -> None:
        """Read all rows of a stream into a table that has its key for a name."""
        rows = f"{key} rows"
        load = sql.SQL(_SQL["load"]).format(key=sql.Identifier(key), rows=sql.Identifier(rows))
        with self._told(), duck:
            self._loading.append(duck)
            try:
                if self._cancelled.is_set():
                    raise Stopped
                duck.register(rows, stream)
                duck.execute(load.as_string())
            finally:
                self._loading.remove(duck)
        self._made.append((key, "drop_table"))

    def _hand_over(self, use: Use, stream: "_Stream") -> None:
        """Register a stream under the key of its use, as its columns can be computed with."""
        if not any(_is_mishandled(field.type) for field in stream.schema):
            self._register(use.key, stream)
            return
        rows = f"{use.key} rows"
        self._register(rows, stream)
        columns = [
            sql.SQL("TRY({0}) AS {0}" if _is_mishandled(field.type) else "{0}").format(
                sql.Identifier(field.name)
            )
            for field in stream.schema
        ]
        self._view(
            "shield", use.key, columns=sql.SQL(", ").join(columns), rows=sql.Identifier(rows)
        )

    def _scan(self, scans: Mapping[str, FileScan]) -> None:
        """Have views over files, and no others. Those of the query before stay: DuckDB reads what
        is in the files whenever a view is used."""
        views = self._kept.views
        wanted = {key: scan.relation for key, scan in scans.items()}
        for key in [one for one, relation in views.items() if wanted.get(one) != relation]:
            self._execute("drop_view", key)
            del views[key]
        for key in wanted.keys() - views.keys():
            self._execute("scan", key, relation=sql.SQL(wanted[key]))
            views[key] = wanted[key]

    def _execute(self, name: str, key: str, **parts: sql.Composable) -> None:
        statement = sql.SQL(_SQL[name]).format(key=sql.Identifier(key), **parts)
        self.duck.execute(statement.as_string())

    def _view(self, form: str, key: str, **parts: sql.Composable) -> None:
        self._made.append((key, "drop_view"))
        self._execute(form, key, **parts)

    def _register(self, name: str, stream: _Stream) -> None:
        self._made.append((name, ""))
        self.duck.register(name, stream)

    def cancel(self) -> None:
        """End what runs, from another thread; it then raises Stopped."""
        self._cancelled.set()
        for table in self._tables:
            table.cancel()
        for duck in [*self._loading, self.duck]:
            with suppress(duckdb.ConnectionException):  # it has been closed meanwhile
                duck.interrupt()

    def close(self) -> None:
        """Let go of everything. The DuckDB stays for the next query where this one ended well."""
        if not self._whole or self._cancelled.is_set() or not self._cleared():
            self.duck.close()
            return
        DUCKS.give(self._bounds, self._kept)

    def _cleared(self) -> bool:
        """Whether nothing of this query is in the DuckDB any more."""
        try:
            for name, drop in reversed(self._made):
                if drop:
                    self._execute(drop, name)
                else:
                    self.duck.unregister(name)
        except duckdb.Error:
            return False
        return True

    def _chunks(self, reader: pa.RecordBatchReader) -> Iterator[Chunk]:
        with self._told():
            for batch in reader:
                if self._cancelled.is_set():
                    raise Stopped
                yield _told_batch(batch)
            self._whole = not self._errors

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if self._cancelled.is_set():
                raise Stopped from error
            if self._errors:
                raise self._errors[0] from error
            # Where a file has gone, DuckDB looks for a folder of its name, which it may not.
            if isinstance(error, duckdb.IOException | duckdb.PermissionException):
                raise SourceUnavailable("A file of a table cannot be read any more.") from error
            if isinstance(error, duckdb.OutOfMemoryException):
                raise failure(_NO_ROOM) from error
            raise _blamed(error) from error


def computable(kind: pa.DataType) -> pa.DataType:
    """The type that DuckDB computes with: numerics without a precision become doubles."""
    if isinstance(kind, pa.OpaqueType):
        return pa.float64() if kind.type_name == "numeric" else computable(kind.storage_type)
    if isinstance(kind, pa.UuidType | pa.Bool8Type):
        return kind
    if isinstance(kind, pa.BaseExtensionType):
        return computable(kind.storage_type)
    if pa.types.is_decimal(kind) and kind.precision > 38:
        return pa.float64()
    return kind


def _is_mishandled(kind: pa.DataType) -> bool:
    """DuckDB 1.5.5 cannot push a filter on these into a scan of Arrow, and where it has pruned the
    column it then hands the wrong columns on. A filter on an expression is not pushed."""
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= _NARROW_DIGITS)
    return isinstance(kind, pa.UuidType)


def _told_type(kind: pa.DataType) -> pa.DataType:
    """The type that a result tells: DuckDB's sums of whole numbers are 128 bits wide, and its
    truth values are bytes."""
    if isinstance(kind, pa.Bool8Type):
        return pa.bool_()
    return pa.decimal128(38, 0) if _is_huge(kind) else kind


def _told_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    if all(_told_type(field.type) is field.type for field in batch.schema):
        return batch
    return pa.RecordBatch.from_arrays(
        [_told_column(column) for column in batch.columns], names=batch.schema.names
    )


def _told_column(column: pa.Array) -> pa.Array:
    if isinstance(column.type, pa.Bool8Type):
        return column.storage.cast(pa.bool_())
    if not _is_huge(column.type):
        return column
    whole = [_whole(one) for one in column.storage.to_pylist()]
    return pa.array(whole, pa.decimal128(38, 0))


def _is_huge(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.OpaqueType) and kind.type_name in ("hugeint", "uhugeint")


def _whole(value: bytes | None) -> Decimal | None:
    return None if value is None else Decimal(int.from_bytes(value, "little", signed=True))


def _as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    return column if column.type == kind else column.cast(kind)


def _blamed(error: Exception) -> QueryFailed:
    said = " ".join(str(error).split()).split(" LINE 1:", maxsplit=1)[0]
    if isinstance(error, duckdb.Error):
        said = _KIND.sub("", said)
    return failure(said[:300].rstrip("."))
