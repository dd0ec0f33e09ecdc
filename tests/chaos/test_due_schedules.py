"""Two tickers and three workers over thousands of due schedules: no double, none missed."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.chaos.cluster import Cluster, cluster
from tests.chaos.conftest import new_state, settings_of
from tests.chaos.counts import COUNTS, chance
from tests.conftest import CacheDatabase, new_cache_database
from tidewell.state.embedded import EmbeddedServer

ACCOUNTS = 5
_SECONDS_A_RUN = 1.0
# Copies of a job that the API made: all are due, and have missed three times.
_COPIES = """
INSERT INTO job (id, account_id, job_type, name, enabled, interval_unit, interval_value,
                 log_verbosity, anchor_at, next_run_at, params, cache_schema, cache_table,
                 created_at, modified_at)
SELECT gen_random_uuid(), account_id, job_type, name || number, true, 'Hour', 1, 1,
       date_trunc('second', now()) - interval '5 hours',
       date_trunc('second', now()) - interval '3 hours',
       params, cache_schema, cache_table || number, now(), now()
  FROM job, generate_series(1, %(count)s) AS number
 WHERE name = 'one'
"""
_COUNTED = """
SELECT job.cache_schema, job.cache_table, count(run.id),
       count(*) FILTER (WHERE run.cause = 'schedule'),
       count(*) FILTER (WHERE run.state = 'success'),
       job.next_run_at - job.anchor_at, now() - job.anchor_at
  FROM job LEFT JOIN run ON run.job_id = job.id
 WHERE job.name <> 'one'
 GROUP BY job.id
"""
_OPEN = """
SELECT count(*) FROM job
 WHERE name <> 'one'
   AND NOT EXISTS (SELECT FROM run WHERE run.job_id = job.id AND run.state = 'success')
"""


@pytest.fixture
def state_url(server: EmbeddedServer) -> str:
    return new_state(server)


@pytest.fixture
def nodes(state_url: str, tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, settings_of(tmp_path, state_url), workers=3, apis=2) as running:
        yield running


def make_jobs(nodes: Cluster, cache: CacheDatabase, state_url: str) -> int:
    for _ in range(ACCOUNTS):
        caller = nodes.customer()
        text = cache.connection_string
        caller.call("POST", "/api/job/cacheConnection", {"connectionString": text})
        body = {
            "jobType": "ScheduledQuery",
            "name": "one",
            "intervalUnit": "Hour",
            "intervalValue": "1",
            "enabled": "false",
            "params": {"query": "SELECT 1 AS one", "writeMode": "append"},
        }
        caller.call("POST", "/api/job/create", body)
        caller.close()
    with psycopg.connect(state_url) as connection:
        # Each account has a schema of its own: they share one cache.
        connection.execute("UPDATE job SET cache_schema = account_id::text")
        made = connection.execute(_COPIES, {"count": COUNTS.schedules // ACCOUNTS})
        return made.rowcount


def kill_tickers(nodes: Cluster, plan: random.Random, state_url: str, seconds: float) -> None:
    """Kill tickers before and after their commit, until all jobs have run."""
    deadline = time.monotonic() + seconds
    kills = 0
    while True:
        if kills < 1 + COUNTS.schedules // 50 and not nodes.waiting():
            nodes.order(plan.choice(["before tick", "after tick"]), signal.SIGKILL, "self")
            kills += 1
        nodes.keep_up()
        with psycopg.connect(state_url) as connection:
            left: Any = connection.execute(_OPEN).fetchone()
        if left == (0,):
            return
        assert time.monotonic() < deadline, f"{left[0]} jobs have not run"
        time.sleep(0.25)


def test_due_schedules_are_queued_once_each_whatever_ticker_dies(
    server: EmbeddedServer, nodes: Cluster, state_url: str
) -> None:
    plan = chance("schedules")
    with new_cache_database(server) as cache:
        made = make_jobs(nodes, cache, state_url)
        kill_tickers(nodes, plan, state_url, 60 + made * _SECONDS_A_RUN)
        nodes.withdraw()
        killed = len(nodes.carried_out())
        with psycopg.connect(state_url) as connection:
            rows = connection.execute(_COUNTED).fetchall()
        with psycopg.connect(cache.url) as connection:
            for schema, table, runs, scheduled, succeeded, following, passed in rows:
                # Whatever was missed is one run.
                assert (runs, scheduled, succeeded) == (1, 1, 1), table
                assert following > passed and following.total_seconds() % 3600 == 0  # noqa: PT018
                place = sql.Identifier(schema, table)
                count = connection.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(place)
                ).fetchone()
                assert count == (1,), table
    print(f"{made} due schedules, {killed} tickers killed")
    assert len(rows) == made == COUNTS.schedules // ACCOUNTS * ACCOUNTS
    assert killed > 0
