"""A look at a cached table: its first rows, as text."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from tidewell.cache.address import CacheAddress, connect, explained
from tidewell.cache.plan import Place
from tidewell.state.statements import beside_values, statements

_SQL = statements("tidewell.cache", "preview.sql")
_SECONDS = 5
_LONGEST = 200


@dataclass(frozen=True)
class Preview:
    """Column names and the first rows; None is NULL. `estimate` is PostgreSQL's own row count."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    estimate: int | None = None


def preview(address: CacheAddress, place: Place, limit: int) -> Preview:
    """The first rows of a cached table, none of them where there is no table yet.

    Raises a CacheError.
    """
    table = sql.Identifier(place.schema, place.table)
    try:
        with connect(address, "tidewell preview") as connection:
            connection.read_only = True
            connection.execute(_SQL["bound"], {"milliseconds": str(_SECONDS * 1000)})
            quoted = {"table": table.as_string(connection)}
            found = connection.execute(_SQL["column_names"], quoted).fetchall()
            columns = tuple(str(name) for (name,) in found)
            if not columns:
                return Preview()
            shown = sql.SQL(", ").join(
                sql.SQL("left({}::text, {})").format(beside_values(name), sql.Literal(_LONGEST))
                for name in columns
            )
            query = sql.SQL(_SQL["first_rows"]).format(
                columns=shown, table=beside_values(place.schema, place.table)
            )
            rows = tuple(connection.execute(query, {"limit": limit}).fetchall())
            counted = connection.execute(_SQL["estimated_rows"], quoted).fetchone()
            estimate = int(counted[0]) if counted and counted[0] >= 0 else None
            return Preview(columns, rows, estimate)
    except psycopg.Error as error:
        raise explained(error, address) from error
