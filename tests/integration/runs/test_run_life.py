"""Runs walk through their life in a real state database, and every change is on record."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.runs.nodes import NOW, Node, node
from tidewell.accounts import audit
from tidewell.accounts.audit import Action, Author
from tidewell.connections.sealing import SealingBox
from tidewell.errors import Unavailable
from tidewell.jobs import repository as jobs
from tidewell.query import log as query_log
from tidewell.runs import life, repository
from tidewell.runs.commands import queue_again, queue_run, stop_run
from tidewell.runs.repository import Claim, Outcome
from tidewell.runs.retention import forget
from tidewell.runs.settling import Settling, end
from tidewell.runs.sweeper import MOST_RECOVERIES, sweep
from tidewell.runs.ticker import mend, tick
from tidewell.settings import Settings
from tidewell.state.database import Database

__all__ = ["node"]

SUCCESS = Outcome("success", "Its rows are committed.")
FAILED = Outcome("failed", "SOURCE_REFUSED", error_code="SOURCE_REFUSED", error_message="No.")
STOPPED = Outcome("stopped", "Somebody asked for its end.")
SILENCE = "UPDATE run SET beat_at = beat_at - interval '1 minute' WHERE id = %s"
FETCHED = """
UPDATE procrastinate_jobs SET status = 'doing' WHERE id = (SELECT queue_id FROM run WHERE id = %s)
"""
FETCHED_LONG_AGO = """
UPDATE procrastinate_events SET at = at - interval '1 minute'
 WHERE job_id = (SELECT queue_id FROM run WHERE id = %s)
"""
UNSETTLED = "UPDATE run SET unsettled = true WHERE id = %s"
IN_THE_QUEUE = "SELECT FROM procrastinate_jobs WHERE id = %s"
RELOAD = "UPDATE job SET reload = true, modified_at = %s WHERE id = %s"
CONNECTION_AT = "UPDATE connection SET modified_at = %s WHERE account_id = %s"
CACHE = """
INSERT INTO cache_connection (id, account_id, sealed, created_at, modified_at)
VALUES (gen_random_uuid(), %s, '', now(), now())
"""
CACHE_AT = "UPDATE cache_connection SET modified_at = %s WHERE account_id = %s"
RELOADS = "SELECT reload FROM job WHERE id = %s"
SEALS = """
WITH source AS (UPDATE connection SET sealed = %(source)s WHERE id = %(id)s)
INSERT INTO cache_connection (id, account_id, sealed, created_at, modified_at)
VALUES (%(id)s, %(id)s, %(cache)s, now(), now())
"""
ODD_PARAMS = "UPDATE job SET params = '{\"filter\": 5}' WHERE account_id = %s"
WITHOUT_CARRIER = """
DELETE FROM procrastinate_jobs WHERE id = (SELECT queue_id FROM run WHERE id = %s)
"""
OUT_OF_THE_QUEUE = """
DELETE FROM procrastinate_jobs WHERE status = 'doing' AND args ->> 'run_id' = %s::text
"""


class Walk:
    """One job's run, moved by hand."""

    def __init__(self, node: Node, account_id: UUID, job_id: UUID) -> None:
        self.node, self.account_id, self.job_id = node, account_id, job_id
        self.now = NOW
        self.run_id = UUID(int=0)

    async def queue(self) -> UUID:
        async with self.node.database.transaction() as connection:
            self.run_id = await queue_run(
                connection, self.node.queue, self.account_id, self.job_id, "request", self.now
            )
        return self.run_id

    async def row(self) -> dict[str, Any]:
        async with self.node.database.transaction() as connection:
            return await repository.one(connection, self.account_id, self.run_id)

    async def claim(self) -> Claim | None:
        queue_id = (await self.row())["queue_id"]
        async with self.node.database.transaction() as connection:
            await connection.execute(FETCHED, (self.run_id,))
            claimed = await repository.claim(connection, self.run_id, queue_id, self.now)
            return None if claimed is None else claimed[0]

    async def claimed(self) -> Claim:
        claim = await self.claim()
        assert claim is not None
        return claim

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        async with self.node.database.transaction() as connection:
            done = await repository.finish(connection, claim, outcome, self.now)
        await self.execute(OUT_OF_THE_QUEUE)
        return done

    async def retry(self, claim: Claim, seconds: float = 10) -> bool:
        async with self.node.database.transaction() as connection:
            at = self.now + timedelta(seconds=seconds)
            done = await repository.retry(connection, claim, at, "SOURCE_UNAVAILABLE", self.now)
        await self.execute(OUT_OF_THE_QUEUE)
        return done

    async def stop(self) -> UUID | None:
        async with self.node.database.transaction() as connection:
            return await stop_run(connection, self.account_id, self.job_id, self.now)

    async def execute(self, statement: Any) -> None:
        async with self.node.database.transaction() as connection:
            await connection.execute(statement, (self.run_id,))

    async def state(self) -> str:
        return str((await self.row())["state"])

    async def changes(self) -> list[dict[str, Any]]:
        async with self.node.database.transaction() as connection:
            return await repository.changes(connection, self.account_id, self.run_id)

    async def carriers(self) -> int:
        """How many jobs of the queue carry the run."""
        async with self.node.database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT count(*) AS n FROM procrastinate_jobs WHERE args ->> 'run_id' = %s",
                (str(self.run_id),),
            )
            row = await cursor.fetchone()
        return int(row["n"]) if row else 0


