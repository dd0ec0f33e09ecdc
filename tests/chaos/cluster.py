"""Nodes that are killed and come again: an API node, and workers over one state database."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.product import TIDEWELL, Customer, Vendor, environment, make_customer, make_vendor, ok
from tests.running_product import free_port, wait_until_ready
from tidewell.runs.children import PROGRAM

CHILD_POINTS = ("before COPY", "after read", "after COPY", "before COMMIT", "after COMMIT")
WORKER_POINTS = ("before state write", "after state write")
_ANSWER_SECONDS = 60


@dataclass
class Cluster:
    """The processes, each of which may die at any time; `keep_up` starts the dead ones again."""

    folder: Path
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    vendor: Vendor | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def failpoints(self) -> Path:
        """Where orders for named points are laid (`tidewell.failpoint`)."""
        return self.folder / "failpoints"

    def start(self, workers: int, apis: int = 1, tickers: int = 0) -> None:
        """Start the nodes; returns when the API answers."""
        self.failpoints.mkdir(exist_ok=True)
        self.commands["api"] = ("serve", "--port", str(self.port), "--no-worker")
        for number in range(1, apis):
            other = ("serve", "--port", str(free_port()), "--no-worker")
            self.commands[f"api {number}"] = other
        for number in range(tickers):
            self.commands[f"ticker {number}"] = ("ticker",)
        self.keep_up()
        wait_until_ready(self.base_url, self.folder / "api.log")
        for number in range(workers):
            self.commands[f"worker {number}"] = ("worker",)
        self.keep_up()

    def keep_up(self) -> list[str]:
        """Start what has died; returns the names."""
        dead = [name for name in self.commands if not self.is_up(name)]
        for name in dead:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    [*TIDEWELL, *self.commands[name]],
                    env=environment(self.settings) | {"FAILPOINTS": str(self.failpoints)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        return dead

    def is_up(self, name: str) -> bool:
        return name in self.running and self.running[name].poll() is None

    def is_at_work(self, name: str) -> bool:
        """Whether a node has come up: a worker has processes for runs, an API node answers."""
        if not self.is_up(name):
            return False
        if name.startswith("worker"):
            return bool(self._children_of(name))
        command = self.commands[name]
        port = command[command.index("--port") + 1]
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
        except httpx.TransportError:
            return False

    def kill(self, name: str) -> None:
        """kill -9 a node."""
        self.running[name].kill()
        self.running[name].wait()

    def children(self) -> list[psutil.Process]:
        """The processes that execute runs, of all workers."""
        return [child for name in self.running for child in self._children_of(name)]

    def _children_of(self, name: str) -> list[psutil.Process]:
        found = []
        if name.startswith("worker") and self.is_up(name):
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self.running[name].pid).children():
                    with suppress(psutil.NoSuchProcess):
                        if PROGRAM in child.cmdline():
                            found.append(child)
        return found

    def order(self, point: str, number: signal.Signals, process: str) -> None:
        """Lay an order for whoever comes to a point first."""
        fresh = self.failpoints / f".{point}"
        fresh.write_text(f"{number.name} {process}")
        fresh.rename(self.failpoints / point)

    def carried_out(self) -> dict[str, tuple[str, int]]:
        """Every order that was carried out: at which point, and by which process."""
        found = {}
        for path in self.failpoints.glob("*.reached-*"):
            name, _, process = path.name.partition(".reached-")
            found[path.name] = (name, int(process.split("-")[0]))
        return found

    def waiting(self) -> set[str]:
        """The points that nobody has come to yet."""
        return {path.name for path in self.failpoints.iterdir() if "." not in path.name}

    def withdraw(self) -> None:
        """Take back the orders that nobody has come to."""
        for name in self.waiting():
            with suppress(FileNotFoundError):
                (self.failpoints / name).unlink()

    def customer(self) -> "Caller":
        """A new customer."""
        if self.vendor is None:
            self.vendor = make_vendor(self.folder, self.settings)
        return Caller(make_customer(self.base_url, self.vendor))

    def close(self) -> None:
        """End all nodes."""
        self.commands.clear()
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Caller:
    """A customer's program that asks again while the node is away."""

    def __init__(self, customer: Customer) -> None:
        self._client = customer.client()

    def try_to(self, method: str, path: str) -> bool:
        """Whether the call succeeds at once."""
        try:
            return self._client.request(method, path).is_success
        except httpx.TransportError:
            return False

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The body of the answer that comes in the end."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                answer = self._client.request(method, path, json=body)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                if answer.status_code != 503 or time.monotonic() > deadline:
                    return ok(answer)
            time.sleep(0.1)

    def close(self) -> None:
        self._client.close()


@contextmanager
def cluster(folder: Path, settings: dict[str, str], **nodes: int) -> Iterator[Cluster]:
    """Nodes for as long as the block."""
    made = Cluster(folder, settings)
    try:
        made.start(**nodes)
        yield made
    finally:
        made.close()
