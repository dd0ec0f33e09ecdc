"""Two nodes of each role on one PostgreSQL behind PgBouncer, and one of each is killed."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.pooler import pgbouncer
from tests.ports import free_port
from tests.product import Customer, Vendor, make_customer, make_vendor, ok, process, wait_for_end
from tests.running_product import wait_until_ready
from tidewell.state.database import Database
from tidewell.state.embedded import EmbeddedServer

JOBS = 12
SESSIONS = 4  # fewer than the nodes' own pools have connections: transactions change sessions
LONG_AGO = {"intervalUnit": "Month", "definedNextRun": "2020-01-31T00:00:00Z"}


class Cluster:
    """The state database, its pooler, and the processes over them."""

    def __init__(self, server: EmbeddedServer, folder: Path, stack: ExitStack) -> None:
        name = f"nodes_{uuid4().hex}"
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self.direct = server.url(name)
        self.pooled = stack.enter_context(pgbouncer(self.direct, folder, sessions=SESSIONS))
        self.log = folder / "log"
        self.files = folder / "files"
        self.files.mkdir()
        self.settings = {
            "TIDEWELL_HOME": str(folder / "home"),
            "TIDEWELL_DATABASE_URL": self.pooled,
            "TIDEWELL_DATABASE_DIRECT_URL": self.direct,
            "TIDEWELL_FILES_ROOT": str(self.files),
            "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
            "TIDEWELL_RUN_CONCURRENCY": "2",
        }
        self._stack = stack
        self.vendor: Vendor = make_vendor(folder, self.settings)

    def start(self, *arguments: str) -> Any:
        """A process of a role."""
        return self._stack.enter_context(process(*arguments, settings=self.settings, log=self.log))

    def api(self) -> tuple[str, Any]:
        """An API node: its address, and its process."""
        port = free_port()
        started = self.start("serve", "--port", str(port), "--no-worker", "--no-ticker")
        return f"http://127.0.0.1:{port}", started

    def runs(self) -> dict[tuple[str, str, str], int]:
        """How many runs each job has, by their cause and state."""
        query = "SELECT job_id::text, cause, state, count(*)::integer FROM run GROUP BY 1, 2, 3"
        with psycopg.connect(self.direct) as connection:
            return {(job, cause, state): n for job, cause, state, n in connection.execute(query)}


@pytest.fixture
def cluster(server: EmbeddedServer, tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(server, tmp_path, stack)


def make_jobs(cluster: Cluster, client: httpx.Client, cache: CacheDatabase) -> list[str]:
    """Jobs of tables of their own, all due since long ago."""
    text = cache.connection_string
    ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    for number in range(JOBS):
        (cluster.files / f"t{number}.csv").write_text("id,name\n1,Ada\n2,Grace\n")
    office = connect(client, "Office", "Files", f"URI={cluster.files}")
    ids = []
    for number in range(JOBS):
        body = caching(office, sourceTable=f"t{number}") | LONG_AGO
        ids.append(ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])
    return ids


def test_two_nodes_of_each_role_share_the_work_and_one_of_each_may_die(
    cluster: Cluster, cache_database: CacheDatabase
) -> None:
    (first_url, first_api), (second_url, _) = cluster.api(), cluster.api()
    for url in (first_url, second_url):
        wait_until_ready(url, cluster.log)
    customer: Customer = make_customer(first_url, cluster.vendor)
    with customer.client() as client:
        ids = make_jobs(cluster, client, cache_database)
    tickers = [cluster.start("ticker") for _ in range(2)]
    workers = [cluster.start("worker") for _ in range(2)]

    elsewhere = Customer(second_url, cluster.vendor, customer.account_id)
    with elsewhere.client() as client:
        for job_id in ids:
            assert wait_for_end(client, job_id)["lastRun"]["status"] == "JOB_SUCCESS"
        assert cluster.runs() == {(job_id, "schedule", "success"): 1 for job_id in ids}

        for job_id in ids:
            ok(client.post(f"/api/job/{job_id}/run"))
        for one in (first_api, tickers[0], workers[0]):
            one.kill()
        for job_id in ids:
            assert wait_for_end(client, job_id)["lastRun"]["status"] == "JOB_SUCCESS"
        assert cluster.runs() == {
            (job_id, cause, "success"): 1 for job_id in ids for cause in ("schedule", "request")
        }
        assert all(
            job["lastRun"]["dateTime"].endswith("Z")
            for job in ok(client.get("/api/job/list"))["jobs"]
        )
    said = cluster.log.read_text()
    assert "worker_lost_its_database" not in said
    assert "prepared statement" not in said


async def test_a_pooled_session_is_in_utc_and_prepares_nothing(
    cluster: Cluster,
) -> None:

    with psycopg.connect(cluster.direct, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        change = "ALTER DATABASE {} SET timezone = 'America/New_York'"
        connection.execute(sql.SQL(change).format(name))
    async with Database(cluster.direct, pooler_url=cluster.pooled, max_size=8) as database:
        for _ in range(12):  # more often than what psycopg would prepare by itself
            async with database.transaction() as one, database.transaction() as other:
                for pooled in (one, other):
                    row = await (await pooled.execute("SHOW TimeZone")).fetchone()
                    assert row == {"TimeZone": "UTC"}
