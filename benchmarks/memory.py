"""`make bench-memory`: what the processes of a node take.

Proportional set size (PSS: a page that processes share is divided among them), of each role after
it has answered and settled, and the peak of the process of a run and of a query, sampled while it
works. The run loads a CSV file of rows of a width; its memory is bounded by the batch.
"""

import argparse
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import psycopg
from rich.console import Console
from rich.table import Table
from tests.acceptance.conftest import caching, connect
from tests.ports import free_port
from tests.product import Customer, make_customer, make_vendor, ok, process, wait_for_end
from tests.running_product import wait_until_ready

from tidewell import __version__
from tidewell.state.embedded import EmbeddedServer, start

_MEGABYTE = 2**20
_SETTLE_SECONDS = 40.0
"""Longer than the process that asks sources waits for another question."""
_SAMPLE_SECONDS = 0.05
_CALLS = 300
_WIDTHS = {"narrow": 20, "wide": 1000}
"""Characters of the text column of each row."""


class Peak:
    """The most that the children of a process take, sampled by a thread."""

    def __init__(self, pid: int, program: str) -> None:
        self._parent = psutil.Process(pid)
        self._program = program
        self._ended = threading.Event()
        self.megabytes = 0.0

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            for child in self._parent.children(recursive=True):
                try:
                    if self._program in " ".join(child.cmdline()):
                        self.megabytes = max(self.megabytes, _pss(child))
                except psutil.Error:
                    continue  # it has ended meanwhile

    @contextmanager
    def watching(self) -> Iterator["Peak"]:
        """Sample until the block ends."""
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()


def _pss(one: psutil.Process) -> float:
    return float(one.memory_full_info().pss / _MEGABYTE)


class Bench:
    """A state database, and nodes of each role over it."""

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self.files = folder / "files"
        self.files.mkdir()
        self._settings = {
            "TIDEWELL_HOME": str(folder / "home"),
            "TIDEWELL_DATABASE_URL": server.url(),
            "TIDEWELL_FILES_ROOT": str(self.files),
            "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
            "TIDEWELL_LOG": "warning",
        }
        self._vendor = make_vendor(folder, self._settings)

    @contextmanager
    def role(self, *arguments: str) -> Iterator[tuple[int, str]]:
        """A process of a role: its id, and the address of its API where it has one."""
        log = self._folder / "log"
        port = free_port()
        serving = arguments[0] == "serve"
        given = (*arguments, "--port", str(port)) if serving else arguments
        with process(*given, settings=self._settings, log=log) as running:
            url = f"http://127.0.0.1:{port}"
            if serving:
                wait_until_ready(url, log)
            yield running.pid, url

    def customer(self, url: str) -> Customer:
        """A customer with a cache and a connection to the files."""
        customer = make_customer(url, self._vendor)
        with customer.client() as client:
            text = self._server.cache_connection_string
            ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
            office = connect(client, "Office", "Files", f"URI={self.files}")
            ok(client.post(f"/api/connections/{office}/test"))
        return customer

    def idle(self, *arguments: str) -> float:
        """A role with nothing to do; an API has asked a source and answered some calls before."""
        with self.role(*arguments) as (pid, url):
            if arguments[0] == "serve":
                with self.customer(url).client() as client:
                    for _ in range(_CALLS):
                        ok(client.get("/api/job/list"))
            time.sleep(_SETTLE_SECONDS)
            one = psutil.Process(pid)
            return sum(_pss(part) for part in (one, *one.children(recursive=True)))

    def asking(self) -> float:
        """The process that has asked a source for its tables and waits for another question."""
        with self.role("serve", "--no-worker", "--no-ticker") as (pid, url):
            self.customer(url)
            [child] = psutil.Process(pid).children()
            return _pss(child)

    def run(self, name: str, rows: int) -> tuple[float, float]:
        """The peak of a run's process, and what it keeps when it waits for the next run."""
        width = _WIDTHS[name]
        with (self.files / f"{name}.csv").open("w") as file:
            file.write("id,note,amount\n")
            for number in range(rows):
                file.write(f"{number},{str(number).rjust(width, 'x')},{number / 7:.4f}\n")
        with self._node() as (pid, client):
            peak = Peak(pid, "tidewell.runs.child")
            with peak.watching():
                self._load(client, name)
            after = Peak(pid, "tidewell.runs.child")
            with after.watching():
                time.sleep(1)
        return peak.megabytes, after.megabytes

    @contextmanager
    def _node(self) -> Iterator[tuple[int, httpx.Client]]:
        """A node that works, and a customer of it."""
        with (
            self.role("serve", "--no-ticker") as (pid, url),
            self.customer(url).client() as client,
        ):
            yield pid, client

    def _load(self, client: httpx.Client, name: str) -> None:
        [found] = ok(client.get("/api/poweredby/connection/list"))["connections"]
        body = caching(found["id"], sourceTable=name, cacheSchema=uuid4().hex)
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]
        ended = wait_for_end(client, job["id"])
        if ended["lastRun"]["status"] != "JOB_SUCCESS":
            [run] = ok(client.get(f"/api/job/{job['id']}/runs"))["runs"]
            raise SystemExit(f"the run of {name} failed: {run['error']}")

    def query(self, name: str, statement: str, *, cached: bool) -> float:
        """The peak of a query's process."""
        with self._node() as (pid, client):
            if cached:
                self._load(client, name)
            peak = Peak(pid, "tidewell.query.child")
            with peak.watching():
                ok(client.post("/api/query", json={"query": statement}))
                time.sleep(0.5)
        return peak.megabytes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    os.environ.pop("TIDEWELL_HOME", None)
    table = Table(title="Memory (PSS, MB)", title_justify="left")
    table.add_column("")
    table.add_column("MB", justify="right")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        server = stack.enter_context(start(folder / "postgres"))
        with psycopg.connect(server.url()) as connection:
            version = connection.info.parameter_status("server_version")
        bench = Bench(server, folder)
        table.add_row("serve (API, ticker, worker), idle", f"{bench.idle('serve'):.0f}")
        api = bench.idle("serve", "--no-worker", "--no-ticker")
        table.add_row("serve --no-worker --no-ticker, idle", f"{api:.0f}")
        asking = bench.asking()
        table.add_row("the process that asks sources, while it waits", f"{asking:.0f}")
        table.add_row("worker, idle", f"{bench.idle('worker'):.0f}")
        table.add_row("ticker, idle", f"{bench.idle('ticker'):.0f}")
        for kind, rows in (("narrow", options.rows), ("wide", options.rows // 5)):
            peak, after = bench.run(kind, rows)
            what = f"a run's process, {rows:,} rows of {_WIDTHS[kind] + 20} bytes"
            table.add_row(f"{what}: peak", f"{peak:.0f}")
            table.add_row(f"{what}: waiting for the next", f"{after:.0f}")
        statement = "SELECT count(*), max(amount) FROM Office.Files.narrow"
        live = bench.query("narrow", statement, cached=False)
        table.add_row("a live query's process: peak", f"{live:.0f}")
        cached = bench.query("narrow", statement, cached=True)
        table.add_row("a cached query's process: peak", f"{cached:.0f}")
    console = Console(width=100)
    console.print(
        f"Tidewell {__version__}, PostgreSQL {version}, Python {platform.python_version()}, "
        f"{platform.machine()}"
    )
    console.print(table)


if __name__ == "__main__":
    main()
