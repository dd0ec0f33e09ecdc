"""A scheduled query joins MailChimp with PostgreSQL into a table every hour, whatever is killed.

Both sources change between two runs only, from one version to the next; the table is then the join
of one version at every moment, and that of the last one in the end.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg

from tests.chaos.campaign import waiting_long
from tests.chaos.cluster import Caller
from tests.chaos.conftest import Stage
from tests.chaos.counts import COUNTS, chance
from tests.chaos.test_kills import Killer
from tests.mailchimp_server import KEY, MailChimp, mailchimp
from tidewell.state.statements import statements

SQL = statements("tests.chaos", "joined.sql")
MOST = 1500
"""Conversations: more than a page of MailChimp's."""
_END_SECONDS = 120.0
_STUCK_SECONDS = 60.0
Rows = list[tuple[Any, ...]]


class Hourly:
    """The job, its two sources, and what it wrote."""

    def __init__(self, stage: Stage, account: MailChimp) -> None:
        self._stage = stage
        self._account = account
        self.version = 0
        self.expected: dict[int, Rows] = {}
        self.complaints: list[str] = []
        self._ask(stage.source.url, "sources")
        self.caller: Caller = stage.campaign.cluster.customer()
        text = stage.cache.connection_string
        self.caller.call("POST", "/api/job/cacheConnection", {"connectionString": text})
        for name, driver, where in (
            ("Mail", "MailChimp", f"APIKey={KEY};URL={account.url}"),
            ("Shop", "PostgreSQL", stage.source.connection_string),
        ):
            body = {"name": name, "driver": driver, "connectionString": where}
            self.caller.call("POST", "/api/connections", body)
        self.id = ""

    def change(self, plan: random.Random) -> None:
        """Bring both sources to their next version."""
        self.version += 1
        numbers = plan.sample(range(MOST), plan.randrange(MOST // 2, MOST))
        self._account.data["conversations"] = [
            {"id": f"c{number}", "subject": f"Subject {number}", "message_count": self.version}
            for number in numbers
        ]
        owned = plan.sample(numbers, len(numbers) // 2)
        rows = [(f"c{number}", f"owner {number % 7}", self.version) for number in owned]
        with psycopg.connect(self._stage.source.url) as connection:
            connection.execute(SQL["clear"].encode())
            connection.cursor().executemany(SQL["own"].encode(), rows)
        self.expected[self.version] = sorted(
            (f"c{number}", f"Subject {number}", f"owner {number % 7}", self.version)
            for number in owned
        )

    def make(self) -> None:
        """Make the job; it runs for the first time."""
        body = {
            "jobType": "ScheduledQuery",
            "name": "conversations",
            "intervalUnit": "Hour",
            "intervalValue": "1",
            "params": {
                "query": SQL["query"],
                "destinationSchema": "joined",
                "destinationTable": "conversations",
                "retries": "10",
            },
        }
        self.id = str(self.caller.call("POST", "/api/job/create", body)["jobs"][0]["id"])
        self.wait()

    def step(self, plan: random.Random) -> None:
        """Where no run is going on: look at the table, change the sources, and let an hour pass.

        A run that waits long for its next attempt is stopped.
        """
        if self.is_active():
            if self.id in waiting_long(self._stage.state_url):
                self.caller.try_to("POST", f"/api/job/{self.id}/stop")
            return
        self.look()
        self.change(plan)
        self._ask(self._stage.state_url, "due", self.id)

    def look(self) -> Rows:
        """The table, which holds the join of one version, as a whole."""
        rows = sorted(self._ask(self._stage.cache.url, "joined"))
        versions = {row[3] for row in rows}
        if len(versions) != 1 or rows != self.expected[versions.pop()]:
            self.complaints.append(f"{len(rows)} rows of versions {versions}")
        return rows

    def wait(self, also: Callable[[], object] = lambda: None) -> None:
        """Return when no run is going on and none is due."""
        deadline = time.monotonic() + _END_SECONDS
        while self.is_active() or not self.runs():
            also()
            assert time.monotonic() < deadline, "the run does not come to an end"
            time.sleep(0.1)

    def is_active(self) -> bool:
        """Whether a run is going on, or about to begin."""
        return self._ask(self._stage.state_url, "active", self.id) == [(True,)]

    def runs(self) -> Rows:
        """Every run, in order."""
        return self._ask(self._stage.state_url, "runs", self.id)

    def _ask(self, url: str, name: str, *values: Any) -> Rows:
        with psycopg.connect(url) as connection:
            cursor = connection.execute(SQL[name].encode(), values)
            return cursor.fetchall() if cursor.description else []


def test_an_hourly_join_of_two_sources_is_whole_whatever_is_killed(stage: Stage) -> None:
    cluster, plan = stage.campaign.cluster, chance("joined")
    with mailchimp() as account:
        hourly = Hourly(stage, account)
        hourly.change(plan)
        hourly.make()
        killer = Killer(cluster, plan, COUNTS.joined)
        began, last = time.monotonic(), (0, time.monotonic())
        while killer.step():
            hourly.step(plan)
            cluster.keep_up()
            time.sleep(0.05)
            if killer.kills > last[0]:
                last = (killer.kills, time.monotonic())
            assert time.monotonic() - last[1] < _STUCK_SECONDS, (
                f"nobody comes to a point after {killer.kills}"
            )
        cluster.withdraw()
        hourly.wait(also=cluster.keep_up)
        # An hour without faults.
        hourly.step(plan)
        hourly.wait()
        rows, runs = hourly.look(), hourly.runs()
        hourly.caller.close()
    ended = Counter((run[0], run[3]) for run in runs)
    print(
        f"{killer.kills} kills in {time.monotonic() - began:.0f} s ({killer.told()}); "
        f"{hourly.version} versions; runs: {dict(ended)}"
    )
    assert hourly.complaints == []
    assert rows == hourly.expected[hourly.version]
    assert killer.kills >= COUNTS.joined
    assert {cause for _, cause, *_ in runs[1:]} == {"schedule"}
    receipts = [receipt for state, _, receipt, _ in runs if state == "success"]
    assert sum(one["inserted"] - one["deleted"] for one in receipts) == len(rows)
