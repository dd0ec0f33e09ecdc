"""Jobs that run again and again while things break, and the reckoning in the end."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.acceptance.conftest import caching
from tests.chaos.cluster import Caller, Cluster
from tests.chaos.tables import KINDS, CachedTable, Kind, SourceTable
from tests.conftest import CacheDatabase

_ACTIVE = "SELECT job_id::text FROM run WHERE state IN ('queued', 'running', 'retrying')"
_LONG_WAITING = """
SELECT job_id::text FROM run
 WHERE state = 'retrying' AND retry_at > clock_timestamp() + interval '10 seconds'
   AND NOT EXISTS (SELECT FROM run WHERE state IN ('queued', 'running'))
"""
_RUNS = """
SELECT state, rows_read, rows_affected, receipt, error_code FROM run WHERE job_id = %s
 ORDER BY queued_at
"""
_LEFT = """
SELECT count(*) FROM pg_stat_activity
 WHERE application_name LIKE 'tidewell%%' AND application_name <> 'tidewell idle'
   AND datname = current_database()
"""
_END_SECONDS = 120.0
_LEAVE_SECONDS = 5.0


def waiting_long(state_url: str) -> set[str]:
    """The jobs whose runs wait long for their next attempt, where no run goes on.

    The pauses between attempts grow to minutes, in which there would be nothing to break.
    """
    with psycopg.connect(state_url) as connection:
        return {row[0] for row in connection.execute(_LONG_WAITING).fetchall()}


@dataclass
class Job:
    """A job over one source table."""

    id: str
    caller: Caller
    cached: CachedTable

    @property
    def source(self) -> SourceTable:
        return self.cached.source


class Campaign:
    """The jobs of some customers, driven and reckoned up."""

    def __init__(
        self, cluster: Cluster, source: CacheDatabase, cache: CacheDatabase, state_url: str
    ) -> None:
        self.cluster = cluster
        self.jobs: list[Job] = []
        self._source = source
        self._cache = cache
        self.cache_url = cache.url
        self.state_url = state_url
        self._names = 0
        self._callers: list[Caller] = []

    def close(self) -> None:
        """Close the customers' connections."""
        for caller in self._callers:
            caller.close()

    @property
    def tables(self) -> list[CachedTable]:
        return [job.cached for job in self.jobs]

    def add(
        self,
        chance: random.Random,
        kinds: tuple[Kind, ...] = KINDS,
        *,
        size: int = 120,
        source: str = "",
        cache: str = "",
        **params: Any,
    ) -> list[Job]:
        """A new customer with a job of each kind; other addresses may lead through a relay."""
        caller = self.cluster.customer()
        self._callers.append(caller)
        text = cache or self._cache.connection_string
        caller.call("POST", "/api/job/cacheConnection", {"connectionString": text})
        self._names += 1
        name = f"c{self._names}"
        body = {
            "name": name,
            "driver": "PostgreSQL",
            "connectionString": source or self._source.connection_string,
        }
        connection = caller.call("POST", "/api/connections", body)["connection"]["id"]
        made = [self._job(chance, caller, name, connection, kind, size, params) for kind in kinds]
        self.jobs += made
        return made

    def _job(
        self,
        chance: random.Random,
        caller: Caller,
        name: str,
        connection: str,
        kind: Kind,
        size: int,
        params: dict[str, Any],
    ) -> Job:
        source = SourceTable(self._source.url, f"{name}_{kind}", kind, size)
        source.make(chance)
        if kind == "feed":
            cached = CachedTable(source, "appended", source.name)
            body = {
                "jobType": "ScheduledQuery",
                "name": source.name,
                "intervalUnit": "Day",
                "intervalValue": "1",
                "params": {
                    "query": f"SELECT * FROM [{name}].[public].[{source.name}]",  # noqa: S608
                    "destinationSchema": "appended",
                    "destinationTable": source.name,
                    "writeMode": "append",
                    "retries": "10",
                }
                | params,
            }
        else:
            cached = CachedTable(source, "copies", source.name)
            body = caching(
                connection,
                sourceName=name,
                sourceSchema="public",
                sourceTable=source.name,
                timeCheckColumn="version" if kind == "moving" else "",
                cacheSchema="copies",
                cacheTable=source.name,
                retries="10",
                **params,
            )
        answer = caller.call("POST", "/api/job/create", body)
        return Job(str(answer["jobs"][0]["id"]), caller, cached)

    def active(self) -> set[str]:
        """The jobs that have a run which has not ended."""
        with psycopg.connect(self.state_url) as connection:
            return {row[0] for row in connection.execute(_ACTIVE).fetchall()}

    def step(self, chance: random.Random) -> None:
        """Change the sources of idle jobs, and ask for their next runs, where that is possible."""
        with suppress(psycopg.OperationalError):
            active = self.active()
            for job in self.jobs:
                if job.id not in active:
                    job.source.change(chance)
                    job.caller.try_to("POST", f"/api/job/{job.id}/run")

    def hurry(self) -> None:
        """Stop the runs that nothing else goes on beside, and that wait long."""
        with suppress(psycopg.OperationalError):
            waiting = waiting_long(self.state_url)
            for job in self.jobs:
                if job.id in waiting:
                    job.caller.try_to("POST", f"/api/job/{job.id}/stop")

    def wait_for_all(self, also: Callable[[], object] = lambda: None) -> None:
        """Return when every run has ended; each has its time from the end of the one before it."""
        deadline = time.monotonic() + _END_SECONDS
        before: set[str] = set()
        while True:
            also()
            with suppress(psycopg.OperationalError):
                active = self.active() & {job.id for job in self.jobs}
                if not active:
                    return
                if active != before:
                    before, deadline = active, time.monotonic() + _END_SECONDS
                assert time.monotonic() < deadline, f"these jobs do not come to an end: {active}"
            time.sleep(0.1)

    def settle(self) -> None:
        """One more run of each job, without faults."""
        for job in self.jobs:
            job.caller.call("POST", f"/api/job/{job.id}/run")
        self.wait_for_all()

    def reckon(self) -> "Counter[str]":
        """Compare source, cached table and recorded counts; returns how many runs ended how."""
        ended: Counter[str] = Counter()
        with (
            psycopg.connect(self.state_url) as state,
            psycopg.connect(self.cache_url) as cache,
        ):
            for job in self.jobs:
                runs = state.execute(_RUNS, (job.id,)).fetchall()
                ended.update(run[0] for run in runs)
                last = runs[-1]
                assert last[0] == "success", (job.source.name, last)
                succeeded = [run[3] for run in runs if run[0] == "success"]
                rows = job.cached.rows(cache)
                assert rows is not None, job.source.name
                if job.source.kind == "feed":
                    copies = sum(
                        count // job.source.sizes[version]
                        for version, count in Counter(
                            version for _, version, _ in rows.elements()
                        ).items()
                    )
                    assert copies == len(succeeded), (job.source.name, copies, len(succeeded))
                    assert job.cached.look(cache) == ""
                else:
                    assert rows == Counter(job.source.rows), job.source.name
                net = sum(one["inserted"] - one["deleted"] for one in succeeded)
                assert net == rows.total(), (job.source.name, net, rows.total())
                for run in runs:
                    if run[0] == "success":
                        self._check_receipt(job, *run[1:4])
        self._check_sessions()
        return ended

    def _check_sessions(self) -> None:
        """A session of ours may take a moment to leave, and no longer."""
        deadline = time.monotonic() + _LEAVE_SECONDS
        with psycopg.connect(self.cache_url, autocommit=True) as connection:
            while (left := connection.execute(_LEFT).fetchone()) != (0,):
                assert time.monotonic() < deadline, f"{left} sessions are left at the cache"
                time.sleep(0.1)

    def _check_receipt(
        self, job: Job, rows_read: int, affected: int, receipt: dict[str, Any]
    ) -> None:
        written = receipt["inserted"] + receipt["updated"] + receipt["deleted"]
        assert affected == written, (job.source.name, affected, receipt)
        assert rows_read == receipt["rows_read"] == receipt["rows_staged"], receipt
        if receipt["mode"] != "incremental":
            assert rows_read in job.source.sizes.values(), (job.source.name, rows_read)