def settling(walk: Walk) -> Settling:
    """What asks the caches; these jobs have none."""
    return Settling(walk.node.database, SealingBox([b"0" * 32]), Settings())


async def swept(walk: Walk) -> int:
    """Sweep as a node does; returns how many runs were found."""
    database = walk.node.database
    found = await sweep(database, walk.node.queue, NOW)
    for claim, outcome in found.over:
        await end(database, settling(walk).settle, claim, outcome, NOW)
    return found.found


@pytest.fixture
async def walk(node: Node) -> Walk:
    """A job of an account, without a run yet."""
    account_id = await node.account()
    return Walk(node, account_id, (await node.jobs(account_id, 1, NOW + timedelta(days=1)))[0])


async def ways(walk: Walk) -> list[tuple[str | None, str]]:
    """The recorded changes; each has to be one of the table's."""
    allowed = {
        (source.value if source else None, one.target.value)
        for one in life.TRANSITIONS
        for source in (one.sources or (None,))
    }
    found = [(row["from_state"], row["to_state"]) for row in await walk.changes()]
    assert set(found) <= allowed
    assert all(row["reason"] and row["at"] for row in await walk.changes())
    return found


@pytest.mark.parametrize("outcome", [SUCCESS, FAILED, STOPPED], ids=lambda o: o.state)
async def test_a_run_is_queued_runs_and_ends_once(walk: Walk, outcome: Outcome) -> None:
    await walk.queue()
    claim = await walk.claimed()
    assert await walk.finish(claim, outcome)
    assert not await walk.finish(claim, FAILED)
    assert await ways(walk) == [(None, "queued"), ("queued", "running"), ("running", outcome.state)]


async def test_what_carried_a_run_leaves_the_queue_with_its_end(walk: Walk) -> None:
    await walk.queue()
    claim = await walk.claimed()
    async with walk.node.database.transaction() as connection:
        await repository.finish(connection, claim, SUCCESS, NOW)
        left = await connection.execute(IN_THE_QUEUE, (claim.queue_id,))
        assert left.rowcount == 0


async def test_a_full_load_that_is_asked_for_during_another_one_is_not_forgotten(
    walk: Walk,
) -> None:
    """Whether the job, its connection or the account's cache has become another meanwhile."""
    before, asked, again = (NOW + timedelta(seconds=n) for n in (-1, 0, 1))
    async with walk.node.database.transaction() as connection:
        await connection.execute(CACHE, (walk.account_id,))
        for job_at, connection_at, cache_at, left in (
            (asked, before, before, False),
            (before, asked, before, False),
            (before, before, asked, False),
            (again, asked, asked, True),
            (asked, again, before, True),
            (asked, before, again, True),
        ):
            await connection.execute(RELOAD, (job_at, walk.job_id))
            await connection.execute(CONNECTION_AT, (connection_at, walk.account_id))
            await connection.execute(CACHE_AT, (cache_at, walk.account_id))
            await jobs.clear_reload(connection, walk.account_id, walk.job_id, asked)
            row = await (await connection.execute(RELOADS, (walk.job_id,))).fetchone()
            assert row is not None
            assert row["reload"] is left


