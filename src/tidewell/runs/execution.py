"""The life of one attempt in the worker: claim, execute in a process, write the end.

However an attempt ends, its run is told so by exactly one transaction, and only by the newest
attempt (`Claim.attempt`). A stop, a shutdown and a loss to another worker all arrive as a
cancellation; the database says which it was.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars

from tidewell.clock import Clock
from tidewell.connections.sealing import SealingBox
from tidewell.errors import (
    CacheUnavailable,
    Disposition,
    RunProcessDied,
    RunTimedOut,
    TidewellError,
    Unavailable,
)
from tidewell.failpoint import reached
from tidewell.jobs import repository as jobs
from tidewell.runs import life, repository
from tidewell.runs.children import Children, ProcessDied
from tidewell.runs.commands import queue_again
from tidewell.runs.messages import Done, Failed, Task
from tidewell.runs.queue import Queue
from tidewell.runs.reports import FLUSH_SECONDS, Reports
from tidewell.runs.repository import Claim, Outcome, success_of
from tidewell.runs.retries import pause
from tidewell.runs.settling import UNKNOWN, settle
from tidewell.runs.tasks import task_of_claim
from tidewell.settings import Settings
from tidewell.state.database import Connection, Database

BEAT_SECONDS = 2.0
_PATIENCE_SECONDS = 60.0
_SETTLE_SECONDS = 8.0
_SETTLE_TRIES = 3  # a link that swallows all it gets may be a whole one for the next session
_SETTLE_FOR_STOP_SECONDS = 1.0  # a stop takes two seconds at most, and the process had its own

log = structlog.get_logger()


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
        self._going: dict[Claim, asyncio.Task[Done | Failed]] = {}
        self._reloads: dict[Claim, datetime] = {}
        """Runs whose job asks for a full load, with the time of its settings: the job's own, its
        connection's and the cache's."""

    async def execute(self, run_id: UUID, queue_id: int) -> None:
        """Execute a run to its end. Cancelling this ends the run's process first."""
        claiming = asyncio.create_task(self._claim(run_id, queue_id))
        try:
            claimed = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await asyncio.wait([claiming])
            if not claiming.exception() and (claimed := claiming.result()) is not None:
                claim, task = claimed
                reports = Reports(self._database, claim)
                await asyncio.shield(self._interrupted(claim, task, reports, None))
            raise
        if claimed is None:
            return
        claim, task = claimed
        ids = {"account_id": claim.account_id, "job_id": claim.job_id, "run_id": claim.run_id}
        with bound_contextvars(**{name: str(one) for name, one in ids.items()}):
            await self._execute(claim, task)

    async def _execute(self, claim: Claim, task: Task | TidewellError) -> None:
        log.info("run_started", attempt=claim.attempt)
        reports = Reports(self._database, claim)
        attempt = asyncio.create_task(self._attempt(claim, task, reports))
        self._going[claim] = attempt
        try:
            try:
                ended = await asyncio.shield(attempt)
            except asyncio.CancelledError:
                _end(attempt)
                await asyncio.wait([attempt])
                told = None
                if not attempt.cancelled() and attempt.exception() is None:
                    told = attempt.result()
                await asyncio.shield(self._interrupted(claim, task, reports, told))
                current = asyncio.current_task()
                if current is not None and current.cancelling():
                    raise
                return  # another worker has it, or the stop came with a sign of life
            ending = asyncio.create_task(self._ended(claim, task, reports, ended))
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                await asyncio.wait([ending])
                raise
        finally:
            del self._going[claim]
            self._reloads.pop(claim, None)

    async def keep_beating(self) -> None:
        """Give signs of life for all runs that go on here, until cancelled.

        A run that is no longer ours, or was asked to end, is ended here too: the queue's own
        notice can get lost.
        """
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            claims = list(self._going)
            if not claims:
                continue
            try:
                async with self._database.transaction() as connection:
                    ours = await repository.beat(connection, claims)
            except Unavailable:
                log.warning("sign_of_life_delayed", runs=len(claims))
                continue
            for claim in claims:
                attempt = self._going.get(claim)
                if ours.get(claim.run_id, True) and attempt is not None:
                    _end(attempt)

    async def _claim(
        self, run_id: UUID, queue_id: int
    ) -> tuple[Claim, Task | TidewellError] | None:
        """Claim a run, with what it needs or why it cannot begin; None: it is not to be had."""
        async with self._database.statement() as connection:
            claimed = await repository.claim(connection, run_id, queue_id, self._clock())
        if claimed is None:
            return None
        claim, row = claimed
        try:
            task = await task_of_claim(self._database, claim, row, self._sealing, self._settings)
        except Unavailable:
            raise  # nobody gives a sign of life for it: it is recovered
        except TidewellError as error:
            return claim, error
        except Exception as error:  # noqa: BLE001 - the run has to have an end
            return claim, TidewellError(_broke("task_broke", run_id, error))
        if row["reload"]:
            self._reloads[claim] = row["settings_at"]
        return claim, task

    async def _attempt(
        self, claim: Claim, task: Task | TidewellError, reports: Reports
    ) -> Done | Failed:
        """Execute in a process; every error becomes an answer."""
        if isinstance(task, TidewellError):
            return _failed(task)
        flushing = asyncio.create_task(reports.keep_flushing())
        try:
            reports.retries = task.retries
            seconds = task.timeout_seconds
            async with asyncio.timeout(None if seconds is None else self._left(claim, seconds)):
                return await self._in_process(task, reports)
        except TimeoutError:
            return _failed(RunTimedOut())
        except TidewellError as error:
            return _failed(error)
        except ProcessDied as error:
            return _failed(
                RunProcessDied(
                    f"The process of this run ended unexpectedly (status {error.status}; -9 often "
                    "means that memory ran out). The cached table is as it was before."
                )
            )
        except Exception as error:  # noqa: BLE001 - as above
            # The last line of defence: a run without an end would be tried as one that was lost.
            said = _broke("attempt_broke", claim.run_id, error)
            return Failed(TidewellError.code, said, Disposition.FAIL)
        finally:
            flushing.cancel()

    def _left(self, claim: Claim, seconds: int) -> float:
        """What is left of a run's time, all its attempts and the waits between them counted."""
        end = claim.started_at + timedelta(seconds=seconds)
        return max((end - self._clock()).total_seconds(), 0.0)

    async def _in_process(self, task: Task, reports: Reports) -> Done | Failed:
        taking = asyncio.create_task(self._children.take())
        try:
            child = await asyncio.shield(taking)
        except asyncio.CancelledError:
            await self._children.give_back(await taking)
            raise
        running = asyncio.create_task(child.execute(task, reports.take))
        try:
            ended = await asyncio.shield(running)
        except asyncio.CancelledError:
            told = await asyncio.shield(child.end_run(running))
            await self._children.give_back(child)
            if isinstance(told, Done):
                return told  # it had committed before the order to end came
            raise
        except ProcessDied:
            # Also where this attempt came to nothing: an earlier one of the run may have committed.
            if (told := await settle(task, _SETTLE_SECONDS)) is not None:
                return told
            raise
        except BaseException:
            await child.kill()
            raise
        await self._children.give_back(child)
        return ended

    async def _interrupted(
        self,
        claim: Claim,
        task: Task | TidewellError,
        reports: Reports,
        ended: Done | Failed | None,
    ) -> None:
        """After a cancellation: stopped, or handed back; nothing where another worker has it."""
        outcome = await self._in_truth(claim, task, reports, ended, _STOPPED)
        if outcome.state == "success":
            await self._finish(claim, reports, outcome)
            return

        async def write(connection: Connection) -> None:
            active = await repository.active(connection, claim.account_id, claim.job_id)
            if active is None or active["id"] != claim.run_id:
                return
            now = self._clock()
            if active["stop_requested_at"] is not None:
                await repository.finish(connection, claim, outcome, now)
                return
            await queue_again(
                connection,
                self._queue,
                life.HAND_BACK,
                claim.account_id,
                claim.job_id,
                claim.run_id,
                "Its worker ends before the run does.",
                now,
                attempt=claim.attempt,
                unsettled=reports.committing,
            )

        await self._write(reports, write)

    async def _ended(
        self,
        claim: Claim,
        task: Task | TidewellError,
        reports: Reports,
        ended: Done | Failed,
    ) -> None:
        if isinstance(ended, Done):
            outcome = success_of(ended)
        elif ended.disposition == Disposition.RETRY and claim.failures < reports.retries:
            await self._retry(claim, reports, ended)
            return
        else:
            outcome = _STOPPED
            if ended.disposition != Disposition.STOP:
                outcome = Outcome(
                    "failed", ended.code, error_code=ended.code, error_message=ended.message
                )
            outcome = await self._in_truth(claim, task, reports, ended, outcome)
        await self._finish(claim, reports, outcome)

    async def _in_truth(
        self,
        claim: Claim,
        task: Task | TidewellError,
        reports: Reports,
        ended: Done | Failed | None,
        outcome: Outcome,
    ) -> Outcome:
        """A run's end without a commit, unless the cache knows better and says so in time.

        It is asked where nobody else can tell: this attempt, or one before it, may have sent a
        COMMIT and not heard the answer.
        """
        if isinstance(ended, Done):
            return success_of(ended)
        ordered = outcome.state == "stopped"
        if isinstance(task, TidewellError) or not _in_doubt(claim, reports, ended):
            return outcome
        for _ in range(1 if ordered else _SETTLE_TRIES):
            try:
                told = await settle(task, _SETTLE_FOR_STOP_SECONDS if ordered else _SETTLE_SECONDS)
            except CacheUnavailable as error:
                log.warning("run_not_settled", reason=error.message)
            else:
                return outcome if told is None else success_of(told)
        return replace(
            outcome,
            reason=outcome.reason + UNKNOWN,
            error_message=outcome.error_message and outcome.error_message + UNKNOWN,
        )

    async def _retry(self, claim: Claim, reports: Reports, ended: Failed) -> None:
        failures = claim.failures + 1
        wait = pause(failures, ended.retry_after, random.random())  # noqa: S311 - no secret
        text = (
            f"{ended.code}: try {failures} of {reports.retries} again in "
            f"{wait.total_seconds():.0f} s."
        )
        reports.note(f"Attempt {claim.attempts} failed. {text}")

        async def write(connection: Connection) -> None:
            now = self._clock()
            if not await repository.retry(
                connection, claim, now + wait, text, now, unsettled=reports.committing
            ):
                # Somebody asked for its end in between, or a newer attempt has it.
                await repository.finish(connection, claim, _STOPPED, now)

        await self._write(reports, write)
        log.info("run_retries", code=ended.code)

    async def _finish(self, claim: Claim, reports: Reports, outcome: Outcome) -> None:
        # What an attempt before this one has loaded, it may have read by earlier settings.
        asked = self._reloads.get(claim) if reports.committing else None
        full = outcome.receipt is not None and outcome.receipt["mode"] == "full"

        async def write(connection: Connection) -> None:
            if await repository.finish(connection, claim, outcome, self._clock()):
                self._queue.has_ended(claim.queue_id)

        if asked is not None and full:
            await _patiently(partial(self._clear_reload, claim, asked))
        await self._write(reports, write)
        log.info(
            "run_ended",
            state=outcome.state,
            rows_affected=outcome.rows_affected,
        )

    async def _clear_reload(self, claim: Claim, settings_at: datetime) -> None:
        """By itself, not with the run's end: others wait for the run while they hold the job."""
        async with self._database.statement() as connection:
            await jobs.clear_reload(connection, claim.account_id, claim.job_id, settings_at)

    async def _write(
        self, reports: Reports, write: Callable[[Connection], Awaitable[None]]
    ) -> None:
        """Write the end of an attempt, with all that it has said."""

        async def write_in_transaction() -> None:
            async with reports.written() as connection:
                await write(connection)

        reached("before state write")
        await _patiently(write_in_transaction)
        reached("after state write")


def _in_doubt(claim: Claim, reports: Reports, ended: Failed | None) -> bool:
    """Whether only the cache can tell that an attempt, or one before it, has not committed."""
    if claim.unsettled:
        return True
    if ended is None or ended.code == RunTimedOut.code:
        # Its process may have been ended by force; a session of it that is left is ended, too.
        return reports.backend is not None
    return reports.committing and ended.disposition != Disposition.FAIL


def _end(attempt: "asyncio.Task[Done | Failed]") -> None:
    """Cancel an attempt, once: a second order would cut short how it ends its process."""
    if not attempt.cancelling():
        attempt.cancel()


_STOPPED = Outcome("stopped", "Somebody asked for its end.")


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
            await asyncio.sleep(FLUSH_SECONDS)


def _broke(event: str, run_id: UUID, error: Exception) -> str:
    """Log what nobody foresaw, and say so without telling what it was."""
    log.exception(event, run_id=str(run_id), kind=type(error).__name__)
    kind = type(error).__name__
    return f"An error inside Tidewell ended the run ({kind}); the server's log has more."


def _failed(error: TidewellError) -> Failed:
    return Failed(error.code, error.message, error.disposition)
