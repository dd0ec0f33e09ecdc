"""Proof that a cached table is exactly as a load has left it, without its values being looked at.

A row of PostgreSQL is never changed: another takes its place, which carries the number of the
transaction that wrote it. So where no row is of a transaction that came after the load, and as many
stand as it left, they are the very ones that it left
(docs/decisions/0017-an-unchanged-source-is-not-read.md).
"""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.plan import Place
from tidewell.state.statements import beside_values, statements

_SQL = statements("tidewell.cache", "untouched.sql")
_MOST_TRANSACTIONS = 2**31
"""Rows keep 32 bits of a transaction's number: further apart, two could be taken for one."""


@dataclass(frozen=True)
class Left:
    """How a load has left its table.

    `rows` stand in it. Each is of the load's own transaction `own`, or of one that was over when
    none before `since` was at work any more.
    """

    shape: str
    rows: int
    since: int
    own: int | None


def since(connection: Connection) -> int:
    """The oldest transaction that may be at work, as of this moment or this snapshot."""
    row = connection.execute(_SQL["since"]).fetchone()
    return int(row[0]) if row else 0


def left(connection: Connection, place: Place, rows: int, began: int) -> Left | None:
    """How the load of this transaction leaves its table; None where that could not be proved later.

    `rows` stand in it now, and the load knows those that it has not written itself from a look that
    was not before `began` (see `since`).
    """
    shape = _shape(connection, place)
    if shape is None:
        return None
    own = connection.execute(_SQL["own"]).fetchone()
    return Left(shape, rows, began, own[0] if own else None)


def is_untouched(connection: Connection, place: Place, kept: Left) -> bool:
    """Whether a table is exactly as it was left. Ends the transaction."""
    statement = sql.SQL(_SQL["rows"]).format(table=beside_values(place.schema, place.table))
    # First the rows: from then on nobody can give the table another shape until we are through.
    row = connection.execute(statement, {"since": kept.since, "own": kept.own}).fetchone()
    rows, others, reach = row or (0, 0, -1)
    same = (
        0 <= reach < _MOST_TRANSACTIONS
        and (rows, others) == (kept.rows, 0)
        and _shape(connection, place) == kept.shape
    )
    connection.commit()
    return same


def _shape(connection: Connection, place: Place) -> str | None:
    try:
        # Not everybody may ask for the server's own number: the load goes on without.
        with connection.transaction():
            row = connection.execute(_SQL["shape"], place.names).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return str(row[0]) if row else None