async def test_a_run_is_claimed_once_and_only_by_what_carries_it(walk: Walk) -> None:
    await walk.queue()
    async with walk.node.database.transaction() as connection:
        assert await repository.claim(connection, walk.run_id, -1, NOW) is None
    await walk.claimed()
    assert await walk.claim() is None


async def test_a_retry_waits_for_its_time(walk: Walk) -> None:
    await walk.queue()
    assert await walk.retry(await walk.claimed(), 10)
    database, queue = walk.node.database, walk.node.queue
    assert await tick(database, queue, NOW + timedelta(seconds=9)) == 0
    assert await walk.state() == "retrying"
    assert await tick(database, queue, NOW + timedelta(seconds=10)) == 1
    again = await walk.claimed()
    assert (again.attempts, again.failures) == (2, 1)
    assert await walk.finish(again, SUCCESS)
    assert await ways(walk) == [
        *[(None, "queued"), ("queued", "running"), ("running", "retrying")],
        *[("retrying", "queued"), ("queued", "running"), ("running", "success")],
    ]


@pytest.mark.parametrize("waits", ["queued", "fetched", "retrying", "unsettled"])
async def test_a_stop_ends_a_run_that_waits_at_once(walk: Walk, waits: str) -> None:
    await walk.queue()
    if waits == "fetched":
        await walk.execute(FETCHED)
    if waits in {"retrying", "unsettled"}:
        assert await walk.retry(await walk.claimed())
    if waits == "unsettled":
        await walk.execute(UNSETTLED)
    assert await walk.stop() == walk.run_id
    await settling(walk).end_waiting(walk.account_id, walk.run_id, lambda: NOW)
    assert await walk.state() == "stopped"
    assert await walk.claim() is None
    assert await walk.stop() is None
    await ways(walk)


async def test_a_run_that_waits_for_its_next_attempt_is_stopped_whatever_becomes_of_who_was_asked(
    walk: Walk,
) -> None:
    await walk.queue()
    await walk.retry(await walk.claimed(), seconds=0)
    await walk.execute(UNSETTLED)
    await walk.stop()
    assert await tick(walk.node.database, walk.node.queue, walk.now) == 0
    assert await walk.state() == "retrying"
    await walk.execute(SILENCE)
    assert await swept(walk) == 1
    assert await walk.state() == "stopped"
    await ways(walk)


async def test_a_run_that_was_asked_to_end_is_not_tried_again(walk: Walk) -> None:
    await walk.queue()
    claim = await walk.claimed()
    await walk.stop()
    assert not await walk.retry(claim)
    assert await walk.finish(claim, STOPPED)


async def test_while_one_is_active_a_run_is_that_one(walk: Walk) -> None:
    first = await walk.queue()
    assert await walk.queue() == first
    claim = await walk.claimed()
    assert await walk.queue() == first
    await walk.retry(claim)
    assert await walk.queue() == first


async def test_a_silent_worker_loses_its_run_and_cannot_end_it(walk: Walk) -> None:
    await walk.queue()
    old = await walk.claimed()
    assert await swept(walk) == 0
    await walk.execute(SILENCE)
    assert await swept(walk) == 1
    assert (await walk.state(), await walk.carriers()) == ("queued", 1)
    assert not await walk.finish(old, SUCCESS)
    new = await walk.claimed()
    assert new.attempt > old.attempt
    assert not await walk.finish(old, SUCCESS)
    async with walk.node.database.transaction() as connection:
        assert await repository.beat(connection, [old]) == {}
        assert await repository.beat(connection, [new]) == {new.run_id: False}
    assert await walk.finish(new, SUCCESS)
    await ways(walk)


