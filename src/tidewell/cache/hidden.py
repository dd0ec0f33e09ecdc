"""Tables that several processes load, until they move into their places (see `ranges`), and those
whose places others have taken (see `anew`).

Their names say whose they are, so that whoever next has to do with a job drops what is left.
"""

from contextlib import suppress
from uuid import UUID

import psycopg
from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.plan import Fence, Place
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "ranges.sql")
_SCHEMA = "tidewell"


def hidden_prefix(job_id: UUID) -> str:
    """What the names of the hidden tables of a job begin with; the attempt follows."""
    return f"load_{job_id.hex}_"


def hidden_place(fence: Fence) -> Place:
    """Where the table of an attempt stands until it is whole."""
    return Place(_SCHEMA, f"{hidden_prefix(fence.job_id)}{fence.attempt}")


def may_hide(connection: Connection) -> bool:
    """Whether the user may make such a table."""
    row = connection.execute(_SQL["may_hide"]).fetchone()
    return bool(row and row[0])


def drop_left(connection: Connection, job_id: UUID, attempt: int, *, cascade: bool = False) -> None:
    """Drop what the attempts of a job up to a given one have left; the caller commits.

    `cascade`: with what stands on them.

    Raises psycopg.errors.LockNotAvailable where somebody has such a table open.
    """
    prefix = hidden_prefix(job_id)
    for (name,) in connection.execute(_SQL["left"], {"prefix": prefix}).fetchall():
        number = name.removeprefix(prefix)
        if number.isdecimal() and int(number) <= attempt:
            connection.execute(_SQL["wait_shortly"])
            drop_hidden(connection, Place(_SCHEMA, name), cascade=cascade)


def drop_hidden(connection: Connection, place: Place, *, cascade: bool = False) -> None:
    """Drop one of them."""
    statement = _SQL["drop_with_all" if cascade else "drop_hidden"]
    connection.execute(sql.SQL(statement).format(table=sql.Identifier(place.schema, place.table)))


def drop_left_now(connection: Connection, job_id: UUID, attempt: int) -> None:
    """The same, as far as nobody has to be waited for, and nothing forbids it: the next attempt
    finds the rest."""
    refused = (psycopg.errors.LockNotAvailable, psycopg.ProgrammingError, psycopg.InternalError)
    with suppress(*refused), connection.transaction():
        drop_left(connection, job_id, attempt)
