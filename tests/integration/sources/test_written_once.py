"""What a run writes at its source takes effect once, however often the run is executed."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from tests.conftest import new_cache_database
from tests.mariadb_server import MariaDBServer
from tests.tpch import LOOPBACK
from tidewell.connections import strings
from tidewell.egress import EgressRules
from tidewell.errors import FencedOut, WriteUncertain
from tidewell.sources import registry
from tidewell.sources.protocol import Environment, Once, WritableSource
from tidewell.state.embedded import EmbeddedServer

MAKE = "CREATE TABLE stock (id int PRIMARY KEY, pieces int)"
FILL = "INSERT INTO stock VALUES (1, 5), (2, 7)"
MORE = "UPDATE stock SET pieces = pieces + 1"


@dataclass(frozen=True)
class Shop:
    """A database to write to: its driver's source, and what its owner sees."""

    source: WritableSource
    schema: str
    ask: Callable[[str], list[tuple[Any, ...]]]
    log: list[str]

    def once(self, **changes: Any) -> Once:
        first = Once(uuid4(), uuid4(), 7, False, self.schema, "stock")
        return replace(first, **changes)

    def pieces(self) -> list[int]:
        return [int(row[0]) for row in self.ask("SELECT pieces FROM stock ORDER BY id")]


@contextmanager
def opened(driver: str, text: str, folder: Path) -> Iterator[tuple[WritableSource, list[str]]]:
    log: list[str] = []
    found = registry.driver(driver)
    environment = Environment(
        (folder,), EgressRules.parse(LOOPBACK), lambda _, message: log.append(message)
    )
    with found.open(strings.parse(text, found.keys), environment) as source:
        assert isinstance(source, WritableSource)
        yield source, log


@contextmanager
def postgresql(server: EmbeddedServer, folder: Path) -> Iterator[Shop]:
    with new_cache_database(server) as database:

        def ask(statement: str) -> list[tuple[Any, ...]]:
            with psycopg.connect(database.url) as connection:
                found = connection.execute(statement.encode())
                return found.fetchall() if found.description else []

        with opened("PostgreSQL", database.connection_string, folder) as (source, log):
            yield Shop(source, "public", ask, log)


@contextmanager
def mysql(mariadb: MariaDBServer, folder: Path) -> Iterator[Shop]:
    with mariadb.database() as name:

        def ask(statement: str) -> list[tuple[Any, ...]]:
            with mariadb.connect(name) as connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

        with opened("MySQL", mariadb.connection_string(name), folder) as (source, log):
            yield Shop(source, name, ask, log)