@pytest.mark.parametrize("loss", ["nothing carries it", "a worker fetched it and did not begin"])
async def test_a_queued_run_that_is_lost_is_found(walk: Walk, loss: str) -> None:
    await walk.queue()
    if loss == "nothing carries it":
        await walk.execute(WITHOUT_CARRIER)
    else:
        await walk.execute(FETCHED)
        assert await swept(walk) == 0
        await walk.execute(FETCHED_LONG_AGO)
    assert await swept(walk) == 1
    assert (await walk.state(), await walk.carriers()) == ("queued", 1)
    await walk.claimed()


async def test_a_stop_that_meets_a_dead_worker_ends_the_run(walk: Walk) -> None:
    await walk.queue()
    await walk.claimed()
    await walk.stop()
    await walk.execute(SILENCE)
    await swept(walk)
    assert (await walk.state(), await walk.carriers()) == ("stopped", 0)
    assert (await ways(walk))[-1] == ("running", "stopped")


async def test_while_the_state_database_is_away_no_run_is_said_to_be_stopped(walk: Walk) -> None:
    await walk.queue()
    claim = await walk.claimed()
    async with Database("postgresql://127.0.0.1:1/away", timeout=0.1) as away:
        settle = Settling(away, SealingBox([b"0" * 32]), Settings()).settle
        with pytest.raises(Unavailable):
            await end(walk.node.database, settle, claim, STOPPED, NOW)
    assert await walk.state() == "running"


async def test_a_run_that_nobody_can_ask_about_ends_and_no_node_with_it(walk: Walk) -> None:
    """Its job's params are such as no call takes."""
    box = SealingBox([b"0" * 32])
    source, cache = "URI=/data", "Server=127.0.0.1;User=u;Database=d"
    seals = {"source": box.seal(source, walk.account_id), "cache": box.seal(cache, walk.account_id)}
    async with walk.node.database.transaction() as connection:
        await connection.execute(SEALS, seals | {"id": walk.account_id})
        await connection.execute(ODD_PARAMS, (walk.account_id,))
    await walk.queue()
    await walk.claimed()
    await walk.stop()
    await walk.execute(SILENCE)
    assert await swept(walk) == 1
    assert "does not say" in (await walk.row())["reason"]
    assert await walk.state() == "stopped"


async def test_what_kills_its_workers_again_and_again_is_given_up(walk: Walk) -> None:
    await walk.queue()
    for _ in range(MOST_RECOVERIES + 1):
        await walk.claimed()
        await walk.execute(SILENCE)
        await swept(walk)
    assert (await walk.state(), (await walk.row())["error_code"]) == ("failed", "RUN_LOST")
    await ways(walk)


async def test_a_handed_back_run_goes_on_elsewhere(walk: Walk) -> None:
    await walk.queue()
    claim = await walk.claimed()
    async with walk.node.database.transaction() as connection:
        back = (walk.account_id, walk.job_id, walk.run_id, "Its worker ends.", NOW)
        assert await queue_again(
            connection, walk.node.queue, life.HAND_BACK, *back, attempt=claim.attempt
        )
    await walk.execute(OUT_OF_THE_QUEUE)
    assert (await walk.claimed()).attempt > claim.attempt
    assert await ways(walk) == [
        *[(None, "queued"), ("queued", "running"), ("running", "queued"), ("queued", "running")],
    ]


async def test_a_lane_that_is_held_for_nothing_is_freed(walk: Walk) -> None:
    await walk.queue()
    await walk.claimed()
    await walk.execute(FETCHED_LONG_AGO)
    await walk.execute("UPDATE run SET state = 'success', changed_at = now() WHERE id = %s")
    await swept(walk)
    assert await walk.carriers() == 1  # its worker may be about to take it out itself
    await walk.execute("UPDATE run SET changed_at = now() - interval '1 minute' WHERE id = %s")
    await swept(walk)
    assert await walk.carriers() == 0


