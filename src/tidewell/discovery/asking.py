"""Asking sources, seen from the node: one process for all questions, there while it is needed."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any, Self

import orjson

from tidewell import processes
from tidewell.connections.opening import OpenedConnection
from tidewell.discovery.messages import (
    LENGTH,
    FoundTable,
    Kind,
    Question,
    described,
    error_of,
    frame,
    tables_of,
)
from tidewell.errors import SourceError, SourceUnavailable, Stopped
from tidewell.given import without_nul
from tidewell.settings import Settings
from tidewell.sources.protocol import Table

PROGRAM = "tidewell.discovery.child"
"""The module that the process runs."""

TEST_SECONDS = 10.0
_BROWSING_SECONDS = 20.0
_AT_ONCE = 32
_IDLE_SECONDS = 30.0
"""How long the process waits for another question: as long as a person fills in a form."""
_CANCEL_SECONDS = 2.0
_MOST_KEPT = 384 << 20
"""Bytes of memory that the process may hold and be given another question."""


class Discovery:
    """Asks the sources of this node. Used from one event loop."""

    def __init__(self, settings: Settings, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._about = Question(
            0,
            "warm",
            file_roots=tuple(str(root) for root in settings.file_roots()),
            egress=settings.egress_allow,
            manifests=str(settings.manifests.resolve()) if settings.manifests else "",
        )
        self._idle_seconds = idle_seconds
        self._numbers = count(1)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._starting = asyncio.Lock()
        self._process: _Process | None = None
        self._all: set[_Process] = set()

    async def warm_up(self) -> None:
        """Have the process there before somebody waits for it."""
        with suppress(SourceError):
            await self._found(self._about, TEST_SECONDS)

    async def test(self, opened: OpenedConnection) -> str | None:
        """Try a connection, within `TEST_SECONDS`; returns what is wrong, None when it works."""
        try:
            await self._ask(opened, "test", TEST_SECONDS)
        except (SourceError, Stopped) as error:
            return without_nul(error.message)
        return None

    async def tables(self, opened: OpenedConnection) -> list[Table]:
        """All tables of a source, by schema. Raises a SourceError."""
        return tables_of(await self._ask(opened, "tables", _BROWSING_SECONDS))

    async def columns(
        self, opened: OpenedConnection, asked: Sequence[tuple[str, str]]
    ) -> list[FoundTable]:
        """Some tables, each given by schema and name. Raises a SourceError."""
        told = await self._ask(opened, "columns", _BROWSING_SECONDS, asked=tuple(asked))
        return [described(one) for one in told]

    async def table(
        self, opened: OpenedConnection, schema: str, name: str, row_filter: str = ""
    ) -> FoundTable:
        """One table, and whether a filter of its rows can be used. Raises a SourceError."""
        told = await self._ask(
            opened, "table", TEST_SECONDS, asked=((schema, name),), filter=row_filter
        )
        return described(told)

    async def close(self) -> None:
        """End what is left."""
        for process in list(self._all):
            await process.end()

    async def _ask(
        self, opened: OpenedConnection, kind: Kind, seconds: float, **particulars: Any
    ) -> Any:
        question = replace(
            self._about, kind=kind, driver=opened.driver.name, values=opened.values, **particulars
        )
        try:
            return await self._found(question, seconds)
        except Stopped:
            raise SourceUnavailable from None

    async def _found(self, question: Question, seconds: float) -> Any:
        """The answer. Raises what the source raised, SourceUnavailable where none comes in time."""
        question = replace(question, number=next(self._numbers))
        try:
            async with asyncio.timeout(seconds), self._room:
                process = await self._usable()
                answer = await process.ask(question)
        except TimeoutError:
            raise SourceUnavailable(f"The source does not answer within {seconds:.0f} s.") from None
        if "error" in answer:
            raise error_of(answer["error"])
        return answer["found"]

    async def _usable(self) -> "_Process":
        async with self._starting:
            if self._process is None or not self._process.may_be_asked():
                self._process = await _Process.spawn(self._idle_seconds, self._all)
            return self._process


class _Process:
    """One process, and who waits for its answers."""

    def __init__(
        self, beside: processes.Beside, idle_seconds: float, among: set["_Process"]
    ) -> None:
        self._process, self._orders, self._answers = beside
        self._idle_seconds = idle_seconds
        self._among = among
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._is_retired = False
        self._loop = asyncio.get_running_loop()
        self._reading = self._loop.create_task(self._read())
        self._resting = self._loop.call_later(idle_seconds, self._rest)
        among.add(self)

    @classmethod
    async def spawn(cls, idle_seconds: float, among: set["_Process"]) -> Self:
        return cls(await processes.start(PROGRAM), idle_seconds, among)

    def may_be_asked(self) -> bool:
        """Whether it takes another question. One that does not ends when it has answered."""
        if processes.resident(self._process.pid) > _MOST_KEPT:
            self._retire()
        return not self._is_retired and self._process.returncode is None

    async def ask(self, question: Question) -> dict[str, Any]:
        """The answer to a question. Raises SourceUnavailable where the process ends without it.

        Whoever stops waiting cancels the question; a process that then goes on with it all the same
        is given no other.
        """
        waiting = self._waiting[question.number] = self._loop.create_future()
        self._resting.cancel()
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # the reader sees its end
                self._orders.write(question.to_frame())
                await self._orders.drain()
            return await asyncio.shield(waiting)
        finally:
            if not waiting.done():
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._orders.write(frame({"cancel": question.number}))
                self._loop.call_later(_CANCEL_SECONDS, self._retire_if_waiting, question.number)

    async def end(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._reading

    async def _read(self) -> None:
        """Hand out the answers until the process has ended."""
        with suppress(asyncio.IncompleteReadError):
            while True:
                (length,) = LENGTH.unpack(await self._answers.readexactly(LENGTH.size))
                answer = orjson.loads(await self._answers.readexactly(length))
                waiting = self._waiting.pop(answer["number"], None)
                if waiting is not None:
                    waiting.set_result(answer)
                    self._settle()
        self._is_retired = True
        self._resting.cancel()
        for waiting in self._waiting.values():
            waiting.set_exception(
                SourceUnavailable("The process that asked the source has ended: try again.")
            )
            waiting.exception()  # nobody may wait for it any more
        self._waiting.clear()
        await self._process.wait()
        self._among.discard(self)

    def _settle(self) -> None:
        """After an answer: what is there to do when it was the last one."""
        if self._waiting:
            return
        if self._is_retired:
            self._let_go()
        else:
            self._resting.cancel()
            self._resting = self._loop.call_later(self._idle_seconds, self._rest)

    def _rest(self) -> None:
        self._is_retired = True
        self._let_go()

    def _retire_if_waiting(self, number: int) -> None:
        if number in self._waiting:
            del self._waiting[number]
            self._retire()

    def _retire(self) -> None:
        self._is_retired = True
        if not self._waiting:
            self._let_go()

    def _let_go(self) -> None:
        """Nothing is asked any more: its input ends, and it with it; by force if it still runs."""
        self._orders.close()
        self._loop.call_later(_CANCEL_SECONDS + 1, self._kill)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
