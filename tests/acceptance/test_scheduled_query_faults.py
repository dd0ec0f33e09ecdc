"""Scheduled queries are stopped, and outlive the death of what executes them, as other runs do."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.conftest import connect
from tests.acceptance.test_crashes import run_process, slow
from tests.acceptance.test_stop import BOUND_SECONDS, in_state, newest, until
from tests.conftest import CacheDatabase
from tests.mailchimp_server import KEY, MailChimp, mailchimp
from tests.product import Vendor, make_customer, make_vendor, ok, process, wait_for_end
from tests.running_product import free_port, wait_until_ready
from tests.slow_source import SlowSource
from tidewell.state.embedded import EmbeddedServer

__all__ = ["slow"]

ENDLESS = (
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) "
    "SELECT MAX(i) AS i FROM n"
)
SLOW_COMMIT = """
CREATE TABLE stock (id int PRIMARY KEY, pieces int NOT NULL);
INSERT INTO stock VALUES (1, 5);
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_sleep(3); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON stock DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION take_time();
"""
COMMITTING = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND state = 'active' AND query ILIKE 'commit%'
"""


@pytest.fixture(scope="module")
def settings(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of nodes over a state database of their own."""
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return {
        "TIDEWELL_HOME": str(tmp_path_factory.mktemp("home")),
        "TIDEWELL_DATABASE_URL": server.url(name),
        "TIDEWELL_RUN_CONCURRENCY": "1",
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
    }


@pytest.fixture(scope="module")
def node(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Vendor]]:
    """A node that takes orders and executes nothing itself: workers come and go in the tests."""
    folder = tmp_path_factory.mktemp("node")
    port, log = free_port(), folder / "serve.log"
    with process("serve", "--port", str(port), "--no-worker", settings=settings, log=log):
        wait_until_ready(f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}", make_vendor(folder, settings)


@pytest.fixture
def client(node: tuple[str, Vendor], cache_database: CacheDatabase) -> Iterator[httpx.Client]:
    """A customer with a cache."""
    with make_customer(*node).client() as client:
        body = {"connectionString": cache_database.connection_string}
        ok(client.post("/api/job/cacheConnection", json=body))
        yield client


@contextmanager
def worker(settings: dict[str, str], log: Path) -> Iterator[Any]:
    with process("worker", settings=settings, log=log) as running:
        yield running


def make(client: httpx.Client, query: str, **params: Any) -> str:
    """A job, whose first run is queued at once."""
    body = {
        "jobType": "ScheduledQuery",
        "intervalUnit": "Hour",
        "intervalValue": 1,
        "params": {"query": query} | params,
    }
    return str(ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])


def ask(database: CacheDatabase, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url) as connection:
        return connection.execute(query.encode()).fetchall()


def stop_in_time(client: httpx.Client, job_id: str) -> None:
    ordered = time.time()
    ok(client.post(f"/api/job/{job_id}/stop"))
    until(in_state(client, job_id, "stopped"))
    assert time.time() - ordered <= BOUND_SECONDS


def kill(running: Any) -> None:
    """The worker and all its processes, at once."""
    found = psutil.Process(running.pid)
    for one in [*found.children(recursive=True), found]:
        one.send_signal(signal.SIGKILL)
    running.wait()


def test_a_stop_ends_each_kind_within_two_seconds(
    client: httpx.Client,
    settings: dict[str, str],
    tmp_path: Path,
    slow: SlowSource,
    cache_database: CacheDatabase,
    another_cache: CacheDatabase,
) -> None:
    with psycopg.connect(another_cache.url) as holder:
        holder.execute("CREATE TABLE stock (id int PRIMARY KEY, pieces int)")
        holder.execute("INSERT INTO stock VALUES (1, 5)")
        holder.commit()
        connect(client, "Shop", "PostgreSQL", another_cache.connection_string)
        connect(client, "Slow", "OData", f"URL={slow.url}")
        with worker(settings, tmp_path / "worker.log"):
            # A source that stalls.
            stalled = make(client, "SELECT ID, name FROM Slow.OData.Things", name="stalled")
            slow.wait_until_read()
            stop_in_time(client, stalled)
            # DuckDB at work.
            computing = make(client, ENDLESS, name="computing")
            until(in_state(client, computing, "running"))
            time.sleep(1)
            stop_in_time(client, computing)
            # A statement that waits at its own connection.
            holder.execute("LOCK TABLE stock IN ACCESS EXCLUSIVE MODE")
            waiting = make(client, "UPDATE Shop.public.stock SET pieces = pieces + 1", name="w")
            blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            until(lambda: ask(another_cache, blocked)[0][0])
            stop_in_time(client, waiting)
            holder.rollback()
    assert ask(another_cache, "SELECT pieces FROM stock") == [(5,)]
    gone = "SELECT count(*) FROM pg_class WHERE relname IN ('stalled', 'computing')"
    assert ask(cache_database, gone) == [(0,)]


def test_a_worker_that_is_killed_is_replaced(
    client: httpx.Client,
    settings: dict[str, str],
    tmp_path: Path,
    slow: SlowSource,
    cache_database: CacheDatabase,
) -> None:
    connect(client, "Slow", "OData", f"URL={slow.url}")
    with worker(settings, tmp_path / "first.log") as first:
        job_id = make(client, "SELECT ID, name FROM Slow.OData.Things", writeMode="append")
        slow.wait_until_read()
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    slow.let_go()
    with worker(settings, tmp_path / "second.log"):
        job = wait_for_end(client, job_id)
    assert job["lastRun"]["status"] == "JOB_SUCCESS"
    assert job["lastRun"]["rowsAffected"] == slow.rows
    assert newest(client, job_id)["attempts"] == 2
    place = f'"{job["params"]["cacheSchema"]}"."{job["params"]["cacheTable"]}"'
    count = f'SELECT count(*), count(DISTINCT "ID") FROM {place}'  # noqa: S608 - the test's names
    assert ask(cache_database, count) == [(slow.rows, slow.rows)]


def test_a_process_that_is_killed_each_time_fails_its_run_with_a_reason(
    client: httpx.Client, settings: dict[str, str], tmp_path: Path, slow: SlowSource
) -> None:
    connect(client, "Slow", "OData", f"URL={slow.url}")
    with worker(settings, tmp_path / "worker.log") as running:
        job_id = make(client, "SELECT ID FROM Slow.OData.Things", name="killed", retries=0)
        slow.wait_until_read()
        run_process(running.pid).kill()
        job = wait_for_end(client, job_id)
        assert job["lastRun"]["status"] == "JOB_FAILED"
        assert newest(client, job_id)["error"]["code"] == "RUN_PROCESS_DIED"
        slow.let_go()
        ok(client.post(f"/api/job/{job_id}/run"))
        again = wait_for_end(client, job_id, after=job["lastRun"]["dateTime"])
    assert again["lastRun"]["status"] == "JOB_SUCCESS"


def test_a_statement_whose_worker_dies_in_its_commit_takes_effect_once(
    client: httpx.Client,
    settings: dict[str, str],
    tmp_path: Path,
    another_cache: CacheDatabase,
) -> None:
    with psycopg.connect(another_cache.url) as connection:
        connection.execute(SLOW_COMMIT)
    connect(client, "Shop", "PostgreSQL", another_cache.connection_string)
    with worker(settings, tmp_path / "first.log") as first:
        job_id = make(client, "UPDATE Shop.public.stock SET pieces = pieces + 1")
        until(lambda: ask(another_cache, COMMITTING)[0][0])
        kill(first)
    until(lambda: ask(another_cache, "SELECT pieces FROM stock") == [(6,)], 10)
    with worker(settings, tmp_path / "second.log"):
        job = wait_for_end(client, job_id)
        assert job["lastRun"]["status"] == "JOB_SUCCESS"
        assert job["lastRun"]["rowsAffected"] == 1
        assert newest(client, job_id)["attempts"] == 2
        assert ask(another_cache, "SELECT pieces FROM stock") == [(6,)]
        # The next run is another one.
        ok(client.post(f"/api/job/{job_id}/run"))
        wait_for_end(client, job_id, after=job["lastRun"]["dateTime"])
    assert ask(another_cache, "SELECT pieces FROM stock") == [(7,)]


# --- a join of a service and a database, every hour -----------------------------------------------

MEMBERS = 600
SEED = 20240229
JOINED = (
    "SELECT m.id, m.email_address AS email, m.status, s.spent FROM News.MailChimp.ListMembers m "
    "JOIN Shop.public.sales s ON s.email = m.email_address"
)


@pytest.fixture
def newsletter(client: httpx.Client, another_cache: CacheDatabase) -> Iterator[MailChimp]:
    """A newsletter's members, and what each of them has spent in a shop."""
    with mailchimp() as running:
        running.data["lists"] = [{"id": "news"}]
        running.data["lists/news/members"] = [
            member(number, "subscribed") for number in range(MEMBERS)
        ]
        with psycopg.connect(another_cache.url) as connection:
            connection.execute("CREATE TABLE sales (email text PRIMARY KEY, spent numeric(10, 2))")
            connection.execute(
                "INSERT INTO sales SELECT 'm' || n || '@example.org', n * 1.25 "
                "FROM generate_series(0, 2000) AS n"
            )
        connect(client, "News", "MailChimp", f"APIKey={KEY};URL={running.url}")
        connect(client, "Shop", "PostgreSQL", another_cache.connection_string)
        yield running


def member(number: int, status: str) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "list_id": "news",
        "email_address": f"m{number}@example.org",
        "status": status,
    }


