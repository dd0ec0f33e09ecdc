"""`make bench-api`: the Job API under many jobs, over HTTP, as a client waits for it.

Two tables: one sub-account with 10,000 jobs, and 1,000 sub-accounts with 100 jobs each. The node
queues runs and begins none, so that what is measured is the API and its state database.
"""

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from rich.console import Console
from rich.table import Table
from tests.ports import free_port
from tests.product import Customer, Vendor, make_vendor, process
from tests.running_product import wait_until_ready

from tidewell import __version__
from tidewell.connections.sealing import SealingBox
from tidewell.settings import Settings
from tidewell.state.embedded import EmbeddedServer, start
from tidewell.state.statements import statements

_SQL = statements("benchmarks", "jobs.sql")

Call = Callable[[httpx.Client, Customer, int], None]


@dataclass(frozen=True)
class Scene:
    """A vendor's customers on one node, and the tables that new jobs can be made on."""

    customers: list[Customer]
    tables: int


class Bench:
    """Calls of the API, timed one after another over one connection a customer."""

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._files = folder / "files"
        self._port = free_port()
        self._settings = {
            "TIDEWELL_HOME": str(folder / "home"),
            "TIDEWELL_DATABASE_URL": server.url(),
            "TIDEWELL_FILES_ROOT": str(self._files),
            "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
            "TIDEWELL_LOG": "warning",
        }

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def serve(self, stack: ExitStack) -> None:
        """Start the node."""
        log = self._folder / "serve.log"
        arguments = ("serve", "--port", str(self._port), "--no-worker", "--no-ticker")
        stack.enter_context(process(*arguments, settings=self._settings, log=log))
        wait_until_ready(self.base_url, log)

    def scene(self, accounts: int, jobs: int, tables: int) -> Scene:
        """Make customers, each with a cache, a connection and jobs that have run."""
        for number in range(tables):
            self._files.mkdir(exist_ok=True)
            (self._files / f"new{number}.csv").write_text("id,name\n1,Ada\n")
        vendor: Vendor = make_vendor(self._folder, self._settings)
        ids = [uuid4() for _ in range(accounts)]
        sealing = SealingBox.from_settings(Settings(home=self._folder / "home"))
        # Straight into the tables: a thousand accounts, each over three calls, take minutes.
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute(_SQL["add_accounts"], {"ids": ids, "parent_id": vendor.id})
            for statement, text in (
                ("add_caches", self._server.cache_connection_string),
                ("add_connections", f"URI={self._files}"),
            ):
                rows = [uuid4() for _ in ids]
                sealed = [sealing.seal(text, row) for row in rows]
                connection.execute(_SQL[statement], {"rows": rows, "ids": ids, "sealed": sealed})
            connection.execute(_SQL["add_jobs"], {"jobs": jobs, "parent_id": vendor.id})
            connection.execute(_SQL["analyze"])
        customers = [Customer(self.base_url, vendor, str(one)) for one in ids]
        return Scene(customers, tables)

    def measure(self, scene: Scene, calls: int) -> dict[str, list[float]]:
        """Seconds of each call, by its name."""
        found: dict[str, list[float]] = {}
        step = max(len(scene.customers) // calls, 1)
        chosen = [scene.customers[i * step % len(scene.customers)] for i in range(calls)]
        clients = {one.account_id: one.client() for one in chosen}
        try:
            known = {
                key: _ok(client.get("/api/job/list"))["jobs"][-1] for key, client in clients.items()
            }
            for name, call in self._calls(known, scene.tables).items():
                found[name] = [
                    _timed(call, clients[one.account_id], one, number)
                    for number, one in enumerate(chosen)
                ]
        finally:
            for client in clients.values():
                client.close()
        return found

    @staticmethod
    def _calls(known: dict[str, Any], tables: int) -> dict[str, Call]:
        def listed(client: httpx.Client, _: Customer, __: int) -> None:
            _ok(client.get("/api/job/list"), parse=False)

        def one(client: httpx.Client, customer: Customer, _: int) -> None:
            _ok(client.get(f"/api/job/{known[customer.account_id]['id']}"))

        def create(client: httpx.Client, customer: Customer, number: int) -> None:
            params = known[customer.account_id]["params"]
            body = {
                "jobType": "Caching",
                "intervalUnit": "Hour",
                "intervalValue": "1",
                "params": {
                    "sourceConnection": params["sourceConnection"],
                    "sourceName": "Office",
                    "sourceSchema": "Files",
                    "sourceTable": f"new{number % tables}",
                },
            }
            _ok(client.post("/api/job/create", json=body))

        def run(client: httpx.Client, customer: Customer, _: int) -> None:
            job = known[customer.account_id]["id"]
            _ok(client.post(f"/api/job/{job}/run"))

        return {"GET list": listed, "GET one": one, "POST create": create, "POST run": run}


def _ok(answer: httpx.Response, *, parse: bool = True) -> Any:
    if not answer.is_success:
        raise SystemExit(answer.text)
    return answer.json() if parse else None


def _timed(call: Call, client: httpx.Client, customer: Customer, number: int) -> float:
    started = time.perf_counter()
    call(client, customer, number)
    return time.perf_counter() - started


def _show(console: Console, title: str, found: dict[str, list[float]]) -> None:
    table = Table(title=title)
    for column in ("call", "calls", "p50 ms", "p99 ms", "longest ms"):
        table.add_column(column, justify="left" if column == "call" else "right")
    for name, seconds in found.items():
        ordered = sorted(seconds)
        p99 = ordered[ceil(len(ordered) * 0.99) - 1]
        row = (statistics.median(ordered), p99, ordered[-1])
        table.add_row(name, str(len(ordered)), *(f"{value * 1000:.1f}" for value in row))
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    options = parser.parse_args()
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        server = stack.enter_context(start(folder / "postgres"))
        with psycopg.connect(server.url()) as connection:
            version = connection.info.parameter_status("server_version")
        bench = Bench(server, folder)
        bench.serve(stack)
        versions = (
            f"Tidewell {__version__}, PostgreSQL {version}, Python {platform.python_version()}"
        )
        one = bench.scene(1, options.jobs, options.calls)
        title = f"One sub-account of {options.jobs:,} jobs ({versions})"
        _show(console, title, bench.measure(one, options.calls))
        many = bench.scene(options.accounts, 100, options.calls)
        title = f"{options.accounts:,} sub-accounts of 100 jobs ({versions})"
        _show(console, title, bench.measure(many, options.calls))


if __name__ == "__main__":
    main()
