"""A source over a DuckDB file, read by DuckDB, which is shut off from everything else."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from tidewell.errors import SourceBroken, SourceRefused, SourceUnavailable, Stopped
from tidewell.sources.files.columns import FileColumn, columns_of_types, plain
from tidewell.sources.files.paths import allowed_file
from tidewell.sources.forward import moves_forward
from tidewell.sources.protocol import Environment, Table
from tidewell.sources.relational.source import RelationalSource
from tidewell.sources.relational.statement import Dialect, Travel, double_quoted, plain_text
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.duckdb", "catalogue.sql")
ROWS_AT_ONCE = 2048
"""DuckDB's own vector: a larger batch is held twice."""
_SHUT: dict[str, str | bool | int | float | list[str]] = {
    # A view of the file may name other files, addresses and extensions: none is opened.
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
    "memory_limit": "96MB",
    # A second thread reads ahead and holds what it has read.
    "threads": 1,
    "arrow_lossless_conversion": True,
}
_EXPRESSIONS = {"as is": "{}", "text": "CAST({} AS VARCHAR)", "json": "to_json({})"}


class DuckDBSource(RelationalSource):
    """Tables and views of a file. Not shared between threads, except for `cancel`.

    DuckDB holds the file while it is read: nobody writes to it, so all readings are of one moment.
    """

    _dialect = Dialect(
        double_quoted,
        plain_text,
        lambda schema, table: f"{double_quoted(schema)}.{double_quoted(table)}",
    )
    _place = "The database"

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._named = values["Data Source"]
        self._roots = environment.file_roots
        self._trace = environment.trace
        self._cancelled = False
        self._running: list[duckdb.DuckDBPyConnection] = []

    def cancel(self) -> None:
        """End a running read."""
        self._cancelled = True
        for one in list(self._running):
            with suppress(duckdb.ConnectionException):  # it has been closed meanwhile
                one.interrupt()

    def close(self) -> None:
        """Let go of the file."""
        for one in self._running:
            with suppress(duckdb.Error):
                one.close()
        if "_duck" in self.__dict__:
            with suppress(duckdb.Error):
                self._duck.close()

    def _known_schemas(self) -> list[str]:
        return [name for (name,) in self._rows(_SQL["schemas"])]

    def _known_tables(self, schema: str) -> list[Table]:
        rows = self._rows(_SQL["tables"], schema, schema)
        return [Table(schema, name, kind, remarks) for name, kind, remarks in rows]

    def _known_columns(self, schema: str, table: str) -> Sequence[Travel]:
        rows = self._rows(_SQL["columns"], schema, table, schema, table)
        if not rows:
            return []
        with self._errors():
            typed = columns_of_types(self._duck, [(name, kind) for name, kind, *_ in rows])
        return [
            _travel(one, nullable, position, remarks)
            for one, (_, _, nullable, position, remarks) in zip(typed, rows, strict=True)
        ]

    def _batches(self, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with self._errors():
            cursor = self._cursor()
            for batch in cursor.execute(statement).to_arrow_reader(ROWS_AT_ONCE):
                if self._cancelled:
                    raise Stopped
                yield plain(batch)
            self._running.remove(cursor)

    @cached_property
    def _duck(self) -> duckdb.DuckDBPyConnection:
        file = allowed_file("Data Source", self._named, self._roots)
        with self._errors():
            opened = duckdb.connect(file, read_only=True, config=_SHUT)
            opened.execute(_SQL["zone"])
            return opened

    def _interrupted(self) -> bool:
        return self._cancelled

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """Another connection to the same file, so that several things are read side by side."""
        cursor = self._duck.cursor()
        cursor.execute(_SQL["read_ahead"])
        self._running.append(cursor)
        return cursor

    def _rows(self, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._duck.execute(statement, parameters).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """DuckDB's errors, and those that Arrow passes on from it, in words."""
        if self._interrupted():
            raise Stopped
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if self._interrupted() or isinstance(error, duckdb.InterruptException):
                raise Stopped from error
            text = " ".join(str(error).split())[:500]
            if "not a valid DuckDB database" in text:
                raise SourceRefused(f"The file is no DuckDB database: {text}") from error
            if isinstance(error, duckdb.IOException | duckdb.ConnectionException):
                raise SourceUnavailable(f"The database cannot be read now: {text}") from error
            if isinstance(error, duckdb.PermissionException):
                raise SourceRefused(
                    f"A view of the database reads something outside of it: {text}"
                ) from error
            raise SourceBroken(f"DuckDB reports: {text}") from error


def _travel(one: FileColumn, nullable: bool, position: int | None, remarks: str) -> Travel:
    column = replace(
        one.column,
        nullable=nullable,
        key_position=position,
        moves_forward=moves_forward(one.column.name, one.column.type),
        remarks=remarks,
    )
    # Nested values have no comparison of their own as JSON.
    compared = None if one.given == "json" else "{}"
    return Travel(column, _EXPRESSIONS[one.given], compared, cast=one.duck)
