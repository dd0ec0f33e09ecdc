"""A source over files, read by DuckDB, which is shut off from everything else."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused, SourceUnavailable, Stopped
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.files import ducks, known
from tidewell.sources.files.columns import (
    FileColumn,
    as_literal,
    columns_of,
    format_of_dates,
    names_are_keys,
    plain,
    plain_schema,
    scanning,
    selection,
    side_by_side,
    without_loss,
    without_lost_cells,
)
from tidewell.sources.files.ducks import Bounds
from tidewell.sources.files.excel import check_header, sheets
from tidewell.sources.files.local import LocalStore
from tidewell.sources.files.modified import (
    MODIFIED,
    TIMES,
    column_of_times,
    satisfies,
    some_files,
    with_times,
)
from tidewell.sources.files.store import LocalCopy, Store
from tidewell.sources.files.tables import FileTable, by_name
from tidewell.sources.files.version import Digests
from tidewell.sources.near import near_names
from tidewell.sources.protocol import (
    Column,
    Environment,
    FileScan,
    Reading,
    ReadRequest,
    ScannableSource,
    Table,
    VersionedSource,
)
from tidewell.state.statements import statements

SCHEMA = "Files"
ROWS_AT_ONCE = 8192
_SQL = statements("tidewell.sources.files", "relation.sql")


class FilesSource(ScannableSource, VersionedSource):
    """Files as the tables of one schema. Not shared between threads, except for `cancel`."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._values = values
        self._trace = environment.trace
        self._store = _store(values, environment)
        self._cancelled = False
        self._ducks: dict[Bounds, tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]] = {}
        """Each with the cursor of it that we use."""
        self._named: dict[str, FileTable] = {}
        """Tables that were asked for: their files stay the same as long as the source is open."""
        self._known: dict[str, list[FileColumn]] = {}
        self._dialects: dict[FileTable, dict[str, Any]] = {}
        self._digests = Digests(lambda: self._cancelled)

    def test(self) -> None:
        """There is at least one table; the first file of this machine can be read."""
        self._store.test()
        tables = self._tables
        if not tables:
            raise SourceNotFound("There is no file of a known format here: check URI and Format.")
        if isinstance(self._store, LocalStore):
            self.columns(SCHEMA, next(iter(tables)))

    def schemas(self) -> list[str]:
        """The one schema."""
        return [SCHEMA]

    def tables(self, schema: str) -> list[Table]:
        """A table for each file, and for files that belong together."""
        return [
            Table(SCHEMA, table.name, remarks=_files(len(table.files), table.format))
            for table in self._tables.values()
        ]

    def columns(self, schema: str, table: str) -> list[Column]:
        """The columns as the files tell them: their types hold every value; and when the file of a
        row was last changed, a pseudo-column."""
        found = [one.column for one in self._columns(self._table(schema, table))]
        return [*found, *column_of_times(found)]

    def read(self, request: ReadRequest) -> Reading:
        """Read by batches of at most ROWS_AT_ONCE; every condition is pushed down."""
        table = self._table(request.schema, request.table)
        columns = self._columns(table)
        names = [one.column.name for one in columns]
        times = column_of_times([one.column for one in columns])
        if times and request.columns is None:
            request = replace(request, columns=tuple(names))
        columns_asked_for(request, [*names, *(one.name for one in times)])
        on_times = [one for one in request.where if times and one.column == MODIFIED]
        kept = [one for one in self._copies(table) if satisfies(one.modified, on_times)]
        others = tuple(one for one in request.where if one not in on_times)
        statement, parameters = self._statement(
            table, columns, kept or self._copies(table)[:1], replace(request, where=others)
        )
        self._trace(2, f"DuckDB reads {_files(len(kept), table.format)} of {table.name}")
        with self._errors():
            reader = self._duck(table).execute(statement, parameters).to_arrow_reader(ROWS_AT_ONCE)
        batches = self._guarded(reader) if kept else iter(())
        return Reading(
            pa.RecordBatchReader.from_batches(plain_schema(reader.schema), batches),
            ordered=not request.order,
            limited=request.limit is not None and not request.order,
        )

    def scan(self, schema: str, table: str, columns: Sequence[str]) -> FileScan | None:
        """Parquet files, which DuckDB reads best by itself."""
        found = self._table(schema, table)
        if found.format != "Parquet":
            return None
        by_their_name = {one.column.name: one for one in self._columns(found)}
        if not set(columns) <= set(by_their_name):
            return None
        paths = [copy.path for copy in self._copies(found)]
        relation = scanning([by_their_name[name] for name in columns], paths)
        return None if relation is None else FileScan(tuple(paths), relation)

    def version(self, schema: str, table: str, named: str) -> str | None:
        """The entity tags of a table's files, or the digests of their bytes."""
        found = self._table(schema, table)
        parts = [duckdb.__version__, found.format, found.sheet]
        for file in found.files:
            told = self._store.version(file) or self._digests.of(self._store.local(file).path)
            if told is None:
                return None
            parts += [file.address, told]
            if MODIFIED in named.lower():
                parts.append(str(file.modified or self._store.local(file).modified))
        return json.dumps(parts)

    def cancel(self) -> None:
        """End a running read."""
        self._cancelled = True
        self._store.cancel()
        for _, duck in list(self._ducks.values()):
            with suppress(duckdb.ConnectionException):  # it has been closed meanwhile
                duck.interrupt()

    def close(self) -> None:
        """Let go of the files."""
        while self._ducks:
            bounds, (whole, duck) = self._ducks.popitem()
            duck.close()
            ducks.give(bounds, whole)
        self._store.close()

    def _duck(self, table: FileTable) -> duckdb.DuckDBPyConnection:
        """DuckDB without network, other extensions or any folder but the allowed ones."""
        bounds = Bounds(
            folders=tuple(str(folder) for folder in self._store.folders()),
            # One thread decodes Parquet as fast as anybody takes the rows; another only holds more.
            threads=1 if table.format == "Parquet" else 2,
            excel=table.format == "Excel",
        )
        if bounds not in self._ducks:
            whole = ducks.take(bounds)
            # A cursor of its own: an order to cancel that comes too late ends nothing of another's.
            self._ducks[bounds] = whole, whole.cursor()
        return self._ducks[bounds][1]

    @cached_property
    def _tables(self) -> dict[str, FileTable]:
        tables = self._store.tables()
        for table in list(tables.values()):
            if table.format == "Excel":
                tables |= self._sheets(table) | tables
        return tables

    def _sheets(self, table: FileTable) -> dict[str, FileTable]:
        """The further sheets of a workbook; the first one goes by the workbook's name."""
        try:
            names = sheets(self._store.local(table.files[0]).path)
        except SourceBroken:  # It is told to whoever reads the table.
            return {}
        more = [replace(table, name=f"{table.name}.{one}", sheet=one) for one in names[1:]]
        return by_name(more)

    def _table(self, schema: str, name: str) -> FileTable:
        if schema != SCHEMA:
            raise SourceNotFound(f"Files have one schema, {SCHEMA}, not {schema[:60]!r}.")
        found = self._named.get(name)
        if found is None and "_tables" not in self.__dict__:
            found = self._store.table(name)
        found = found or self._tables.get(name)
        if found is None:
            raise SourceNotFound(
                f"There is no file for a table {name[:60]!r}{near_names(name, self._tables)}."
            )
        return self._named.setdefault(name, found)

    def _copies(self, table: FileTable) -> list[LocalCopy]:
        return [self._store.local(file) for file in table.files]

    def _columns(self, table: FileTable) -> list[FileColumn]:
        if table.name not in self._known:
            copies = self._copies(table)
            parquet = table.format == "Parquet"
            key = known.key_of([copy.path for copy in copies]) if parquet else None
            found = known.recall(key)
            if found is None:
                with self._errors():
                    found = self._found_columns(table, self._parameters(table, copies))
                known.keep(key, found)
            self._known[table.name] = found
        return self._known[table.name]

    def _found_columns(self, table: FileTable, parameters: dict[str, Any]) -> list[FileColumn]:
        duck = self._duck(table)
        if table.format == "CSV":
            found = columns_of(duck, _SQL["csv_sniffed"], parameters)
            return without_loss(duck, found, _SQL["csv_as_text"], parameters)
        found = columns_of(duck, _SQL[table.format.lower()], parameters)
        if table.format == "Excel":
            check_header(Path(parameters["file"]), parameters["sheet"], len(found))
            return without_lost_cells(duck, found, parameters)
        return found

    def _statement(
        self,
        table: FileTable,
        columns: list[FileColumn],
        copies: list[LocalCopy],
        request: ReadRequest,
    ) -> tuple[str, dict[str, Any]]:
        # All files are named, so that the columns stay those of all.
        parameters = self._parameters(table, self._copies(table))
        relation: LiteralString = _SQL[table.format.lower()]
        if table.format == "CSV":
            parameters["types"] = {one.column.name: one.duck for one in columns}
            parameters["dates"] = format_of_dates(columns)
        if table.format == "JSON" and names_are_keys(one.column.name for one in columns):
            relation = _SQL["json_known"]
            parameters["types"] = {one.column.name: one.duck for one in columns}
        if table.format == "Excel":
            relation = side_by_side(columns)
        if len(copies) < len(table.files):
            relation, parameters = some_files(relation, parameters, copies)
        own = any(one.column.name.lower() == MODIFIED for one in columns)
        if not own and MODIFIED in (request.columns or ()):
            relation, parameters = with_times(relation, parameters, copies)
        statement, values = selection(relation, columns if own else [*columns, TIMES], request)
        return statement, parameters | values

    def _parameters(self, table: FileTable, copies: list[LocalCopy]) -> dict[str, Any]:
        if table.format == "Excel":
            path = copies[0].path
            sheet = table.sheet or next(iter(sheets(path)), "")
            return {"file": str(path), "sheet": sheet, "header": self._header}
        files = {"files": [as_literal(copy.path) for copy in copies]}
        return files | (self._dialect(table, copies[0]) if table.format == "CSV" else {})

    @property
    def _header(self) -> bool:
        return self._values["IncludeColumnHeaders"] == "True"

    def _dialect(self, table: FileTable, first: LocalCopy) -> dict[str, Any]:
        if table not in self._dialects:
            with self._errors():
                found = self._duck(table).execute(
                    _SQL["csv_dialect"], {"file": as_literal(first.path), "header": self._header}
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
                "header": self._header,
                "nulls": ["", *self._null_texts()],
            }
        return self._dialects[table]

    def _null_texts(self) -> list[str]:
        texts = self._values.get("NullValues", "").split(",")
        return [text.strip() for text in texts if text.strip()]

    def _guarded(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with self._errors():
            for batch in reader:
                if self._cancelled:
                    raise Stopped
                yield plain(batch)

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


def _store(values: Mapping[str, str], environment: Environment) -> Store:
    uri = values["URI"]
    # Files of this machine do without the HTTP client.
    match urlsplit(uri).scheme.lower() if "://" in uri else "":
        case "http" | "https":
            from tidewell.sources.files.web import WebStore  # noqa: PLC0415

            return WebStore(values, environment)
        case "s3":
            from tidewell.sources.files.s3 import S3Store  # noqa: PLC0415

            return S3Store(values, environment)
        case "" | "file":
            return LocalStore(uri, values["Format"], environment.file_roots)
        case other:
            raise SourceRefused(f"URI: {other[:20]} is not read; give a path, https:// or s3://.")


def _files(count: int, kind: str) -> str:
    return f"1 {kind} file" if count == 1 else f"{count} {kind} files"
