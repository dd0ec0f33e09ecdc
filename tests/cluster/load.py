"""Customers' programs that call a cluster all the time, and remember what they were answered."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

_TIMEOUT = httpx.Timeout(10, connect=2)
_PAUSE = 0.05


@dataclass
class Reach:
    """Which API nodes could be reached, and since when; None: not at present."""

    since: dict[str, float | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, node: str, *, reachable: bool) -> None:
        with self._lock:
            if not reachable:
                self.since[node] = None
            elif self.since.get(node) is None:
                self.since[node] = time.monotonic()

    def all_the_time(self, began: float) -> list[str]:
        """The nodes that have been reachable since then."""
        with self._lock:
            found = [name for name, since in self.since.items() if since and since < began]
        return found


class Program:
    """Asks for runs and looks at jobs, at whichever node answers."""

    def __init__(
        self, nodes: dict[str, str], token: str, jobs: list[str], reach: Reach, seed: int
    ) -> None:
        self._clients = {
            name: httpx.Client(
                base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT
            )
            for name, url in nodes.items()
        }
        self._jobs = jobs
        self._reach = reach
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self.calls = 0
        self.failures: list[str] = []
        """Calls that no node answered though some could be reached all the time."""
        self.excused = 0
        """Calls that no node answered, nor could."""
        self.run_ids: dict[str, set[str]] = {job: set() for job in jobs}

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Call until the block ends."""
        over = threading.Event()

        def call() -> None:
            while not over.wait(_PAUSE):
                self._call()

        thread = threading.Thread(target=call)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            for client in self._clients.values():
                client.close()

    def _call(self) -> None:
        job = self._chance.choice(self._jobs)
        asks = self._chance.random() < 0.5
        method, path = ("POST", f"/api/job/{job}/run") if asks else ("GET", f"/api/job/{job}")
        began = time.monotonic()
        self.calls += 1
        told = []
        # Twice around: a node may have gone while the others were not there yet.
        for name in self._chance.sample(list(self._clients), len(self._clients)) * 2:
            answer = self._try(name, method, path)
            if isinstance(answer, httpx.Response) and answer.is_success:
                if asks:
                    self.run_ids[job].add(answer.json()["runId"])
                return
            told.append(f"{name}: {answer if isinstance(answer, str) else answer.text}")
        if reachable := self._reach.all_the_time(began):
            self.failures.append(f"{method} {path}, while {reachable} could be reached: {told}")
        else:
            self.excused += 1

    def _try(self, name: str, method: str, path: str) -> Any:
        try:
            return self._clients[name].request(method, path)
        except httpx.TransportError as error:
            return repr(error)
