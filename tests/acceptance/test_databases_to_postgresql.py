"""Tables of every kind of database are kept in a customer's PostgreSQL, over HTTP only."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import httpx
import psycopg
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase, new_cache_database
from tests.mariadb_server import MariaDBServer
from tests.product import ok, run_now, wait_for_end
from tidewell.state.embedded import EmbeddedServer

ROWS = 3000
FIRST = datetime(2024, 2, 29, 23, 0)  # noqa: DTZ001 (a column without a zone)
LATER = datetime(2024, 6, 1, 12, 30, 15, 123456)  # noqa: DTZ001
MAKE = """CREATE TABLE orders (id BIGINT PRIMARY KEY, name VARCHAR(200), amount DECIMAL(12, 2),
    changed {moment} NOT NULL)"""
NAMES = ("plain", "it's", "Zürich 東京", "", None)

Row = tuple[int, str | None, Decimal | None, datetime]


@dataclass(frozen=True)
class Shop:
    """A database with the table `orders`, as a customer connects to it."""

    driver: str
    connection_string: str
    schema: str
    run: Callable[[str], None]


def row(number: int) -> Row:
    amount = None if number % 11 == 0 else Decimal(number * 7) / 100
    return number, NAMES[number % 5], amount, FIRST + timedelta(seconds=number // 10)


def literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            return f"'{value.isoformat(sep=' ', timespec='microseconds')}'"
        case _:
            return str(value)


def fill(run: Callable[[str], None], moment: str) -> None:
    run(MAKE.format(moment=moment))
    rows = [f"({', '.join(map(literal, row(n)))})" for n in range(ROWS)]
    run(f"INSERT INTO orders VALUES {', '.join(rows)}")  # noqa: S608


@contextmanager
def postgresql(server: EmbeddedServer) -> Iterator[Shop]:
    with new_cache_database(server) as made:

        def run(statement: str) -> None:
            with psycopg.connect(made.url, autocommit=True) as connection:
                connection.execute(statement.encode())

        fill(run, "timestamp")
        yield Shop("PostgreSQL", made.connection_string, "public", run)


@contextmanager
def mysql(server: MariaDBServer, driver: str) -> Iterator[Shop]:
    with server.database() as name:

        def run(statement: str) -> None:
            with server.connect(name) as connection, connection.cursor() as cursor:
                cursor.execute(statement)

        fill(run, "datetime(6)")
        text = server.connection_string(name)
        if driver == "SQLAlchemy":
            text = (
                f"URL=mariadb+pymysql://{server.host}:{server.port}/{name};"
                f"User={server.user};Password={server.password}"
            )
        yield Shop(driver, text, name, run)


def sqlite(folder: Path) -> Shop:
    def run(statement: str) -> None:
        with closing(sqlite3.connect(folder / "shop.db")) as connection:
            connection.execute(statement)
            connection.commit()

    fill(run, "datetime")
    return Shop("SQLite", f"Data Source={folder / 'shop.db'}", "main", run)


def duckdb_file(folder: Path) -> Shop:
    def run(statement: str) -> None:
        with duckdb.connect(folder / "shop.duckdb") as connection:
            connection.execute(statement)

    fill(run, "timestamp")
    return Shop("DuckDB", f"Data Source={folder / 'shop.duckdb'}", "main", run)


@pytest.fixture(params=["PostgreSQL", "MySQL", "SQLite", "DuckDB", "SQLAlchemy"])
def shop(
    request: pytest.FixtureRequest, server: EmbeddedServer, mariadb: MariaDBServer, folder: Path
) -> Iterator[Shop]:
    match request.param:
        case "PostgreSQL":
            with postgresql(server) as made:
                yield made
        case "SQLite":
            yield sqlite(folder)
        case "DuckDB":
            yield duckdb_file(folder)
        case driver:
            with mysql(mariadb, driver) as made:
                yield made


def cached(database: CacheDatabase, schema: str) -> list[Row]:
    with psycopg.connect(database.url) as connection:
        found = connection.execute(
            f'SELECT id, name, amount, changed FROM "{schema}".orders ORDER BY id'  # noqa: S608
        ).fetchall()
    return [(r[0], r[1], r[2], r[3]) for r in found]


def job(connection_id: str, shop: Shop, **params: Any) -> dict[str, Any]:
    return caching(
        connection_id, sourceName="Shop", sourceSchema=shop.schema, sourceTable="orders", **params
    )


def test_every_row_arrives_then_what_changed_and_what_is_gone_goes(
    client: httpx.Client, cache: CacheDatabase, shop: Shop
) -> None:
    connection_id = connect(client, "Shop", shop.driver, shop.connection_string)
    assert ok(client.post(f"/api/connections/{connection_id}/test")) == {"isTested": True}
    where = {
        "sourceConnection": connection_id,
        "sourceSchema": shop.schema,
        "sourceTable": "orders",
    }
    proposed = ok(client.get("/api/job/timeCheckColumns", params=where))
    assert "changed" in str(proposed)

    body = job(connection_id, shop, timeCheckColumn="changed", deleteDetection="keys")
    made = ok(client.post("/api/job/create", json=body))["jobs"][0]
    first = wait_for_end(client, made["id"])
    assert (first["lastRun"]["status"], first["lastRun"]["rowsAffected"]) == ("JOB_SUCCESS", ROWS)
    schema = first["params"]["cacheSchema"]
    expected = {n: row(n) for n in range(ROWS)}
    assert cached(cache, schema) == list(expected.values())

    shop.run(
        f"UPDATE orders SET amount = 1234.56, changed = {literal(LATER)} "  # noqa: S608
        "WHERE id IN (3, 2500)"
    )
    shop.run("DELETE FROM orders WHERE id IN (0, 7, 2999)")
    added = (ROWS, "new one", Decimal("-0.01"), LATER)
    shop.run(f"INSERT INTO orders VALUES ({', '.join(map(literal, added))})")  # noqa: S608
    for n in (3, 2500):
        expected[n] = (n, expected[n][1], Decimal("1234.56"), LATER)
    for n in (0, 7, 2999):
        del expected[n]
    run = run_now(client, made["id"])

    assert (run["status"], run["receipt"]["mode"]) == ("JOB_SUCCESS", "incremental")
    counts = {name: run["receipt"][name] for name in ("inserted", "updated", "deleted")}
    assert counts == {"inserted": 1, "updated": 2, "deleted": 3}
    assert cached(cache, schema) == [*expected.values(), added]

    again = run_now(client, made["id"])
    assert (again["status"], again["rowsAffected"]) == ("JOB_SUCCESS", 0)


def test_a_refresh_without_a_time_column_writes_the_difference(
    client: httpx.Client, cache: CacheDatabase, shop: Shop
) -> None:
    connection_id = connect(client, "Shop", shop.driver, shop.connection_string)
    made = ok(client.post("/api/job/create", json=job(connection_id, shop)))["jobs"][0]
    first = wait_for_end(client, made["id"])
    assert (first["lastRun"]["status"], first["lastRun"]["rowsAffected"]) == ("JOB_SUCCESS", ROWS)

    shop.run("DELETE FROM orders WHERE id < 10")
    shop.run("UPDATE orders SET name = NULL WHERE id = 11")
    run = run_now(client, made["id"])
    receipt = run["receipt"]
    assert (run["status"], receipt["deleted"], receipt["updated"]) == ("JOB_SUCCESS", 10, 1)
    found = cached(cache, first["params"]["cacheSchema"])
    assert [one[0] for one in found] == list(range(10, ROWS))
    assert found[1][1] is None
