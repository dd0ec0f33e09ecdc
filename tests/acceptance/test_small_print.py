"""Sentences of the contract that are said in half a line (§§2 to 4, 7)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import Body, caching, connect
from tests.conftest import CacheDatabase
from tests.product import Customer, make_customer, make_vendor, ok, run_now, wait_for_end
from tests.running_product import Product, running_product
from tidewell.sources import registry
from tidewell.state.embedded import EmbeddedServer

JobBody = Callable[..., Body]
BACK = {"redirectURL": "https://vendor.example/"}


def test_an_error_inside_is_500_and_tells_nothing_of_the_inside(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """§2: no inner detail, no stack trace and no SQL of ours; the log has it under the same id."""
    folder = tmp_path_factory.mktemp("broken")
    with running_product(server, folder) as product:
        customer = make_customer(product.base_url, make_vendor(folder, product.settings))
        with psycopg.connect(
            product.settings["TIDEWELL_DATABASE_URL"], autocommit=True
        ) as connection:
            connection.execute("ALTER TABLE connection RENAME TO c4n4ry_elsewhere")
        with customer.client() as client:
            answer = client.get("/api/poweredby/connection/list")
            link = ok(client.post("/api/poweredby/jobs"))["redirectURL"]
        page = httpx.get(link, follow_redirects=True)
        assert page.status_code == 500
        assert page.headers["Content-Type"].startswith("text/html")
        assert "Something went wrong on our side." in page.text
        assert page.headers["X-Request-Id"] in page.text
        assert "UndefinedTable" not in page.text
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (500, "INTERNAL_ERROR")
        assert set(error) == {"code", "message", "requestId"}
        assert error["requestId"] == answer.headers["X-Request-Id"]
        for inner in ("connection", "relation", "SELECT", "Traceback", "psycopg", ".py"):
            assert inner not in error["message"]
        log = [line for line in product.log.read_text().splitlines() if error["requestId"] in line]
        assert any("UndefinedTable" in line for line in log)


def test_what_needs_no_token(product: Product) -> None:
    """§7."""
    with httpx.Client(base_url=product.base_url) as nobody:
        kinds = {
            "/healthz": "application/json",
            "/readyz": "application/json",
            "/metrics": "text/plain",
            "/openapi.json": "application/json",
            "/docs": "text/html",
            "/.well-known/jwks.json": "application/json",
        }
        for path, kind in kinds.items():
            answer = nobody.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["Content-Type"].startswith(kind), path
        assert nobody.get("/openapi.json").json()["openapi"].startswith("3.")


def test_the_list_of_data_sources(client: httpx.Client, customer: Customer) -> None:
    """§7, also with a token of the parent alone (§1)."""
    told = {"dataSources": [{"dataSource": name} for name in registry.names()]}
    assert {"dataSource": "OData"} in told["dataSources"]
    assert ok(client.get("/api/poweredby/sources/list")) == told
    with customer.client_of(sub=None) as parent:
        assert ok(parent.get("/api/poweredby/sources/list")) == told


def test_a_new_connection_is_201_and_a_changed_one_200(client: httpx.Client, folder: Path) -> None:
    """§9."""
    body = {"name": "Office", "driver": "FILES", "connectionString": f"URI={folder}"}
    made = client.post("/api/connections", json=body)
    assert made.status_code == 201
    shown = made.json()["connection"]
    changed = client.put(f"/api/connections/{shown['id']}", json=body | {"name": "New"})
    assert changed.status_code == 200
    after = changed.json()["connection"]
    assert after == shown | {"name": "New", "lastModified": after["lastModified"]}
    assert after["lastModified"] > shown["lastModified"]


def test_the_link_to_the_cache_form_may_be_named(client: httpx.Client) -> None:
    """§3."""
    body = BACK | {"name": "Our cache", "editableName": True}
    url = ok(client.post("/api/job/cacheConnection/formLink", json=body))["redirectURL"]
    assert parse_qs(urlsplit(url).query)["connectionName"] == ["Our cache"]


@pytest.mark.usefixtures("cache")
def test_all_that_a_schedule_may_say(client: httpx.Client, job_body: JobBody) -> None:
    """§4: `intervalValue` 1 to 10,000, `logVerbosity` 1 to 5, units without case."""
    body = job_body() | {"enabled": False}
    job = ok(client.post("/api/job/create", json=body))["jobs"][0]

    def updated(**change: Any) -> Any:
        answer = client.put(f"/api/job/{job['id']}/update", json=body | change)
        return ok(answer)["jobs"][0]

    for unit in ("Minute", "Hour", "Day", "Week", "Month"):
        for written in (unit, unit.lower(), unit.upper()):
            assert updated(intervalUnit=written)["intervalUnit"] == unit
    for value in (1, "1", 10_000, "10000", " 7 "):
        assert updated(intervalValue=value)["intervalValue"] == int(value)
    for level in range(1, 6):
        assert updated(logVerbosity=str(level))["logVerbosity"] == level
    for kind in ("Caching", "caching", "CACHING"):
        assert updated(jobType=kind)["jobType"] == "Caching"
    for written in ("True", "TRUE", "true", True):
        assert updated(enabled=written)["enabled"] is True


@pytest.mark.usefixtures("cache")
def test_jobs_are_listed_oldest_first(
    client: httpx.Client, folder: Path, job_body: JobBody
) -> None:
    names = ["c", "a", "b"]
    for name in names:
        (folder / f"{name}.csv").write_text("id\n1\n")
        ok(client.post("/api/job/create", json=job_body(sourceTable=name) | {"enabled": False}))
    listed = ok(client.get("/api/job/list"))["jobs"]
    assert [job["name"] for job in listed] == names
    ok(client.put(f"/api/job/{listed[0]['id']}/update", json=job_body(sourceTable="c")))
    assert [job["name"] for job in ok(client.get("/api/job/list"))["jobs"]] == names


@pytest.mark.usefixtures("cache")
def test_a_disabled_job_never_runs_by_itself(
    client: httpx.Client, folder: Path, job_body: JobBody
) -> None:
    """Both are due at the same time; the enabled one runs."""
    (folder / "other.csv").write_text("id\n1\n")
    due = {"definedNextRun": (datetime.now(UTC) + timedelta(seconds=1)).isoformat()}
    body = job_body() | due | {"enabled": "false"}
    off = ok(client.post("/api/job/create", json=body))["jobs"][0]
    on = ok(client.post("/api/job/create", json=job_body(sourceTable="other") | due))["jobs"][0]
    wait_for_end(client, on["id"])
    assert ok(client.get(f"/api/job/{off['id']}/runs")) == {"runs": []}
    ok(client.put(f"/api/job/{on['id']}/update", json=body | {"params": on["params"]}))
    assert ok(client.get(f"/api/job/{on['id']}"))["jobs"][0]["nextRunTime"].startswith("0001-")


@pytest.mark.usefixtures("cache")
def test_runs_come_in_pages_newest_first(client: httpx.Client, job_body: JobBody) -> None:
    """§7: `?limit=&before=`."""
    job = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]
    wait_for_end(client, job["id"])
    for _ in range(3):
        run_now(client, job["id"])
    path = f"/api/job/{job['id']}/runs"
    whole = ok(client.get(path))["runs"]
    assert len(whole) == 4
    assert sorted(whole, key=lambda run: run["queued"], reverse=True) == whole
    first = ok(client.get(path, params={"limit": 2}))["runs"]
    rest = ok(client.get(path, params={"limit": 10, "before": first[-1]["queued"]}))["runs"]
    assert first + rest == whole


@pytest.mark.usefixtures("cache")
def test_a_job_that_is_only_checked_is_not_made(
    client: httpx.Client, cache: CacheDatabase, job_body: JobBody
) -> None:
    """§7: all checks of create, its 409 included."""
    checked = ok(client.post("/api/job/validate", json=job_body()))
    assert checked == {"valid": True, "cacheSchema": "Office", "cacheTable": "people"}
    assert ok(client.get("/api/job/list")) == {"jobs": []}
    with psycopg.connect(cache.url) as connection:
        made = connection.execute("""SELECT to_regnamespace('"Office"')""").fetchone()
    assert made == (None,)
    job = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]
    refused = client.post("/api/job/validate", json=job_body())
    assert refused.status_code == 409
    assert job["id"] in refused.json()["error"]["message"]


@pytest.mark.usefixtures("cache")
def test_what_a_scheduled_query_is_called(client: httpx.Client, connection_id: str) -> None:
    """§4: `params.name`, or the top-level `name`, else its first words."""
    assert connection_id

    def made(params: Body, **top: str) -> str:
        body = {"jobType": "scheduledquery", "intervalUnit": "Day", "intervalValue": 1}
        query = {"query": "SELECT name FROM Office.Files.people WHERE id = 1"}
        job = ok(client.post("/api/job/create", json=body | top | {"params": query | params}))
        return str(job["jobs"][0]["name"])

    assert made({"name": "of params"}, name="of the top") == "of params"
    assert made({}, name="of the top") == "of the top"
    assert made({}) == "SELECT name FROM Office.Files.people WHERE id"


def test_another_schema_drops_the_watermark(
    client: httpx.Client, cache: CacheDatabase, another_cache: CacheDatabase
) -> None:
    """§4: an update of `sourceSchema`."""
    with psycopg.connect(another_cache.url) as connection:
        for schema, row in (("new", (1, "2026-01-01")), ("old", (9, "2001-01-01"))):
            connection.execute(f"CREATE SCHEMA {schema}")
            connection.execute(f"CREATE TABLE {schema}.t (id int PRIMARY KEY, at date)")
            connection.execute(f"INSERT INTO {schema}.t VALUES (%s, %s)", row)  # noqa: S608
    source = connect(client, "Office", "PostgreSQL", another_cache.connection_string)
    asked = {"sourceTable": "t", "timeCheckColumn": "at", "cacheSchema": "x", "cacheTable": "t"}
    body = caching(source, sourceSchema="new", **asked)
    job = ok(client.post("/api/job/create", json=body))["jobs"][0]
    wait_for_end(client, job["id"])
    assert run_now(client, job["id"])["receipt"]["mode"] == "incremental"
    changed = caching(source, sourceSchema="old", **asked)
    ok(client.put(f"/api/job/{job['id']}/update", json=changed))
    assert run_now(client, job["id"])["receipt"]["mode"] == "full"
    with psycopg.connect(cache.url) as connection:
        assert connection.execute("SELECT id FROM x.t").fetchall() == [(9,)]


@pytest.mark.usefixtures("cache")
def test_ids_are_lower_case_and_times_have_milliseconds(
    client: httpx.Client, job_body: JobBody
) -> None:
    """The contract's first paragraph; an id may be asked for in upper case."""
    job = ok(client.post("/api/job/create", json=job_body() | {"enabled": False}))["jobs"][0]
    assert job["id"] == job["id"].lower()
    again = client.get(f"/api/job/{job['id'].upper()}")
    assert ok(again)["jobs"] == [job]
    assert again.headers["Content-Type"] == "application/json"
    assert json.loads(again.content.decode("utf-8"))["jobs"][0]["created"][-5] == "."
    assert client.get(f"/api/job/{uuid4()}").status_code == 404
