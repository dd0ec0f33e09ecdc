"""The queue: Procrastinate carries runs, by id only, to workers on any number of machines.

A lane is a lock: runs of one lane execute one after another. Each account has `LANES` of them and
a job always takes the same one, so an account has at most that many runs at a time, and a job one.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import procrastinate
from procrastinate.jobs import Job
from procrastinate.psycopg_connector import PsycopgConnector

from tidewell.state.database import Connection, Database

LANES = 4
QUEUE = "runs"
EXECUTE = "execute_run"
DROP = "drop_cached_table"


def lane(account_id: UUID, job_id: UUID) -> str:
    """The lock under which a job's runs execute."""
    return f"{account_id}/{job_id.int % LANES}"


class Queue:
    """Puts work into Procrastinate, inside the caller's own transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.app = procrastinate.App(connector=PsycopgConnector())

    async def open(self) -> None:
        """Use the state database's own pool."""
        await self.app.open_async(self._database.pool)

    async def close(self) -> None:
        """Leave the pool to its owner."""
        await self.app.close_async()

    def register(
        self, name: str, function: Callable[..., Awaitable[None]], *, retry: bool = False
    ) -> None:
        """Say what executes a kind of work; with `retry`, until it has succeeded."""
        self.app.task(name=name, queue=QUEUE, retry=UntilDone() if retry else False)(function)

    async def defer_run(
        self, connection: Connection, account_id: UUID, job_id: UUID, run_id: UUID
    ) -> int:
        """Queue a run; returns the queue's own id of it."""
        task = self.app.configure_task(
            EXECUTE, queue=QUEUE, lock=lane(account_id, job_id), connection=connection
        )
        return await task.defer_async(run_id=str(run_id))

    async def defer_drop(
        self, connection: Connection, job_id: UUID, sealed: str, cache_id: UUID, after: datetime
    ) -> int:
        """Queue the drop of a deleted job's cached table; the address travels sealed.

        It takes no lane: one that has to be tried again must not hold back the account's runs.
        """
        task = self.app.configure_task(DROP, queue=QUEUE, schedule_at=after, connection=connection)
        return await task.defer_async(job_id=str(job_id), sealed=sealed, cache_id=str(cache_id))


class UntilDone(procrastinate.BaseRetryStrategy):
    """Try again until it has worked: soon at first, then once an hour."""

    def get_retry_decision(
        self, *, exception: BaseException, job: Job
    ) -> procrastinate.RetryDecision:
        """The time of the next try."""
        seconds = min(10 * 2 ** min(job.attempts, 9), 3600)
        return procrastinate.RetryDecision(retry_in={"seconds": seconds})
