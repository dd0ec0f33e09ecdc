"""What passes by itself is tried again, what does not fails at once, and time can run out."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.odd_service import Answer, odd_service
from tests.product import ok, wait_for_end
from tests.slow_source import slow_source

ROWS = Answer({"value": [{"ID": 1, "name": "Ada"}]})


def create(client: httpx.Client, url: str, **params: Any) -> str:
    source = connect(client, "Office", "OData", f"URL={url}")
    body = caching(source, sourceSchema="OData", sourceTable="Things", **params)
    return str(ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    wait_for_end(client, job_id)
    run_id = ok(client.get(f"/api/job/{job_id}/runs"))["runs"][0]["id"]
    return dict(ok(client.get(f"/api/run/{run_id}"))["run"])


def log_of(client: httpx.Client, run: dict[str, Any]) -> str:
    lines = ok(client.get(f"/api/run/{run['id']}/log"))["lines"]
    return "\n".join(line["message"] for line in lines)


@pytest.mark.usefixtures("cache")
def test_a_source_that_is_away_for_a_while_costs_a_retry(client: httpx.Client) -> None:
    # The driver asks a busy page again by itself, three times; this outlasts it.
    answers = iter([Answer(status=429, headers={"Retry-After": "3"})] * 4)
    with odd_service(lambda _: next(answers, ROWS)) as service:
        run = ended(client, create(client, service.url))
    assert run["status"] == "JOB_SUCCESS"
    assert run["attempts"] > 1
    ways = [(change["from"], change["to"]) for change in run["changes"]]
    assert ("running", "retrying") in ways
    assert ways[-1] == ("running", "success")
    times = {change["to"]: datetime.fromisoformat(change["time"]) for change in run["changes"]}
    assert times["queued"] - times["retrying"] >= timedelta(seconds=3)
    assert all(change["reason"] for change in run["changes"])
    log = log_of(client, run)
    assert "Attempt 1 failed. SOURCE_UNAVAILABLE: try 1 of 2 again in" in log
    assert [number for number in (1, 2, 3) if f"starts, attempt {number}:" in log] == [1, 2]


@pytest.mark.usefixtures("cache")
def test_who_waits_for_an_answer_is_told_at_once(client: httpx.Client) -> None:
    """Only runs ask again: a create, a query or a look into the catalogue would be held up."""
    with odd_service(lambda _: ROWS) as service:
        source = connect(client, "Office", "OData", f"URL={service.url}")
        service.metadata_answer = Answer(status=503)
        body = caching(source, sourceSchema="OData", sourceTable="Things")
        ok(client.post("/api/job/create", json=body | {"enabled": False}))
        table = {"sourceConnection": source, "sourceSchema": "OData", "sourceTable": "Things"}
        assert client.get("/api/job/timeCheckColumns", params=table).status_code == 400
        assert client.get("/api/tables", params={"catalogName": "Office"}).status_code == 400
        query = {"query": "SELECT * FROM Office.OData.Things"}
        assert client.post("/api/query", json=query).status_code == 400
    assert [request.path for request in service.asked] == ["/odd/$metadata"] * 4


@pytest.mark.usefixtures("cache")
def test_retries_are_counted(client: httpx.Client) -> None:
    with odd_service(lambda _: ROWS) as service:
        url = service.url
        source = connect(client, "Office", "OData", f"URL={url}")
    body = caching(source, sourceSchema="OData", sourceTable="Things", retries="1")
    made = ok(client.post("/api/job/create", json=body))["jobs"][0]
    assert made["params"]["retries"] == "1"
    run = ended(client, made["id"])
    assert (run["status"], run["attempts"]) == ("JOB_FAILED", 2)
    assert run["error"]["code"] == "SOURCE_UNAVAILABLE"


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("status", "code"), [(401, "SOURCE_REFUSED"), (200, "SOURCE_BROKEN")])
def test_what_another_try_would_meet_again_fails_at_once(
    client: httpx.Client, status: int, code: str
) -> None:
    with odd_service(lambda _: Answer(b"?", status=status)) as service:
        run = ended(client, create(client, service.url))
    assert (run["status"], run["attempts"], run["error"]["code"]) == ("JOB_FAILED", 1, code)


@pytest.mark.usefixtures("cache")
def test_a_run_that_takes_too_long_is_ended(
    client: httpx.Client, cache_database: CacheDatabase
) -> None:
    with slow_source() as slow:
        run = ended(client, create(client, slow.url, timeoutSeconds="2"))
    assert (run["status"], run["error"]["code"]) == ("JOB_FAILED", "RUN_TIMED_OUT")
    assert run["attempts"] == 1


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("param", "value"),
    [("retries", -1), ("retries", "many"), ("retries", 21), ("timeoutSeconds", 0)],
)
def test_a_number_that_makes_no_sense_is_named(
    client: httpx.Client, param: str, value: Any
) -> None:
    with odd_service(lambda _: ROWS) as service:
        source = connect(client, "Office", "OData", f"URL={service.url}")
        body = caching(source, sourceSchema="OData", sourceTable="Things", **{param: value})
        answer = client.post("/api/job/create", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == f"params.{param}"
