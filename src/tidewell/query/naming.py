"""Which table of which connection a name in a statement means.

Catalog = connection, Schema, Table. Each part is compared as it is written first, and without
case where nothing has exactly that name. What is left out is taken from the call's defaults, or
from the only connection or schema that there is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlglot import exp

from tidewell.cache.plan import Place
from tidewell.errors import SourceNotFound
from tidewell.query.places import refused
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column, Source


@dataclass(frozen=True)
class Copy:
    """A table that a caching job keeps: where it stands, and the time its rows are of."""

    connection_id: UUID
    schema: str
    table: str
    place: Place
    refreshed_at: datetime = field(compare=False)


@dataclass(frozen=True)
class Named:
    """A table that a statement names, by its true names. `copy`: read it from the cache."""

    connection_id: UUID
    catalog: str
    schema: str
    table: str
    columns: tuple[Column, ...]
    copy: Copy | None = None
    stored: Mapping[str, str] = field(default_factory=dict)
    """The columns that the cache cannot hold under their own names: what it calls them."""

    def stored_name(self, column: Column) -> str:
        """What a column is called where it is read."""
        return self.stored.get(column.name, column.name)

    @property
    def full_name(self) -> str:
        """Its name in messages and plans."""
        return f"{self.catalog}.{self.schema}.{self.table}"


@dataclass(frozen=True)
class Connected:
    """A connection of the account, by its name, that opens when it is first asked for."""

    id: UUID
    name: str
    driver: str
    dialect: Callable[[], str]
    """Tells the SQL that the source takes itself, by sqlglot's name; empty: it only reads."""
    open: Callable[[], Source]


class Catalog:
    """The connections of one account and the copies that are kept of their tables."""

    def __init__(
        self,
        connections: Sequence[Connected],
        copies: Sequence[Copy],
        columns_of_copy: Callable[[Copy], tuple[tuple[Column, ...], Mapping[str, str]]],
        default_catalog: str = "",
        default_schema: str = "",
    ) -> None:
        self._connections = {one.name: one for one in connections}
        self._copies = copies
        self._columns_of_copy = columns_of_copy
        self._default_catalog = default_catalog
        self._default_schema = default_schema
        self._known: dict[tuple[str, str, str], Named] = {}

    def connection(self, connection_id: UUID) -> Connected:
        """The connection of a table that was found."""
        return next(one for one in self._connections.values() if one.id == connection_id)

    def find(self, table: exp.Table, *, live: bool = False) -> Named:
        """The table that a name means; `live`: at its source, also where a copy is kept.

        Raises QueryFailed with the place and near names.
        """
        catalog, schema, name = _parts(table)
        if catalog and not schema:
            raise refused(table, "the schema's name is missing")
        connection, schema = self._connection(table, catalog, schema)
        if live:
            return self._live(table, connection, schema, name)
        key = (connection.name, schema, name)
        if key not in self._known:
            self._known[key] = self._copy(connection, schema, name) or self._kept(
                connection, self._live(table, connection, schema, name)
            )
        return self._known[key]

    def _connection(self, table: exp.Table, catalog: str, schema: str) -> tuple[Connected, str]:
        if not catalog and schema:
            # Schema.Table of the default catalog, else Catalog.Table where it has one schema.
            named = _match(schema, self._connections)
            if not self._default_catalog and named and len(self._connections) > 1:
                return self._connections[named], ""
        wanted = catalog or self._default_catalog
        if not wanted and len(self._connections) == 1:
            (only,) = self._connections.values()
            if schema and schema.casefold() == only.name.casefold():
                return only, self._default_schema
            return only, schema or self._default_schema
        found = _match(wanted, self._connections)
        if found is None:
            if not wanted:
                raise refused(
                    table,
                    "the table's name needs its catalog, the connection's name "
                    "(Catalog.Schema.Table), or the call a defaultCatalog",
                )
            raise refused(
                table,
                f"there is no connection {wanted[:60]!r} in this account"
                f"{near_names(wanted, self._connections)}",
            )
        return self._connections[found], schema or self._default_schema

    def _copy(self, connection: Connected, schema: str, name: str) -> Named | None:
        copies = [one for one in self._copies if one.connection_id == connection.id]
        schemas = {one.schema for one in copies}
        true_schema = _match(schema, schemas) if schema else None
        if not schema and len(schemas) == 1:
            (true_schema,) = schemas
        among = {one.table: one for one in copies if one.schema == true_schema}
        found = _match(name, among)
        if found is None:
            return None
        copy = among[found]
        columns, stored = self._columns_of_copy(copy)
        return Named(connection.id, connection.name, copy.schema, copy.table, columns, copy, stored)

    def _kept(self, connection: Connected, found: Named) -> Named:
        """The copy of a table, where the source itself had to tell its true name."""
        return self._copy(connection, found.schema, found.table) or found

    def _live(self, table: exp.Table, connection: Connected, schema: str, name: str) -> Named:
        source = connection.open()
        true_schema, true_name = schema, name
        try:
            if not schema:
                raise SourceNotFound
            columns = source.columns(schema, name)
        except SourceNotFound:
            true_schema = self._schema(table, connection, source, schema)
            true_name = self._table(table, connection, source, true_schema, name)
            columns = source.columns(true_schema, true_name)
        # What stands for something about the row is no part of `*`, and not asked for by queries.
        columns = [column for column in columns if not column.pseudo]
        return Named(connection.id, connection.name, true_schema, true_name, tuple(columns))

    def _schema(self, table: exp.Table, connection: Connected, source: Source, schema: str) -> str:
        schemas = source.schemas()
        if not schema:
            if len(schemas) == 1:
                return schemas[0]
            raise refused(
                table,
                f"{connection.name} has several schemas: name one (Catalog.Schema.Table), or give "
                f"defaultSchema; it has: {', '.join(schemas[:10])}",
            )
        found = _match(schema, schemas)
        if found is None:
            raise refused(
                table,
                f"{connection.name} has no schema {schema[:60]!r}; it has: "
                f"{', '.join(schemas[:10])}",
            )
        return found

    def _table(
        self, table: exp.Table, connection: Connected, source: Source, schema: str, name: str
    ) -> str:
        names = [one.name for one in source.tables(schema)]
        found = _match(name, names)
        if found is None:
            raise refused(
                table,
                f"{connection.name}.{schema} has no table {name[:60]!r}{near_names(name, names)}",
            )
        return found


def _parts(table: exp.Table) -> tuple[str, str, str]:
    if not isinstance(table.this, exp.Identifier):
        raise refused(table, "this is no table's name")
    return table.catalog, table.db, table.name


def _match(name: str, names: Iterable[str]) -> str | None:
    """The name itself if it is there, else the only one that differs by case alone."""
    listed = list(names)
    if name in listed:
        return name
    folded = [one for one in listed if one.casefold() == name.casefold()]
    return folded[0] if len(folded) == 1 else None
