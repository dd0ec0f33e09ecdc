"""The process that executes runs, one after another: `python -m tidewell.runs.child`.

It talks over its standard input and output (`messages.py`). Whatever else writes to standard
output goes to standard error instead. When the worker is gone, its input ends: a run that is still
going on is cancelled and the process ends.
"""

import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Protocol

import orjson
import pyarrow as pa

from tidewell import scratch, tracing
from tidewell.cache.plan import Receipt
from tidewell.cache.sessions import SESSIONS
from tidewell.errors import SourceUnavailable, Stopped, TidewellError
from tidewell.lean import keep_pandas_out
from tidewell.piped import take_over_streams
from tidewell.runs.caching import CachingRun
from tidewell.runs.log import RunLog
from tidewell.runs.messages import (
    CachingTask,
    Done,
    Failed,
    Message,
    PartDone,
    PartTask,
    Task,
    encode,
    task_of,
)
from tidewell.runs.partrun import PartRun
from tidewell.sources import registry

_GRACE_SECONDS = 2.0


class Run(Protocol):
    """What a task is executed by."""

    def execute(self) -> Receipt | PartDone: ...
    def cancel(self) -> None: ...
    def upkeep(self) -> None: ...


RunOf = Callable[[Task | PartTask, Callable[[Message], None], RunLog], Run]
"""Gives what executes a task: where its messages go, and its log."""


def _run_of(task: Task | PartTask, answer: Callable[[Message], None], log: RunLog) -> Run:
    if isinstance(task, PartTask):
        return PartRun(task, answer, log)
    if isinstance(task, CachingTask):
        return CachingRun(task, answer, log)
    # A process that only copies tables does without the 40 MB of what reads SQL.
    from tidewell.runs.scheduledquery import ScheduledQueryRun  # noqa: PLC0415

    return ScheduledQueryRun(task, answer, log)


class Process:
    """The two ends of the conversation with the worker, and the run that is going on."""

    def __init__(self, commands: int, answers: int, run_of: RunOf) -> None:
        self._commands = os.fdopen(commands, "rb")
        self._answers = os.fdopen(answers, "wb")
        self._run_of = run_of
        self._tasks: SimpleQueue[Task | PartTask | None] = SimpleQueue()
        self._traceparent = ""
        self._running: Run | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def serve(self) -> None:
        """Execute tasks until the worker is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        _keep()
        first = True
        while (task := self._tasks.get()) is not None:
            log = RunLog(self._answer, task.verbosity, task.secrets)
            run = self._run_of(task, self._answer, log)
            self._answer(self._execute(task, run, log))
            tracing.flush()
            run.upkeep()
            # Nothing of the run stays in memory while the next one is awaited.
            del run
            gc.collect()
            pa.default_memory_pool().release_unused()
            if first:  # its driver has been imported
                _keep()
                first = False

    def _execute(self, task: Task | PartTask, run: Run, log: RunLog) -> Message:
        with self._lock:
            self._running = run
        try:
            with tracing.span("execute", parent=self._traceparent, attempt=task.attempt):
                done = run.execute()
        except TidewellError as error:
            log(1, f"Ended: {error.message}")
            return Failed(
                error.code,
                log.masked(error.message),
                error.disposition,
                error.retry_after if isinstance(error, SourceUnavailable) else None,
            )
        except Exception as error:  # noqa: BLE001 - the last line of defence: a run must always end
            log(1, f"Ended by an error inside Tidewell: {type(error).__name__}: {error}")
            sys.stderr.write(log.masked(traceback.format_exc()))
            return Failed(
                TidewellError.code,
                f"An error inside Tidewell ended the run ({type(error).__name__}); its log and "
                "the server's have more.",
                TidewellError.disposition,
            )
        finally:
            with self._lock:
                self._running = None
        return done if isinstance(done, PartDone) else Done.of(done)

    def _listen(self) -> None:
        for line in self._commands:
            command = orjson.loads(line)
            task = task_of(command)
            if task is not None:
                self._tasks.put(task)
            elif command["kind"] == "trace":
                self._traceparent = command["traceparent"]
            else:
                self._cancel()
        # The worker is gone: nobody will read an answer.
        timer = threading.Timer(_GRACE_SECONDS, os._exit, (1,))
        timer.daemon = True  # a process that is done ends at once
        timer.start()
        self._cancel()
        self._tasks.put(None)

    def _cancel(self) -> None:
        with self._lock:
            if self._running is not None:
                try:
                    self._running.cancel()
                except Exception as error:  # noqa: BLE001 - the next order has to be heard
                    sys.stderr.write(f"A run could not be cancelled: {type(error).__name__}\n")

    def _answer(self, message: Message) -> None:
        try:
            # The thread that takes orders, and those of drivers, may report as well.
            with self._writing:
                self._answers.write(encode(message))
                self._answers.flush()
        except BrokenPipeError:
            raise Stopped from None


def _keep() -> None:
    """Whatever has been imported stays: a collection after each run need not look at it again."""
    gc.collect()
    gc.freeze()


def main(run_of: RunOf = _run_of) -> None:
    """Take over the standard streams and serve."""
    commands, answers = take_over_streams()
    keep_pandas_out()
    scratch.sweep()
    tracing.set_up()
    SESSIONS.keeps = True
    # Now, while the task is still on its way.
    registry.look_around()
    with suppress(Stopped):
        Process(commands, answers, run_of).serve()


if __name__ == "__main__":
    main()