@contextmanager
def sqlite(folder: Path) -> Iterator[Shop]:
    file = folder / "shop.db"

    def ask(statement: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(file) as connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    ask("SELECT 1")
    file.touch()
    with opened("SQLite", f"Data Source={file}", folder) as (source, log):
        yield Shop(source, "main", ask, log)


@pytest.fixture(params=["PostgreSQL", "MySQL", "SQLite"])
def shop(request: pytest.FixtureRequest, server: EmbeddedServer, tmp_path: Path) -> Iterator[Shop]:
    """A table of two rows in each of the engines."""
    if request.param == "SQLite":
        made = sqlite(tmp_path)
    elif request.param == "MySQL":
        made = mysql(request.getfixturevalue("mariadb"), tmp_path)
    else:
        made = postgresql(server, tmp_path)
    with made as one:
        one.ask(MAKE)
        one.ask(FILL)
        yield one


def rows(*ids: int) -> pa.RecordBatchReader:
    batch = pa.RecordBatch.from_pydict({"id": list(ids), "pieces": [1] * len(ids)})
    return pa.RecordBatchReader.from_batches(batch.schema, [batch])


def test_a_statement_is_run_once_by_all_attempts_of_a_run(shop: Shop) -> None:
    first = shop.once()
    assert shop.source.execute(MORE, first) == 2
    again = replace(first, attempt=8, again=True)
    assert shop.source.execute(MORE, again) == 2
    assert shop.pieces() == [6, 8]
    assert any("has committed; nothing to do" in line for line in shop.log)


def test_rows_are_added_once_by_all_attempts_of_a_run(shop: Shop) -> None:
    first = shop.once()
    columns = ["id", "pieces"]
    assert shop.source.insert(shop.schema, "stock", columns, rows(3, 4, 5), first) == 3
    again = replace(first, attempt=8, again=True)
    assert shop.source.insert(shop.schema, "stock", columns, rows(6), again) == 3
    assert shop.pieces() == [5, 7, 1, 1, 1]


def test_the_next_run_and_other_jobs_write_again(shop: Shop) -> None:
    first = shop.once()
    for one in (first, replace(first, run_id=uuid4(), attempt=9), shop.once(attempt=3)):
        assert shop.source.execute(MORE, one) == 2
    assert shop.pieces() == [8, 10]


def test_an_attempt_that_was_overtaken_writes_nothing(shop: Shop) -> None:
    newest = shop.once(attempt=9)
    assert shop.source.execute(MORE, newest) == 2
    late = replace(newest, run_id=uuid4(), attempt=8)
    with pytest.raises(FencedOut):
        shop.source.execute(MORE, late)
    with pytest.raises(FencedOut):
        shop.source.insert(shop.schema, "stock", ["id", "pieces"], rows(3), late)
    assert shop.pieces() == [6, 8]


def test_an_attempt_that_fails_leaves_no_mark(shop: Shop) -> None:
    first = shop.once()
    with pytest.raises(Exception, match=r"(?i)duplicate|unique"):
        shop.source.insert(shop.schema, "stock", ["id", "pieces"], rows(3, 1), first)
    again = replace(first, attempt=8, again=True)
    assert shop.source.insert(shop.schema, "stock", ["id", "pieces"], rows(3), again) == 1
    assert shop.pieces() == [5, 7, 1]


def test_a_schema_may_have_a_sign_of_parameters(server: EmbeddedServer, tmp_path: Path) -> None:
    with postgresql(server, tmp_path) as shop:
        shop.ask('CREATE SCHEMA "100%s"')
        shop.ask(MAKE)
        shop.ask(FILL)
        first = shop.once(schema="100%s")
        assert shop.source.execute(MORE, first) == 2
        assert shop.source.execute(MORE, replace(first, attempt=8, again=True)) == 2
        assert shop.pieces() == [6, 8]


def test_without_the_table_a_run_is_executed_once_at_most(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    with new_cache_database(server) as database, new_cache_database(server) as clerk:
        with psycopg.connect(server.url(database.database)) as connection:
            connection.execute(MAKE)
            connection.execute(FILL)
            connection.execute(
                sql.SQL("GRANT SELECT, UPDATE ON stock TO {}").format(sql.Identifier(clerk.user))
            )
        text = clerk.connection_string.replace(
            f"Database={clerk.database}", f"Database={database.database}"
        )
        with opened("PostgreSQL", text, tmp_path) as (source, log):
            first = Once(uuid4(), uuid4(), 1, False, "public", "stock")
            assert source.execute(MORE, first) == 2
            assert any("executed once at most" in line for line in log)
            with pytest.raises(WriteUncertain, match="run the job again"):
                source.execute(MORE, replace(first, attempt=2, again=True))
        with psycopg.connect(server.url(database.database)) as connection:
            row = connection.execute("SELECT pieces FROM stock WHERE id = 1").fetchone()
            connection.execute("DROP TABLE stock")
    assert row == (6,)


def test_a_table_without_transactions_is_written_once_at_most(
    mariadb: MariaDBServer, tmp_path: Path
) -> None:
    with mysql(mariadb, tmp_path) as shop:
        shop.ask(f"{MAKE} ENGINE = MyISAM")
        shop.ask(FILL)
        first = shop.once()
        assert shop.source.execute(MORE, first) == 2
        assert any("its engine is MyISAM" in line for line in shop.log)
        with pytest.raises(WriteUncertain):
            shop.source.execute(MORE, replace(first, attempt=8, again=True))
        assert shop.pieces() == [6, 8]
