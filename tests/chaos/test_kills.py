"""kill -9 of everything that can die, at random times and at each named point."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import psutil

from tests.chaos.cluster import CHILD_POINTS, WORKER_POINTS, Cluster
from tests.chaos.conftest import Stage
from tests.chaos.counts import COUNTS, chance
from tests.chaos.watching import RECOVERY_SECONDS, Judge, Reader
from tidewell.runs.children import PROGRAM

AT_ONCE = 5
_STUCK_SECONDS = 60.0
_TOLD_EVERY = 100


def start_seconds() -> float:
    """How long a run's process takes to start on this machine.

    The pace of the killer: were it faster than that, no run would ever come to its end.
    """
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", PROGRAM], stdin=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


class Killer:
    """Kills so many processes, of a plan that the seed gives."""

    def __init__(self, cluster: Cluster, plan: random.Random, most: int) -> None:
        self._cluster = cluster
        self._plan = plan
        self._most = most
        self._next = 0.0
        self._at_random: Counter[str] = Counter()
        self._ordered: dict[str, str] = {}
        self._at_points: Counter[str] = Counter()
        self._counted = set(cluster.carried_out())  # of tests before this one
        self._told = _TOLD_EVERY
        self._longest_pause = start_seconds()

    @property
    def kills(self) -> int:
        return self._at_random.total() + self._at_points.total()

    def told(self) -> str:
        """What was killed, and where."""
        return f"at random: {dict(self._at_random)}, at points: {dict(self._at_points)}"

    def step(self) -> bool:
        """Kill, or lay orders; False when all is done."""
        done = self._cluster.carried_out()
        for order in done.keys() - self._counted:
            point, _ = done[order]
            self._at_points[f"{self._ordered.pop(point)} {point}"] += 1
        self._counted |= done.keys()
        if self.kills >= self._told:  # a campaign takes hours: how far it has come
            print(f"{self.kills} of {self._most} kills: {self.told()}", flush=True)
            self._told += _TOLD_EVERY
        waiting = len(self._ordered)
        if self.kills >= self._most:
            return False
        if time.monotonic() >= self._next and self.kills + waiting < self._most:
            self._next = time.monotonic() + self._plan.uniform(0.0, self._longest_pause)
            victim = self._plan.choices(["child", "worker", "api"], [66, 20, 14])[0]
            if self._plan.random() < 0.25:
                self._kill(victim)
            elif waiting < AT_ONCE:
                self._lay(victim)
        return True

    def _kill(self, victim: str) -> None:
        cluster = self._cluster
        if victim == "child":
            if not (children := cluster.children()):
                return
            with suppress(psutil.NoSuchProcess):
                self._plan.choice(children).kill()
        else:
            names = [name for name in cluster.commands if name.startswith(victim)]
            name = self._plan.choice(names)
            # On a slow machine they would otherwise die before they have done anything, forever.
            if not cluster.is_at_work(name):
                return
            cluster.kill(name)
        self._at_random[victim] += 1

    def _lay(self, victim: str) -> None:
        points = CHILD_POINTS if victim == "child" else CHILD_POINTS + WORKER_POINTS
        point = self._plan.choice(points)
        if point in self._ordered:
            return
        own = victim == "child" or (victim == "worker" and point in WORKER_POINTS)
        process = "self" if own else "parent"
        if victim == "api":
            process = str(self._cluster.running["api"].pid)
        self._ordered[point] = victim
        self._cluster.order(point, signal.SIGKILL, process)


def test_whatever_is_killed_no_row_is_lost_and_none_is_doubled(stage: Stage) -> None:
    campaign, cluster, plan = stage.campaign, stage.campaign.cluster, chance("kills")
    for _ in range(2):
        campaign.add(plan)
    killer = Killer(cluster, plan, COUNTS.kills)
    began = time.monotonic()
    with (
        Reader(stage.cache.url, campaign.tables).reading() as reader,
        Judge(stage.state_url).watching() as judge,
    ):
        last = (0, began)
        while killer.step():
            campaign.step(plan)
            campaign.hurry()
            cluster.keep_up()
            time.sleep(0.05)
            if killer.kills > last[0]:
                last = (killer.kills, time.monotonic())
            assert time.monotonic() - last[1] < _STUCK_SECONDS, (
                f"nobody comes to a point after {killer.kills}"
            )
        cluster.withdraw()
        campaign.wait_for_all(also=cluster.keep_up)
        campaign.settle()
    ended = campaign.reckon()
    print(
        f"{killer.kills} kills in {time.monotonic() - began:.0f} s ({killer.told()}); "
        f"runs: {dict(ended)}; {reader.polls} polls; longest silence of a run "
        f"{judge.longest_silence:.1f} s"
    )
    assert reader.complaints == []
    assert judge.longest_silence < RECOVERY_SECONDS
    assert killer.kills >= COUNTS.kills
