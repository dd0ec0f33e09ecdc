"""The queue: Procrastinate carries runs, by id only, to workers on any number of machines.

A lane is a lock: runs of one lane execute one after another. Each account has so many of them and
a job always takes the same one, so an account has at most that many runs at a time, and a job one.
Among the lanes a run's turn decides: it takes the turn of the second it came in, or the one after
its account's last, so that an account that queues a thousand at once waits for itself only.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import procrastinate
from procrastinate import JobContext
from procrastinate.jobs import Job
from procrastinate.psycopg_connector import PsycopgConnector

from tidewell import tracing
from tidewell.state.database import Connection, Database

QUEUE = "runs"
EXECUTE = "execute_run"
DROP = "drop_cached_table"


def lane(account_id: UUID, job_id: UUID, lanes: int) -> str:
    """The lock under which a job's runs execute, of as many as its account has."""
    return f"{account_id}/{job_id.int % lanes}"


class Queue:
    """Puts work into Procrastinate, inside the caller's own transaction."""

    def __init__(self, database: Database, lanes: int) -> None:
        self._database = database
        self._lanes = lanes
        self.app = procrastinate.App(connector=PsycopgConnector())

    async def open(self) -> None:
        """Use the state database's own pool."""
        await self.app.open_async(self._database.pool)

    async def close(self) -> None:
        """Leave the pool to its owner."""
        await self.app.close_async()

    def register_runs(self, function: Callable[[JobContext, str, str], Awaitable[None]]) -> None:
        """Say what executes a run; it is told which job of the queue carries the run."""
        self.app.task(name=EXECUTE, queue=QUEUE, pass_context=True)(function)

    def register_drops(self, function: Callable[[str, str, str], Awaitable[None]]) -> None:
        """Say what drops a cached table; it is tried until it has succeeded."""
        self.app.task(name=DROP, queue=QUEUE, retry=UntilDone())(function)

    async def defer_run(
        self, connection: Connection, account_id: UUID, job_id: UUID, run_id: UUID, turn: int
    ) -> int:
        """Queue a run; the lowest turn goes first. Returns the queue's own id of it."""
        task = self.app.configure_task(
            EXECUTE,
            queue=QUEUE,
            lock=lane(account_id, job_id, self._lanes),
            priority=-turn,
            connection=connection,
        )
        return await task.defer_async(run_id=str(run_id), traceparent=tracing.traceparent())

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
