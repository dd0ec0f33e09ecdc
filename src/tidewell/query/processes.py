"""The processes that run queries, seen from the API: kept warm, shared out, ended for certain."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self
from uuid import UUID

import orjson

from tidewell import processes
from tidewell.errors import Detail, QueryFailed, QueryTimeout, TidewellError, TooManyQueries
from tidewell.query.messages import DATA, END, ERROR, HEAD, PREFIX, QueryTask

_GRACE_SECONDS = 5.0
_STOP_SECONDS = 2.5
"""Longer than a process takes by itself whose input has ended."""
_READ_BYTES = 1 << 16
_TASKS_PER_PROCESS = 100
_STREAM_SECONDS = 630.0


class Broken(TidewellError):
    """The query's process ended without an answer; often memory ran out. Narrow the query."""

    code = "QUERY_PROCESS_DIED"
    status = 400


class Failed(QueryFailed):
    """What the query's process says went wrong."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(
            told["message"],
            details=[Detail(one["field"], one["message"]) for one in told["details"]],
        )
        self.code = told["code"]  # type: ignore[misc]  # each answer has its own
        self.status = told["status"]  # type: ignore[misc]


class Running:
    """A query whose answer has begun: what its head says, and its data as they come."""

    def __init__(self, process: "_Process", head: dict[str, Any]) -> None:
        self._process = process
        self.head = head
        self.rows = 0

    async def data(self) -> AsyncIterator[bytes]:
        """The answer in pieces. Raises Failed where it breaks off."""
        while True:
            kind, content = await self._process.frame(_STREAM_SECONDS)
            if kind == END:
                self.rows = orjson.loads(content)["rows"]
                self._process.is_idle = True
                return
            if kind == ERROR:
                self._process.is_idle = True
                raise Failed(orjson.loads(content))
            if kind == DATA:
                yield content


class _Process:
    """One process; it runs one task at a time."""

    def __init__(self, beside: processes.Beside) -> None:
        self._process, self._orders, self._answers = beside
        self._tasks_left = _TASKS_PER_PROCESS
        self.is_idle = True
        self.account_id: UUID | None = None
        """Whose query it ran last."""

    @classmethod
    async def spawn(cls) -> Self:
        return cls(await processes.start("tidewell.query.child"))

    @property
    def usable(self) -> bool:
        return self.is_idle and self._process.returncode is None and self._tasks_left > 0

    async def begin(self, task: QueryTask) -> Running:
        """Send a task and wait for the head of its answer. Raises Failed, QueryTimeout, Broken."""
        self._tasks_left -= 1
        self.is_idle = False
        try:
            self._orders.write(task.to_line())
            await self._orders.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise Broken from None
        kind, content = await self.frame(task.seconds + _GRACE_SECONDS)
        if kind == ERROR:
            self.is_idle = True
            raise Failed(orjson.loads(content))
        if kind != HEAD:
            raise Broken
        return Running(self, orjson.loads(content))

    async def frame(self, seconds: float) -> tuple[bytes, bytes]:
        """The next frame."""
        try:
            async with asyncio.timeout(seconds):
                kind, length = PREFIX.unpack(await self._answers.readexactly(PREFIX.size))
                return kind, await self._answers.readexactly(length)
        except TimeoutError:
            raise QueryTimeout from None
        except asyncio.IncompleteReadError:
            raise Broken from None

    async def end(self) -> None:
        """End the process. What it runs is told to end first: killed alone, it would leave a server
        at work for it until that notices."""
        if not self.is_idle:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(_STOP_SECONDS):
                    self._orders.close()
                    while await self._answers.read(_READ_BYTES):
                        pass
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class QueryProcesses:
    """Hands out processes: so many at a time, and so many to one account."""

    def __init__(self, *, at_once: int, for_one_account: int) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._for_one_account = for_one_account
        self._running: Counter[UUID] = Counter()
        self._idle: list[_Process] = []

    @asynccontextmanager
    async def run(self, account_id: UUID, task: QueryTask) -> AsyncIterator[Running]:
        """Run a task; leaving the block early ends it.

        Raises TooManyQueries; Failed with what the query's own errors say.
        """
        if self._running[account_id] >= self._for_one_account:
            raise TooManyQueries(
                f"This account runs {self._for_one_account} queries at a time, which is what it "
                "may: wait for one to end."
            )
        self._running[account_id] += 1
        try:
            async with self._slot(task.seconds):
                process = await self._take(account_id)
                try:
                    yield await process.begin(task)
                finally:
                    await self._give_back(process)
        finally:
            self._running[account_id] -= 1
            if not self._running[account_id]:
                del self._running[account_id]

    async def close(self) -> None:
        """End the processes that are idle."""
        while self._idle:
            await self._idle.pop().end()

    @asynccontextmanager
    async def _slot(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                await self._room.acquire()
        except TimeoutError:
            raise TooManyQueries("The service is busy with other queries: try again.") from None
        try:
            yield
        finally:
            self._room.release()

    async def _take(self, account_id: UUID) -> _Process:
        """An idle process, best the account's last one, which keeps what the account has used."""
        while self._idle:
            own = [one for one in self._idle if one.account_id == account_id]
            process = (own or self._idle)[-1]
            self._idle.remove(process)
            if process.usable:
                process.account_id = account_id
                return process
            await process.end()
        process = await _Process.spawn()
        process.account_id = account_id
        return process

    async def _give_back(self, process: _Process) -> None:
        if process.usable:
            self._idle.append(process)
        else:
            await process.end()
