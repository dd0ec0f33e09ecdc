"""What dies is taken over: a worker, a run's process, the customer's PostgreSQL session."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.product import make_customer, make_vendor, ok, process, wait_for_end
from tests.running_product import free_port, wait_until_ready
from tests.slow_source import SlowSource, slow_source
from tidewell.state.embedded import EmbeddedServer


@pytest.fixture
def slow() -> Iterator[SlowSource]:
    with slow_source() as running:
        yield running


@pytest.fixture
def settings(server: EmbeddedServer, tmp_path: Path) -> dict[str, str]:
    """Settings of nodes over a state database of their own."""
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return {
        "TIDEWELL_HOME": str(tmp_path / "home"),
        "TIDEWELL_DATABASE_URL": server.url(name),
        "TIDEWELL_RUN_CONCURRENCY": "1",
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
    }


@pytest.fixture
def client(
    settings: dict[str, str], tmp_path: Path, cache_database: CacheDatabase
) -> Iterator[httpx.Client]:
    """A customer of a node that executes nothing itself."""
    port, log = free_port(), tmp_path / "serve.log"
    with process("serve", "--port", str(port), "--no-worker", settings=settings, log=log):
        base_url = f"http://127.0.0.1:{port}"
        wait_until_ready(base_url, log)
        vendor = make_vendor(tmp_path, settings)
        with make_customer(base_url, vendor).client() as client:
            body = {"connectionString": cache_database.connection_string}
            ok(client.post("/api/job/cacheConnection", json=body))
            yield client


def make_job(client: httpx.Client, slow: SlowSource, **params: Any) -> str:
    return make_job_on(client, slow, "Office", **params)


def make_job_on(client: httpx.Client, slow: SlowSource, name: str, **params: Any) -> str:
    source = connect(client, name, "OData", f"URL={slow.url}")
    body = caching(source, sourceName=name, sourceSchema="OData", sourceTable="Things", **params)
    return str(ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])


def cached(database: CacheDatabase) -> list[int]:
    with psycopg.connect(database.url) as connection:
        rows = connection.execute('SELECT "ID" FROM "Office"."Things" ORDER BY 1').fetchall()
    return [row[0] for row in rows]


def run_process(worker: int) -> psutil.Process:
    """The process in which a worker executes a run."""
    children = psutil.Process(worker).children()
    found = [one for one in children if "tidewell.runs.child" in one.cmdline()]
    assert len(found) == 1
    return found[0]


def test_a_worker_that_is_killed_is_replaced_by_another(
    client: httpx.Client,
    slow: SlowSource,
    settings: dict[str, str],
    tmp_path: Path,
    cache_database: CacheDatabase,
) -> None:
    with process("worker", settings=settings, log=tmp_path / "first.log") as first:
        job_id = make_job(client, slow)
        slow.wait_until_read()
        child = run_process(first.pid)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        child.wait(10)  # a run's process does not outlive its worker
        slow.let_go()
        with process("worker", settings=settings, log=tmp_path / "second.log"):
            job = wait_for_end(client, job_id)

    assert job["lastRun"]["status"] == "JOB_SUCCESS"
    assert cached(cache_database) == list(range(slow.rows))
    runs = ok(client.get(f"/api/job/{job_id}/runs"))["runs"]
    assert [run["attempts"] for run in runs] == [2]


def test_a_run_whose_process_is_killed_is_tried_again(
    client: httpx.Client,
    slow: SlowSource,
    settings: dict[str, str],
    tmp_path: Path,
    cache_database: CacheDatabase,
) -> None:
    with process("worker", settings=settings, log=tmp_path / "worker.log") as worker:
        job_id = make_job(client, slow)
        slow.wait_until_read()
        run_process(worker.pid).kill()
        slow.let_go()
        job = wait_for_end(client, job_id)
    assert job["lastRun"]["status"] == "JOB_SUCCESS"
    assert cached(cache_database) == list(range(slow.rows))
    [run] = ok(client.get(f"/api/job/{job_id}/runs"))["runs"]
    assert run["attempts"] == 2


def test_a_run_whose_process_is_killed_each_time_fails_with_a_reason(
    client: httpx.Client, slow: SlowSource, settings: dict[str, str], tmp_path: Path
) -> None:
    with process("worker", settings=settings, log=tmp_path / "worker.log") as worker:
        job_id = make_job(client, slow, retries=0)
        slow.wait_until_read()
        run_process(worker.pid).kill()
        job = wait_for_end(client, job_id)
        assert job["lastRun"]["status"] == "JOB_FAILED"
        run = ok(client.get(f"/api/job/{job_id}/runs"))["runs"][0]
        assert run["error"]["code"] == "RUN_PROCESS_DIED"
        slow.let_go()
        ok(client.post(f"/api/job/{job_id}/run"))
        again = wait_for_end(client, job_id, after=job["lastRun"]["dateTime"])
    assert again["lastRun"]["status"] == "JOB_SUCCESS"


def test_a_worker_that_is_asked_to_end_hands_its_run_back(
    client: httpx.Client, slow: SlowSource, settings: dict[str, str], tmp_path: Path
) -> None:
    with process("worker", settings=settings, log=tmp_path / "first.log") as first:
        job_id = make_job(client, slow)
        slow.wait_until_read()
        first.terminate()
        assert first.wait(30) == 0
    assert ok(client.get(f"/api/job/{job_id}"))["jobs"][0]["lastRun"]["status"] == "JOB_QUEUED"
    slow.let_go()
    with process("worker", settings=settings, log=tmp_path / "second.log"):
        assert wait_for_end(client, job_id)["lastRun"]["status"] == "JOB_SUCCESS"


def test_a_worker_that_is_asked_to_end_lets_its_run_finish_in_its_grace_time(
    client: httpx.Client, slow: SlowSource, settings: dict[str, str], tmp_path: Path
) -> None:
    grace = settings | {"TIDEWELL_SHUTDOWN_GRACE": "60"}
    with process("worker", settings=grace, log=tmp_path / "worker.log") as worker:
        job_id = make_job(client, slow)
        slow.wait_until_read()
        worker.terminate()
        second = make_job_on(client, slow, "Other")
        slow.let_go()
        assert worker.wait(60) == 0
    assert ok(client.get(f"/api/job/{job_id}"))["jobs"][0]["lastRun"]["status"] == "JOB_SUCCESS"
    # It took no other run meanwhile.
    assert ok(client.get(f"/api/job/{second}"))["jobs"][0]["lastRun"]["status"] == "JOB_QUEUED"


def test_while_the_state_database_is_away_the_answer_is_503(
    client: httpx.Client, server: EmbeddedServer, settings: dict[str, str]
) -> None:
    name = sql.Identifier(settings["TIDEWELL_DATABASE_URL"].rpartition("/")[2])
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(allow.format(name, sql.SQL("false")))
        connection.execute(end, (name.as_string().strip('"'),))
        try:
            away = client.get("/api/job/list")
            assert away.status_code == 503
            assert away.json()["error"]["code"] == "UNAVAILABLE"
            assert int(away.headers["Retry-After"]) > 0
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").is_success
        finally:
            connection.execute(allow.format(name, sql.SQL("true")))
    wait_until_ready(str(client.base_url).rstrip("/"), Path())
    assert ok(client.get("/api/job/list")) == {"jobs": []}
