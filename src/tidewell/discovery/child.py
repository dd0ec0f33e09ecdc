"""The process that asks sources, many at a time: `python -m tidewell.discovery.child`.

A source that does not answer holds up one thread, and nobody else. When the node is gone, or needs
this process no more, its input ends, and the process with it.
"""

import gc
import os
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tidewell import scratch
from tidewell.discovery.messages import LONGEST, Question, error_message, frame, read_frame
from tidewell.discovery.questions import answer
from tidewell.errors import SourceBroken, Stopped, TidewellError
from tidewell.lean import keep_pandas_out
from tidewell.piped import go_first, masked, take_over_streams
from tidewell.sources import registry
from tidewell.sources.protocol import Source

_GRACE_SECONDS = 1.5
"""How long sources may take to be cancelled when the process ends."""


class Process:
    """The two ends of the conversation with the node, and what is being asked."""

    def __init__(self, orders: int, answers: int) -> None:
        self._orders = os.fdopen(orders, "rb")
        self._answers = os.fdopen(answers, "wb")
        self._writing = threading.Lock()
        self._asked: dict[int, Source | None] = {}
        """By number, what is not yet answered; None: its source is not yet open."""
        self._changed = threading.Condition()

    def serve(self) -> None:
        """Answer until the node is gone; then cancel what is still being asked."""
        while (message := read_frame(self._orders)) is not None:
            if "cancel" in message:
                _begin(self._cancel, message["cancel"])
            else:
                question = Question.from_message(message)
                # Here, where it is done once, and not by all who are the first to ask.
                registry.use_manifests(Path(question.manifests) if question.manifests else None)
                registry.look_around()
                with self._changed:
                    self._asked[question.number] = None
                _begin(self._answer, question)
        deadline = time.monotonic() + _GRACE_SECONDS
        for cancelling in [_begin(self._cancel, number) for number in list(self._asked)]:
            cancelling.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self._changed.wait_for(lambda: not self._asked, max(0.0, deadline - time.monotonic()))

    def _answer(self, question: Question) -> None:
        told = _told(question, lambda source: self._note(question, source))
        with self._changed:
            if question.number not in self._asked:
                return  # it was cancelled, and that is told
            del self._asked[question.number]
            self._changed.notify_all()
        self._tell(question.number, told)

    def _note(self, question: Question, source: Source) -> None:
        with self._changed:
            if question.number not in self._asked:
                raise Stopped
            self._asked[question.number] = source

    def _cancel(self, number: int) -> None:
        with self._changed:
            if number not in self._asked:
                return
            source = self._asked[number]
            if source is None:
                # What its driver needs is still being read; that stays for the next question.
                del self._asked[number]
                self._changed.notify_all()
        if source is None:
            self._tell(number, {"error": error_message(Stopped())})
            return
        # One that cannot be cancelled goes on: the node ends this process if it must.
        with suppress(Exception):
            source.cancel()

    def _tell(self, number: int, told: dict[str, Any]) -> None:
        try:
            content = frame({"number": number, **told})
        except TypeError:
            untold = TidewellError("A driver found what cannot be told.")
            trace = traceback.format_exc()
            content = frame({"number": number, "error": error_message(untold, trace)})
        if len(content) > LONGEST:
            too_long = SourceBroken("The source has more names than can be listed.")
            content = frame({"number": number, "error": error_message(too_long)})
        # The node may be gone by now.
        with self._writing, suppress(BrokenPipeError):
            self._answers.write(content)
            self._answers.flush()


def _begin(what: Callable[[Any], None], about: Any) -> threading.Thread:
    begun = threading.Thread(target=what, args=(about,), daemon=True)
    begun.start()
    return begun


def _told(question: Question, on_open: Callable[[Source], None]) -> dict[str, Any]:
    """What the source answers, or why it does not."""
    try:
        return {"found": answer(question, on_open)}
    except TidewellError as error:
        with suppress(AttributeError):  # a driver's own error that is not as ours are
            return {"error": error_message(error)}
        return _broken(question.driver, error)
    except BaseException as error:  # noqa: BLE001 - the last line of defence: it must answer
        return _broken(question.driver, error, _masked(traceback.format_exc(), question))


def _broken(what: str, error: BaseException, trace: str = "") -> dict[str, Any]:
    message = f"The driver {what} ended by {type(error).__name__}."
    return {"error": error_message(TidewellError(message), trace)}


def _masked(text: str, question: Question) -> str:
    """A traceback without the secrets of the question, which an error's message may hold."""
    secret = set(question.values)
    with suppress(Exception):  # without the driver nobody knows which they are
        secret = {key.name for key in registry.driver(question.driver).keys if key.secret}
    return masked(text, [value for name, value in question.values.items() if name in secret])


def main() -> None:
    """Take over the standard streams and serve."""
    orders, answers = take_over_streams()
    keep_pandas_out()
    scratch.sweep()
    go_first()
    gc.collect()
    gc.freeze()
    # What a source spills to disk is nobody else's to read.
    os.umask(0o077)
    process = Process(orders, answers)
    process.serve()
    # Not by the interpreter's end, which threads still in a driver's C code may not outlive.
    scratch.clear()
    os._exit(0)


if __name__ == "__main__":
    main()
