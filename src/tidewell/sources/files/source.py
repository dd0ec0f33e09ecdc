"""A source over files, read by DuckDB, which is shut off from everything else."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tidewell.errors import SourceBroken, SourceNotFound, SourceUnavailable, Stopped
from tidewell.sources.files.columns import FileColumn, columns_of, selection, without_loss
from tidewell.sources.files.paths import FileTable, find_tables
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column, Environment, Reading, ReadRequest, Source, Table
from tidewell.state.statements import statements

SCHEMA = "Files"
ROWS_AT_ONCE = 8192
_MEMORY = "512MB"
_SQL = statements("tidewell.sources.files", "relation.sql")


class FilesSource(Source):
    """Files as the tables of one schema. Not shared between threads, except for `cancel`."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._values = values
        self._roots = environment.file_roots
        self._trace = environment.trace
        self._cancelled = False
        self._known: dict[str, list[FileColumn]] = {}

    def test(self) -> None:
        """There is at least one table, and the first can be read."""
        tables = self._tables
        if not tables:
            raise SourceNotFound("There is no file of a known format here: check URI and Format.")
        self.columns(SCHEMA, next(iter(tables)))

    def schemas(self) -> list[str]:
        """The one schema."""
        return [SCHEMA]

    def tables(self, schema: str) -> list[Table]:
        """A table for each file, and for files that belong together."""
        return [
            Table(SCHEMA, table.name, remarks=f"{len(table.files)} {table.format} file(s)")
            for table in self._tables.values()
        ]

    def columns(self, schema: str, table: str) -> list[Column]:
        """The columns as the files tell them: their types hold every value."""
        return [column.column for column in self._columns(self._table(schema, table))]

    def read(self, request: ReadRequest) -> Reading:
        """Read by batches of at most ROWS_AT_ONCE; every part of a request is pushed down."""
        table = self._table(request.schema, request.table)
        columns = self._columns(table)
        statement, parameters = selection(_SQL[table.format.lower()], columns, request)
        if table.format == "CSV":
            parameters["types"] = {one.column.name: one.duck for one in columns}
        self._trace(2, f"DuckDB reads {len(table.files)} {table.format} file(s) of {table.name}")
        with self._errors():
            reader = self._duck.execute(
                statement, self._parameters(table) | parameters
            ).to_arrow_reader(ROWS_AT_ONCE)
        return Reading(pa.RecordBatchReader.from_batches(reader.schema, self._guarded(reader)))

    def cancel(self) -> None:
        """End a running read."""
        self._cancelled = True
        self._duck.interrupt()

    def close(self) -> None:
        """Let go of the files."""
        if "_duck" in self.__dict__:
            self._duck.close()

    @cached_property
    def _duck(self) -> duckdb.DuckDBPyConnection:
        """DuckDB without network, extensions or any folder but the allowed ones."""
        connection = duckdb.connect(
            config={
                "memory_limit": _MEMORY,
                "temp_directory": "",
                "threads": 2,
                "arrow_lossless_conversion": True,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        connection.execute(_SQL["utc"])
        connection.execute(_SQL["allow"], {"folders": [str(root) for root in self._roots]})
        connection.execute(_SQL["shut"])
        connection.execute(_SQL["lock"])
        return connection

    @cached_property
    def _tables(self) -> dict[str, FileTable]:
        return find_tables(self._values["URI"], self._values["Format"], self._roots)

    def _table(self, schema: str, name: str) -> FileTable:
        if schema != SCHEMA:
            raise SourceNotFound(f"Files have one schema, {SCHEMA}, not {schema[:60]!r}.")
        found = self._tables.get(name)
        if found is None:
            raise SourceNotFound(
                f"There is no file for a table {name[:60]!r}{near_names(name, self._tables)}."
            )
        return found

    def _columns(self, table: FileTable) -> list[FileColumn]:
        if table.name not in self._known:
            with self._errors():
                parameters = self._parameters(table)
                relation = _SQL["csv_sniffed" if table.format == "CSV" else table.format.lower()]
                found = columns_of(self._duck, relation, parameters)
                if table.format == "CSV":
                    found = without_loss(self._duck, found, _SQL["csv_as_text"], parameters)
                self._known[table.name] = found
        return self._known[table.name]

    def _parameters(self, table: FileTable) -> dict[str, Any]:
        files = {"files": [_literal(path) for path in table.files]}
        return files | (self._dialect(table) if table.format == "CSV" else {})

    def _dialect(self, table: FileTable) -> dict[str, Any]:
        if table not in self._dialects:
            header = self._values["IncludeColumnHeaders"] == "True"
            found = self._duck.execute(
                _SQL["csv_dialect"], {"file": _literal(table.files[0]), "header": header}
            ).fetchone() or (",", '"', '"')
            # What the sample did not need may still come later.
            delimiter, quote, escape = (
                default if sign in ("(empty)", "", "\0") else sign
                for sign, default in zip(found, (",", '"', '"'), strict=True)
            )
            self._dialects[table] = {
                "delim": delimiter,
                "quote": quote,
                "escape": escape,
                "header": header,
                "nulls": ["", *self._null_texts()],
            }
        return self._dialects[table]

    @cached_property
    def _dialects(self) -> dict[FileTable, dict[str, Any]]:
        return {}

    def _null_texts(self) -> list[str]:
        texts = self._values.get("NullValues", "").split(",")
        return [text.strip() for text in texts if text.strip()]

    def _guarded(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with self._errors():
            for batch in reader:
                if self._cancelled:
                    raise Stopped
                yield batch

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """DuckDB's errors, and those that Arrow passes on from it, in words."""
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if self._cancelled or isinstance(error, duckdb.InterruptException):
                raise Stopped from error
            text = " ".join(str(error).split())[:500]
            if isinstance(error, duckdb.IOException):
                raise SourceUnavailable(f"A file cannot be read: {text}") from error
            raise SourceBroken(f"A file is not what its format says: {text}") from error


def _literal(path: Path) -> str:
    """A path that DuckDB does not take for a glob."""
    text = str(path)
    for sign in ("[", "*", "?"):
        text = text.replace(sign, f"[{sign}]")
    return text
