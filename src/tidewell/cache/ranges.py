"""A first load in several processes: a table that nobody looks at, until it moves into its place.

It stands in the schema `tidewell`, committed, so that sessions of several processes can write to
it. The load's last transaction proves what stands there and moves it, under the fence. What a load
leaves behind that does not come so far is dropped by whoever next has to do with the job.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from tidewell.cache import shape
from tidewell.cache.address import Connection
from tidewell.cache.alter import TableStatements, Trace
from tidewell.cache.digest import Sums
from tidewell.cache.grants import give_grants, grants
from tidewell.cache.hidden import hidden_place
from tidewell.cache.plan import Fence, Place
from tidewell.cache.rowhash import Seen
from tidewell.cache.shape import LoadedColumn
from tidewell.cache.wire import Counts
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "ranges.sql")


@dataclass(frozen=True)
class Loaded:
    """What was read of a range and has been committed to the hidden table."""

    counts: Counts
    bytes: int
    sums: Sums
    seen: Seen


def make_hidden(
    connection: Connection, fence: Fence, columns: Sequence[LoadedColumn], trace: Trace
) -> Place:
    """Make the table of an attempt; the caller holds the fence, and commits."""
    place = hidden_place(fence)
    made = TableStatements(connection, place, trace)
    made.execute("make_table", definitions=shape.definitions(columns, staged=True))
    return place


def into_place(
    connection: Connection,
    hidden: Place,
    statements_of_place: TableStatements,
    place: Place,
    columns: Sequence[LoadedColumn],
) -> None:
    """Move a hidden table to where a load makes its table, as if it had been made there.

    An empty table is made there first: it shows the grants that the schema's default privileges
    give to one.
    """
    statements_of_place.execute("make_table", definitions=shape.definitions(columns))
    wanted = grants(connection, place)
    table = sql.Identifier(place.schema, place.table)

    def execute(statement: str, **parts: sql.Composable) -> None:
        statements_of_place.run(sql.SQL(_SQL[statement]).format(**({"table": table} | parts)))

    execute("drop_measure")
    execute(
        "change_schema",
        table=sql.Identifier(hidden.schema, hidden.table),
        schema=sql.Identifier(place.schema),
    )
    execute(
        "rename",
        table=sql.Identifier(place.schema, hidden.table),
        name=sql.Identifier(place.table),
    )
    retyped = [one for one in columns if one.staged != one.declared]
    if retyped:
        execute("retype", changes=sql.SQL(", ").join(_retyped(column) for column in retyped))
    give_grants(connection, statements_of_place, place, wanted)


def _retyped(column: LoadedColumn) -> sql.Composed:
    return sql.SQL(_SQL["retype_column"]).format(
        column=sql.Identifier(column.name), type=shape.declared(column.declared)
    )
