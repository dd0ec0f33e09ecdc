"""A large table is loaded by several processes, and one of them, their run's or its worker's is
killed at a random time: the next attempt brings the whole table, and nothing is left of the other.
"""

import random
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import psutil
import psycopg
import pytest

from tests.chaos.cluster import Caller
from tests.chaos.conftest import Stage
from tests.chaos.counts import COUNTS, chance
from tidewell.state.statements import statements

SQL = statements("tests.chaos", "key_ranges.sql")
VICTIMS = ("part", "run", "worker")
_LATEST_SECONDS = 4.0
"""After the start of the parts: some are dead by then, the table is proved or in its place."""
_END_SECONDS = 120.0


class Loads:
    """Loads of one table, one after another, each as a new job."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._cluster = stage.campaign.cluster
        self._ask(stage.source.url, "fill")
        self.expected = self._ask(stage.source.url, "source")
        self.caller: Caller = self._cluster.customer()
        text = stage.cache.connection_string
        self.caller.call("POST", "/api/job/cacheConnection", {"connectionString": text})
        body = {
            "name": "Large",
            "driver": "PostgreSQL",
            "connectionString": stage.source.connection_string,
        }
        made = self.caller.call("POST", "/api/connections", body)
        self._connection = str(made["connection"]["id"])

    def load(self, plan: random.Random) -> tuple[str, str]:
        """One load with one kill, and what is then asked for: who was killed, how its run ended."""
        job = self._make_job()
        victim = plan.choice(VICTIMS)
        self._until(lambda: self._parts() or self._has_ended(job))
        time.sleep(plan.uniform(0.0, _LATEST_SECONDS))
        if not self._kill(victim):
            victim = "nobody"
        self._until(lambda: self._has_ended(job))
        ended = self._run(job)["error"] or {"code": "success"}
        if ended["code"] != "success":
            assert ended["code"] == "RUN_PROCESS_DIED"
            self.caller.call("POST", f"/api/job/{job}/run")
            self._until(lambda: self._has_ended(job))
        assert self._run(job)["status"] == "JOB_SUCCESS"
        assert self._ask(self._stage.cache.url, "cached") == self.expected
        self._until(lambda: self._ask(self._stage.cache.url, "left") == [])
        self._until(lambda: self._ask(self._stage.source.url, "reading") == [])
        self.caller.call("DELETE", f"/api/job/{job}/delete")
        return victim, str(ended["code"])

    def _make_job(self) -> str:
        body = {
            "jobType": "Caching",
            "name": "large",
            "intervalUnit": "Hour",
            "intervalValue": "1",
            "params": {
                "sourceConnection": self._connection,
                "sourceName": "Large",
                "sourceSchema": "large",
                "sourceTable": "orders",
                "cacheSchema": "large_copy",
                "retries": "10",
            },
        }
        return str(self.caller.call("POST", "/api/job/create", body)["jobs"][0]["id"])

    def _run(self, job: str) -> dict[str, Any]:
        runs = self.caller.call("GET", f"/api/job/{job}/runs")["runs"]
        return dict(runs[0]) if runs else {"finished": "", "status": "", "error": None}

    def _has_ended(self, job: str) -> bool:
        self._cluster.keep_up()
        return self._run(job)["status"] in ("JOB_SUCCESS", "JOB_FAILED", "JOB_STOPPED")

    def _parts(self) -> list[psutil.Process]:
        """The processes that load a range for a run's own."""
        found = []
        for child in self._cluster.children():
            with suppress(psutil.NoSuchProcess):
                found += child.children()
        return found

    def _kill(self, victim: str) -> bool:
        parts = self._parts()
        if not parts:
            return False
        with suppress(psutil.NoSuchProcess):
            chosen = parts[0]
            if victim != "part":
                chosen = chosen.parent() or chosen
            if victim == "worker":
                chosen = chosen.parent() or chosen
            chosen.kill()
            return True
        return False

    def _until(self, condition: Any) -> None:
        deadline = time.monotonic() + _END_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it does not come to that"
            time.sleep(0.05)

    def _ask(self, url: str, name: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as connection:
            cursor = connection.execute(SQL[name].encode())
            return cursor.fetchall() if cursor.description else []


@pytest.mark.timeout(0 if COUNTS.ranges > 3 else 600)
def test_a_large_table_is_whole_whatever_is_killed(stage: Stage) -> None:
    plan = chance("ranges")
    loads = Loads(stage)
    found = Counter(loads.load(plan) for _ in range(COUNTS.ranges))
    loads.caller.close()
    print(f"{COUNTS.ranges} loads; killed, and the end of that run: {dict(found)}")
