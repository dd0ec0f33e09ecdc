"""A JSON API becomes tables without code, over HTTP only."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.json_api import JSONAPI, json_api
from tests.product import ok, run_now, wait_for_end

FIRST = datetime(2024, 2, 29, 23, 0, tzinfo=UTC)
ROWS = 1200


def thing(number: int, **changes: Any) -> dict[str, Any]:
    moment = FIRST + timedelta(seconds=number)
    name = None if number % 10 == 0 else f"Größe {number}"
    found = {"id": number, "name": name, "changed": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    return found | {"parts": [number, {"deep": True}]} | changes


@pytest.fixture
def api() -> Iterator[JSONAPI]:
    with json_api({"things": [thing(n) for n in range(ROWS)]}) as running:
        yield running


def cached(database: CacheDatabase, columns: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url, options="-c timezone=UTC") as connection:
        statement = f'SELECT {columns} FROM "API".things ORDER BY id'  # noqa: S608
        return connection.execute(statement.encode()).fetchall()


def test_pages_of_json_are_cached_and_then_only_what_changed_is_asked_for(
    client: httpx.Client, cache: CacheDatabase, api: JSONAPI
) -> None:
    paging = "Paging=Page;PageParameter=page;PageSizeParameter=size;PageSize=500"
    cursor = "CursorField=changed;CursorParameter=since"
    text = f"URL={api.url}/closed;Paths=/things;PrimaryKey=id;{paging};{cursor};"
    sign_in = "AuthScheme=Bearer;Token=a-token-of-the-api"
    connection_id = connect(client, "API", "REST", text + sign_in)
    assert ok(client.post(f"/api/connections/{connection_id}/test")) == {"isTested": True}
    body = caching(
        connection_id,
        sourceName="API",
        sourceSchema="REST",
        sourceTable="things",
        timeCheckColumn="changed",
    )
    made = ok(client.post("/api/job/create", json=body))["jobs"][0]
    first = wait_for_end(client, made["id"])
    assert (first["lastRun"]["status"], first["lastRun"]["rowsAffected"]) == ("JOB_SUCCESS", ROWS)
    found = cached(cache, "id, name, changed, parts")
    assert found == [
        (n, thing(n)["name"], FIRST + timedelta(seconds=n), [n, {"deep": True}])
        for n in range(ROWS)
    ]

    things = list(api.tables["things"])
    things[5] = thing(5, name="other", changed="2024-06-01T00:00:00Z")
    api.tables["things"] = [*things, thing(ROWS, changed="2024-06-01T00:00:01Z")]
    api.asked.clear()
    run = run_now(client, made["id"])
    assert (run["status"], run["receipt"]["mode"]) == ("JOB_SUCCESS", "incremental")
    assert (run["receipt"]["updated"], run["receipt"]["inserted"]) == (1, 1)
    assert any("since" in query for _, query, _ in api.asked)
    assert cached(cache, "id, name")[5] == (5, "other")
    assert len(cached(cache, "id")) == ROWS + 1


def test_wrong_credentials_fail_the_connections_test_in_words(
    client: httpx.Client, api: JSONAPI
) -> None:
    text = f"URL={api.url}/closed;Paths=/things;AuthScheme=Bearer;Token=wrong"
    connection_id = connect(client, "API", "REST", text)
    answer = ok(client.post(f"/api/connections/{connection_id}/test"))
    assert answer["isTested"] is False
    assert "credentials" in answer["testError"]
