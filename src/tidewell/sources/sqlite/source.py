"""A source over a SQLite database: one file, read over ADBC."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_sqlite.dbapi as adbc
import pyarrow as pa
from psycopg import sql

from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused, SourceUnavailable, Stopped
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.files.paths import allowed_file
from tidewell.sources.files.version import Digests
from tidewell.sources.interruptible import Interruptible
from tidewell.sources.near import near_names
from tidewell.sources.protocol import (
    Column,
    Comparison,
    Environment,
    Once,
    Reading,
    ReadRequest,
    Table,
    VersionedSource,
    WritableSource,
)
from tidewell.sources.sqlite.columns import Declared, SQLiteColumn, columns_of
from tidewell.sources.sqlite.comparing import comparable, has_order
from tidewell.sources.sqlite.writing import Writer
from tidewell.state.statements import statements

SCHEMA = "main"
ROWS_AT_ONCE = 1024
_SQL = statements("tidewell.sources.sqlite", "catalogue.sql")


class SQLiteSource(WritableSource, VersionedSource):
    """Tables and views of a file. Not shared between threads, except for `cancel`.

    All readings are of one moment: that of the first look at the file.
    """

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._named = values["Data Source"]
        self._roots = environment.file_roots
        self._trace = environment.trace
        self._waiting = Interruptible()
        self._writer: Writer | None = None
        self._known: dict[str, list[SQLiteColumn]] = {}
        self._is_versioned = False
        # As root, SQLite itself gives its files their owner anew whenever it opens them.
        self._digests = Digests(lambda: self._waiting.interrupted, owned=False)

    def test(self) -> None:
        """The file is a SQLite database with at least one table."""
        if not self.tables(SCHEMA):
            raise SourceNotFound("There is no table in this database.")

    def schemas(self) -> list[str]:
        """The one schema."""
        return [SCHEMA]

    def tables(self, schema: str) -> list[Table]:
        """Tables and views."""
        _need_schema(schema)
        return [Table(SCHEMA, name, kind) for name, kind in self._rows(_SQL["tables"])]

    def columns(self, schema: str, table: str) -> list[Column]:
        """The columns, with types that hold every value of them."""
        return [one.column for one in self._columns(schema, table)]

    def read(self, request: ReadRequest) -> Reading:
        """Read by batches of ROWS_AT_ONCE; comparisons of what is not kept as such stay."""
        known = {one.column.name: one for one in self._columns(request.schema, request.table)}
        wanted = [known[name] for name in columns_asked_for(request, known)]
        statement, parameters, residual = _statement(request, known, wanted)
        ordered = all(has_order(known[name]) for name in request.order)
        self._trace(2, statement)
        schema = pa.schema([pa.field(one.column.name, one.column.type) for one in wanted])
        batches = self._batches(statement, parameters, schema)
        return Reading(
            pa.RecordBatchReader.from_batches(schema, batches),
            residual,
            ordered=ordered,
            limited=ordered and not residual,
        )

    def version(self, schema: str, table: str, named: str) -> str | None:
        """The digests of the file and of what waits beside it; a view may depend on more."""
        if not self._is_versioned and "_connection" in self.__dict__:
            return None  # the moment that is read was before this one
        self._is_versioned = True
        told = [self._digests.of(path) for path in (self._file, self._beside("-wal"))]
        journal = self._beside("-journal")
        if None in told or (journal.exists() and journal.stat().st_size):
            return None  # somebody writes, or has left something to be undone
        kinds = {one.name: one.kind for one in self.tables(schema)}
        if kinds.get(table) != "table":
            return None
        return json.dumps([version("adbc-driver-sqlite"), *told])

    def execute(self, statement: str, once: Once | None = None) -> int:
        """Run one INSERT, UPDATE or DELETE, in a transaction of its own; the rows affected."""
        self._trace(2, statement)
        return self._writing.execute(statement, once, self._trace)

    def insert(
        self,
        schema: str,
        table: str,
        columns: Sequence[str],
        batches: pa.RecordBatchReader,
        once: Once | None = None,
    ) -> int:
        """Add rows, all of them or none; their number."""
        known = {one.column.name: one for one in self._columns(schema, table)}
        columns_asked_for(ReadRequest(schema, table, tuple(columns)), known)
        return self._writing.insert(table, columns, batches, once, self._trace)

    def cancel(self) -> None:
        """End a running read or statement."""
        self._waiting.interrupt()
        if self._writer is not None:
            self._writer.cancel()

    def close(self) -> None:
        """Let go of the file."""
        if "_connection" in self.__dict__:
            self._waiting.afterwards(self._connection.close)
        if self._writer is not None:
            self._writer.close()

    @cached_property
    def _file(self) -> Path:
        return allowed_file("Data Source", self._named, self._roots)

    def _beside(self, ending: str) -> Path:
        return self._file.with_name(self._file.name + ending)

    @cached_property
    def _connection(self) -> adbc.Connection:
        with _in_words():
            # In a transaction from the beginning on, as ADBC's dbapi does.
            return adbc.connect(f"file:{quote(str(self._file))}?mode=ro")

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            self._writer = Writer(self._file, self._waiting)
        return self._writer

    def _columns(self, schema: str, table: str) -> list[SQLiteColumn]:
        _need_schema(schema)
        if table not in self._known:
            declared = [
                Declared(name, kind or "", bool(not_null), int(key), bool(indexed), bool(strict))
                for name, kind, not_null, key, indexed, strict in self._rows(
                    _SQL["columns"], (table,)
                )
            ]
            if not declared:
                names = [one.name for one in self.tables(SCHEMA)]
                raise SourceNotFound(
                    f"The database has no table {table[:60]!r}{near_names(table, names)}."
                )
            self._known[table] = columns_of(
                declared,
                sql.Identifier(SCHEMA, table),
                lambda statement: self._rows(statement.as_string())[0],
            )
        return self._known[table]

    def _rows(self, statement: str, parameters: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        def ask() -> list[tuple[Any, ...]]:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return cursor.fetchall()

        with _in_words():
            return self._waiting.call(ask)

    def _batches(
        self, statement: str, parameters: list[Any], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        with _in_words(), self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(ROWS_AT_ONCE)})

            def start() -> pa.RecordBatchReader:
                cursor.execute(statement, parameters or None)
                return cursor.fetch_record_batch()

            reader = self._waiting.call(start)
            first = True
            while (batch := self._waiting.call(lambda: next(reader, None))) is not None:
                kept = batch.slice(1) if first else batch
                first = False
                if kept.num_rows:
                    yield _typed(kept, schema)


def _statement(
    request: ReadRequest, known: Mapping[str, SQLiteColumn], wanted: Sequence[SQLiteColumn]
) -> tuple[str, list[Any], tuple[Comparison, ...]]:
    """The SELECT of a request, its parameters, and the comparisons that it leaves out."""
    conditions: list[sql.Composable] = [sql.SQL("true")]
    parameters: list[Any] = []
    residual = []
    for comparison in request.where:
        one = known[comparison.column]
        value = comparable(comparison.value, one)
        if value is None:
            residual.append(comparison)
            continue
        parameters.append(value)
        conditions.append(
            sql.SQL("{} COLLATE BINARY {} ?").format(
                sql.Identifier(one.column.name), sql.SQL(comparison.operator)
            )
        )
    order, limit = sql.Composed([]), sql.Composed([])
    ordered = all(has_order(known[name]) for name in request.order)
    if request.order and ordered:
        names = [sql.SQL("{} COLLATE BINARY").format(sql.Identifier(n)) for n in request.order]
        order = sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(names))
    if request.limit is not None and ordered and not residual:
        limit = sql.SQL(" LIMIT {}").format(sql.Literal(request.limit))
    statement = sql.SQL(_SQL["rows"]).format(
        firsts=sql.SQL(", ").join(sql.SQL(one.first) for one in wanted),
        values=sql.SQL(", ").join(
            sql.SQL(one.expression).format(sql.Identifier(one.column.name)) for one in wanted
        ),
        table=sql.Identifier(SCHEMA, request.table),
        conditions=sql.SQL(" AND ").join(conditions),
        order=order,
        limit=limit,
    )
    return statement.as_string(), parameters, tuple(residual)


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Values as their columns' types, from those that they travel as."""
    arrays = []
    for values, field in zip(batch.columns, schema, strict=True):
        try:
            if isinstance(field.type, pa.BaseExtensionType):
                arrays.append(pa.ExtensionArray.from_storage(field.type, values))
            elif values.type == field.type:
                values.validate(full=True)
                arrays.append(values)
            else:
                arrays.append(values.cast(field.type))
        except pa.ArrowException as error:
            raise SourceBroken(
                f"A value of the column {field.name} is no {field.type}: {error}"
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _need_schema(schema: str) -> None:
    if schema != SCHEMA:
        raise SourceNotFound(f"A SQLite file has one schema, {SCHEMA}, not {schema[:60]!r}.")


@contextmanager
def _in_words() -> Iterator[None]:
    """SQLite's errors, and those that Arrow passes on from it, as ours."""
    try:
        yield
    except (adbc_driver_manager.Error, sqlite3.Error, pa.ArrowException, OSError) as error:
        text = " ".join(str(error).split())[:500]
        if isinstance(error, Stopped):
            raise
        if "not a database" in text or "malformed" in text:
            raise SourceRefused(f"The file is no SQLite database, or is damaged: {text}") from error
        if "locked" in text or "busy" in text or "unable to open" in text:
            raise SourceUnavailable(f"The database cannot be read now: {text}") from error
        raise SourceBroken(f"SQLite reports: {text}") from error
