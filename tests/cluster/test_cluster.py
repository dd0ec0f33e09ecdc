"""Three API nodes, three workers, two tickers and PostgreSQL, each on a host of its own, at work.

Cables are pulled and plugged in again, or carry little; nodes are killed, and all of them are
rolled to this version. No run is lost and none has its effect twice; calls fail only while no node
can be reached. `make test-cluster` does it with hundreds of faults and rolls from the version
before the newest migration; `make test` with a few, and from this version.
"""

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.cluster.hosts import Hosts
from tests.cluster.load import Program, Reach
from tests.cluster.nodes import NOW, PORT, Nodes, code_before, postgres
from tests.product import Customer, make_customer, make_vendor, ok

FAULTS = int(os.environ.get("CLUSTER_FAULTS", "6"))
SEED = int(os.environ.get("CLUSTER_SEED", "1"))
APIS, WORKERS, TICKERS, ASKED = 3, 3, 2, 6
DUE, EACH_SECONDS = 12, 0.5  # so many for each fault, one due after the other
LONGEST_SECONDS = 14.0  # a worker may be silent for 9
LONGEST_SECONDS_OF_ALL = 5.0  # without PostgreSQL
_READY_SECONDS = 90.0
_END_SECONDS = 300.0
# Copies of a job that the API made, one due after the other.
_COPIES = """
INSERT INTO job (id, account_id, job_type, name, enabled, interval_unit, interval_value,
                 log_verbosity, anchor_at, next_run_at, params, cache_schema, cache_table,
                 created_at, modified_at)
SELECT gen_random_uuid(), account_id, job_type, 'due ' || number, true, 'Month', 1, 1,
       now() + %(step)s * number * interval '1 second',
       now() + %(step)s * number * interval '1 second',
       params, cache_schema, 'due' || number, now(), now()
  FROM job, generate_series(1, %(count)s) AS number
 WHERE name = 'asked 0'
"""
_RUNS = """
SELECT job.id::text, job.name, job.cache_schema, job.cache_table,
       coalesce(array_agg(run.id::text) FILTER (WHERE run.state = 'success'), '{}'),
       count(run.id)::integer
  FROM job LEFT JOIN run ON run.job_id = job.id
 GROUP BY job.id
"""
_OPEN = """
SELECT (SELECT count(*) FROM run WHERE state IN ('queued', 'running', 'retrying'))
     + (SELECT count(*) FROM job
         WHERE name LIKE 'due %' AND NOT EXISTS (SELECT FROM run WHERE run.job_id = job.id))
"""


