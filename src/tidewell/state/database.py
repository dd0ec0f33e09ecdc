"""The state database: one pool of asynchronous connections, and transactions on it."""

import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tidewell.errors import Unavailable
from tidewell.state.statements import statements

Connection = psycopg.AsyncConnection[DictRow]
"""A connection to the state database; rows come as dicts by column name."""


_TRUSTED_SECONDS = 2.0
_RECONNECT_SECONDS = 1.0
_SQL = statements("tidewell.state", "session.sql")


class _Pooled(psycopg.AsyncConnection[DictRow]):
    """A connection that knows when it was last given back."""

    returned_at = 0.0


class Database:
    """A pool of connections to the state database.

    Connections are checked when they are handed out, so that a restart of PostgreSQL costs a
    request that comes during it and none after it. One that was in use a moment ago is not asked:
    what a server says when it ends a session has then arrived already.
    """

    def __init__(
        self, url: str, *, pooler_url: str = "", max_size: int = 10, timeout: float = 5.0
    ) -> None:
        self.url = url
        """The database itself, for what needs a session of its own."""
        given: dict[str, Any] = {
            "row_factory": dict_row,
            "application_name": "tidewell",
            "connect_timeout": 5,
            # Where the network falls silent nobody says that the server is out of reach: what has
            # not been acknowledged after so many milliseconds, or a question whether it is still
            # there after seconds without a word, ends the connection (tcp(7)).
            "tcp_user_timeout": 10_000,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
        }
        self.session_options = given | {"options": "-c timezone=UTC"}
        """How such a session is opened."""
        # A pooler in transaction mode gives each transaction another session: what one has prepared
        # the next does not know, and it takes no options at the start of a connection.
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            pooler_url or url,
            connection_class=_Pooled,
            kwargs=given | {"prepare_threshold": None} if pooler_url else self.session_options,
            configure=_use_utc if pooler_url else None,
            min_size=1,
            max_size=max_size,
            timeout=timeout,
            check=_check,
            reset=_note_return,
            # The pool would wait twice as long after each failed attempt, so that a server that was
            # away for two minutes would be without us for two more.
            reconnect_timeout=_RECONNECT_SECONDS,
            reconnect_failed=_try_again,
            open=False,
            name="state",
        )

    async def __aenter__(self) -> Self:
        await self.pool.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction: committed at the end, rolled back on an error.

        Raises:
            Unavailable: the database cannot be reached, or went away in between.
        """
        try:
            async with self.pool.connection() as connection:
                yield connection
        except psycopg.errors.DeadlockDetected as error:
            said = "Another call changed the same; try again in a few seconds."
            raise Unavailable(said) from error
        except (
            PoolTimeout,
            psycopg.OperationalError,
            psycopg.InterfaceError,
            psycopg.errors.ReadOnlySqlTransaction,  # a standby, until it takes over
        ) as error:
            raise Unavailable from error

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """A connection on which each statement is a transaction of its own, in one round trip.

        Raises:
            Unavailable: the database cannot be reached, or went away in between.
        """
        async with self.transaction() as connection:
            await connection.set_autocommit(True)  # a client's matter: nothing is sent
            yield connection


async def _use_utc(connection: Connection) -> None:
    """PgBouncer knows the time zone of each of its clients, and hands it on to the sessions."""
    await connection.execute(_SQL["use_utc"])
    await connection.commit()


async def _try_again(pool: AsyncConnectionPool[Connection]) -> None:
    """Who waits for a connection gets the first that can be had, however long it was none."""
    await pool.check()


async def _note_return(connection: Connection) -> None:
    if connection.autocommit:
        await connection.set_autocommit(False)
    if isinstance(connection, _Pooled):
        connection.returned_at = time.monotonic()


async def _check(connection: Connection) -> None:
    """Raise an error when a connection is broken; the pool then makes another one."""
    idle = time.monotonic() - getattr(connection, "returned_at", 0.0)
    if idle > _TRUSTED_SECONDS or _has_news(connection):
        await AsyncConnectionPool.check_connection(connection)


def _has_news(connection: Connection) -> bool:
    """Whether the server has sent something that nobody has read: its farewell, for one."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
