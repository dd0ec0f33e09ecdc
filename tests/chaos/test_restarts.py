"""PostgreSQL restarts, or is killed, while runs go on: the state's, and the cache's."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.cluster import Cluster, cluster
from tests.chaos.conftest import new_state, settings_of
from tests.chaos.counts import COUNTS, chance
from tests.chaos.watching import Judge, Reader
from tests.conftest import new_cache_database
from tidewell.state.embedded import EmbeddedServer, binaries, start
from tidewell.state.serveruser import server_user

WAYS = ("fast", "immediate", "kill -9")
_START_SECONDS = 60.0


class Restarted:
    """A PostgreSQL of its own that is ended and comes again at the same address."""

    def __init__(self, home: Path, server: EmbeddedServer) -> None:
        self._data = home / "postgres"
        self._home = home
        self.server = server

    def restart(self, way: str) -> None:
        if way == "kill -9":
            os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            self._start()
        else:
            self._control("restart", "-m", way)

    def _start(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self._control("start").returncode:  # its orphans hold the memory for a moment
            assert time.monotonic() < deadline, (self._data / "server.log").read_text()[-2000:]
            time.sleep(0.1)

    def _control(self, command: str, *more: str) -> "subprocess.CompletedProcess[bytes]":
        prefix = server_user(self._home, binaries()).prefix
        log = self._data / "server.log"
        arguments = [str(binaries() / "pg_ctl"), command, *more, "-w", "-l", str(log)]
        return subprocess.run(
            [*prefix, *arguments, "-D", str(self._data)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            check=False,
        )


@contextmanager
def restartable(home: Path) -> Iterator[Restarted]:
    with start(home) as server:
        yield Restarted(home, server)


@pytest.fixture(scope="module")
def ground(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Campaign, dict[str, Restarted]]]:
    """State and cache each on a server of its own; the source is left alone."""
    folder = tmp_path_factory.mktemp("restarts")
    with restartable(folder / "state") as state, restartable(folder / "cache") as caches:
        state_url = new_state(state.server)
        with (
            new_cache_database(server) as source,
            cluster(folder, settings_of(folder, state_url), workers=2) as nodes,
            # Its server is thrown away with it, and no connection outlives a restart.
            suppress(psycopg.OperationalError),
            new_cache_database(caches.server) as cache,
        ):
            campaign = Campaign(nodes, source, cache, state_url)
            yield campaign, {"state": state, "cache": caches}
            campaign.close()


@pytest.mark.parametrize("which", ["state", "cache"])
def test_a_restart_of_postgresql_costs_time_and_no_row(
    ground: tuple[Campaign, dict[str, Restarted]], which: str
) -> None:
    campaign, servers = ground
    plan = chance(f"restarts of the {which}")
    campaign.add(plan)
    with (
        Reader(
            campaign.cache_url, campaign.tables, may_be_away=which == "cache"
        ).reading() as reader,
        Judge(campaign.state_url).watching() as judge,
    ):
        campaign.wait_for_all()
        for number in range(COUNTS.restarts * len(WAYS)):
            restart_while_running(campaign, servers[which], WAYS[number % len(WAYS)], plan)
        campaign.wait_for_all(also=campaign.cluster.keep_up)
        campaign.settle()
    ended = campaign.reckon()
    campaign.jobs.clear()
    print(f"runs: {dict(ended)}; longest silence {judge.longest_silence:.1f} s")
    assert reader.complaints == []
    assert judge.longest_silence < 30
    assert set(ended) <= {"success", "stopped"}
    assert not died(campaign.cluster)


def restart_while_running(
    campaign: Campaign, server: Restarted, way: str, plan: random.Random
) -> None:
    until = time.monotonic() + plan.uniform(0.5, 1.5)
    while time.monotonic() < until:
        campaign.step(plan)
        campaign.hurry()
        time.sleep(0.05)
    server.restart(way)


def died(cluster: Cluster) -> list[str]:
    """Nodes that did not live through it."""
    return [name for name in cluster.commands if not cluster.is_up(name)]
