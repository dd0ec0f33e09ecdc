"""Calls that block inside a driver's library, and can be left from another thread."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from tidewell.errors import SourceUnavailable, Stopped

T = TypeVar("T")


class Interruptible:
    """Makes blocking calls in a thread of their own, so that `interrupt` ends the waiting.

    The call itself goes on until its library gives up; what it then returns is discarded.
    """

    def __init__(self) -> None:
        self._interrupted = threading.Event()
        self._waiting: SimpleQueue[Callable[[], object]] | None = None
        self._working = threading.Lock()

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._interrupted.is_set()

    def call(
        self,
        work: Callable[[], T],
        discard: Callable[[T], object] = lambda _: None,
        *,
        seconds: float | None = None,
    ) -> T:
        """What the work returns or raises. Raises Stopped when it is interrupted before that, and
        SourceUnavailable when it takes longer than so many seconds."""
        self.check()
        answers: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._waiting = answers
        found: list[T] = []

        def run() -> None:
            try:
                with self._working:
                    result = work()
            except BaseException as error:  # noqa: BLE001 (it is raised where the call was made)
                answers.put(_raising(error))
                return
            if self.interrupted:
                discard(result)
            found.append(result)
            answers.put(lambda: None)

        threading.Thread(target=run, daemon=True, name="source call").start()
        if self.interrupted:
            answers.put(_raising(Stopped()))
        try:
            answer = answers.get(timeout=seconds)
        except Empty:
            raise SourceUnavailable(
                f"The source does not answer within {seconds} s: try again, or set a longer "
                "Timeout."
            ) from None
        answer()
        return found[0]

    def interrupt(self) -> None:
        """End the waiting of a call, and of every later one."""
        self._interrupted.set()
        if self._waiting is not None:
            self._waiting.put(_raising(Stopped()))

    def afterwards(self, work: Callable[[], object]) -> None:
        """Do something that must not meet a call that was left and still goes on, as closing."""
        if self._working.acquire(blocking=False):
            self._working.release()
            work()
            return

        def run() -> None:
            with self._working:
                work()

        threading.Thread(target=run, daemon=True, name="source close").start()

    def check(self) -> None:
        """Raises Stopped after an interrupt."""
        if self.interrupted:
            raise Stopped


def _raising(error: BaseException) -> Callable[[], object]:
    def raise_it() -> object:
        raise error

    return raise_it
