"""Records of a stream, from several of its partitions at a time, in bounded memory.

Each worker takes the next partition, reads its pages and hands over lists of records. The consumer
never waits for a worker: when the source is cancelled it goes on at once, whatever a worker is
doing, and the worker ends at its next request.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tidewell.errors import Stopped
from tidewell.sources.declarative.http import Http

BATCH_ROWS = 2_000
_BATCH_BYTES = 2 * 1024 * 1024
"""Of answers; so that long records do not wait for many others."""
_LOOK_SECONDS = 0.1

Row = Mapping[str, Any]
_ENDED = object()


class Reading:
    """One read of a stream."""

    def __init__(
        self, stream: Any, http: Http, workers: int, plain: Callable[[Exception], Exception]
    ) -> None:
        self._http = http
        self._workers = workers
        self._plain = plain
        self._partitions: Iterator[Any] = iter(stream.generate_partitions())
        self._next = threading.Lock()
        self._given_up = threading.Event()
        self._ready: queue.Queue[Any] = queue.Queue(maxsize=2)

    def batches(self) -> Iterator[list[Row]]:
        """Lists of at most `BATCH_ROWS` records. Raises SourceErrors, and Stopped."""
        running = self._workers
        for number in range(self._workers):
            threading.Thread(target=self._work, name=f"declarative-{number}", daemon=True).start()
        try:
            while running:
                try:
                    got = self._ready.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    if self._http.stopping.is_set():
                        raise Stopped from None
                    continue
                if got is _ENDED:
                    running -= 1
                elif isinstance(got, Exception):
                    raise got
                else:
                    if self._http.stopping.is_set():
                        raise Stopped
                    yield got
        finally:
            self._given_up.set()

    def _work(self) -> None:
        with self._http.active():
            rows: list[Row] = []
            try:
                while (partition := self._partition()) is not None:
                    for record in partition.read():
                        rows.append(record.data)
                        if len(rows) == BATCH_ROWS or self._http.received >= _BATCH_BYTES:
                            self._hand_over(rows)
                            rows = []
                            self._http.handed_over()
                if rows:
                    self._hand_over(rows)
            except Exception as error:  # noqa: BLE001 - a connector's own code may raise anything
                self._hand_over(self._plain(error))
            self._hand_over(_ENDED)

    def _partition(self) -> Any:
        """The next partition; making it may itself read pages of a parent stream."""
        with self._next:
            return None if self._over else next(self._partitions, None)

    def _hand_over(self, got: Any) -> None:
        while not self._over:
            try:
                self._ready.put(got, timeout=_LOOK_SECONDS)
                return
            except queue.Full:
                continue

    @property
    def _over(self) -> bool:
        return self._given_up.is_set() or self._http.stopping.is_set()
