"""The life of one attempt in the worker: claim, execute in a process, write the end.

However an attempt ends, its run is told so by exactly one transaction, and only by the newest
attempt (`Claim.attempt`). A stop and a shutdown both arrive as a cancellation of the task; the
database says which it was.
"""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from tidewell.clock import Clock
from tidewell.connections.sealing import SealingBox
from tidewell.errors import Disposition, Stopped, TidewellError, Unavailable
from tidewell.jobs import repository as jobs
from tidewell.runs import repository
from tidewell.runs.children import Children, ProcessDied
from tidewell.runs.commands import carry
from tidewell.runs.messages import CachingTask, Done, Failed, LogLine, Message, Progress
from tidewell.runs.queue import Queue
from tidewell.runs.repository import Claim, Outcome
from tidewell.runs.tasks import caching_task
from tidewell.settings import Settings
from tidewell.state.database import Database

_FLUSH_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0

log = structlog.get_logger()


class Reports:
    """What a run's process says, written to the state database at most twice a second."""

    def __init__(self, database: Database, claim: Claim) -> None:
        self._database = database
        self._claim = claim
        self._lines: list[LogLine] = []
        self._progress: Progress | None = None

    def take(self, message: Message) -> None:
        """Remember a message until the next flush."""
        if isinstance(message, LogLine):
            self._lines.append(message)
        elif isinstance(message, Progress):
            self._progress = message

    async def keep_flushing(self) -> None:
        """Write at intervals until cancelled; what cannot be written now is kept."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self.flush()
            except Unavailable:
                log.warning("report_delayed", run_id=str(self._claim.run_id))

    async def flush(self) -> None:
        """Write what has come since the last time."""
        lines, progress = self._lines, self._progress
        if not lines and progress is None:
            return
        async with self._database.transaction() as connection:
            if lines:
                await repository.insert_log(connection, self._claim, lines)
            if progress is not None:
                await repository.set_progress(
                    connection, self._claim, progress.rows, progress.bytes
                )
        del self._lines[: len(lines)]
        if self._progress is progress:
            self._progress = None


class Execution:
    """Executes the runs that the queue hands to this worker."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        sealing: SealingBox,
        children: Children,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._sealing = sealing
        self._children = children
        self._settings = settings
        self._clock = clock

    async def execute(self, run_id: UUID) -> None:
        """Execute a run to its end. Cancelling this ends the run's process first."""
        claim = await self._claim(run_id)
        if claim is None:
            return
        logger = log.bind(run_id=str(run_id), job_id=str(claim.job_id), attempt=claim.attempt)
        logger.info("run_started")
        reports = Reports(self._database, claim)
        attempt = asyncio.create_task(self._attempt(claim, reports))
        try:
            outcome = await asyncio.shield(attempt)
        except asyncio.CancelledError:
            attempt.cancel()
            await asyncio.wait([attempt])
            await asyncio.shield(self._interrupted(claim, reports, attempt))
            raise
        await self._finish(claim, reports, outcome)
        logger.info("run_ended", state=outcome.state, rows_affected=outcome.rows_affected)

    async def _claim(self, run_id: UUID) -> Claim | None:
        async with self._database.transaction() as connection:
            claim = await repository.claim(connection, run_id, self._clock())
            if claim is None:
                await repository.stop_unclaimed(connection, run_id, self._clock())
            return claim

    async def _attempt(self, claim: Claim, reports: Reports) -> Outcome:
        """Execute in a process; every error becomes an outcome."""
        flushing = asyncio.create_task(reports.keep_flushing())
        try:
            task = await self._task(claim)
            return _outcome(await self._in_process(task, reports))
        except Stopped:
            return Outcome("stopped")
        except TidewellError as error:
            return Outcome("failed", error_code=error.code, error_message=error.message)
        except ProcessDied as error:
            return Outcome(
                "failed",
                error_code="RUN_PROCESS_DIED",
                error_message=f"The process of this run ended unexpectedly (status "
                f"{error.status}; -9 often means that memory ran out). The cached table is as it "
                "was before.",
            )
        finally:
            flushing.cancel()

    async def _task(self, claim: Claim) -> CachingTask:
        async with self._database.transaction() as connection:
            row = await repository.task(connection, claim)
        if row is None:
            raise Stopped("The job was deleted.")
        return caching_task(row, claim.run_id, claim.attempt, self._sealing, self._settings)

    async def _in_process(self, task: CachingTask, reports: Reports) -> Done | Failed:
        child = await self._children.take()
        running = asyncio.create_task(child.execute(task, reports.take))
        try:
            ended = await asyncio.shield(running)
        except asyncio.CancelledError:
            ended_after_all = await asyncio.shield(child.end_run(running))
            await self._children.give_back(child)
            if isinstance(ended_after_all, Done):
                return ended_after_all  # it had committed before the order to stop came
            raise
        except BaseException:
            await child.kill()
            raise
        await self._children.give_back(child)
        return ended

    async def _interrupted(
        self, claim: Claim, reports: Reports, attempt: "asyncio.Task[Outcome]"
    ) -> None:
        """After a cancellation: the run was stopped, or this worker ends and hands it back."""
        if not attempt.cancelled() and attempt.exception() is None:
            outcome = attempt.result()
            if outcome.state == "success":
                await self._finish(claim, reports, outcome)
                return

        async def write() -> None:
            async with self._database.transaction() as connection:
                active = await repository.active(connection, claim.account_id, claim.job_id)
                if active is None or active["id"] != claim.run_id:
                    return
                if active["stop_requested_at"] is None:
                    if await repository.requeue(connection, claim):
                        await carry(
                            connection, self._queue, claim.account_id, claim.job_id, claim.run_id
                        )
                else:
                    await repository.finish(connection, claim, Outcome("stopped"), self._clock())

        await _patiently(reports.flush)
        await _patiently(write)

    async def _finish(self, claim: Claim, reports: Reports, outcome: Outcome) -> None:
        async def write() -> None:
            async with self._database.transaction() as connection:
                await repository.finish(connection, claim, outcome, self._clock())
                if outcome.receipt and outcome.receipt["mode"] == "full":
                    await jobs.clear_reload(connection, claim.account_id, claim.job_id)

        await _patiently(reports.flush)
        await _patiently(write)


async def _patiently(write: Callable[[], Awaitable[None]]) -> None:
    """Write to the state database, also when it is away for a while.

    When it stays away the sweeper of a living node finds the run later.
    """
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        try:
            await write()
            return
        except Unavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_FLUSH_SECONDS)


def _outcome(ended: Done | Failed) -> Outcome:
    if isinstance(ended, Done):
        return Outcome(
            "success",
            rows_read=ended.rows_read,
            bytes_copied=ended.bytes_copied,
            rows_affected=ended.rows_affected,
            receipt=dict(ended.receipt),
        )
    if ended.disposition == Disposition.STOP:
        return Outcome("stopped")
    return Outcome("failed", error_code=ended.code, error_message=ended.message)
