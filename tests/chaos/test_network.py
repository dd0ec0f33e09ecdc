"""What a network does to the links from a worker to its source and to its cache."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.chaos.campaign import Job
from tests.chaos.conftest import Stage
from tests.chaos.counts import COUNTS, chance
from tests.chaos.tables import KINDS
from tests.chaos.watching import Judge, Reader
from tests.conftest import CacheDatabase
from tests.faulty_relay import Fault, Relay, relay
from tests.product import ENDED

ROWS = 3_000  # some 120 kB: more than what a socket holds back
FAULTS = ("latency", "reset", "half-open", "slow drip", "cut in COPY")
LINKS = ("source", "cache")
_HEAL_SECONDS = 40.0


@dataclass(eq=False)
class Trial:
    """One fault on one link of one job."""

    fault: str
    link: Relay
    job: Job
    run_id: str = ""

    def tell(self) -> dict[str, Any]:
        return dict(self.job.caller.call("GET", f"/api/run/{self.run_id}")["run"])


def through(database: CacheDatabase, link: Relay) -> str:
    return database.connection_string.replace(f"Port={database.port}", f"Port={link.port}")


def fault_of(name: str, plan: random.Random) -> Fault:
    match name:
        case "latency":
            return Fault(latency=plan.uniform(0.02, 0.1))
        case "reset":
            return Fault(reset_after=plan.randrange(100, 9_000))
        case "half-open":
            return Fault(silent=True)
        case "slow drip":
            return Fault(drip=plan.randrange(500, 2_000))
        case _:
            return Fault(reset_after=plan.randrange(20_000, 60_000))


@pytest.fixture
def links(stage: Stage) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("seed", range(COUNTS.network_seeds))
def test_whatever_the_network_does_the_tables_stay_whole_and_become_right(
    stage: Stage, links: ExitStack, seed: int
) -> None:
    campaign, plan = stage.campaign, chance("network", seed)
    trials = []
    for number, (name, side) in enumerate((f, s) for f in FAULTS for s in LINKS):
        database = stage.source if side == "source" else stage.cache
        link = links.enter_context(relay(database.host, database.port))
        kind = KINDS[(number + seed) % len(KINDS)]
        params = {"timeoutSeconds": "10"} if name == "half-open" else {}
        address = {side: through(database, link)}
        (job,) = campaign.add(plan, (kind,), size=ROWS, **address, **params)
        trials.append(Trial(name, link, job))
    with (
        Reader(stage.cache.url, campaign.tables).reading() as reader,
        Judge(stage.state_url).watching() as judge,
    ):
        campaign.wait_for_all()
        for trial in trials:
            trial.job.source.change(plan)
            trial.link.fault = fault_of(trial.fault, plan)
            path = f"/api/job/{trial.job.id}/run"
            trial.run_id = str(trial.job.caller.call("POST", path)["runId"])
        heal(trials)
        campaign.wait_for_all()
        ended = {trial: trial.tell() for trial in trials if trial.fault != "half-open"}
        assert {run["status"] for run in ended.values()} == {"JOB_SUCCESS"}
        campaign.settle()
    for trial in trials:
        if trial.fault == "half-open":
            assert trial.tell()["error"]["code"] == "RUN_TIMED_OUT"
        elif trial.fault in {"reset", "cut in COPY"}:
            assert trial.link.struck > 0, trial
    campaign.reckon()
    assert reader.complaints == []
    assert judge.longest_silence < 15


def heal(trials: list[Trial]) -> None:
    """Each link is mended when its fault has struck, or its run has come to its end."""
    waiting = list(trials)
    deadline = time.monotonic() + _HEAL_SECONDS
    while waiting and time.monotonic() < deadline:
        for trial in list(waiting):
            if trial.link.struck or trial.tell()["status"] in ENDED:
                trial.link.fault = Fault()
                waiting.remove(trial)
        time.sleep(0.1)
    for trial in waiting:
        trial.link.fault = Fault()
        trial.link.end()  # what was swallowed does not come any more
