"""An attempt has committed, and nobody heard of it: what its run says of the job's settings."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import LOOPBACK
from tests.integration.runs.nodes import NOW, Node, node
from tidewell.connections.sealing import SealingBox
from tidewell.runs import repository
from tidewell.runs.caching import CachingRun
from tidewell.runs.children import Children
from tidewell.runs.commands import queue_run
from tidewell.runs.execution import Execution
from tidewell.runs.log import RunLog
from tidewell.runs.sweeper import sweep
from tidewell.runs.tasks import caching_task
from tidewell.settings import Settings

__all__ = ["node"]

READY = """
WITH source AS (
UPDATE connection SET sealed = %(source)s WHERE id = %(id)s
), job AS (
UPDATE job SET source_schema = 'Files', source_table = 'orders', params = %(params)s
 WHERE account_id = %(id)s
)
INSERT INTO cache_connection (id, account_id, sealed, created_at, modified_at)
VALUES (%(id)s, %(id)s, %(cache)s, now(), now())
"""
FETCHED = "UPDATE procrastinate_jobs SET status = 'doing' WHERE args ->> 'run_id' = %s RETURNING id"
SILENCE = "UPDATE run SET beat_at = beat_at - interval '1 minute'"
RELOAD = "UPDATE job SET reload = true, modified_at = clock_timestamp()"
RELOADS = "SELECT reload FROM job"


@dataclass
class Worker:
    """One job over a file, and what executes its runs."""

    node: Node
    account_id: UUID
    job_id: UUID
    sealing: SealingBox
    settings: Settings
    execution: Execution

    async def queue(self) -> UUID:
        async with self.node.database.transaction() as connection:
            return await queue_run(
                connection, self.node.queue, self.account_id, self.job_id, "request", NOW
            )

    async def fetch(self, run_id: UUID) -> int:
        row = await self.one(FETCHED, str(run_id))
        return int(row["id"])

    async def run(self, run_id: UUID) -> str:
        """Execute a run to its end; returns the mode of its load."""
        await self.execution.execute(run_id, await self.fetch(run_id))
        async with self.node.database.transaction() as connection:
            row = await repository.one(connection, self.account_id, run_id)
        assert row["state"] == "success", row
        return str(row["receipt"]["mode"])

    async def commit_and_be_lost(self, run_id: UUID) -> None:
        """The first attempt of a run, up to its commit."""
        queue_id = await self.fetch(run_id)
        async with self.node.database.transaction() as connection:
            claimed = await repository.claim(connection, run_id, queue_id, NOW)
        assert claimed is not None
        task = caching_task(claimed[1], claimed[0], self.sealing, self.settings)
        log = RunLog(lambda _: None, 1, ())
        await asyncio.to_thread(CachingRun(task, lambda _: None, log).execute)
        async with self.node.database.transaction() as connection:
            await connection.execute(SILENCE)
        assert (await sweep(self.node.database, self.node.queue, NOW)).found == 1

    async def one(self, statement: Any, *values: str) -> dict[str, Any]:
        async with self.node.database.transaction() as connection:
            row = await (await connection.execute(statement, values)).fetchone()
        assert row is not None
        return row


@pytest.fixture
async def worker(
    node: Node, cache_database: CacheDatabase, tmp_path: Path
) -> AsyncIterator[Worker]:
    """A worker, and a job whose rows have a watermark."""
    (tmp_path / "orders.csv").write_text("id,at\n1,2026-01-01\n2,2026-01-02\n")
    account_id = await node.account()
    (job_id,) = await node.jobs(account_id, 1, NOW + timedelta(days=1))
    box = SealingBox([b"0" * 32])
    params = {
        "sourceConnection": str(account_id),
        "sourceName": "Shop",
        "sourceSchema": "Files",
        "sourceTable": "orders",
        "timeCheckColumn": "at",
        "mergeKeys": [{"colName": "id", "colType": "BIGINT", "isPrimaryKey": "true"}],
    }
    values = {
        "id": account_id,
        "source": box.seal(f"URI={tmp_path}", account_id),
        "cache": box.seal(cache_database.connection_string, account_id),
        "params": json.dumps(params),
    }
    async with node.database.transaction() as connection:
        await connection.execute(READY, values)
    settings = Settings(files_root=str(tmp_path), egress_allow=LOOPBACK)
    children = Children(1)
    execution = Execution(node.database, node.queue, box, children, settings, lambda: NOW)
    yield Worker(node, account_id, job_id, box, settings, execution)
    await children.close()


async def test_a_full_load_that_was_asked_for_after_the_commit_is_not_taken_for_done(
    worker: Worker,
) -> None:
    run_id = await worker.queue()
    await worker.commit_and_be_lost(run_id)
    await worker.one(RELOAD + " RETURNING id")

    assert await worker.run(run_id) == "full"  # what the first attempt has committed

    assert (await worker.one(RELOADS))["reload"] is True
    assert await worker.run(await worker.queue()) == "full"
    assert (await worker.one(RELOADS))["reload"] is False
    assert await worker.run(await worker.queue()) == "incremental"
