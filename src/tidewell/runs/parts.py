"""The parts of a run that load a table in key ranges, seen from the run's own process.

One is done here; the others by processes that could execute a run (`child.py`) and are told a part
of one. Their pipes are held by this process alone: when it is gone, their input ends, and so do
they.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import IO

from tidewell import tracing
from tidewell.cache.digest import Sums
from tidewell.cache.ranges import Loaded
from tidewell.cache.rowhash import Seen
from tidewell.cache.wire import Counts
from tidewell.errors import RunProcessDied, SourceUnavailable, TidewellError
from tidewell.runs.log import RunLog
from tidewell.runs.messages import (
    STOP,
    Failed,
    LogLine,
    Message,
    PartDone,
    PartTask,
    Progress,
    decode,
    trace_line,
)
from tidewell.runs.partrun import PartRun

_STOP_GRACE_SECONDS = 0.3  # the run's own process has 0.6 s
_LOOK_SECONDS = 0.2
_MOMENTS_SECONDS = 30.0
"""How far apart parts may have begun to read a source that gives each a moment of its own: half of
what an increment reads before its watermark."""


Said = SimpleQueue[tuple[int, "Message | BaseException | None"]]
"""Who has said what: a message, an error that ended it, or None: nothing more comes."""


class _Process:
    """A part in a process of its own."""

    def __init__(self, task: PartTask, said: Said) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidewell.runs.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process needs pipes for its standard input and output")
        self._process = process
        self._orders: IO[bytes] = process.stdin
        self._answers: IO[bytes] = process.stdout
        self._said = said
        self._number = task.number
        threading.Thread(target=self._listen, daemon=True).start()
        self._send(trace_line(tracing.traceparent()) + task.to_line())

    def stop(self) -> None:
        """Ask it to end."""
        self._send(STOP)
        with suppress(OSError):
            self._orders.close()

    def wait(self, seconds: float) -> None:
        """Wait for its end, which is made where it takes longer."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        with self._answers:
            for line in self._answers:
                self._said.put((self._number, decode(line)))
        status = self._process.wait()
        died = RunProcessDied(
            f"The process of part {self._number} of this run ended unexpectedly (status {status}; "
            "-9 often means that memory ran out). The cached table is as it was before."
        )
        self._said.put((self._number, died))

    def _send(self, line: bytes) -> None:
        # A process that is gone is seen at its output's end.
        with suppress(BrokenPipeError):
            self._orders.write(line)
            self._orders.flush()


class _Thread:
    """A part in this process: to start another one takes a second of a core, and 80 MB."""

    def __init__(self, task: PartTask, said: Said) -> None:
        self._said = said
        self._number = task.number
        log = RunLog(self._say, task.verbosity, task.secrets)
        self._run = PartRun(task, self._say, log)
        self._thread = threading.Thread(target=self._execute, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end."""
        if self._thread.is_alive():
            self._run.cancel()

    def wait(self, seconds: float) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _execute(self) -> None:
        try:
            self._say(self._run.execute())
        except BaseException as error:  # noqa: BLE001 - it is raised where the parts are awaited
            self._said.put((self._number, error))

    def _say(self, message: Message) -> None:
        self._said.put((self._number, message))


class Parts:
    """Loads ranges at the same time. Not shared between threads, except for `wake`."""

    def __init__(
        self,
        tasks: Sequence[PartTask],
        emit: Callable[[Message], None],
        progress: Callable[[int, int], None],
        check: Callable[[], None],
    ) -> None:
        """`progress` is told rows and bytes of all parts together; `check` raises where the run has
        to end."""
        self._tasks = tasks
        self._emit = emit
        self._progress = progress
        self._check = check
        self._said: Said = SimpleQueue()
        self._come_so_far: dict[int, Progress] = {}
        self._done: dict[int, PartDone] = {}

    def run(self) -> list[PartDone]:
        """What the parts have come to, in their order.

        Raises what a part or `check` raises, or RunProcessDied; the parts have then ended.
        """
        parts: list[_Process | _Thread] = []
        try:
            for task in self._tasks[1:]:
                parts.append(_Process(task, self._said))
            parts.append(_Thread(self._tasks[0], self._said))
            while len(self._done) < len(self._tasks):
                self._check()
                with suppress(Empty):
                    self._take(*self._said.get(timeout=_LOOK_SECONDS))
        finally:
            _end(parts)
        found = [self._done[task.number] for task in self._tasks]
        self._see_moments(found)
        return found

    def wake(self) -> None:
        """Have `check` asked at once, from another thread."""
        self._said.put((0, None))

    def _take(self, number: int, message: Message | BaseException | None) -> None:
        match message:
            case LogLine():
                said = f"Part {number} of {len(self._tasks)}: {message.message}"
                self._emit(replace(message, message=said))
            case Progress():
                self._come_so_far[number] = message
                every = self._come_so_far.values()
                self._progress(sum(one.rows for one in every), sum(one.bytes for one in every))
            case PartDone():
                self._done[number] = message
            case Failed():
                raise _error(message)
            case BaseException() if number not in self._done:
                raise message

    def _see_moments(self, found: Sequence[PartDone]) -> None:
        if self._tasks[0].moment:
            return
        opened = [one.opened for one in found]
        apart = max(opened) - min(opened)
        if apart > _MOMENTS_SECONDS:
            raise SourceUnavailable(
                f"The parts of the table were read from moments that are {apart:.0f} s apart: an "
                "increment could miss rows of between. The source takes long to open connections."
            )


def loaded(done: PartDone) -> Loaded:
    """What a part tells, as the cache takes it."""
    return Loaded(
        Counts(done.rows, done.strings_cut, done.nul_bytes_replaced),
        done.bytes,
        Sums(done.rows, int(done.hashes), list(done.others)),
        Seen(tuple(done.with_nulls), tuple(done.with_rare)),
    )


def _end(parts: Sequence[_Process | _Thread]) -> None:
    """End all parts: most have come to their end."""
    for part in parts:
        part.stop()
    deadline = time.monotonic() + _STOP_GRACE_SECONDS
    for part in parts:
        part.wait(max(deadline - time.monotonic(), 0.0))


def _error(failed: Failed) -> TidewellError:
    """The error of a part, as the run's own."""
    for kind in _kinds(TidewellError):
        if kind.code == failed.code:
            if issubclass(kind, SourceUnavailable):
                return kind(failed.message, retry_after=failed.retry_after)
            return kind(failed.message)
    return TidewellError(failed.message)


def _kinds(kind: type[TidewellError]) -> list[type[TidewellError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in _kinds(below))]
