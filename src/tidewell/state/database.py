"""The state database: one pool of asynchronous connections, and transactions on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tidewell.errors import Unavailable

Connection = psycopg.AsyncConnection[DictRow]
"""A connection to the state database; rows come as dicts by column name."""


class Database:
    """A pool of connections to the state database.

    Connections are checked when they are handed out, so that a restart of PostgreSQL costs a
    request that comes during it and none after it.
    """

    def __init__(self, url: str, *, max_size: int = 10, timeout: float = 5.0) -> None:
        self.url = url
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={
                "row_factory": dict_row,
                "application_name": "tidewell",
                "options": "-c timezone=UTC",
                "connect_timeout": 5,
                "keepalives_idle": 30,
            },
            min_size=1,
            max_size=max_size,
            timeout=timeout,
            check=AsyncConnectionPool.check_connection,
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
        except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Unavailable from error
