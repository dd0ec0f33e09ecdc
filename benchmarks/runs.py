"""`make bench-runs`: what a run costs beside its data.

No-op runs a second with two workers, beside Procrastinate's own rate on the same server; how long
after its due time a run starts when 10,000 are due in one minute; how long a stop takes; and what
a node costs that has 100,000 jobs and nothing to do. A no-op run is the whole life of a run (queue,
claim, task, process, end) around an empty body, as Procrastinate's task is; a small run is a whole
refresh, from a file of one row into a cache on the same server.
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from procrastinate.schema import SchemaManager
from rich.console import Console
from rich.table import Table
from tests.acceptance.conftest import caching, connect
from tests.ports import free_port
from tests.product import Customer, Vendor, environment, make_customer, make_vendor, ok, process
from tests.running_product import wait_until_ready
from tests.slow_source import slow_source

from benchmarks.noop import NOTHING, queue_app
from tidewell import __version__, clock
from tidewell.cli.node import open_node
from tidewell.runs.commands import queue_run
from tidewell.settings import Settings
from tidewell.state.embedded import EmbeddedServer, start
from tidewell.state.statements import statements

SQL = statements("benchmarks", "runs.sql")
ACCOUNTS = 25
PARTS = ("no-op", "small", "delay", "stop", "idle")
_DUE_AFTER = 10.0
_STEADY = 0.9
"""Of the runs; in the first tenth the processes start."""

Rows = list[tuple[Any, ...]]


class Bench:
    """A server, an API node, customers with jobs, and workers of both kinds."""

    def __init__(self, server: EmbeddedServer, folder: Path, stack: ExitStack) -> None:
        self.server = server
        self._folder = folder
        self._files = folder / "files"
        self._files.mkdir()
        self._port = free_port()
        self.settings = {
            "TIDEWELL_HOME": str(folder / "home"),
            "TIDEWELL_DATABASE_URL": server.url(),
            "TIDEWELL_FILES_ROOT": str(self._files),
            "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
            "TIDEWELL_LOG": "warning",
        }
        log = folder / "serve.log"
        arguments = ("serve", "--port", str(self._port), "--no-worker")
        self.node = stack.enter_context(process(*arguments, settings=self.settings, log=log))
        wait_until_ready(self.base_url, log)
        self._vendor: Vendor = make_vendor(folder, self.settings)
        self.customers = [make_customer(self.base_url, self._vendor) for _ in range(ACCOUNTS)]
        for customer in self.customers:
            with customer.client() as client:
                body = {"connectionString": server.cache_connection_string}
                ok(client.post("/api/job/cacheConnection", json=body))
                connect(client, "Office", "Files", f"URI={self._files}")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def query(self, name: str, url: str = "", **values: Any) -> Rows:
        """A statement of runs.sql, in a transaction of its own."""
        with psycopg.connect(url or self.server.url()) as connection:
            cursor = connection.execute(SQL[name], values)
            return cursor.fetchall() if cursor.description else []

    def jobs(self, count: int) -> None:
        """So many jobs in all, and nothing of before."""
        self.query("forget_jobs")
        self.query("forget_queue")
        self.query("add_jobs", jobs=-(-count // ACCOUNTS), parent_id=self._vendor.id)
        self.query("analyze")

    def small_files(self, count: int) -> None:
        """The source tables of the first jobs, of one row each."""
        for number in range(1, -(-count // ACCOUNTS) + 1):
            (self._files / f"small{number}.csv").write_text("id,name\n1,Ada\n")

    def queue_runs(self, count: int) -> None:
        """Queue a run for each of the first jobs."""
        asyncio.run(self._queue_runs(self.query("jobs", count=count)))

    async def _queue_runs(self, jobs: Rows) -> None:
        given: dict[str, Any] = {
            name.removeprefix("TIDEWELL_").lower(): value for name, value in self.settings.items()
        }
        settings = Settings(**given)
        async with open_node(settings, self.server.url()) as node:
            node.queue.register_runs(_nothing)
            for first in range(0, len(jobs), 100):
                async with node.database.transaction() as connection:
                    for job_id, account_id in jobs[first : first + 100]:
                        await queue_run(
                            connection, node.queue, account_id, job_id, "request", clock.now()
                        )

    @contextmanager
    def workers(self, side: str, count: int, **settings: str) -> Iterator[list[int]]:
        """Workers of benchmarks.noop (`ours`, `queue`), or real ones (`tidewell`)."""
        chosen = self.settings | settings
        with ExitStack() as stack:
            if side == "tidewell":
                log = self._folder / "worker.log"
                made = [
                    stack.enter_context(process("worker", settings=chosen, log=log))
                    for _ in range(count)
                ]
                yield [one.pid for one in made]
                return
            command = [sys.executable, "-m", "benchmarks.noop", side]
            running = [
                subprocess.Popen(command, env=environment(chosen), start_new_session=True)
                for _ in range(count)
            ]
            try:
                yield [one.pid for one in running]
            finally:
                for one in running:
                    one.terminate()
                for one in running:
                    one.wait(30)

    def rate(self, side: str, count: int) -> float:
        """Runs a second, once all processes have started."""
        self.queue_runs(count)
        with self.workers(side, 2):
            _until(lambda: self.query("open_runs") == [(0,)])
        ((succeeded, seconds),) = self.query("ended_runs")
        if succeeded < count:
            raise SystemExit(f"{succeeded} of {count} runs were a success")
        return float(_STEADY * count / seconds)

    def queue_rate(self, count: int) -> float:
        """The same of Procrastinate alone, in a database of its own."""
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS queue_alone")
            connection.execute("CREATE DATABASE queue_alone")
        url = self.server.url("queue_alone")
        with psycopg.connect(url) as connection:
            connection.execute(SchemaManager.get_schema().encode())
        asyncio.run(_defer(url, count))
        with self.workers("queue", 2, TIDEWELL_DATABASE_URL=url):
            _until(lambda: self.query("queue_left", url) == [(0,)])
        ((seconds,),) = self.query("queue_seconds", url)
        return float(_STEADY * count / seconds)

    def delays(self, count: int) -> tuple[list[float], list[float]]:
        """Seconds from due to queued, and to started, of jobs that are due within one minute."""
        with self.workers("ours", 2):
            time.sleep(5)
            self.query("make_due", count=count, after=_DUE_AFTER)
            _until(lambda: len(self.query("delays")) >= count, seconds=240)
        queued, started = zip(*self.query("delays"), strict=True)
        return list(queued), list(started)

    def stops(self, count: int) -> list[float]:
        """Seconds from the order to the answer that says so, of runs that read a stalled source."""
        found = []
        with self.workers("tidewell", 1), slow_source() as slow:
            customer: Customer = self.customers[0]
            with customer.client() as client:
                source = connect(client, "Slow", "OData", f"URL={slow.url}")
                body = caching(
                    source, sourceName="Slow", sourceSchema="OData", sourceTable="Things"
                )
                job_id = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
                for number in range(count):
                    slow.wait_until_read()
                    found.append(_stop(client, job_id))
                    slow.hold()
                    if number + 1 < count:
                        ok(client.post(f"/api/job/{job_id}/run"))
        return found

    def idle(self, seconds: float) -> Rows:
        """CPU (percent of one core) and memory (MB) of each part while nothing is due."""
        server = psutil.Process(int(self._server_pid()))
        with self.workers("tidewell", 1) as (worker,):
            parts = {
                "API, ticker and sweeper": psutil.Process(self.node.pid),
                "worker": psutil.Process(worker),
                "PostgreSQL": server,
            }
            time.sleep(15)
            before = {name: _cpu(one) for name, one in parts.items()}
            time.sleep(seconds)
            return [
                (name, (_cpu(one) - before[name]) / seconds * 100, _memory(one))
                for name, one in parts.items()
            ]

    def _server_pid(self) -> str:
        data = self._folder / "postgres" / "postgres"
        return (data / "postmaster.pid").read_text().split()[0]


async def _nothing(*_: object) -> None:
    """Only the name is needed to put work into the queue."""


async def _defer(url: str, count: int) -> None:
    async with queue_app(url).open_async() as app:
        await app.configure_task(NOTHING, queue=NOTHING).batch_defer_async(*({},) * count)


def _stop(client: httpx.Client, job_id: str) -> float:
    started = time.perf_counter()
    ok(client.post(f"/api/job/{job_id}/stop"))
    while True:
        job = ok(client.get(f"/api/job/{job_id}"))["jobs"][0]
        if job["lastRun"]["status"] == "JOB_STOPPED":
            return time.perf_counter() - started
        time.sleep(0.005)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    return float(sum(one.cpu_times().user + one.cpu_times().system for one in _tree(process)))


def _memory(process: psutil.Process) -> float:
    return float(sum(one.memory_full_info().pss for one in _tree(process)) / 2**20)


def _until(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"it takes longer than {seconds:.0f} s")
        time.sleep(0.5)


def _median(found: Sequence[float], digits: int = 0) -> str:
    """Of several turns, with the least and the most."""
    middle, least, most = statistics.median(found), min(found), max(found)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def _row(name: str, found: Sequence[float]) -> tuple[str, ...]:
    ordered = sorted(found)
    p99 = ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]
    values = (statistics.median(ordered), p99, ordered[-1])
    return (name, f"{len(ordered):,}", *(f"{value:.2f}" for value in values))


def _show(console: Console, title: str, columns: Sequence[str], rows: Rows) -> None:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(str(value) for value in row))
    console.print(table)


def _show_rates(
    console: Console, bench: Bench, parts: Sequence[str], options: argparse.Namespace
) -> None:
    rates: Rows = []
    if "no-op" in parts:
        alone, ours = [], []
        for _ in range(options.turns):
            alone.append(bench.queue_rate(options.runs))
            bench.jobs(options.runs)
            ours.append(bench.rate("ours", options.runs))
        shares = [our / their for our, their in zip(ours, alone, strict=True)]
        rates += [
            ("Procrastinate alone, a task that does nothing", _median(alone), "1"),
            ("no-op runs", _median(ours), _median(shares, 2)),
        ]
    if "small" in parts:
        bench.jobs(options.small)
        bench.small_files(options.small)
        for title in ("small runs, first loads", "small runs, nothing new"):
            rates.append((title, f"{bench.rate('tidewell', options.small):.0f}", ""))
            bench.query("forget_runs")
    title = f"Runs a second, medians of {options.turns} turns (least to most)"
    _show(console, title, ("", "a second", "share"), rates)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3_000)
    parser.add_argument("--small", type=int, default=400)
    parser.add_argument("--due", type=int, default=10_000)
    parser.add_argument("--stops", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=100_000)
    options = parser.parse_args()
    parts = options.only.split(",")
    console = Console(width=100)
    os.environ.pop("TIDEWELL_HOME", None)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        server = stack.enter_context(start(folder / "postgres"))
        with psycopg.connect(server.url()) as connection:
            version = connection.info.parameter_status("server_version")
        bench = Bench(server, folder, stack)
        console.print(
            f"Tidewell {__version__}, PostgreSQL {version}, Python {platform.python_version()}, "
            f"{os.cpu_count()} cores, two workers of {Settings().run_concurrency} runs at a time"
        )
        if {"no-op", "small"} & set(parts):
            _show_rates(console, bench, parts, options)
        if "delay" in parts:
            bench.jobs(options.due)
            queued, started = bench.delays(options.due)
            columns = ("seconds after the due time", "runs", "p50", "p99", "longest")
            rows = [_row("queued", queued), _row("started", started)]
            _show(console, f"{options.due:,} due in one minute", columns, rows)
        if "stop" in parts:
            bench.jobs(ACCOUNTS)
            columns = ("", "stops", "p50 s", "p99 s", "longest s")
            rows = [_row("from the order to its end", bench.stops(options.stops))]
            _show(console, "A stop while a stalled source is read", columns, rows)
        if "idle" in parts:
            bench.jobs(options.jobs)
            rows = [(n, f"{cpu:.1f}", f"{mb:.0f}") for n, cpu, mb in bench.idle(30)]
            title = f"Idle, with {options.jobs:,} jobs"
            _show(console, title, ("", "% of a core", "MB"), rows)


if __name__ == "__main__":
    main()
