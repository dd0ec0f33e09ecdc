"""The queue: Procrastinate carries runs, by id only, to workers on any number of machines.

A lane is a lock: runs of one lane execute one after another. Each account has so many of them and
a job always takes the same one, so an account has at most that many runs at a time, and a job one.
Among the lanes a run's turn decides: it takes the turn of the second it came in, or the one after
its account's last, so that an account that queues a thousand at once waits for itself only.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import procrastinate
import psycopg
from procrastinate import JobContext
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.psycopg_connector import PsycopgConnector

from tidewell import tracing
from tidewell.runs import repository
from tidewell.state.database import Connection, Database

QUEUE = "runs"
EXECUTE = "execute_run"
DROP = "drop_cached_table"

_AFTER_RUNS = -2_000_000_000
"""The priority of drops. A run's turn comes to that in the year 2083."""


def lane(account_id: UUID, job_id: UUID, lanes: int) -> str:
    """The lock under which a job's runs execute, of as many as its account has."""
    return f"{account_id}/{job_id.int % lanes}"


def _lane_of_drops(sealed: str) -> str:
    """The lock under which the drops in one cache go one after another."""
    return f"drop/{sha256(sealed.encode()).hexdigest()}"


class Queue:
    """Puts work into Procrastinate, inside the caller's own transaction."""

    def __init__(self, database: Database, lanes: int) -> None:
        self._database = database
        self._lanes = lanes
        self.app = procrastinate.App(connector=_Connector(database))
        self._jobs = _Jobs(database, self.app.connector)
        self.app.job_manager = self._jobs

    async def open(self) -> None:
        """Use the state database's own pool."""
        await self.app.open_async(self._database.pool)

    async def close(self) -> None:
        """Leave the pool to its owner."""
        await self.app.close_async()

    def register_runs(self, function: Callable[[JobContext, str, str], Awaitable[None]]) -> None:
        """Say what executes a run; it is told which job of the queue carries the run."""
        self.app.task(name=EXECUTE, queue=QUEUE, pass_context=True)(function)

    def register_drops(self, function: Callable[..., Awaitable[None]]) -> None:
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
        return await _deferred(
            task.defer_async(run_id=str(run_id), traceparent=tracing.traceparent())
        )

    def has_ended(self, queue_id: int | None) -> None:
        """What carried a run has left the queue in the transaction that ended the run."""
        if queue_id is not None:
            self._jobs.gone.add(queue_id)

    async def defer_drop(
        self,
        connection: Connection,
        job_id: UUID,
        sealed: str,
        cache_id: UUID,
        after: datetime,
        attempt: int | None = None,
    ) -> int:
        """Queue the drop of a job's cached table; the address travels sealed.

        With `attempt`, what later attempts of the job load there stays. Runs go before all drops,
        and drops in one cache one after another: a cache that is away takes one place of a worker
        at most, and only one that no run asks for.
        """
        task = self.app.configure_task(
            DROP,
            queue=QUEUE,
            lock=_lane_of_drops(sealed),
            priority=_AFTER_RUNS,
            schedule_at=after,
            connection=connection,
        )
        args: dict[str, Any] = {
            "job_id": str(job_id),
            "sealed": sealed,
            "cache_id": str(cache_id),
        }
        if attempt is not None:
            args["attempt"] = attempt
        return await _deferred(task.defer_async(**args))


class _Jobs(JobManager):
    """What a worker asks of the queue, in as few statements as it takes."""

    def __init__(self, database: Database, connector: BaseConnector) -> None:
        super().__init__(connector)
        self._database = database
        self.gone: set[int] = set()
        """Jobs that are executed here, and have been taken out of the queue already."""

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """The next job that the worker may have."""
        names = None if queues is None else list(queues)
        async with self._database.statement() as connection:
            row = await repository.next_of_queue(connection, names, worker_id)
        return None if row is None else Job.from_row(row)

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Take a job out of the queue, where a run's end or the sweeper has not done so."""
        if job.task_name != EXECUTE:
            await super().finish_job(job, status, delete_job)
        elif job.id in self.gone:
            self.gone.discard(job.id)
        else:
            async with self._database.statement() as connection:
                await repository.remove_from_queue(connection, job.id)


class _Connector(PsycopgConnector):
    """Work goes over the state database's pool; notices need a session, which no pooler has."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    @asynccontextmanager
    async def _get_standalone_connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        options = self._database.session_options
        connected = psycopg.AsyncConnection.connect(self._database.url, **options, autocommit=True)
        async with await connected as connection:
            yield connection


async def _deferred(deferring: Awaitable[int]) -> int:
    """Put work into the queue; an error is psycopg's own, which the transaction knows."""
    try:
        return await deferring
    except ConnectorException as error:
        raise error.__cause__ or error from None


class UntilDone(procrastinate.BaseRetryStrategy):
    """Try a drop again until it has worked: soon at first, then once an hour.

    The one that waits for its next try holds back the others in its cache: when that is away, it is
    not asked for each of its tables. After every second failure the others go first, because the
    one may be of a table that cannot be dropped.
    """

    def get_retry_decision(
        self, *, exception: BaseException, job: Job
    ) -> procrastinate.RetryDecision:
        """The time of the next try, and which others come first."""
        seconds = min(10 * 2 ** min(job.attempts, 9), 3600)
        return procrastinate.RetryDecision(
            retry_in={"seconds": seconds},
            priority=_AFTER_RUNS - (job.attempts + 1) // 2,
            # Drops that an earlier release has queued have none yet.
            lock=_lane_of_drops(str(job.task_kwargs["sealed"])),
        )
