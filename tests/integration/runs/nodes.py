"""A state database with accounts and jobs, and the queue on it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from tidewell.runs.queue import Queue
from tidewell.state.database import Database
from tidewell.state.schema import upgrade

NOW = datetime(2026, 5, 31, 12, 0, tzinfo=UTC)
LANES = 4

ACCOUNT = """
WITH parent AS (INSERT INTO parent_account VALUES (gen_random_uuid(), 'Vendor', now()) RETURNING id)
INSERT INTO account SELECT %s, id, NULL, 'Customer', now() FROM parent
"""
CONNECTION = """
INSERT INTO connection (id, account_id, name, driver, sealed, created_at, modified_at)
VALUES (%s, %s, 'Shop', 'Files', '', now(), now())
"""
JOB = """
INSERT INTO job (id, account_id, connection_id, job_type, name, enabled, interval_unit,
                 interval_value, log_verbosity, anchor_at, next_run_at, params, source_schema,
                 source_table, cache_schema, cache_table, created_at, modified_at)
SELECT id, %s, %s, 'Caching', 'T', true, 'Hour', 1, 1, %s, %s, '{}', 's', id::text, 'c', id::text,
       now(), now()
  FROM unnest(%s::uuid[]) AS id
"""


@dataclass(frozen=True)
class Node:
    """What the duties of a node work with."""

    database: Database
    queue: Queue

    async def account(self) -> UUID:
        """A new customer with a connection of the same id."""
        account_id = uuid4()
        async with self.database.transaction() as connection:
            await connection.execute(ACCOUNT, (account_id,))
            await connection.execute(CONNECTION, (account_id, account_id))
        return account_id

    async def jobs(self, account_id: UUID, count: int, due: datetime = NOW) -> list[UUID]:
        """New jobs of an account, hourly from `due` on."""
        ids = [uuid4() for _ in range(count)]
        async with self.database.transaction() as connection:
            await connection.execute(JOB, (account_id, account_id, due, due, ids))
        return ids


@pytest.fixture
async def node(database_url: str) -> AsyncIterator[Node]:
    """The open parts, over a fresh state database."""
    upgrade(database_url)
    async with Database(database_url, max_size=12) as database:
        queue = Queue(database, LANES)

        async def nothing(*_: object) -> None:
            """Only the names are needed to put work into the queue."""

        queue.register_runs(nothing)
        queue.register_drops(nothing)
        await queue.open()
        yield Node(database, queue)
        await queue.close()
