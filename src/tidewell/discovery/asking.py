"""Asking sources, seen from the node: whose turn it is, and what the answers are."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from tidewell.connections.opening import OpenedConnection
from tidewell.discovery.messages import FoundTable, FoundTables, Kind, Question, error_of
from tidewell.discovery.process import AskingProcess, Ended
from tidewell.errors import SourceError, SourceUnavailable, Stopped, TidewellError
from tidewell.given import without_nul
from tidewell.settings import Settings

TEST_SECONDS = 10.0
_BROWSING_SECONDS = 20.0
_AT_ONCE = 32
_FOR_ONE_ACCOUNT = 8
_ALONE_AT_ONCE = 4
"""Questions that are asked once more at a time, each in a process of its own."""
_IDLE_SECONDS = 30.0
"""How long the process waits for another question: as long as a person fills in a form."""
_NOBODY = UUID(int=0)

log = structlog.get_logger()


class NotAsked(SourceUnavailable):
    """The source could not be asked at this time: try again."""


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
        self._rooms: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()
        self._starting = asyncio.Lock()
        self._alone = asyncio.Semaphore(_ALONE_AT_ONCE)
        self._being_asked: set[int] = set()
        self._process: AskingProcess | None = None
        self._all: set[AskingProcess] = set()
        self._closed = asyncio.Event()

    async def warm_up(self) -> None:
        """Have the process there before somebody waits for it."""
        try:
            await self._found(_NOBODY, self._about, TEST_SECONDS)
        except TidewellError as error:
            log.warning("no_process_to_ask_sources", error=error.message)

    async def test(self, opened: OpenedConnection) -> str | None:
        """Try a connection, within `TEST_SECONDS`; returns what is wrong, None when it works.

        Raises NotAsked where that says nothing of the source.
        """
        try:
            await self._ask(opened, "test", TEST_SECONDS)
        except NotAsked:
            raise
        except SourceError as error:
            return without_nul(error.message)
        return None

    async def tables(self, opened: OpenedConnection, search: str, most: int) -> FoundTables:
        """The tables of a source with a text in their names, so many of them. Raises a SourceError.

        Case does not count; a table's name is `schema.name`.
        """
        found = await self._ask(opened, "tables", _BROWSING_SECONDS, search=search, most=most)
        return FoundTables.from_message(found)

    async def columns(
        self, opened: OpenedConnection, asked: Sequence[tuple[str, str]]
    ) -> list[FoundTable]:
        """Some tables, each given by schema and name. Raises a SourceError."""
        found = await self._ask(opened, "columns", _BROWSING_SECONDS, asked=tuple(asked))
        return [FoundTable.from_message(one) for one in found]

    async def table(
        self, opened: OpenedConnection, schema: str, name: str, row_filter: str = ""
    ) -> FoundTable:
        """One table, and whether a filter of its rows can be used. Raises a SourceError."""
        found = await self._ask(
            opened, "table", TEST_SECONDS, asked=((schema, name),), filter=row_filter
        )
        return FoundTable.from_message(found)

    async def close(self) -> None:
        """End what is left; nothing is asked any more."""
        self._closed.set()
        await asyncio.gather(*(process.end() for process in self._all))

    async def _ask(
        self, opened: OpenedConnection, kind: Kind, seconds: float, **particulars: Any
    ) -> Any:
        question = replace(
            self._about, kind=kind, driver=opened.driver.name, values=opened.values, **particulars
        )
        try:
            return await self._found(opened.account_id, question, seconds)
        except Stopped:
            raise SourceUnavailable from None

    async def _found(self, account_id: UUID, question: Question, seconds: float) -> Any:
        """The answer. Raises what the source raised, SourceUnavailable where none comes in time."""
        question = replace(question, number=next(self._numbers))
        room = self._rooms.setdefault(account_id, asyncio.Semaphore(_FOR_ONE_ACCOUNT))
        try:
            async with asyncio.timeout(seconds), room, self._room:
                answer = await self._answer(question)
        except TimeoutError:
            if question.number in self._being_asked:
                raise SourceUnavailable(
                    f"The source does not answer within {seconds:.0f} s."
                ) from None
            raise NotAsked("Too many sources are being asked at this time: try again.") from None
        finally:
            self._being_asked.discard(question.number)
        if "error" in answer:
            told = answer["error"]
            if told["trace"]:
                log.error("driver_broke", driver=question.driver, exception=told["trace"])
            raise error_of(told)
        return answer["found"]

    async def _answer(self, question: Question) -> dict[str, Any]:
        """The answer; where the process dies under it, which may be due to another question, that
        of a process of its own."""
        process = await self._shared()
        self._being_asked.add(question.number)
        try:
            return await process.ask(question)
        except Ended:
            self._being_asked.discard(question.number)
        async with self._alone:
            process = await self._start(is_for_one=True)
            self._being_asked.add(question.number)
            try:
                return await process.ask(question)
            except Ended:
                raise SourceUnavailable(
                    "The process that asked the source ended without an answer; often memory ran "
                    "out."
                ) from None

    async def _shared(self) -> AskingProcess:
        async with self._starting:
            if self._process is None or self._process.is_retired:
                self._process = await self._start()
            return self._process

    async def _start(self, *, is_for_one: bool = False) -> AskingProcess:
        if self._closed.is_set():
            raise NotAsked
        try:
            process = await AskingProcess.start(
                self._idle_seconds, self._all, is_for_one=is_for_one
            )
        except OSError as error:
            log.warning("process_not_started", error=str(error))
            raise NotAsked from None
        if self._closed.is_set():
            await process.end()
            raise NotAsked
        return process
