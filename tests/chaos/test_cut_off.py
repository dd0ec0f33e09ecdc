"""Who is stopped and wakes up too late, and whose answer to COMMIT is lost."""

import os
import signal
import time
from contextlib import suppress
from typing import Any

import psutil
import psycopg
import pytest

from tests.chaos.campaign import Job
from tests.chaos.conftest import Stage
from tests.chaos.counts import COUNTS, chance
from tests.chaos.tables import KINDS
from tests.chaos.watching import Judge, Reader
from tests.conftest import CacheDatabase
from tests.faulty_relay import Fault, Relay, relay

_COMMIT_SECONDS = 60.0
_STILL_SILENT_SECONDS = 3.0
_TIMEOUT_SECONDS = 8
"""Of a run: long enough to come to its commit on a machine that is slow or busy."""
_ATTEMPT = "SELECT attempt, state FROM run WHERE job_id = %s ORDER BY queued_at DESC LIMIT 1"
LATE = ("before COPY", "after read", "after COPY", "before COMMIT")
TO_THE_COMMIT = (b"UPDATE tidewell.cached_table", b"COMMIT")


def through(database: CacheDatabase, link: Relay) -> str:
    """The connection string of a database, by way of a relay."""
    return database.connection_string.replace(f"Port={database.port}", f"Port={link.port}")


