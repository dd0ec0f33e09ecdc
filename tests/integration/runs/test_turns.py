"""Who comes when: tickers do not double, lanes hold, and nobody waits for another's thousand."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

from tests.integration.runs.nodes import LANES, NOW, Node, node
from tidewell.runs.ticker import tick

__all__ = ["node"]

FETCH = "SELECT args ->> 'run_id' AS run_id FROM procrastinate_fetch_job_v2(ARRAY['runs'], %s)"
REGISTER = "SELECT worker_id FROM procrastinate_register_worker_v1()"
FINISH = "DELETE FROM procrastinate_jobs WHERE args ->> 'run_id' = %s"
ACCOUNT_OF = "SELECT account_id FROM run WHERE id = %s"
READ = """
SELECT seq_scan AS whole, idx_tup_fetch AS rows FROM pg_stat_xact_user_tables
 WHERE relname = 'procrastinate_jobs'
"""
RUNS = "SELECT count(*) AS runs, count(DISTINCT job_id) AS jobs FROM run"


class Fetching:
    """A worker that takes runs and does nothing with them."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.worker_id = 0

    async def fetch(self) -> tuple[str, UUID] | None:
        """The next run and its account."""
        async with self.node.database.transaction() as connection:
            if not self.worker_id:
                row = await (await connection.execute(REGISTER)).fetchone()
                assert row is not None
                self.worker_id = row["worker_id"]
            row = await (await connection.execute(FETCH, (self.worker_id,))).fetchone()
            if row is None or row["run_id"] is None:
                return None
            found = await (await connection.execute(ACCOUNT_OF, (row["run_id"],))).fetchone()
            assert found is not None
        return row["run_id"], found["account_id"]

    async def finish(self, run_id: str) -> None:
        async with self.node.database.transaction() as connection:
            await connection.execute(FINISH, (run_id,))


async def test_tickers_side_by_side_queue_each_due_job_once(node: Node) -> None:
    account_id = await node.account()
    await node.jobs(account_id, 500)
    ticked = await asyncio.gather(*(tick(node.database, node.queue, NOW) for _ in range(3)))
    assert sum(ticked) == 500
    async with node.database.transaction() as connection:
        assert await (await connection.execute(RUNS)).fetchone() == {"runs": 500, "jobs": 500}
    assert await tick(node.database, node.queue, NOW) == 0


async def test_an_account_has_its_lanes_and_no_more(node: Node) -> None:
    await node.jobs(await node.account(), 40)
    await tick(node.database, node.queue, NOW)
    worker = Fetching(node)
    taken = []
    while (found := await worker.fetch()) is not None:
        taken.append(found)
    assert len(taken) == LANES


async def test_an_account_with_hundreds_of_runs_does_not_hold_up_another(node: Node) -> None:
    large, small = await node.account(), await node.account()
    await node.jobs(large, 300)
    await tick(node.database, node.queue, NOW)
    await node.jobs(small, 3, NOW + timedelta(seconds=1))
    await tick(node.database, node.queue, NOW + timedelta(seconds=1))
    worker, order = Fetching(node), []
    for _ in range(20):
        found = await worker.fetch()
        assert found is not None
        await worker.finish(found[0])
        order.append(found[1])
    assert Counter(order)[small] == 3
    assert small in order[:3]


async def test_the_next_run_is_found_by_its_lane_whatever_the_statistics_say(node: Node) -> None:
    """Thousands of runs that have just been queued are not in the planner's statistics yet."""
    for _ in range(10):
        await node.jobs(await node.account(), 100)
    await tick(node.database, node.queue, NOW)
    async with node.database.transaction() as connection:
        row = await (await connection.execute(REGISTER)).fetchone()
        assert row is not None
        before = await (await connection.execute(READ)).fetchone()
        await connection.execute(FETCH, (row["worker_id"],))
        after = await (await connection.execute(READ)).fetchone()
    assert before is not None
    assert after is not None
    assert after["whole"] == before["whole"]
    # A lane has 25 jobs; it looks at one or two of them.
    assert 0 < after["rows"] - before["rows"] < 200
