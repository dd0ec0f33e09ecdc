"""The processes that execute runs, seen from the worker: spawned, kept warm, ended for certain."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tidewell import processes, tracing
from tidewell.runs.messages import STOP, Done, Failed, Message, Task, decode, trace_line

PROGRAM = "tidewell.runs.child"
"""The module that a process runs."""

_STOP_GRACE_SECONDS = 0.6
_LINE_LIMIT = 1 << 20
_TASKS_PER_PROCESS = 1000
_MOST_KEPT = 384 << 20
"""Bytes of memory that a process may hold between two runs: one that holds more is replaced."""


class ProcessDied(Exception):
    """The process ended without saying how its run ended."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"the run's process ended with status {status}")
        self.status = status


class Child:
    """One process; it executes one run at a time."""

    def __init__(self, beside: processes.Beside) -> None:
        self._process, self._orders, self._answers = beside
        self._tasks_left = _TASKS_PER_PROCESS

    @classmethod
    async def spawn(cls, program: str = PROGRAM) -> Self:
        """Start a process; its start-up goes on while the caller prepares the task."""
        return cls(await processes.start(program, _LINE_LIMIT))

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it lives and may take another run."""
        return (
            self._process.returncode is None
            and self._tasks_left > 0
            and processes.resident(self._process.pid) <= _MOST_KEPT
        )

    async def execute(self, task: Task, on_message: Callable[[Message], None]) -> Done | Failed:
        """Execute a run and pass on what it says. Raises ProcessDied."""
        self._tasks_left -= 1
        await self._send(trace_line(tracing.traceparent()) + task.to_line())
        while line := await self._answers.readline():
            message = decode(line)
            if isinstance(message, Done | Failed):
                return message
            on_message(message)
        raise ProcessDied(await self._process.wait())

    async def end_run(self, running: asyncio.Task[Done | Failed]) -> Done | Failed | None:
        """Ask the run to end, and end the process if it does not within its grace.

        Returns how the run ended (it may have been done already), or None when it was killed.
        """
        with suppress(ProcessDied):
            await self._send(STOP)
        done, _ = await asyncio.wait([running], timeout=_STOP_GRACE_SECONDS)
        if not done:
            await self.kill()
        try:
            return await running
        except ProcessDied:
            return None

    async def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def close(self) -> None:
        """Let the process end by itself: its input is closed."""
        self._orders.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_GRACE_SECONDS)
        except TimeoutError:
            await self.kill()

    async def _send(self, line: bytes) -> None:
        try:
            self._orders.write(line)
            await self._orders.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ProcessDied(self._process.returncode) from error


class Children:
    """The warm processes of a worker: handed out, taken back, and at most so many kept."""

    def __init__(self, keep: int, program: str = PROGRAM) -> None:
        self._keep = keep
        self._program = program
        self._idle: list[Child] = []

    async def take(self) -> Child:
        """A process that can take a run."""
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
            await child.close()
        return await Child.spawn(self._program)

    async def give_back(self, child: Child) -> None:
        """A process whose run has ended; it is kept warm or closed."""
        if child.usable and len(self._idle) < self._keep:
            self._idle.append(child)
        else:
            await child.close()

    async def close(self) -> None:
        """End all that are idle."""
        while self._idle:
            await self._idle.pop().close()
