"""A query that reads a cached table by COPY, for it joins it with a live one, ends on both sides.

The cached table gives its first rows at once and then a row a minute, so that a server that nobody
tells goes on for minutes. What a test waits for is the end itself, of which the log then tells.
"""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import caching
from tests.acceptance.test_scheduled_queries import body
from tests.acceptance.test_stop import in_state, until
from tests.conftest import CacheDatabase
from tests.product import Customer, ok, wait_for_end
from tidewell.state.statements import statements

SQL = statements("tests.acceptance", "slow_copy.sql")
STATEMENTS = {
    "streamed": "SELECT COUNT(p.name) FROM Office.Files.people p "
    "LEFT JOIN Office.Files.towns t ON t.id = p.id",
    "loaded": "SELECT COUNT(p.name) FROM Office.Files.people p "
    "LEFT JOIN Office.Files.towns t ON t.id = p.id LEFT JOIN Office.Files.towns u ON u.id = t.id",
}
LONG = "SELECT id, name FROM Office.Files.people UNION ALL SELECT id, name FROM Office.Files.towns"
"""Its first rows are an answer that begins."""
Reading = Callable[[], int]


@pytest.fixture
def reading(client: httpx.Client, cache: CacheDatabase, connection_id: str, folder: Any) -> Reading:
    """A cached table that is slow, beside a live one: how many read it in the server now."""
    (folder / "towns.csv").write_text("id,name\n1,London\n2,Paris\n")
    job_body = caching(connection_id, sourceTable="people")
    job = ok(client.post("/api/job/create", json=job_body))["jobs"][0]
    assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_SUCCESS"
    with psycopg.connect(cache.url) as connection:
        connection.execute(SQL["slow"].encode())

    def count() -> int:
        with psycopg.connect(cache.url) as connection:
            row = connection.execute(SQL["reading"].encode()).fetchone()
        assert row is not None
        return int(row[0])

    return count


def ends(reading: Reading) -> None:
    """Wait until nothing reads any more; far less than the minutes that it would go on."""
    until(lambda: not reading(), seconds=15)


def logged(client: httpx.Client, text: str) -> dict[str, Any]:
    """What the log says of a query, which is written down when it has ended."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        queries = ok(client.post("/api/log/query/list", json={"queryType": 200}))["queries"]
        found[:] = [one for one in queries if one["query"] == text]
        return bool(found)

    until(is_there, seconds=15)
    return found[0]


@pytest.mark.parametrize("kind", STATEMENTS)
def test_its_time_ends_it(client: httpx.Client, reading: Reading, kind: str) -> None:
    text = STATEMENTS[kind]
    answer = client.post("/api/query", json={"query": text, "timeout": 3})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "QUERY_TIMEOUT"
    ends(reading)
    assert logged(client, text)["errorCode"] == "QUERY_TIMEOUT"


@pytest.mark.parametrize("kind", STATEMENTS)
def test_a_client_that_goes_away_ends_it(
    client: httpx.Client, customer: Customer, reading: Reading, kind: str
) -> None:
    text = STATEMENTS[kind]
    with customer.client() as leaving:
        asking = threading.Thread(target=ask_in_vain, args=(leaving, text))
        asking.start()
        until(lambda: reading() == 1, seconds=30)
        asking.join()
    ends(reading)
    entry = logged(client, text)
    assert "gone away" in entry["errorMessage"]
    assert client.post("/api/query", json={"query": "SELECT 1 AS one"}).is_success


def ask_in_vain(client: httpx.Client, text: str) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/query", json={"query": text, "timeout": 300}, timeout=5)


def test_a_client_that_goes_away_within_an_answer_ends_it(
    client: httpx.Client, customer: Customer, reading: Reading
) -> None:
    with (
        customer.client() as leaving,
        leaving.stream("POST", "/api/query", json={"query": LONG, "timeout": 300}) as answer,
    ):
        assert answer.status_code == 200
        pieces = answer.iter_bytes()  # held: without it the client goes away at once
        assert next(pieces).startswith(b'{"results":[')
        until(lambda: reading() == 1, seconds=30)
    ends(reading)
    assert "gone away" in logged(client, LONG)["errorMessage"]


@pytest.mark.parametrize("kind", STATEMENTS)
def test_a_stop_ends_it_in_a_scheduled_query(
    client: httpx.Client, reading: Reading, kind: str
) -> None:
    answer = ok(client.post("/api/job/create", json=body(STATEMENTS[kind], name="Slow")))
    job_id = answer["jobs"][0]["id"]
    until(lambda: reading() == 1, seconds=30)
    ok(client.post(f"/api/job/{job_id}/stop"))
    until(in_state(client, job_id, "stopped"))
    ends(reading)
    [entry] = ok(client.post("/api/log/query/list", json={"queryType": 205}))["queries"]
    assert (entry["query"], entry["rowsReturned"]) == (STATEMENTS[kind], 0)
