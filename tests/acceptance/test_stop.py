"""A stop ends a run within two seconds, whatever the run is doing, and leaves nothing behind.

The node that takes the order executes nothing itself: a worker of its own does.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.conftest import caching, connect
from tests.acceptance.test_crashes import make_job, run_process, slow
from tests.conftest import CacheDatabase
from tests.faulty_relay import Fault, relay
from tests.odd_service import Answer, odd_service
from tests.product import Vendor, make_customer, make_vendor, ok, process, wait_for_end
from tests.running_product import free_port, wait_until_ready
from tests.slow_source import SlowSource, slow_source
from tidewell.state.embedded import EmbeddedServer

__all__ = ["slow"]

BOUND_SECONDS = 2.0
SESSIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
TABLES = """
SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p')
   AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
   AND relnamespace::regnamespace::text NOT LIKE 'pg_toast%'
   AND relname NOT IN ('cached_table', 'source_version')
"""
COPYING = """
SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%FROM STDIN%' AND pid <> pg_backend_pid()
"""
# A merge that takes long: the owner's own trigger sleeps.
SLOW_MERGE = """
DELETE FROM "Office"."Things" WHERE "ID" = 1;
CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_catalog.pg_sleep(60); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON "Office"."Things" FOR EACH ROW EXECUTE FUNCTION sleep();
"""


@dataclass(frozen=True)
class Nodes:
    """A node that takes orders, and a worker that executes one run at a time."""

    base_url: str
    vendor: Vendor
    worker: int


@pytest.fixture(scope="module")
def nodes(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("stop")
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    settings = {
        "TIDEWELL_HOME": str(folder / "home"),
        "TIDEWELL_DATABASE_URL": server.url(name),
        "TIDEWELL_RUN_CONCURRENCY": "1",
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
    }
    port, log = free_port(), folder / "serve.log"
    with process("serve", "--port", str(port), "--no-worker", settings=settings, log=log):
        wait_until_ready(f"http://127.0.0.1:{port}", log)
        vendor = make_vendor(folder, settings)
        with process("worker", settings=settings, log=folder / "worker.log") as running:
            yield Nodes(f"http://127.0.0.1:{port}", vendor, running.pid)


@pytest.fixture
def client(nodes: Nodes, cache_database: CacheDatabase) -> Iterator[httpx.Client]:
    """A customer with a cache."""
    with make_customer(nodes.base_url, nodes.vendor).client() as client:
        body = {"connectionString": cache_database.connection_string}
        ok(client.post("/api/job/cacheConnection", json=body))
        yield client


@contextmanager
def silent_host() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it does not come to that")


def newest(client: httpx.Client, job_id: str) -> dict[str, Any]:
    runs = ok(client.get(f"/api/job/{job_id}/runs"))["runs"]
    return dict(ok(client.get(f"/api/run/{runs[0]['id']}"))["run"])


def in_state(client: httpx.Client, job_id: str, state: str) -> Callable[[], bool]:
    return lambda: newest(client, job_id)["state"] == state


def one_number(database: CacheDatabase, query: Any) -> int:
    with psycopg.connect(database.url) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def stop_in_time(client: httpx.Client, job_id: str, cache: CacheDatabase, tables: int) -> None:
    """The order, its bound, and what is left: no session, no table that was not there before."""
    ordered = time.time()
    ok(client.post(f"/api/job/{job_id}/stop"))
    job = wait_for_end(client, job_id)
    assert job["lastRun"]["status"] == "JOB_STOPPED"
    ended = datetime.fromisoformat(newest(client, job_id)["finished"]).timestamp()
    assert ended - ordered <= BOUND_SECONDS
    until(lambda: one_number(cache, SESSIONS) == 0, 2)
    assert one_number(cache, TABLES) == tables


def test_while_it_is_queued(
    nodes: Nodes, client: httpx.Client, slow: SlowSource, cache_database: CacheDatabase
) -> None:
    with make_customer(nodes.base_url, nodes.vendor).client() as other, slow_source() as theirs:
        body = {"connectionString": cache_database.connection_string}
        ok(other.post("/api/job/cacheConnection", json=body))
        busy = make_job(other, theirs)
        theirs.wait_until_read()
        job_id = make_job(client, slow)
        ok(client.post(f"/api/job/{job_id}/stop"))
        assert newest(client, job_id)["state"] == "stopped"
        stop_in_time(other, busy, cache_database, 0)


def test_while_it_connects_to_the_source(
    client: httpx.Client, cache_database: CacheDatabase
) -> None:
    with silent_host() as port:
        source = connect(client, "Office", "OData", f"URL=http://127.0.0.1:{port}/odata")
        body = caching(source, sourceSchema="OData", sourceTable="Things")
        job_id = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
        until(in_state(client, job_id, "running"))
        stop_in_time(client, job_id, cache_database, 0)


def test_while_it_connects_to_the_cache(
    client: httpx.Client, slow: SlowSource, cache_database: CacheDatabase
) -> None:
    slow.let_go()
    with silent_host() as port:
        text = cache_database.connection_string.replace(
            f"Port={cache_database.port}", f"Port={port}"
        )
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
        job_id = make_job(client, slow)
        until(in_state(client, job_id, "running"))
        time.sleep(0.5)
        stop_in_time(client, job_id, cache_database, 0)


def test_while_the_source_stalls_in_the_middle_of_the_copy(
    client: httpx.Client, slow: SlowSource, cache_database: CacheDatabase
) -> None:
    job_id = make_job(client, slow)
    slow.wait_until_read()
    stop_in_time(client, job_id, cache_database, 0)


def test_while_its_process_hears_nothing(
    nodes: Nodes, client: httpx.Client, slow: SlowSource, cache_database: CacheDatabase
) -> None:
    job_id = make_job(client, slow)
    slow.wait_until_read()
    child = run_process(nodes.worker)
    os.kill(child.pid, signal.SIGSTOP)
    stop_in_time(client, job_id, cache_database, 0)
    assert not psutil.pid_exists(child.pid)


def test_while_rows_trickle_to_the_cache(
    client: httpx.Client, slow: SlowSource, cache_database: CacheDatabase
) -> None:
    slow.let_go()
    with relay(cache_database.host, cache_database.port) as link:
        text = cache_database.connection_string.replace(
            f"Port={cache_database.port}", f"Port={link.port}"
        )
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
        link.fault = Fault(drip=800)
        job_id = make_job(client, slow)
        until(lambda: one_number(cache_database, COPYING) > 0)
        stop_in_time(client, job_id, cache_database, 0)


def test_while_rows_are_merged(
    client: httpx.Client, slow: SlowSource, cache_database: CacheDatabase
) -> None:
    slow.let_go()
    job_id = make_job(client, slow)
    first = wait_for_end(client, job_id)["lastRun"]["dateTime"]
    with psycopg.connect(cache_database.url) as owner:
        owner.execute(SLOW_MERGE)
    ok(client.post(f"/api/job/{job_id}/run"))
    merging = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    until(lambda: one_number(cache_database, merging) > 0)
    ordered = time.time()
    ok(client.post(f"/api/job/{job_id}/stop"))
    job = wait_for_end(client, job_id, after=first)
    assert job["lastRun"]["status"] == "JOB_STOPPED"
    ended = datetime.fromisoformat(newest(client, job_id)["finished"]).timestamp()
    assert ended - ordered <= BOUND_SECONDS
    until(lambda: one_number(cache_database, SESSIONS) == 0, 2)
    # As it was before: with the row that its owner took out, and the refresh was putting back.
    assert one_number(cache_database, 'SELECT count(*) FROM "Office"."Things"') == slow.rows - 1


@pytest.mark.parametrize("hears", [True, False], ids=["asked", "killed"])
def test_while_it_waits_for_a_lock(
    nodes: Nodes,
    client: httpx.Client,
    slow: SlowSource,
    cache_database: CacheDatabase,
    hears: bool,
) -> None:
    slow.let_go()
    job_id = make_job(client, slow)
    wait_for_end(client, job_id)
    with psycopg.connect(cache_database.url) as holder:
        holder.execute('LOCK TABLE "Office"."Things" IN ACCESS EXCLUSIVE MODE')
        ok(client.post(f"/api/job/{job_id}/run"))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        until(lambda: one_number(cache_database, waits))
        if not hears:
            os.kill(run_process(nodes.worker).pid, signal.SIGSTOP)
        ordered = time.time()
        ok(client.post(f"/api/job/{job_id}/stop"))
        until(in_state(client, job_id, "stopped"))
        ended = datetime.fromisoformat(newest(client, job_id)["finished"]).timestamp()
        assert ended - ordered <= BOUND_SECONDS
        assert one_number(cache_database, waits) == 0
    ok(client.post(f"/api/job/{job_id}/run"))
    until(in_state(client, job_id, "success"))


def test_while_it_waits_for_its_next_try(
    client: httpx.Client, cache_database: CacheDatabase
) -> None:
    with odd_service(lambda _: Answer(status=404)) as broken:
        url = broken.url
        source = connect(client, "Office", "OData", f"URL={url}")
        body = caching(source, sourceSchema="OData", sourceTable="Things")
    job_id = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
    until(in_state(client, job_id, "retrying"))
    assert newest(client, job_id)["status"] == "JOB_QUEUED"
    stop_in_time(client, job_id, cache_database, 0)
