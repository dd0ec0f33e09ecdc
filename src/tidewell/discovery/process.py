"""The process that asks sources, seen from the node: started, asked, let go, ended for certain."""

import asyncio
from contextlib import suppress
from typing import Any, Self

import orjson
import structlog

from tidewell import processes
from tidewell.discovery.messages import LENGTH, LONGEST, Question, frame

PROGRAM = "tidewell.discovery.child"
"""The module that the process runs."""

_CANCEL_SECONDS = 2.0
_STOP_SECONDS = 2.5
"""Longer than the process takes by itself when its input has ended."""
_READ_BYTES = 1 << 16
_MOST_KEPT = 384 << 20
"""Bytes of memory that the process may hold and be given another question."""

log = structlog.get_logger()


class Ended(Exception):
    """The process ended without an answer."""


class AskingProcess:
    """One process, and who waits for its answers.

    A retired one takes no other question; it ends when it has answered the last one.
    """

    def __init__(
        self,
        beside: processes.Beside,
        idle_seconds: float,
        among: set["AskingProcess"],
        *,
        is_for_one: bool,
    ) -> None:
        self._process, self._orders, self._answers = beside
        self._idle_seconds = idle_seconds
        self._among = among
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.is_retired = is_for_one
        self._loop = asyncio.get_running_loop()
        self._later = self._loop.call_later(idle_seconds, self._let_go)
        self._reading = self._loop.create_task(self._read())
        among.add(self)

    @classmethod
    async def start(
        cls, idle_seconds: float, among: set["AskingProcess"], *, is_for_one: bool = False
    ) -> Self:
        """Start one; it is one of `among` while it runs. Raises OSError."""
        beside = await processes.start(PROGRAM)
        return cls(beside, idle_seconds, among, is_for_one=is_for_one)

    async def ask(self, question: Question) -> dict[str, Any]:
        """The answer to a question. Raises Ended.

        Whoever stops waiting cancels the question; a process that then goes on with it all the same
        is retired.
        """
        asked = frame(question)
        waiting = self._waiting[question.number] = self._loop.create_future()
        self._later.cancel()
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # the reader sees its end
                self._orders.write(asked)
                await self._orders.drain()
            return await asyncio.shield(waiting)
        finally:
            if not waiting.done():
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._orders.write(frame({"cancel": question.number}))
                self._loop.call_later(_CANCEL_SECONDS, self._give_up, question.number)

    async def end(self) -> None:
        """End the process. It is told first: killed alone, it would leave a server at work for it
        until that notices, and its files."""
        self._orders.close()
        await asyncio.wait([self._reading], timeout=_STOP_SECONDS)
        self._kill()
        await asyncio.wait([self._reading], timeout=_STOP_SECONDS)
        self._reading.cancel()

    async def _read(self) -> None:
        """Hand out the answers until the process has ended."""
        try:
            while True:
                self._hand_out(await self._answer())
        except asyncio.IncompleteReadError:
            pass
        except Exception:
            log.exception("asking_process_broke")
            self._kill()
        finally:
            self.is_retired = True
            self._later.cancel()
            for waiting in self._waiting.values():
                waiting.set_exception(Ended)
                waiting.exception()  # nobody may wait for it any more
            self._waiting.clear()
            try:
                await self._reap()
            finally:
                self._among.discard(self)

    async def _reap(self) -> None:
        """Wait for its end, which has been told by that of its answers, or has to be brought about.

        What it has still said is read: asyncio waits for that too.
        """
        for _ in range(2):
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS / 2):
                    while await self._answers.read(_READ_BYTES):
                        pass
                    await self._process.wait()
                    return
            self._kill()

    async def _answer(self) -> dict[str, Any]:
        (length,) = LENGTH.unpack(await self._answers.readexactly(LENGTH.size))
        if length > LONGEST:
            raise ValueError("an answer is longer than any may be")
        answer: dict[str, Any] = orjson.loads(await self._answers.readexactly(length))
        return answer

    def _hand_out(self, answer: dict[str, Any]) -> None:
        waiting = self._waiting.pop(answer["number"], None)
        if waiting is None:
            return  # it was given up
        waiting.set_result(answer)
        if processes.resident(self._process.pid) > _MOST_KEPT:
            self.is_retired = True
        self._rest()

    def _rest(self) -> None:
        """When nobody waits any more, wait for another question, or end."""
        if not self._waiting:
            self._later.cancel()
            if self.is_retired:
                self._let_go()
            else:
                self._later = self._loop.call_later(self._idle_seconds, self._let_go)

    def _give_up(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None:
            self.is_retired = True
            self._rest()

    def _let_go(self) -> None:
        """Its input ends, and it with it; by force where it still runs."""
        self.is_retired = True
        self._orders.close()
        self._later = self._loop.call_later(_STOP_SECONDS, self._kill)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
