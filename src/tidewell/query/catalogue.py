"""The catalogue calls: catalogs, schemas, tables, columns and primary keys, as results.

Columns and their order are those of the reference's `sys_…` tables.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from tidewell.errors import SourceError, SourceNotFound, Stopped
from tidewell.query.arrowtypes import code_of, sizes
from tidewell.query.binding import Output
from tidewell.query.naming import Connected
from tidewell.query.result import Result, ResultColumn, Row
from tidewell.sources.protocol import Column, Source, Table

Subject = Literal["catalogs", "schemas", "tables", "columns", "primaryKeys"]
_AT_ONCE = 8
_TEXT, _NUMBER, _FLAG = pa.string(), pa.int32(), pa.bool_()
_TABLE = (("TABLE_CATALOG", _TEXT), ("TABLE_SCHEMA", _TEXT), ("TABLE_NAME", _TEXT))
_COLUMNS: dict[Subject, tuple[tuple[str, pa.DataType], ...]] = {
    "catalogs": (("TABLE_CATALOG", _TEXT),),
    "schemas": _TABLE[:2],
    "tables": (*_TABLE, ("TABLE_TYPE", _TEXT), ("REMARKS", _TEXT)),
    "columns": (
        *_TABLE,
        ("COLUMN_NAME", _TEXT),
        ("DATA_TYPE", _NUMBER),
        ("TYPE_NAME", _TEXT),
        ("COLUMN_SIZE", _NUMBER),
        ("PRECISION", _NUMBER),
        ("SCALE", _NUMBER),
        ("REMARKS", _TEXT),
        ("ORDINAL_POSITION", _NUMBER),
        ("IS_NULLABLE", _FLAG),
        ("IS_AUTOINCREMENT", _FLAG),
        ("IS_READONLY", _FLAG),
        ("IS_KEY", _FLAG),
    ),
    "primaryKeys": (
        *_TABLE,
        ("COLUMN_NAME", _TEXT),
        ("PK_NAME", _TEXT),
        ("KEY_SEQ", _NUMBER),
    ),
}


@dataclass(frozen=True)
class Filter:
    """What a catalogue call is narrowed to; names have no case, empty means all."""

    catalog: str = ""
    schema: str = ""
    table: str = ""
    column: str = ""
    types: tuple[str, ...] = ()


def look(subject: Subject, connections: Sequence[Connected], wanted: Filter) -> Result:
    """Ask the sources. One that does not answer is left out, unless it is asked for by name."""
    chosen = [one for one in connections if _is(wanted.catalog, one.name)]
    if subject == "catalogs":
        rows: list[Row] = [(one.name,) for one in chosen]
    else:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda one: _asked(subject, one, wanted), chosen)
            rows = [row for part in found for row in part]
    return Result(
        tuple(ResultColumn(Output(label), kind) for label, kind in _COLUMNS[subject]), iter([rows])
    )


def _asked(subject: Subject, connected: Connected, wanted: Filter) -> list[Row]:
    try:
        return list(_rows(subject, connected.name, connected.open(), wanted))
    except (SourceError, Stopped):
        if wanted.catalog:
            raise
        return []


def _rows(subject: Subject, catalog: str, source: Source, wanted: Filter) -> Iterator[Row]:
    for schema in source.schemas():
        if not _is(wanted.schema, schema):
            continue
        if subject == "schemas":
            yield (catalog, schema)
            continue
        for table in source.tables(schema):
            if _is(wanted.table, table.name) and _has_type(table, wanted.types):
                yield from _PARTS[subject](catalog, table, source, wanted)


def _table_row(catalog: str, table: Table, source: Source, wanted: Filter) -> Iterator[Row]:
    yield (catalog, table.schema, table.name, table.kind.upper(), table.remarks or None)


def _column_rows(catalog: str, table: Table, source: Source, wanted: Filter) -> Iterator[Row]:
    for position, column in enumerate(_columns(source, table), start=1):
        if not _is(wanted.column, column.name):
            continue
        code = code_of(column.type)
        length, precision, scale = sizes(code, column.type, column.length)
        yield (
            *(catalog, table.schema, table.name, column.name),
            *(int(code), code.name, length, precision, scale),
            *(column.remarks or None, position),
            *(column.nullable, False, True, column.key_position is not None),
        )


def _key_rows(catalog: str, table: Table, source: Source, wanted: Filter) -> Iterator[Row]:
    parts = [one for one in _columns(source, table) if one.key_position is not None]
    for part in sorted(parts, key=lambda one: one.key_position or 0):
        position = (part.key_position or 0) + 1
        yield (catalog, table.schema, table.name, part.name, None, position)


_PARTS: dict[str, Callable[[str, Table, Source, Filter], Iterator[Row]]] = {
    "tables": _table_row,
    "columns": _column_rows,
    "primaryKeys": _key_rows,
}


def _columns(source: Source, table: Table) -> list[Column]:
    try:
        return [one for one in source.columns(table.schema, table.name) if not one.pseudo]
    except SourceNotFound:
        return []  # it has gone since it was listed


def _has_type(table: Table, types: Sequence[str]) -> bool:
    return not types or any(one.casefold() == table.kind for one in types)


def _is(wanted: str, name: str) -> bool:
    return not wanted or wanted.casefold() == name.casefold()