class Cluster:
    """The hosts and what runs on them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.hosts = stack.enter_context(Hosts())
        self.url = stack.enter_context(postgres(self.hosts, folder))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE state")
            connection.execute("CREATE ROLE customer LOGIN")
            connection.execute("CREATE DATABASE cache OWNER customer")
        address = self.hosts.address("postgres")
        self.state_url = f"postgresql://postgres@{address}/state"
        self.cache_url = f"postgresql://customer@{address}/cache"
        self.cache = f"Server={address};Port=5432;User=customer;Password=none;Database=cache;"
        settings = {
            "TIDEWELL_HOME": str(folder / "home"),
            "TIDEWELL_DATABASE_URL": self.state_url,
            "TIDEWELL_RUN_CONCURRENCY": "2",
            "TIDEWELL_ACCOUNT_CONCURRENCY": "16",
            "TIDEWELL_EGRESS_ALLOW": self.hosts.network,
            "TIDEWELL_LOG": "warning",
        }
        self.before = code_before(folder)
        self.nodes = Nodes(self.hosts, folder, settings, self.before)
        stack.callback(self.nodes.close)
        self.nodes.run(self.before, "db", "upgrade")
        self.reach = Reach()
        self.apis: dict[str, str] = {}
        for number in range(APIS):
            arguments = ("serve", "--host", "ADDRESS", "--port", str(PORT))
            host = f"api{number}"
            address = self.nodes.add(host, *arguments, "--no-worker", "--no-ticker")
            self.apis[host] = f"http://{address}:{PORT}"
        for number in range(WORKERS):
            self.nodes.add(f"worker{number}", "worker")
        for number in range(TICKERS):
            self.nodes.add(f"ticker{number}", "ticker")
        self.nodes.keep_up()
        self.wait_until_ready(list(self.apis))
        self.vendor = make_vendor(folder, settings)

    def wait_until_ready(self, apis: list[str]) -> None:
        """Until these nodes say that they can work; they have to within their time."""
        deadline = time.monotonic() + _READY_SECONDS
        for host in apis:
            while not self.is_ready(host):
                assert time.monotonic() < deadline, f"{host} does not come back"
                time.sleep(0.1)
            self.reach.set(host, reachable=True)

    def is_ready(self, host: str) -> bool:
        try:
            return httpx.get(f"{self.apis[host]}/readyz", timeout=2).is_success
        except httpx.TransportError:
            return False

    def unreachable(self, host: str) -> None:
        """Note that a host, or what all need, is about to go."""
        for api in self.apis if host == "postgres" else [host]:
            if api in self.apis:
                self.reach.set(api, reachable=False)

    def break_something(self, fault: str, host: str, seconds: float) -> None:
        """One fault, for a while; all is well again afterwards."""
        if fault == "slow":  # reachable all the while
            self.hosts.slow(host, "2mbit" if host == "postgres" else "256kbit")
            time.sleep(seconds)
            self.hosts.quicken(host)
            return
        self.unreachable(host)
        if fault == "pull":
            self.hosts.pull(host)
            time.sleep(seconds)
            self.hosts.plug(host)
        else:
            self.nodes.kill(host)
            self.nodes.keep_up()
        self.wait_until_ready(
            list(self.apis) if host == "postgres" else [host] if host in self.apis else []
        )

    def roll(self) -> None:
        """Every node, one after the other, to this version."""
        self.nodes.run(NOW, "db", "upgrade")
        for host in self.nodes.all:
            self.unreachable(host)
            self.nodes.roll(host, NOW)
            if host in self.apis:
                self.wait_until_ready([host])


def faults(plan: random.Random) -> Iterator[tuple[str, str, float]]:
    """What breaks, where, and for how many seconds: each kind before any comes again."""
    hosts = {"api": APIS, "worker": WORKERS, "ticker": TICKERS, "postgres": 0}
    kinds = [(fault, role) for fault in ("pull", "slow", "kill") for role in hosts]
    kinds.remove(("kill", "postgres"))
    while True:
        for fault, role in plan.sample(kinds, len(kinds)):
            host = f"{role}{plan.randrange(hosts[role])}" if hosts[role] else role
            longest = LONGEST_SECONDS if hosts[role] else LONGEST_SECONDS_OF_ALL
            yield fault, host, plan.uniform(1, longest)


def make_jobs(cluster: Cluster, customer: Customer) -> list[str]:
    """Jobs to be asked for: the table of each tells how often it took effect."""
    ids = []
    with customer.client() as client:
        ok(client.post("/api/job/cacheConnection", json={"connectionString": cluster.cache}))
        for number in range(ASKED):
            body: dict[str, Any] = {
                "jobType": "ScheduledQuery",
                "name": f"asked {number}",
                "intervalUnit": "Month",
                "intervalValue": "1",
                "definedNextRun": "2099-01-01T00:00:00Z",
                "enabled": "true",
                "params": {
                    "query": "SELECT 1 AS one",
                    "writeMode": "append",
                    "destinationTable": f"asked{number}",
                    "retries": "12",
                },
            }
            ids.append(ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])
    return ids


@pytest.mark.timeout(7200)
def test_hosts_come_and_go_and_no_run_is_lost_or_done_twice(tmp_path: Path) -> None:
    print(f"CLUSTER_SEED={SEED}")
    plan = random.Random(SEED)  # noqa: S311 - no secret
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path)
        customer = make_customer(cluster.apis["api0"], cluster.vendor)
        asked = make_jobs(cluster, customer)
        due = FAULTS * DUE
        with psycopg.connect(cluster.state_url) as connection:
            connection.execute(_COPIES, {"step": EACH_SECONDS, "count": due})
        token = customer.token(exp=int(time.time()) + 23 * 3600)
        program = Program(cluster.apis, token, asked, cluster.reach, SEED)
        told = []
        with program.calling():
            for number, (fault, host, seconds) in enumerate(islice(faults(plan), FAULTS)):
                if number == FAULTS // 2:
                    cluster.roll()
                cluster.break_something(fault, host, seconds)
                told.append(f"{fault} {host}")
        wait_for_all(cluster)
        with psycopg.connect(cluster.state_url) as connection:
            rows = connection.execute(_RUNS).fetchall()
        print(
            f"{len(told)} faults, {program.calls} calls, {program.excused} while no node could "
            f"be reached, {sum(row[5] for row in rows)} runs: {told}"
        )
        assert program.failures == []
        assert answers_without_postgres(cluster, token) == [503] * APIS
        assert len(rows) == ASKED + due
        with psycopg.connect(cluster.cache_url) as connection:
            for job_id, name, schema, table, succeeded, runs in rows:
                assert len(succeeded) == runs, f"{name}: {runs} runs, of which {len(succeeded)}"
                if job_id in asked:
                    # Of an answer that was lost nobody knows the run.
                    assert program.run_ids[job_id] <= set(succeeded), name
                else:
                    assert runs == 1, f"{name}: {runs}"
                place = sql.Identifier(schema, table)
                if runs:
                    counted = connection.execute(
                        sql.SQL("SELECT count(*) FROM {}").format(place)
                    ).fetchone()
                    assert counted == (runs,), f"{name}: {runs} runs, but {counted} rows"


def answers_without_postgres(cluster: Cluster, token: str) -> list[int]:
    """What each node answers when PostgreSQL does not, nor its network says that it is gone."""

    def ask(url: str) -> int:
        with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            return client.get(f"{url}/api/job/list").status_code

    cluster.hosts.pull("postgres")
    try:
        with ThreadPoolExecutor(APIS) as pool:
            return list(pool.map(ask, cluster.apis.values()))
    finally:
        cluster.hosts.plug("postgres")
        cluster.wait_until_ready(list(cluster.apis))


def wait_for_all(cluster: Cluster) -> None:
    """Until everything that was asked for or due has ended."""
    deadline = time.monotonic() + _END_SECONDS
    while True:
        with psycopg.connect(cluster.state_url) as connection:
            left: Any = connection.execute(_OPEN).fetchone()
        if left == (0,):
            return
        assert time.monotonic() < deadline, f"{left[0]} runs have not ended"
        time.sleep(0.5)