def until(stage: Stage, job: Job, state: str, after: int = 0) -> int:
    """Wait until the job's newest run is in a state, in an attempt after one; returns its own."""
    deadline = time.monotonic() + _COMMIT_SECONDS
    with psycopg.connect(stage.state_url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            row: Any = connection.execute(_ATTEMPT, (job.id,)).fetchone()
            if row[1] == state and row[0] > after:
                return int(row[0])
            time.sleep(0.05)
    raise AssertionError(f"{job.source.name} does not become {state}: {row}")


def reached(stage: Stage, point: str, known: set[str]) -> int:
    """The process that stands at a point."""
    deadline = time.monotonic() + _COMMIT_SECONDS
    while time.monotonic() < deadline:
        for order, (name, process) in stage.campaign.cluster.carried_out().items():
            if name == point and order not in known:
                return process
        time.sleep(0.02)
    raise AssertionError(f"nobody comes to {point}")


@pytest.mark.parametrize("number", range(COUNTS.sleepers))
def test_who_wakes_up_after_its_run_was_taken_over_does_not_commit(
    stage: Stage, number: int
) -> None:
    campaign, cluster, plan = stage.campaign, stage.campaign.cluster, chance("sleepers", number)
    campaign.add(plan)
    campaign.wait_for_all()
    job = plan.choice(campaign.jobs)
    point = LATE[number % len(LATE)]
    known = set(cluster.carried_out())
    with (
        Reader(stage.cache.url, campaign.tables).reading() as reader,
        Judge(stage.state_url).watching() as judge,
    ):
        job.source.change(plan)
        cluster.order(point, signal.SIGSTOP, "self")
        job.caller.call("POST", f"/api/job/{job.id}/run")
        child = reached(stage, point, known)
        worker = psutil.Process(child).ppid()
        os.kill(worker, signal.SIGSTOP)
        first = until(stage, job, "running")
        new = until(stage, job, "success", after=first)
        job.source.change(plan)  # what the old one has read is old by now
        campaign.settle()
        for process in (worker, child):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        campaign.settle()
        time.sleep(1)
    campaign.reckon()
    assert new > first
    assert reader.complaints == []
    assert judge.longest_silence < 15


@pytest.mark.parametrize("number", range(COUNTS.lost_answers))
def test_when_the_answer_to_commit_is_lost_the_cache_is_asked(stage: Stage, number: int) -> None:
    campaign, plan = stage.campaign, chance("lost answers", number)
    with relay(stage.cache.host, stage.cache.port) as link:
        text = through(stage.cache, link)
        jobs = campaign.add(plan, (KINDS[number // 2 % len(KINDS)],), cache=text)
        with Reader(stage.cache.url, campaign.tables).reading() as reader:
            campaign.wait_for_all()
            jobs[0].source.change(plan)
            # Every other time it is the question that is lost.
            link.fault = Fault(cut_after=TO_THE_COMMIT, unsent=bool(number % 2))
            jobs[0].caller.call("POST", f"/api/job/{jobs[0].id}/run")
            deadline = time.monotonic() + _COMMIT_SECONDS
            while not link.struck:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            link.fault = Fault()
            campaign.wait_for_all()
        campaign.reckon()
    assert link.struck == 1
    assert reader.complaints == []


def test_a_run_that_was_stopped_while_its_worker_was_dead_says_that_it_had_committed(
    stage: Stage,
) -> None:
    campaign, cluster, plan = stage.campaign, stage.campaign.cluster, chance("dead and stopped")
    (job,) = campaign.add(plan, ("feed",))
    campaign.wait_for_all()
    known = set(cluster.carried_out())
    cluster.order("after COMMIT", signal.SIGKILL, "parent")
    job.caller.call("POST", f"/api/job/{job.id}/run")
    reached(stage, "after COMMIT", known)
    job.caller.call("POST", f"/api/job/{job.id}/stop")
    until(stage, job, "success")
    cluster.keep_up()
    campaign.reckon()


def test_a_run_that_is_stopped_before_a_later_attempt_comes_to_the_cache_says_that_it_had_committed(
    stage: Stage,
) -> None:
    campaign, cluster, plan = stage.campaign, stage.campaign.cluster, chance("stopped later")
    with relay(stage.source.host, stage.source.port) as link:
        text = through(stage.source, link)
        (job,) = campaign.add(plan, ("bag",), source=text)
        campaign.wait_for_all()
        job.source.change(plan)
        known = set(cluster.carried_out())
        cluster.order("after COMMIT", signal.SIGKILL, "parent")
        job.caller.call("POST", f"/api/job/{job.id}/run")
        reached(stage, "after COMMIT", known)
        link.fault = Fault(silent=True)
        first = until(stage, job, "running")
        cluster.keep_up()
        until(stage, job, "running", after=first)
        job.caller.call("POST", f"/api/job/{job.id}/stop")
        until(stage, job, "success")
        campaign.reckon()


def test_a_run_that_is_stopped_between_two_attempts_says_that_it_had_committed(
    stage: Stage,
) -> None:
    campaign, plan = stage.campaign, chance("stopped between")
    with relay(stage.cache.host, stage.cache.port) as link:
        (job,) = campaign.add(plan, ("bag",), cache=through(stage.cache, link))
        campaign.wait_for_all()
        job.source.change(plan)
        link.fault = Fault(cut_after=TO_THE_COMMIT, afterwards=Fault(reset_after=0))
        job.caller.call("POST", f"/api/job/{job.id}/run")
        until(stage, job, "retrying")
        link.fault = Fault()
        job.caller.call("POST", f"/api/job/{job.id}/stop")
        until(stage, job, "success")
        campaign.reckon()


def test_a_run_whose_time_is_over_while_nobody_answers_its_commit_says_that_it_had_committed(
    stage: Stage,
) -> None:
    campaign, plan = stage.campaign, chance("timed out")
    with relay(stage.cache.host, stage.cache.port) as link:
        text = through(stage.cache, link)
        (job,) = campaign.add(plan, ("bag",), cache=text, timeoutSeconds=str(_TIMEOUT_SECONDS))
        campaign.wait_for_all()
        job.source.change(plan)
        # Half-open, and so is every other link to the cache for longer than a run's time.
        link.fault = Fault(cut_after=TO_THE_COMMIT, stays=True, afterwards=Fault(silent=True))
        job.caller.call("POST", f"/api/job/{job.id}/run")
        deadline = time.monotonic() + _COMMIT_SECONDS
        while not link.struck:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(_TIMEOUT_SECONDS + _STILL_SILENT_SECONDS)
        link.fault = Fault()
        until(stage, job, "success")
        campaign.reckon()


def test_a_run_that_was_stopped_while_its_worker_was_stopped_does_not_commit_later(
    stage: Stage,
) -> None:
    campaign, cluster, plan = stage.campaign, stage.campaign.cluster, chance("asleep and stopped")
    (job,) = campaign.add(plan, ("feed",))
    campaign.wait_for_all()
    point, known = "before COPY", set(cluster.carried_out())
    cluster.order(point, signal.SIGSTOP, "self")
    job.caller.call("POST", f"/api/job/{job.id}/run")
    child = reached(stage, point, known)
    worker = psutil.Process(child).ppid()
    os.kill(worker, signal.SIGSTOP)
    job.caller.call("POST", f"/api/job/{job.id}/stop")
    until(stage, job, "stopped")
    for process in (worker, child):
        os.kill(process, signal.SIGCONT)
    time.sleep(1)
    campaign.settle()
    campaign.reckon()
