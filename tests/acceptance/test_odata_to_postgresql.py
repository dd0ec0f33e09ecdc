"""The main job, over HTTP only: an OData table is kept in a customer's PostgreSQL."""

import base64
from datetime import date, datetime, time
from decimal import Decimal
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.conftest import CacheDatabase
from tests.odata_server import ODataServer
from tests.product import ok, run_now, wait_for_end

COLUMNS = [
    *("ID", "customer", "city", "amount", "rate", "weight", "pieces", "clicks", "paid"),
    *("orderedOn", "pickupAt", "dueAt", "token", "photo", "note", "status", "tags"),
    *("address_street", "address_zip", "modifiedAt", "createdAt", "createdBy", "modifiedBy"),
]


def as_cached(name: str, value: Any) -> Any:
    """A JSON value of the service as psycopg gives the cached one."""
    if value is None:
        return None
    match name:
        case "amount" | "rate":
            return Decimal(value)
        case "clicks":
            return int(value)
        case "orderedOn":
            return date.fromisoformat(value)
        case "pickupAt":
            return time.fromisoformat(value)
        case "dueAt" | "modifiedAt" | "createdAt":
            return datetime.fromisoformat(value)
        case "token":
            return UUID(value)
        case "photo":
            return base64.urlsafe_b64decode(value)
        case _:
            return value


def expected(shop: ODataServer) -> dict[int, tuple[Any, ...]]:
    return {
        row["ID"]: tuple(as_cached(name, row[name]) for name in COLUMNS)
        for row in shop.rows_of("Orders")
    }


def cached(database: CacheDatabase) -> dict[int, tuple[Any, ...]]:
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    with psycopg.connect(database.url, options="-c timezone=UTC") as connection:
        rows = connection.execute(f'SELECT {names} FROM "Web shop"."Orders"').fetchall()  # noqa: S608
    found = {row[0]: row for row in rows}
    assert len(found) == len(rows)
    return found


def wait_for_statistics(database: CacheDatabase) -> None:
    """Wait until the planner knows a column as well as after an ANALYZE; they follow the answer."""
    known = """
        SELECT array_length(histogram_bounds::text::int[], 1) FROM pg_stats
         WHERE attname = 'ID'"""
    until = monotonic() + 30
    with psycopg.connect(database.url, autocommit=True) as connection:
        while connection.execute(known).fetchone() != (101,):
            assert monotonic() < until, connection.execute(known).fetchone()
            sleep(0.1)


@pytest.fixture
def ready(client: httpx.Client, cache_database: CacheDatabase, shop: ODataServer) -> dict[str, Any]:
    """A cache connection, a connection to the shop, and the body of a job on its orders."""
    answer = ok(
        client.post(
            "/api/job/cacheConnection",
            json={"connectionString": cache_database.connection_string},
        )
    )["connection"]
    assert answer["isTested"] is True
    connection = ok(
        client.post(
            "/api/connections",
            json={
                "name": "Web shop",
                "driver": "odata",
                "connectionString": f"URL={shop.url};",
            },
        )
    )["connection"]
    assert connection["driver"] == "OData"
    assert ok(client.post(f"/api/connections/{connection['id']}/test")) == {"isTested": True}
    return {
        "jobType": "Caching",
        "intervalUnit": "Hour",
        "intervalValue": "1",
        "logVerbosity": "2",
        "enabled": "true",
        "params": {
            "timeCheckColumn": "modifiedAt",
            "autoTruncateStrings": "false",
            "sourceConnection": connection["id"],
            "sourceName": "Web shop",
            "sourceSchema": "OData",
            "sourceTable": "Orders",
        },
    }


def test_every_row_arrives_and_then_only_what_changed(
    client: httpx.Client, cache_database: CacheDatabase, shop: ODataServer, ready: dict[str, Any]
) -> None:
    job = ok(client.post("/api/job/create", json=ready))["jobs"][0]
    assert job["lastRun"]["status"] in {"JOB_QUEUED", "JOB_RUNNING"}
    assert job["name"] == "Orders"
    job = wait_for_end(client, job["id"], seconds=120)

    assert job["lastRun"]["status"] == "JOB_SUCCESS"
    assert job["lastRun"]["rowsAffected"] == shop.count("Orders") >= shop.rows
    assert (job["params"]["cacheSchema"], job["params"]["cacheTable"]) == ("Web shop", "Orders")
    assert cached(cache_database) == expected(shop)
    wait_for_statistics(cache_database)

    shop.change("Orders(5)", {"amount": "1234.56", "city": "Überlingen"})
    shop.change("Orders(77777)", {"note": None, "paid": True})
    shop.insert("Orders", {"ID": shop.rows + 1, "customer": "New one"})
    run = run_now(client, job["id"])

    assert run["status"] == "JOB_SUCCESS"
    assert run["receipt"]["mode"] == "incremental"
    assert (run["receipt"]["updated"], run["receipt"]["inserted"]) == (2, 1)
    assert run["rowsAffected"] == 3
    assert run["rowsRead"] < 100_000  # the changed ones and those within the overlap
    assert cached(cache_database) == expected(shop)

    again = run_now(client, job["id"])
    assert (again["status"], again["rowsAffected"]) == ("JOB_SUCCESS", 0)
    lines = ok(client.get(f"/api/run/{again['id']}/log"))["lines"]
    assert any("$filter=modifiedAt" in line["message"] for line in lines)


def test_a_refresh_without_a_time_column_deletes_what_the_source_deleted(
    client: httpx.Client, cache_database: CacheDatabase, shop: ODataServer, ready: dict[str, Any]
) -> None:
    ready["params"] |= {"timeCheckColumn": "", "sourceTable": "Items"}
    job = ok(client.post("/api/job/create", json=ready))["jobs"][0]
    first = wait_for_end(client, job["id"])
    assert (first["lastRun"]["status"], first["lastRun"]["rowsAffected"]) == ("JOB_SUCCESS", 50)

    # Other tests read the same server.
    try:
        shop.delete("Items(order_ID=1,position=2)")
        shop.change("Items(order_ID=2,position=1)", {"price": "99.99"})
        run = run_now(client, job["id"])
    finally:
        shop.insert("Items", {"order_ID": 1, "position": 2, "article": "Article 1", "price": 1.25})
        shop.change("Items(order_ID=2,position=1)", {"price": "2.25"})

    assert (run["receipt"]["deleted"], run["receipt"]["updated"]) == (1, 1)
    assert run["receipt"]["inserted"] == 0
    with psycopg.connect(cache_database.url) as connection:
        found = connection.execute('SELECT count(*), max(price) FROM "Web shop"."Items"').fetchone()
    assert found == (49, Decimal("99.99"))


def test_an_empty_entity_set_becomes_an_empty_table(
    client: httpx.Client, cache_database: CacheDatabase, ready: dict[str, Any]
) -> None:
    ready["params"] |= {"timeCheckColumn": "", "sourceTable": "Empties"}
    job = ok(client.post("/api/job/create", json=ready))["jobs"][0]
    ended = wait_for_end(client, job["id"])

    assert (ended["lastRun"]["status"], ended["lastRun"]["rowsAffected"]) == ("JOB_SUCCESS", 0)
    with psycopg.connect(cache_database.url) as connection:
        assert connection.execute('SELECT * FROM "Web shop"."Empties"').fetchall() == []
