"""Work ahead: an iterator that runs in a thread of its own, a few items before its consumer.

Reading and encoding then use one core while the cache's server takes in rows on another; measured,
this is a third of a load's time. The distance is bounded, so memory is too.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")
_DEPTH = 3


class _Ahead(Generic[Item]):
    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._ready: Queue[Item | None] = Queue(maxsize=_DEPTH)
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ahead", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while (item := self._ready.get()) is not None:
            yield item
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._stopping.set()
        while self._thread.is_alive():
            while not self._ready.empty():
                self._ready.get_nowait()
            self._thread.join(0.05)

    def _work(self) -> None:
        try:
            for item in self._items:
                self._ready.put(item)
                if self._stopping.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised again where the items are used
            self._error = error
        finally:
            if not self._stopping.is_set():
                self._ready.put(None)


@contextmanager
def ahead(items: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """The items, made in another thread; when the block ends, so does the thread.

    An error of the items is raised where they are used.
    """
    working = _Ahead(items)
    working.start()
    try:
        yield iter(working)
    finally:
        working.stop()
