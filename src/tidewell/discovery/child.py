"""The process that asks sources, many at a time: `python -m tidewell.discovery.child`.

A source that does not answer holds up one thread, and nobody else. When the node is gone, or needs
this process no more, its input ends, and the process with it.
"""

import gc
import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from tidewell import scratch
from tidewell.discovery.messages import Question, error_message, frame, read_frame
from tidewell.discovery.questions import answer
from tidewell.errors import TidewellError
from tidewell.lean import keep_pandas_out
from tidewell.piped import go_first, take_over_streams
from tidewell.sources import registry
from tidewell.sources.protocol import Source

_GRACE_SECONDS = 2.0
"""How long the end of the process may wait for what a source still holds."""


class Process:
    """The two ends of the conversation with the node, and the sources that are being asked."""

    def __init__(self, orders: int, answers: int) -> None:
        self._orders = os.fdopen(orders, "rb")
        self._answers = os.fdopen(answers, "wb")
        self._sources: dict[int, Source] = {}
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Answer until the node is gone. What is still being asked is left as it is."""
        while (message := read_frame(self._orders)) is not None:
            if "cancel" in message:
                self._begin(self._cancel, message["cancel"])
            else:
                question = Question.from_message(message)
                # Here, where it is done once, and not by all who are the first to ask.
                registry.use_manifests(Path(question.manifests) if question.manifests else None)
                registry.look_around()
                self._begin(self._answer, question)

    def _begin(self, what: Any, about: Question | int) -> None:
        threading.Thread(target=what, args=(about,), daemon=True).start()

    def _answer(self, question: Question) -> None:
        try:
            told = {"found": answer(question, lambda source: self._note(question, source))}
        except TidewellError as error:
            told = {"error": error_message(error)}
        except Exception as error:  # noqa: BLE001 - the last line of defence: it must answer
            sys.stderr.write(_masked(traceback.format_exc(), question))
            broken = TidewellError(f"The driver {question.driver} ended by {type(error).__name__}.")
            told = {"error": error_message(broken)}
        with self._lock:
            self._sources.pop(question.number, None)
            # The node may be gone by now.
            with suppress(BrokenPipeError):
                self._answers.write(frame({"number": question.number, **told}))
                self._answers.flush()

    def _note(self, question: Question, source: Source) -> None:
        with self._lock:
            self._sources[question.number] = source

    def _cancel(self, number: int) -> None:
        with self._lock:
            source = self._sources.get(number)
        if source is not None:
            try:
                source.cancel()
            except Exception as error:  # noqa: BLE001 - the node ends this process if it must
                sys.stderr.write(f"A source could not be cancelled: {type(error).__name__}\n")


def _masked(text: str, question: Question) -> str:
    """A traceback without the secrets of the question, which an error's message may hold."""
    if question.driver:
        for key in registry.driver(question.driver).keys:
            if key.secret and (secret := question.values.get(key.name)):
                text = text.replace(secret, "********")
    return text


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
    Process(orders, answers).serve()
    late = threading.Timer(_GRACE_SECONDS, os._exit, (0,))
    late.daemon = True
    late.start()


if __name__ == "__main__":
    main()