def test_an_hourly_join_survives_kills(
    client: httpx.Client,
    settings: dict[str, str],
    tmp_path: Path,
    newsletter: MailChimp,
    cache_database: CacheDatabase,
    another_cache: CacheDatabase,
) -> None:
    """Replaced, appended and merged: after each round, with a worker killed in its middle, each
    table is what one run over the sources as they stand makes it, no row lost or doubled."""
    rounds = int(os.environ.get("KILL_ROUNDS", "1"))
    seed = int(os.environ.get("KILL_SEED", str(SEED)))
    print(f"KILL_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311 - no secret
    jobs = {
        mode: make(client, JOINED, name=mode, writeMode=mode, mergeKeys=["id"])
        for mode in ("replace", "append", "merge")
    }
    appended: list[tuple[Any, ...]] = []
    for number in range(rounds):
        with worker(settings, tmp_path / f"killed {number}.log") as first:
            # Its start takes about two seconds, its runs about one each.
            time.sleep(2 + chance.random() * 3)
            kill(first)
        with worker(settings, tmp_path / f"next {number}.log"):
            for job_id in jobs.values():
                job = wait_for_end(client, job_id)
                assert job["lastRun"]["status"] == "JOB_SUCCESS", newest(client, job_id)
        now = joined(newsletter, another_cache)
        appended = sorted([*appended, *now])
        assert table(cache_database, "replace") == now
        assert table(cache_database, "merge") == now
        assert table(cache_database, "append") == appended
        change(newsletter, another_cache, chance)
        for job_id in jobs.values():
            ok(client.post(f"/api/job/{job_id}/run"))


def change(newsletter: MailChimp, shop: CacheDatabase, chance: random.Random) -> None:
    """New members, others that leave, and sales."""
    members = newsletter.data["lists/news/members"]
    for one in chance.sample(members, 20):
        one["status"] = "unsubscribed"
    members += [member(len(members) + number, "subscribed") for number in range(5)]
    with psycopg.connect(shop.url) as connection:
        connection.execute("UPDATE sales SET spent = spent + 1 WHERE spent::int % 7 = 0")


def joined(newsletter: MailChimp, shop: CacheDatabase) -> list[tuple[Any, ...]]:
    spent = dict(ask(shop, "SELECT email, spent FROM sales"))
    return sorted(
        (one["id"], one["email_address"], one["status"], spent[one["email_address"]])
        for one in newsletter.data["lists/news/members"]
    )


def table(cache: CacheDatabase, name: str) -> list[tuple[Any, ...]]:
    query = f'SELECT id, email, status, spent FROM "ScheduledQueries"."{name}"'  # noqa: S608 - the test's names
    return sorted(ask(cache, query))