async def test_old_history_goes_and_the_newest_run_stays(walk: Walk) -> None:
    ids = []
    for days in (200, 100, 99, 1):
        walk.now = NOW - timedelta(days=days)
        ids.append(await walk.queue())
        await walk.finish(await walk.claimed(), SUCCESS)
    await forget(walk.node.database, Settings(), NOW)
    async with walk.node.database.transaction() as connection:
        kept = await repository.of_job(connection, walk.account_id, walk.job_id, None, 10)
    assert [row["id"] for row in kept] == [ids[-1]]


async def test_the_audit_is_kept_400_days(node: Node) -> None:
    author = Author(await node.account(), None, "request")
    ages = (timedelta(days=399), timedelta(days=401), timedelta(days=4000))
    async with node.database.transaction() as connection:
        for age in ages:
            name = str(age.days)
            await audit.record(
                connection, author, Action.ACCOUNT_UPDATED, author.parent_id, name, NOW - age
            )
    assert (await forget(node.database, Settings(), NOW))["audit_events"] == 2
    async with node.database.transaction() as connection:
        kept = await audit.listed(connection, author.parent_id, None, None, None, 10)
    assert [event["target_name"] for event in kept] == ["399"]


async def test_the_log_of_queries_is_kept_7_days(node: Node) -> None:
    account_id = await node.account()
    async with node.database.transaction() as connection:
        for days in (6, 8):
            at = NOW - timedelta(days=days)
            entry = query_log.Entry(uuid4(), at, 1, "SELECT 1", "token", "", 1, None, None, "curl")
            await query_log.note(connection, account_id, entry)
    await forget(node.database, Settings(), NOW)
    async with node.database.transaction() as connection:
        cursor = await connection.execute("SELECT at FROM query_log")
        assert await cursor.fetchall() == [{"at": NOW - timedelta(days=6)}]


async def test_attempts_go_on_after_the_state_was_restored_from_a_backup(walk: Walk) -> None:
    """The caches remember the newest attempt: a lower one would be fenced out for ever."""
    await walk.queue()
    before = await walk.claimed()
    await walk.finish(before, SUCCESS)
    async with walk.node.database.transaction() as connection:
        await connection.execute("SELECT setval('attempt_number', 1)")
        await connection.execute("DELETE FROM run")
    await walk.queue()
    assert (await walk.claimed()).attempt > before.attempt


@pytest.mark.parametrize("wrong", [timedelta(days=365), -timedelta(days=365)])
async def test_a_clock_that_jumped_puts_no_job_off(node: Node, wrong: timedelta) -> None:
    account_id = await node.account()
    (job_id,) = await node.jobs(account_id, 1, NOW - timedelta(days=400))
    await tick(node.database, node.queue, NOW + wrong)
    await mend(node.database, NOW)
    await tick(node.database, node.queue, NOW)
    assert await next_run(node, job_id) == NOW + timedelta(hours=1)
    assert await mend(node.database, NOW) == 0


async def test_a_clock_that_is_a_little_behind_runs_no_job_twice(node: Node) -> None:
    account_id = await node.account()
    (job_id,) = await node.jobs(account_id, 1, NOW - timedelta(days=400))
    assert await tick(node.database, node.queue, NOW) == 1
    behind = NOW - timedelta(seconds=2)
    assert await mend(node.database, behind) == 0
    assert await tick(node.database, node.queue, behind) == 0
    assert await next_run(node, job_id) == NOW + timedelta(hours=1)


async def test_the_newest_run_is_the_last_one_whatever_clock_queued_those_before(
    walk: Walk,
) -> None:
    await walk.queue()
    await walk.finish(await walk.claimed(), SUCCESS)
    walk.now = NOW - timedelta(days=1)
    last = await walk.queue()
    async with walk.node.database.transaction() as connection:
        newest = await repository.of_job(connection, walk.account_id, walk.job_id, None, 1)
    assert [row["id"] for row in newest] == [last]


async def next_run(node: Node, job_id: UUID) -> datetime:
    async with node.database.transaction() as connection:
        cursor = await connection.execute("SELECT next_run_at FROM job WHERE id = %s", (job_id,))
        row = await cursor.fetchone()
    assert row is not None
    moment: datetime = row["next_run_at"]
    return moment
