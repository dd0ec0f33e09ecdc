"""A large table is loaded by several processes at a time, over HTTP only."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase, new_cache_database
from tests.mariadb_server import MariaDBServer
from tests.product import make_customer, make_vendor, ok, process, run_now, wait_for_end
from tests.running_product import free_port, wait_until_ready
from tidewell.state.embedded import EmbeddedServer

ROWS = 1_200_000
TABLE = """
CREATE TABLE orders AS
SELECT n::bigint AS id, n % 977 AS customer, 'Customer ' || n % 5000 AS name
  FROM generate_series(1, 1200000) AS n;
ALTER TABLE orders ADD PRIMARY KEY (id);
ANALYZE orders;
"""
TABLE_IN_MARIADB = (
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer int, name varchar(40))",
    "INSERT INTO orders SELECT seq, seq % 977, concat('Customer ', seq % 5000)"
    " FROM seq_1_to_1200000",
)
SUMS = """
SELECT count(*), sum(id), sum(id * customer), sum(hashtextextended(name::text, id)::numeric)
  FROM {}
"""
# What a run may leave: hidden tables, and sessions on either side.
LEFT = """
SELECT relname::text FROM pg_class WHERE relname LIKE 'load%' UNION ALL
SELECT application_name || ' ' || query FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'tidewell%'
   AND application_name NOT IN ('tidewell query', 'tidewell idle')
"""


@pytest.fixture(scope="module")
def shop(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    with new_cache_database(server) as database:
        with psycopg.connect(database.url) as connection:
            connection.execute(TABLE)
        yield database


@pytest.fixture(scope="module")
def base_url(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any]]:
    """A node of its own, with three processes for a large table."""
    folder = tmp_path_factory.mktemp("ranges")
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    settings = {
        "TIDEWELL_HOME": str(folder / "home"),
        "TIDEWELL_DATABASE_URL": server.url(name),
        "TIDEWELL_RUN_PROCESSES": "3",
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
    }
    port, log = free_port(), Path(folder) / "serve.log"
    with process("serve", "--port", str(port), settings=settings, log=log):
        wait_until_ready(f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}", make_vendor(folder, settings)


@pytest.fixture
def client(base_url: tuple[str, Any], cache_database: CacheDatabase) -> Iterator[httpx.Client]:
    with make_customer(*base_url).client() as client:
        body = {"connectionString": cache_database.connection_string}
        ok(client.post("/api/job/cacheConnection", json=body))
        yield client


def make_job(client: httpx.Client, driver: str, text: str, schema: str, **params: Any) -> str:
    source = connect(client, "Shop", driver, text)
    params |= {"sourceName": "Shop", "sourceSchema": schema, "sourceTable": "orders"}
    body = caching(source, cacheSchema="Copies", **params)
    return str(ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])


def newest(client: httpx.Client, job_id: str) -> dict[str, Any]:
    runs = ok(client.get(f"/api/job/{job_id}/runs"))["runs"]
    return dict(ok(client.get(f"/api/run/{runs[0]['id']}"))["run"])


def log_of(client: httpx.Client, run: dict[str, Any]) -> str:
    lines = ok(client.get(f"/api/run/{run['id']}/log"))["lines"]
    return "\n".join(line["message"] for line in lines)


def ask(database: CacheDatabase, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url) as connection:
        return connection.execute(statement.encode()).fetchall()


def soon(what: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)
    return found


def nothing_left(*databases: CacheDatabase) -> bool:
    return all(ask(database, LEFT) == [] for database in databases)


def test_a_large_table_of_postgresql(
    client: httpx.Client, shop: CacheDatabase, cache_database: CacheDatabase
) -> None:
    job_id = make_job(client, "PostgreSQL", shop.connection_string, "public")
    assert wait_for_end(client, job_id)["lastRun"]["status"] == "JOB_SUCCESS"
    run = newest(client, job_id)
    assert (run["rowsRead"], run["rowsAffected"]) == (ROWS, ROWS)
    assert ", key id, in 3 ranges of id" in log_of(client, run)
    [copied] = ask(cache_database, SUMS.format('"Copies".orders'))
    assert [copied] == ask(shop, SUMS.format("orders"))
    assert nothing_left(shop, cache_database)
    # The table is an ordinary one: what follows goes as ever.
    again = run_now(client, job_id)
    assert (again["status"], again["rowsAffected"]) == ("JOB_SUCCESS", 0)
    assert "ranges" not in log_of(client, again)


def test_a_large_table_of_mariadb(
    client: httpx.Client, mariadb: MariaDBServer, cache_database: CacheDatabase
) -> None:
    with mariadb.database() as name:
        with mariadb.connect(name) as connection, connection.cursor() as cursor:
            for statement in TABLE_IN_MARIADB:
                cursor.execute(statement)
        job_id = make_job(client, "MySQL", mariadb.connection_string(name), name)
        assert wait_for_end(client, job_id)["lastRun"]["status"] == "JOB_SUCCESS"
    assert "in 3 ranges of id" in log_of(client, newest(client, job_id))
    [(rows, ids, products, _)] = ask(cache_database, SUMS.format('"Copies".orders'))
    numbers = range(1, ROWS + 1)
    assert (rows, ids) == (ROWS, sum(numbers))
    assert products == sum(n * (n % 977) for n in numbers)


@pytest.mark.parametrize("after", [0.2, 1.0, 2.0])
def test_a_stop_ends_all_processes_within_two_seconds(
    client: httpx.Client, shop: CacheDatabase, cache_database: CacheDatabase, after: float
) -> None:
    job_id = make_job(client, "PostgreSQL", shop.connection_string, "public")
    soon(lambda: "Plan: " in log_of(client, newest(client, job_id)))
    time.sleep(after)
    asked = time.monotonic()
    ok(client.post(f"/api/job/{job_id}/stop"))
    soon(lambda: newest(client, job_id)["state"] in ("stopped", "success"))
    assert time.monotonic() - asked < 2.0
    soon(lambda: nothing_left(shop, cache_database))


def test_the_time_limit_holds_for_all_processes(
    client: httpx.Client, shop: CacheDatabase, cache_database: CacheDatabase
) -> None:
    job_id = make_job(client, "PostgreSQL", shop.connection_string, "public", timeoutSeconds="1")
    assert wait_for_end(client, job_id)["lastRun"]["status"] == "JOB_FAILED"
    assert newest(client, job_id)["error"]["code"] == "RUN_TIMED_OUT"
    soon(lambda: nothing_left(shop, cache_database))


def test_a_job_that_is_deleted_while_it_loads_leaves_nothing(
    client: httpx.Client, shop: CacheDatabase, cache_database: CacheDatabase
) -> None:
    job_id = make_job(client, "PostgreSQL", shop.connection_string, "public")
    soon(lambda: [one for one in ask(cache_database, LEFT) if one[0].startswith("load_")])
    ok(client.delete(f"/api/job/{job_id}/delete"))
    soon(lambda: nothing_left(shop, cache_database), 10.0)
