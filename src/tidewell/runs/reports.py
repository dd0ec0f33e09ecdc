"""What an attempt tells while it works: progress and log lines, on their way to the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from tidewell import clock
from tidewell.errors import Unavailable
from tidewell.jobs.params import DEFAULT_RETRIES
from tidewell.runs import repository
from tidewell.runs.messages import Backend, Committing, LogLine, Message, Progress
from tidewell.runs.repository import Claim
from tidewell.state.database import Connection, Database

FLUSH_SECONDS = 0.5

log = structlog.get_logger()


class Reports:
    """What a run's process says, written to the state database at most twice a second."""

    def __init__(self, database: Database, claim: Claim) -> None:
        self._database = database
        self._claim = claim
        self._lines: list[LogLine] = []
        self._progress: Progress | None = None
        self.retries = DEFAULT_RETRIES
        """How often its run is tried again, once that is known."""
        self.backend: int | None = None
        """The server's process for this attempt on the cache, once it has one."""
        self.committing = False
        """Whether this attempt has come to its COMMIT."""

    def take(self, message: Message) -> None:
        """Remember a message until the next flush."""
        if isinstance(message, LogLine):
            self._lines.append(message)
        elif isinstance(message, Progress):
            self._progress = message
        elif isinstance(message, Backend):
            self.backend = message.pid
        elif isinstance(message, Committing):
            self.committing = True

    def note(self, message: str) -> None:
        """A line of the worker's own; every verbosity shows it."""
        self.take(LogLine(clock.to_wire(clock.now()), 1, message))

    async def keep_flushing(self) -> None:
        """Write at intervals until cancelled; what cannot be written now is kept."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Unavailable:
                log.warning("report_delayed", run_id=str(self._claim.run_id))

    async def flush(self) -> None:
        """Write what has come since the last time."""
        progress = self._progress
        if self._lines or progress is not None:
            async with self.written() as connection:
                if progress is not None:
                    await repository.set_progress(
                        connection, self._claim, progress.rows, progress.bytes
                    )
            if self._progress is progress:
                self._progress = None

    @asynccontextmanager
    async def written(self) -> AsyncIterator[Connection]:
        """A transaction that writes the lines of the log after what its user writes.

        In this order: a line holds its run against deletion, and who deletes the run already
        holds it against changes.
        """
        lines = list(self._lines)
        async with self._database.transaction() as connection:
            yield connection
            if lines:
                await repository.insert_log(connection, self._claim, lines)
        del self._lines[: len(lines)]
