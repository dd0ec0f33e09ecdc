"""The bounds of a query: how many at a time, how many rows, how long; and answers without rows."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pyarrow as pa
import pyarrow.ipc
import pytest
from psycopg import sql

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.product import Vendor, make_customer, make_vendor, ok, process, wait_for_end
from tests.running_product import free_port, wait_until_ready
from tests.slow_source import SlowSource, slow_source
from tidewell.state.embedded import EmbeddedServer

MOST_ROWS = 1000
SLOW = "SELECT COUNT(*) FROM Slow.OData.Things"
SLOW2 = SLOW.replace("Slow", "Slow2")
ENDLESS = (
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) "
    "SELECT MAX(i) FROM n"
)
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


@pytest.fixture(scope="module")
def node(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Vendor, Path]]:
    """A node that gives an account two queries at a time, and an answer few rows."""
    folder = tmp_path_factory.mktemp("limits")
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    files = folder / "files"
    files.mkdir()
    (files / "people.csv").write_text("id,name,born\n1,Ada,1815-12-10\n2,Grace,1906-12-09\n")
    settings = {
        "TIDEWELL_HOME": str(folder / "home"),
        "TIDEWELL_DATABASE_URL": server.url(name),
        "TIDEWELL_FILES_ROOT": str(files),
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
        "TIDEWELL_QUERY_ACCOUNT_CONCURRENCY": "2",
        "TIDEWELL_QUERY_CONCURRENCY": "4",
        "TIDEWELL_QUERY_MAX_ROWS": str(MOST_ROWS),
    }
    port, log = free_port(), folder / "serve.log"
    with process("serve", "--port", str(port), settings=settings, log=log):
        wait_until_ready(f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}", make_vendor(folder, settings), files


@pytest.fixture
def client(node: tuple[str, Vendor, Path], cache_database: CacheDatabase) -> Iterator[httpx.Client]:
    base_url, vendor, files = node
    with make_customer(base_url, vendor).client() as client:
        body = {"connectionString": cache_database.connection_string}
        ok(client.post("/api/job/cacheConnection", json=body))
        connect(client, "Office", "Files", f"URI={files}")
        yield client


@pytest.fixture
def slow(client: httpx.Client) -> Iterator[SlowSource]:
    with slow_source() as running:
        connect(client, "Slow", "OData", f"URL={running.url}")
        yield running


def ask(client: httpx.Client, query: str, **more: Any) -> httpx.Response:
    return client.post("/api/query", json={"query": query} | more)


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return dict(answer.json()["error"])


def test_an_account_runs_so_many_queries_at_a_time(
    node: tuple[str, Vendor, Path], client: httpx.Client, slow: SlowSource
) -> None:
    with ThreadPoolExecutor(2) as pool, slow_source() as other_slow:
        connect(client, "Slow2", "OData", f"URL={other_slow.url}")
        going = [pool.submit(ask, client, SLOW), pool.submit(ask, client, SLOW2)]
        slow.wait_until_read()
        other_slow.wait_until_read()
        third = ask(client, "SELECT 1 AS one")
        error = error_of(third, 429)
        assert error["code"] == "TOO_MANY_QUERIES"
        assert "2 queries at a time" in error["message"]
        assert int(third.headers["Retry-After"]) > 0
        # Another account has its own share.
        with make_customer(node[0], node[1]).client() as other:
            assert ok(ask(other, "SELECT 1 AS one"))["results"][0]["rows"] == [[1]]
        slow.let_go()
        other_slow.let_go()
        for one in going:
            assert ok(one.result(60))["results"][0]["rows"] == [[slow.rows]]
    assert ok(ask(client, "SELECT 1 AS one"))


def test_queries_that_fail_give_their_share_back(client: httpx.Client) -> None:
    for _ in range(6):
        error_of(ask(client, "SELECT nope FROM Office.Files.people"), 400)
    for _ in range(3):
        assert error_of(ask(client, ENDLESS, timeout=1), 400)["code"] == "QUERY_TIMEOUT"
    assert ok(ask(client, "SELECT 1 AS one"))


MANY = (
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < @most) "
    "SELECT i FROM n"
)


@pytest.mark.parametrize("accept", ["application/json", "text/csv", ARROW["Accept"]])
def test_a_result_of_more_rows_than_an_answer_may_have_is_refused(
    client: httpx.Client, accept: str
) -> None:
    for most, fits in ((MOST_ROWS, True), (MOST_ROWS + 1, False)):
        parameters = {"@most": {"dataType": 8, "value": most}}
        answer = client.post(
            "/api/query",
            json={"query": MANY, "parameters": parameters},
            headers={"Accept": accept},
        )
        if fits:
            assert answer.status_code == 200, answer.text
            continue
        error = error_of(answer, 400)
        assert error["code"] == "RESULT_TOO_LARGE"
        assert f"more than {MOST_ROWS} rows" in error["message"]
        assert "LIMIT" in error["message"]


@pytest.mark.parametrize("kept", ["live", "cached"])
def test_a_query_ends_with_its_time(client: httpx.Client, kept: str) -> None:
    if kept == "cached":
        cache_people(client)
        # PostgreSQL itself has to be told to stop: the statement is in its hands as a whole.
        query = ENDLESS.replace("FROM n WHERE i <", "FROM n CROSS JOIN Office.Files.people p WHERE")
        query = query.replace("WHERE 100000000000", "WHERE p.id = 1")
    else:
        query = ENDLESS
    started = time.monotonic()
    error = error_of(ask(client, query, timeout=1), 400)
    assert error["code"] == "QUERY_TIMEOUT"
    assert "timeout" in error["message"]
    assert time.monotonic() - started < 10


def test_a_source_that_stalls_ends_with_the_query_s_time(
    client: httpx.Client, slow: SlowSource
) -> None:
    assert error_of(ask(client, SLOW, timeout=2), 400)["code"] == "QUERY_TIMEOUT"


def test_a_client_that_goes_away_ends_its_query(client: httpx.Client) -> None:
    def leave() -> None:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/api/query", json={"query": ENDLESS, "timeout": 60}, timeout=1)

    leaving = [threading.Thread(target=leave) for _ in range(2)]
    for one in leaving:
        one.start()
    for one in leaving:
        one.join()
    # Both places of the account are free again.
    deadline = time.monotonic() + 20
    while not ask(client, "SELECT 1 AS one").is_success:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def cache_people(client: httpx.Client) -> None:
    [source] = [
        one["id"]
        for one in ok(client.get("/api/poweredby/connection/list"))["connections"]
        if one["name"] == "Office"
    ]
    job = ok(client.post("/api/job/create", json=caching(source, sourceTable="people")))["jobs"][0]
    assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_SUCCESS"


@pytest.mark.parametrize("kept", ["live", "cached"])
def test_an_answer_without_rows_has_its_types(client: httpx.Client, kept: str) -> None:
    if kept == "cached":
        cache_people(client)
    query = {
        "query": "SELECT id, name, born, COUNT(*) AS n, AVG(id) AS mean FROM Office.Files.people "
        "WHERE id > 5 GROUP BY id, name, born"
    }
    answer = client.post("/api/query", json=query)
    assert ("Age" in answer.headers) == (kept == "cached")
    [result] = ok(answer)["results"]
    assert result["rows"] == []
    assert [column["dataTypeName"] for column in result["schema"][:4]] == [
        *("BIGINT", "VARCHAR", "DATE", "BIGINT")
    ]
    assert result["schema"][4]["dataTypeName"] in ("DECIMAL", "DOUBLE")
    table = pa.ipc.open_stream(client.post("/api/query", json=query, headers=ARROW).content)
    assert table.schema.types[:4] == [pa.int64(), pa.string(), pa.date32(), pa.int64()]
    assert table.read_all().num_rows == 0
    csv = client.post("/api/query", json=query, headers={"Accept": "text/csv"})
    assert csv.text == '"id","name","born","n","mean"\r\n'
