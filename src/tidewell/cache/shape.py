"""The shape of a cached table: its columns beside those that a load brings, and its keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.names import column_names
from tidewell.cache.plan import LoadPlan, Place
from tidewell.cache.types import Wire, held, wider
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")


@dataclass(frozen=True)
class LoadedColumn:
    """A column that a load brings: its cached name, its declared type, and how it is staged."""

    name: str
    declared: str
    staged: str
    remarks: str = ""


def loaded_columns(plan: LoadPlan) -> dict[str, LoadedColumn]:
    """The columns of a plan by their source name."""
    names = column_names(column.name for column in plan.columns)
    found = {}
    for column in plan.columns:
        one = held(column)
        staged = "text" if one.wire is Wire.TEXT else one.declared
        found[column.name] = LoadedColumn(names[column.name], one.declared, staged, column.remarks)
    return found


@dataclass(frozen=True)
class Standing:
    """A cached table as it stands: declared types by column, and the keys that are unique."""

    columns: dict[str, str]
    unique: tuple[frozenset[str], ...]


def relation_kind(connection: Connection, place: Place) -> str | None:
    """What stands at a place, as pg_class.relkind; None: nothing."""
    row = connection.execute(_SQL["relation_kind"], _at(place)).fetchone()
    return row[0] if row else None


def look(connection: Connection, place: Place) -> Standing:
    """The shape of the table at a place."""
    rows = connection.execute(_SQL["columns"], _at(place)).fetchall()
    keys = connection.execute(_SQL["unique_keys"], _at(place)).fetchall()
    return Standing(
        {name: declared for name, declared, generated in rows if not generated},
        tuple(frozenset(key) for (key,) in keys),
    )


def primary_key(connection: Connection, place: Place) -> tuple[str, frozenset[str]] | None:
    """The name and the columns of a table's primary key."""
    row = connection.execute(_SQL["primary_key"], _at(place)).fetchone()
    return (row[0], frozenset(row[1])) if row else None


def differences(
    standing: Standing, columns: Sequence[LoadedColumn]
) -> tuple[list[LoadedColumn], list[tuple[str, str, str]]]:
    """What a source has changed: new columns, and (column, type now, type that holds both)."""
    new = [column for column in columns if column.name not in standing.columns]
    widened = []
    for column in columns:
        now = standing.columns.get(column.name)
        if now is not None and (wanted := wider(now, column.declared)) != now:
            widened.append((column.name, now, wanted))
    return new, widened


def declared(text: str) -> sql.SQL:
    """A type of the type table, or of the catalogue's `format_type`, as SQL; never other text."""
    return sql.SQL(text)


def identifiers(names: Sequence[str]) -> sql.Composed:
    """Names as a quoted list."""
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def definitions(columns: Sequence[LoadedColumn], *, staged: bool) -> sql.Composed:
    """The column definitions of a cached or a staging table."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(column.name), declared(column.staged if staged else column.declared)
        )
        for column in columns
    )


def _at(place: Place) -> dict[str, str]:
    return {"schema": place.schema, "table": place.table}
