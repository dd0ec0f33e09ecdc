"""The shape of a cached table: its columns beside those that a load brings, and its keys."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.names import column_names
from tidewell.cache.plan import CacheColumn, Place, TypeChange
from tidewell.cache.types import Wire, held, wider
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")


@dataclass(frozen=True)
class LoadedColumn:
    """A column that a load brings: its cached name, its declared type, and how it is staged.

    `valueless` columns have no type of their own (Arrow's null): they agree with any.
    """

    name: str
    declared: str
    staged: str
    remarks: str = ""
    valueless: bool = False


def loaded_columns(columns: Sequence[CacheColumn]) -> dict[str, LoadedColumn]:
    """The columns of a load by their source name."""
    names = column_names(column.name for column in columns)
    found = {}
    for column in columns:
        one = held(column)
        staged = "text" if one.wire is Wire.TEXT else one.declared
        found[column.name] = LoadedColumn(
            names[column.name],
            one.declared,
            staged,
            column.remarks,
            valueless=bool(pa.types.is_null(column.type)),
        )
    return found


@dataclass(frozen=True)
class Standing:
    """A cached table as it stands: declared types by column, and the keys that are unique."""

    columns: dict[str, str]
    unique: tuple[frozenset[str], ...]


def relation_kind(connection: Connection, place: Place) -> str | None:
    """What stands at a place, as pg_class.relkind; None: nothing."""
    row = connection.execute(_SQL["relation_kind"], place.names).fetchone()
    return row[0] if row else None


def look(connection: Connection, place: Place) -> Standing:
    """The shape of the table at a place."""
    row = connection.execute(_SQL["shape"], place.names).fetchone()
    columns, keys = row or (None, None)
    return Standing(dict(columns or ()), tuple(frozenset(key) for key in keys or ()))


def primary_key(connection: Connection, place: Place) -> tuple[str, frozenset[str]] | None:
    """The name and the columns of a table's primary key."""
    row = connection.execute(_SQL["primary_key"], place.names).fetchone()
    return (row[0], frozenset(row[1])) if row else None


@dataclass(frozen=True)
class Differences:
    """What a source has changed since a table was made.

    `widened` are (column, type now, type that holds both); `empty` are columns that may take on
    their new type because nothing stands in them; `changed` are those that no type holds.
    """

    new: tuple[LoadedColumn, ...]
    widened: tuple[tuple[str, str, str], ...]
    empty: tuple[TypeChange, ...]
    changed: tuple[TypeChange, ...]

    def __bool__(self) -> bool:
        return bool(self.new or self.widened or self.empty or self.changed)


def differences(
    connection: Connection, place: Place, standing: Standing, columns: Sequence[LoadedColumn]
) -> Differences:
    """Compare the table at a place with the columns of a load."""
    widened: list[tuple[str, str, str]] = []
    empty: list[TypeChange] = []
    changed: list[TypeChange] = []
    for column in columns:
        now = standing.columns.get(column.name)
        if now is None or column.valueless:
            continue
        wanted = wider(now, column.declared)
        if wanted is None:
            change = TypeChange(column.name, now, column.declared)
            (changed if _has_values(connection, place, column.name) else empty).append(change)
        elif wanted != now:
            widened.append((column.name, now, wanted))
    new = tuple(column for column in columns if column.name not in standing.columns)
    return Differences(new, tuple(widened), tuple(empty), tuple(changed))


def _has_values(connection: Connection, place: Place, column: str) -> bool:
    row = connection.execute(
        sql.SQL(_SQL["has_values"]).format(
            table=sql.Identifier(place.schema, place.table), column=sql.Identifier(column)
        )
    ).fetchone()
    return bool(row and row[0])


def leads_an_index(connection: Connection, place: Place, column: str) -> bool:
    """Whether an index of the table begins with a column."""
    row = connection.execute(_SQL["leading_index"], place.names | {"column": column}).fetchone()
    return bool(row and row[0])


def estimated_rows(connection: Connection, place: Place) -> float:
    """The rows of a table as its statistics tell."""
    row = connection.execute(_SQL["estimated_rows"], place.names).fetchone()
    return max(float(row[0]), 0.0) if row else 0.0


def comment(connection: Connection, place: Place) -> str | None:
    """The comment that stands on a table."""
    row = connection.execute(_SQL["table_comment"], place.names).fetchone()
    return row[0] if row else None


def declared(text: str) -> sql.SQL:
    """A type of the type table, or of the catalogue's `format_type`, as SQL; never other text."""
    return sql.SQL(text)


def identifiers(names: Sequence[str]) -> sql.Composed:
    """Names as a quoted list."""
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def definitions(columns: Sequence[LoadedColumn], *, staged: bool = False) -> sql.Composed:
    """The column definitions of a cached or a staging table."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(column.name), declared(column.staged if staged else column.declared)
        )
        for column in columns
    )
