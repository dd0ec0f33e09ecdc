"""The pool of the state database: what ended between two transactions is not handed out."""

import asyncio
import contextlib

import psycopg
import pytest

from tests.faulty_relay import Fault, relay
from tidewell.errors import Unavailable
from tidewell.state.database import Database

END = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_a_session_that_the_server_has_ended_costs_no_request(database_url: str) -> None:
    async with Database(database_url) as database:
        for _ in range(3):
            async with database.transaction() as connection:
                await connection.execute("SELECT 1")
            with psycopg.connect(database_url, autocommit=True) as other:
                assert (True,) in other.execute(END).fetchall()


async def test_who_asks_once_the_server_is_back_is_served_however_long_it_was_away(
    database_url: str,
) -> None:
    host, port = "127.0.0.1", psycopg.conninfo.conninfo_to_dict(database_url)["port"]
    with relay(host, int(port or 0)) as link:
        url = psycopg.conninfo.make_conninfo(database_url, host=host, port=link.port)
        async with Database(url, timeout=2.0) as database:
            await _ask(database)
            link.fault = Fault(reset_after=0)
            began = asyncio.get_running_loop().time()
            # Were the pauses of the pool to grow, the next attempt would be 3 seconds away now.
            while asyncio.get_running_loop().time() < began + 4.0:
                with pytest.raises(Unavailable):
                    await _ask(database)
            link.fault = Fault()
            await _ask(database)
            # Nor has it got fewer connections for good.
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(10):
                    await stack.enter_async_context(database.transaction())


async def _ask(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("SELECT 1")


async def test_a_statement_by_itself_is_committed_and_the_next_transaction_is_one(
    database_url: str,
) -> None:
    async with Database(database_url, max_size=1) as database:
        async with database.statement() as connection:
            await connection.execute("CREATE TABLE note (text text)")
            await connection.execute("INSERT INTO note VALUES ('kept')")
        with contextlib.suppress(ZeroDivisionError):
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO note VALUES ('undone')")
                raise ZeroDivisionError
    with psycopg.connect(database_url) as other:
        assert other.execute("SELECT text FROM note").fetchall() == [("kept",)]


async def test_a_standby_is_a_database_that_is_away(database_url: str) -> None:
    async with Database(database_url) as database:
        with pytest.raises(Unavailable):
            await _write_on_standby(database)


async def _write_on_standby(database: Database) -> None:
    async with database.transaction() as connection:
        # What every transaction of a standby is.
        await connection.execute("SET TRANSACTION READ ONLY")
        await connection.execute("CREATE TABLE written (id int)")
