"""`make bench-scale`: what the number of jobs in the state database costs.

With 1,000 jobs and then ten times as many, made by set-based SQL in accounts of 100 jobs each:
the list of one account and a create over HTTP, a tick with nothing due and with 100 due, the delay
from the due time to the start, what a node costs that has nothing to do, and bytes for each job.
`docs/scale.md` has the figures beside its capacity model, and `--plot` draws them.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Table
from tests.acceptance.conftest import caching, connect
from tests.ports import free_port
from tests.product import Customer, environment, make_customer, make_vendor, ok, process
from tests.running_product import wait_until_ready

from tidewell import __version__, clock
from tidewell.cli.node import open_node
from tidewell.runs.ticker import mend, tick
from tidewell.settings import Settings
from tidewell.state.embedded import EmbeddedServer, start
from tidewell.state.statements import statements

SQL = statements("benchmarks", "scale.sql") | statements("tests", "crowd.sql")
JOBS_OF_ONE = 100
_DUE = 100
_ROUNDS = 20
_IDLE_SECONDS = 30.0
_SETTLE_SECONDS = 40.0
"""Longer than the process that asks sources waits for another question."""
_MEGABYTE = 2**20

Figures = dict[str, float]


class Bench:
    """A state database that grows, an API node over it, and one customer who is measured."""

    def __init__(self, server: EmbeddedServer, folder: Path, stack: ExitStack) -> None:
        self._server = server
        self._postgres = folder / "postgres" / "postgres"
        self._folder = folder
        files = folder / "files"
        files.mkdir()
        for number in range(_ROUNDS * 8):
            (files / f"t{number}.csv").write_text("id,name\n1,Ada\n")
        self._settings = {
            "TIDEWELL_HOME": str(folder / "home"),
            "TIDEWELL_DATABASE_URL": server.url(),
            "TIDEWELL_FILES_ROOT": str(files),
            "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
            "TIDEWELL_LOG": "warning",
        }
        # The schema is made before a node starts, as in production.
        self._vendor = make_vendor(folder, self._settings)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        log = folder / "api.log"
        arguments = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
        self._api = stack.enter_context(process(*arguments, settings=self._settings, log=log))
        wait_until_ready(url, log)
        self._customer = make_customer(url, self._vendor)
        self._url = url
        with self._customer.client() as client:
            text = server.cache_connection_string
            ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
            self._office = connect(client, "Office", "Files", f"URI={files}")
        self._made = 0

    def _sql(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._server.url()) as connection:
            cursor = connection.execute(SQL[name], values)
            return cursor.fetchall() if cursor.description else []

    def grow(self, jobs: int) -> None:
        """Add accounts of 100 jobs until there are so many jobs."""
        ((there, _, _),) = self._sql("sizes") if self._made else ((0, 0, 0),)
        accounts = (jobs - there) // JOBS_OF_ONE
        self._sql("add_crowd", accounts=accounts, jobs=JOBS_OF_ONE, parent_id=self._vendor.id)
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")

    def measured(self) -> Figures:
        """All figures at the size that there is."""
        found: Figures = {"create_ms": self._create()}
        ((count, each, megabytes),) = self._sql("sizes")
        found |= {"jobs": count, "bytes_a_job": each, "state_mb": megabytes}
        found["list_ms"] = self._list()
        found |= asyncio.run(self._ticks())
        found["start_delay_s"] = self._delay()
        return found | self._idle()

    def _list(self) -> float:
        ((account_id,),) = self._sql("one_of_crowd", account_id=self._customer.account_id)
        other = Customer(self._url, self._vendor, str(account_id))
        with other.client() as client:
            assert len(ok(client.get("/api/job/list"))["jobs"]) == JOBS_OF_ONE
            return _median(lambda: ok(client.get("/api/job/list")))

    def _create(self) -> float:
        with self._customer.client() as client:

            def create() -> None:
                body = caching(self._office, sourceTable=f"t{self._made}")
                later = {"definedNextRun": "2100-01-01T00:00:00Z"}
                ok(client.post("/api/job/create", json=body | later))
                self._made += 1

            return _median(create)

    async def _ticks(self) -> Figures:
        given: dict[str, Any] = {
            name.removeprefix("TIDEWELL_").lower(): value for name, value in self._settings.items()
        }
        account_id = self._customer.account_id
        async with open_node(Settings(**given), self._server.url()) as node:
            node.queue.register_runs(_nothing)

            async def once(due: int) -> float:
                if due:
                    self._sql("make_due", account_id=account_id, count=due)
                started = time.perf_counter()
                taken = await tick(node.database, node.queue, clock.now())
                seconds = time.perf_counter() - started
                assert taken >= min(due, self._made)
                self._sql("put_off", account_id=account_id)
                self._sql("clear_queue")
                return seconds * 1000

            idle = [await once(0) for _ in range(_ROUNDS)]
            due = min(_DUE, self._made)
            busy = [await once(due) for _ in range(5)]
            started = time.perf_counter()
            await mend(node.database, clock.now())
            mending = time.perf_counter() - started
        return {
            "tick_idle_ms": statistics.median(idle),
            "tick_each_due_ms": statistics.median(busy) / due,
            "mend_ms": mending * 1000,
        }

    def _delay(self) -> float:
        account_id = self._customer.account_id
        count = min(20, self._made)
        with self._worker("ours"), self._role("ticker"):
            time.sleep(6)
            self._sql("make_due", account_id=account_id, count=count)
            deadline = time.monotonic() + 60
            while len(found := self._sql("delays", account_id=account_id)) < count:
                assert time.monotonic() < deadline, "the runs do not start"
                time.sleep(0.2)
        self._sql("put_off", account_id=account_id)
        self._sql("clear_queue")
        return float(statistics.median(seconds for (seconds,) in found))

    def _idle(self) -> Figures:
        with self._role("ticker") as ticker, self._role("worker") as worker:
            data = (self._postgres / "postmaster.pid").read_text().split()[0]
            parts = {"api": self._api.pid, "ticker": ticker, "worker": worker, "pg": int(data)}
            time.sleep(_SETTLE_SECONDS)
            before = {name: _cpu(pid) for name, pid in parts.items()}
            time.sleep(_IDLE_SECONDS)
            found: Figures = {}
            for name, pid in parts.items():
                found[f"{name}_cpu"] = (_cpu(pid) - before[name]) / _IDLE_SECONDS * 100
                found[f"{name}_mb"] = _memory(pid)
            return found

    @contextmanager
    def _role(self, name: str) -> Iterator[int]:
        log = self._folder / f"{name}.log"
        with process(name, settings=self._settings, log=log) as running:
            yield running.pid

    @contextmanager
    def _worker(self, side: str) -> Iterator[None]:
        """A worker whose runs do nothing: what is measured is the way to them."""
        command = [sys.executable, "-m", "benchmarks.noop", side]
        running = subprocess.Popen(command, env=environment(self._settings))
        try:
            yield
        finally:
            running.terminate()
            running.wait(30)


async def _nothing(*_: object) -> None:
    """Only the name is needed to put work into the queue."""


def _median(do: Callable[[], Any]) -> float:
    do()
    found = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        do()
        found.append((time.perf_counter() - started) * 1000)
    return statistics.median(found)


def _tree(pid: int) -> list[psutil.Process]:
    one = psutil.Process(pid)
    return [one, *one.children(recursive=True)]


def _cpu(pid: int) -> float:
    return float(sum(one.cpu_times().user + one.cpu_times().system for one in _tree(pid)))


def _memory(pid: int) -> float:
    return float(sum(one.memory_full_info().pss for one in _tree(pid)) / _MEGABYTE)


def _show(console: Console, found: list[Figures]) -> None:
    table = Table()
    table.add_column("")
    for one in found:
        table.add_column(f"{one['jobs']:,.0f} jobs", justify="right")
    for name in found[0]:
        if name != "jobs":
            table.add_row(name, *(f"{one[name]:,.2f}" for one in found))
    console.print(table)


def plot(found: list[Figures], file: Path) -> None:
    """Cost against size, as a picture."""
    import matplotlib  # noqa: PLC0415 - only where somebody wants the picture

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415 - after the choice of what draws

    figure, (times, idle) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    sizes = [one["jobs"] for one in found]
    for name, label in (
        ("list_ms", "list of one account (100 jobs)"),
        ("create_ms", "create"),
        ("tick_idle_ms", "tick, nothing due"),
        ("tick_each_due_ms", "tick, each due job"),
    ):
        times.plot(sizes, [one[name] for one in found], marker="o", label=label)
    times.set(xscale="log", xlabel="jobs in the state database", ylabel="ms")
    times.set_ylim(bottom=0)
    for name, label in (
        ("api_cpu", "API node"),
        ("ticker_cpu", "ticker"),
        ("worker_cpu", "worker"),
        ("pg_cpu", "PostgreSQL"),
    ):
        idle.plot(sizes, [one[name] for one in found], marker="o", label=label)
    idle.set(xscale="log", xlabel="jobs in the state database", ylabel="% of a core, idle")
    idle.set_ylim(bottom=0)
    for axes in (times, idle):
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", default="1000,10000,100000", help="sizes, rising, by commas")
    parser.add_argument("--keep", type=Path, help="JSON file for the figures")
    parser.add_argument("--plot", type=Path, help="PNG file; from --keep alone with --jobs ''")
    options = parser.parse_args()
    sizes = [int(one) for one in options.jobs.split(",") if one]
    console = Console(width=100)
    found: list[Figures] = []
    if not sizes:
        found = json.loads(options.keep.read_text())
    os.environ.pop("TIDEWELL_HOME", None)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        if sizes:
            server = stack.enter_context(start(folder / "postgres"))
            bench = Bench(server, folder, stack)
            console.print(f"Tidewell {__version__}, Python {platform.python_version()}")
        for size in sizes:
            bench.grow(size)
            found.append(bench.measured())
            _show(console, found)
            if options.keep:
                options.keep.write_text(json.dumps(found, indent=1) + "\n")
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
