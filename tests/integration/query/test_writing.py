"""UPDATE and DELETE write exactly the rows that they mean, whatever their tables are called.

`writes.sql` has each beside its meaning in plain PostgreSQL; both run on the same rows.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests import tpch
from tests.conftest import CacheDatabase, new_cache_database
from tests.integration.query.cases import Case, cases
from tests.integration.query.test_tpch import address_of
from tests.tpch import Account
from tidewell.errors import QueryFailed
from tidewell.query.engine import Engine
from tidewell.query.reading import parsed_statement
from tidewell.query.writing import Change, bind_write
from tidewell.state.embedded import EmbeddedServer

LONG = "o" * 63
TABLES = f"""
CREATE SCHEMA archive;
CREATE TABLE people (id int PRIMARY KEY, name text, city text, boss int);
INSERT INTO people VALUES (1, 'Ada', 'London', NULL), (2, 'Grace', 'Paris', 1),
                          (3, 'Alan', 'London', 1), (4, 'Hedy', NULL, 2);
CREATE TABLE archive.people (id int PRIMARY KEY, name text);
INSERT INTO archive.people VALUES (1, 'Ada'), (7, 'Barbara');
CREATE TABLE orders (id int PRIMARY KEY, person int, total int);
INSERT INTO orders VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30);
CREATE TABLE archive.orders (id int PRIMARY KEY, total int);
INSERT INTO archive.orders VALUES (2, 200), (3, 300), (4, 30);
CREATE TABLE "Orders" (id int PRIMARY KEY);
INSERT INTO "Orders" VALUES (1), (2), (3);
CREATE TABLE {LONG} (id int);
INSERT INTO {LONG} VALUES (1), (2);
CREATE TABLE archive.{LONG} (id int);
INSERT INTO archive.{LONG} VALUES (2), (3);
"""  # noqa: S608 - a name of the test
NAMES = ("public.people", "public.orders", 'public."Orders"', f"public.{LONG}", "archive.people")


@pytest.fixture(scope="module")
def source(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    with new_cache_database(server) as source:
        with psycopg.connect(source.url) as connection:
            connection.execute(TABLES.encode())
        yield source


@pytest.fixture(scope="module")
def engine(
    server: EmbeddedServer, source: CacheDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine over the source. The cache has a copy of the people without the column `boss`."""
    with new_cache_database(server) as cache, psycopg.connect(source.url, autocommit=True) as own:
        crm = tpch.postgresql_source(source.values, "Crm")
        account = Account(address_of(cache), (crm,))
        own.execute("ALTER TABLE people RENAME boss TO former")
        account.keep(crm, "people")
        own.execute("ALTER TABLE people RENAME former TO boss")
        folder = tmp_path_factory.mktemp("writing")
        with account.engine(folder, [("Crm", "people")]) as engine:
            yield engine


def state_after(source: CacheDatabase, statement: str) -> list[list[tuple[Any, ...]]]:
    """The rows of all tables after a statement, which is undone."""
    with psycopg.connect(source.url) as connection:
        if statement:
            connection.execute(statement.encode())
        found = [
            connection.execute(f"SELECT * FROM {name} ORDER BY id".encode()).fetchall()  # noqa: S608
            for name in NAMES
        ]
        connection.rollback()
        return found


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in cases("writes.sql")])
def test_it_writes_what_it_means(source: CacheDatabase, engine: Engine, case: Case) -> None:
    written = bind_write(parsed_statement(case.statement), engine.catalog)
    assert isinstance(written, Change)
    found = state_after(source, written.text("postgres"))
    assert found == state_after(source, case.meaning), written.text("postgres")
    assert found != state_after(source, "")


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        # What is not looked at would be left out, and the statement would do more.
        ("DELETE FROM Crm.public.orders JOIN Crm.public.people ON orders.id = 0", "one table"),
        ("DELETE FROM Crm.public.orders, Crm.archive.orders", "one table"),
        ("UPDATE Crm.public.orders o JOIN Crm.public.people ON false SET total = 1", "one table"),
        ("DELETE FROM Crm.public.orders AS o (person, id) WHERE id = 1", "cannot be named anew"),
        ("INSERT OR REPLACE INTO Crm.public.orders SELECT 1, 1, 1", "ALTERNATIVE is not available"),
        ("UPDATE Crm.public.orders SET people.total = 1", "there is no table 'people'"),
        ("DELETE FROM Crm.public.orders WHERE Crm.archive.orders.id = 1", "there is no table"),
        (
            'DELETE FROM Crm.public.orders o WHERE EXISTS (SELECT 1 FROM Crm.archive.orders "O" '
            'WHERE "O".id = o.id)',
            "'o' may mean two",
        ),
        ("WITH people AS (SELECT 1 AS id) DELETE FROM people WHERE id = 1", "WITH stands in the"),
        (
            "WITH a AS (SELECT 1 AS x) INSERT INTO Crm.archive.people "
            "WITH b AS (SELECT 'x' AS y) SELECT x, y FROM a, b",
            "one WITH is enough",
        ),
    ],
)
def test_what_would_write_more_is_refused(engine: Engine, statement: str, why: str) -> None:
    with pytest.raises(QueryFailed, match=why):
        bind_write(parsed_statement(statement), engine.catalog)
