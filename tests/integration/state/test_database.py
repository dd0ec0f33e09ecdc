"""The pool of the state database: what ended between two transactions is not handed out."""

import contextlib

import psycopg

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
