"""The process that runs queries, one after another: `python -m tidewell.query.child`.

A query has a process to itself while it runs, so that a heavy one cannot slow or end the API:
the process is interrupted when its time is over, and killed where that does not help. When the
API is gone, its input ends, and the process with it.
"""

import gc
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, cast

import orjson
import pyarrow as pa

from tidewell import scratch
from tidewell.errors import QueryFailed, QueryTimeout, Stopped, TidewellError
from tidewell.lean import keep_pandas_out
from tidewell.piped import go_first, masked, take_over_streams
from tidewell.query import catalogue, ducks
from tidewell.query.ducks import DUCKS
from tidewell.query.encoding import Encoder
from tidewell.query.engine import Answer, Engine
from tidewell.query.messages import DATA, END, ERROR, HEAD, Format, QueryTask, write_frame
from tidewell.query.opening import engine_of
from tidewell.query.parameters import read_parameters
from tidewell.query.plans import PLANS
from tidewell.query.sessions import IDLE_SECONDS, SESSIONS

_HELD_BACK = 1 << 20
"""Bytes of an answer that are kept until it is sure that no error comes with them."""
_GRACE_SECONDS = 2.0
_STREAM_SECONDS = 600.0
"""How long an answer that has begun may take to be sent."""
_PAUSE_SECONDS = 0.05
"""How long it waits for a task before it tidies up, which would only hold the next one up."""


class Process:
    """The two ends of the conversation with the API, and the query that is running."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = os.fdopen(commands, "rb")
        self._answers = os.fdopen(answers, "wb", buffering=1 << 18)
        self._tasks: SimpleQueue[QueryTask | None] = SimpleQueue()
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._late = False

    def serve(self) -> None:
        """Run tasks until the API is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        while (task := self._next()) is not None:
            self._execute(task)
            self._answers.flush()

    def _next(self) -> QueryTask | None:
        """The next task; None: there is none to come. What is kept does not wait long for it."""
        for seconds, pause in ((_PAUSE_SECONDS, _tidy), (IDLE_SECONDS, _let_go)):
            with suppress(Empty):
                return self._tasks.get(timeout=seconds)
            pause()
        return self._tasks.get()

    def _execute(self, task: QueryTask) -> None:
        self._late = False
        watch = threading.Timer(task.seconds, self._end_late)
        watch.daemon = True
        watch.start()
        engine = engine_of(task, str(scratch.folder()))
        with self._lock:
            self._engine = engine
        try:
            self._answer(task, engine, watch)
        except TidewellError as error:
            self._fail(QueryTimeout() if self._late else error)
        except RecursionError:
            self._fail(QueryFailed("The query cannot be run: it is nested too deeply."))
        except Exception as error:  # noqa: BLE001 - the last line of defence: it must answer
            sys.stderr.write(_masked(traceback.format_exc(), task))
            self._fail(
                QueryTimeout()
                if self._late
                else TidewellError(f"A query ended by {type(error).__name__}.")
            )
        finally:
            watch.cancel()
            with self._lock:
                self._engine = None
            engine.close()

    def _answer(self, task: QueryTask, engine: Engine, watch: threading.Timer) -> None:
        """Send the answer; its first part waits until it is sure that it is one."""
        encoder = Encoder(task.most_rows)
        head: dict[str, Any] = {}
        held: list[bytes] = []
        size, begun = 0, False
        for piece in _pieces(task, engine, encoder, head):
            if begun:
                self._send(DATA, piece)
                continue
            held.append(piece)
            size += len(piece)
            if size >= _HELD_BACK:
                begun = True
                watch.cancel()
                late = threading.Timer(_STREAM_SECONDS, self._end_late)
                late.daemon = True
                late.start()
                self._send(HEAD, orjson.dumps(head))
                self._send(DATA, b"".join(held))
        if not begun:
            self._send(HEAD, orjson.dumps(head))
            self._send(DATA, b"".join(held))
        self._send(END, orjson.dumps({"rows": encoder.rows}))

    def _fail(self, error: TidewellError) -> None:
        details = [{"field": one.field, "message": one.message} for one in error.details]
        with suppress(Stopped):
            self._send(
                ERROR,
                orjson.dumps(
                    {
                        "code": error.code,
                        "status": error.status,
                        "message": error.message,
                        "details": details,
                    }
                ),
            )

    def _listen(self) -> None:
        for line in self._commands:
            self._tasks.put(QueryTask.from_message(orjson.loads(line)))
        threading.Timer(_GRACE_SECONDS, os._exit, (1,)).start()
        self._cancel()
        self._tasks.put(None)

    def _end_late(self) -> None:
        self._late = True
        self._cancel()

    def _cancel(self) -> None:
        with self._lock:
            if self._engine is not None:
                try:
                    self._engine.cancel()
                except Exception as error:  # noqa: BLE001 - the next order has to be heard
                    sys.stderr.write(f"A query could not be cancelled: {type(error).__name__}\n")

    def _send(self, kind: bytes, content: bytes) -> None:
        try:
            write_frame(self._answers, kind, content)
            self._answers.flush()
        except BrokenPipeError:
            raise Stopped from None


def _tidy() -> None:
    """Make ready for the next task while none is there."""
    ducks.prepare()
    gc.collect()
    # What is there now mostly stays; the process does not live for long enough to look again.
    gc.freeze()
    pa.default_memory_pool().release_unused()


def _let_go() -> None:
    """Close what waits for another query of the same account."""
    SESSIONS.close()
    DUCKS.close()


def _masked(text: str, task: QueryTask) -> str:
    """A traceback without the secrets of the task, which an error's message may hold."""
    # Imported where it is needed: a process that starts has no time to lose.
    from tidewell.query.tasks import secrets_of  # noqa: PLC0415

    return masked(text, secrets_of(task))


def _pieces(
    task: QueryTask, engine: Engine, encoder: Encoder, head: dict[str, Any]
) -> Iterator[bytes]:
    """The answer to a task in pieces; `head` is filled before the first one."""
    if task.kind == "catalogue":
        wanted = catalogue.Filter(**{**task.wanted, "types": tuple(task.wanted.get("types", ()))})
        subject = cast(catalogue.Subject, task.subject)
        yield from encoder.encode(catalogue.look(subject, engine.connections, wanted), "json")
        return
    if task.kind == "describe":
        head["description"] = engine.describe(task.text)
        return
    several = len(task.parameters) > 1
    if several:
        yield b'{"results":['
    for number, given in enumerate(task.parameters):
        answer = engine.run(task.text, read_parameters(given), schema_only=task.schema_only)
        head.update(_head(answer, head))
        if several:
            yield b"," if number else b""
            yield from encoder.json(answer.result)
        else:
            yield from encoder.encode(answer.result, cast(Format, task.format))
    if several:
        yield b"]}"


def _head(answer: Answer, before: Mapping[str, Any]) -> dict[str, Any]:
    times = [one for one in (answer.refreshed_at, before.get("refreshed_at")) if one]
    return {"drivers": answer.drivers, "refreshed_at": min(times, default=None)}


def main() -> None:
    """Take over the standard streams and serve."""
    commands, answers = take_over_streams()
    keep_pandas_out()
    scratch.sweep()
    go_first()
    # Trees of statements come and go by thousands of objects; what is loaded by now stays.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)
    # What a query spills to disk is nobody else's to read.
    os.umask(0o077)
    SESSIONS.keeps = DUCKS.keeps = PLANS.keeps = True
    with suppress(Stopped):
        Process(commands, answers).serve()
    _let_go()


if __name__ == "__main__":
    main()
