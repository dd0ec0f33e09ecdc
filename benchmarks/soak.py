"""`make soak`: hours of runs, and whether anything grows meanwhile.

So many caching jobs run each minute on one API node, one ticker and two workers; a quarter of the
files that they read gets another row each minute, and loses it in the next. Every half minute it
samples the memory (PSS) and the open files of each role with its children, the connections to
PostgreSQL, the dead rows and the size of the tables that change all the time. In the end it
compares the last quarter of the time with the second: the first one warms up.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Table
from tests.acceptance.conftest import caching, connect
from tests.ports import free_port
from tests.product import make_customer, make_vendor, ok, process
from tests.running_product import wait_until_ready

from tidewell.state.embedded import EmbeddedServer, start
from tidewell.state.statements import statements

SQL = statements("benchmarks", "soak.sql")
WORKERS = 2
_SAMPLE_SECONDS = 30.0
_MEGABYTE = 2**20
_ROWS = "id,name\n1,Ada\n2,Grace\n3,Edsger\n"
_QUARTER = 4
_COLUMNS = ("connections", "dead rows", "bytes of queue and jobs", "runs/min", "not ended well")

Sample = dict[str, float]


class Soak:
    """A node of each role, and what is seen of them."""

    def __init__(self, server: EmbeddedServer, folder: Path, jobs: int, stack: ExitStack) -> None:
        files = folder / "files"
        files.mkdir()
        self._files = [files / f"table{number}.csv" for number in range(1, jobs + 1)]
        for file in self._files:
            file.write_text(_ROWS)
        settings = {
            "TIDEWELL_HOME": str(folder / "home"),
            "TIDEWELL_DATABASE_URL": server.url(),
            "TIDEWELL_FILES_ROOT": str(files),
            "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
            "TIDEWELL_ACCOUNT_CONCURRENCY": "16",
            "TIDEWELL_LOG": "warning",
        }
        port = free_port()
        url, log = f"http://127.0.0.1:{port}", folder / "log"
        api = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
        roles = {"api": api, "ticker": ("ticker",)}
        roles |= {f"worker {number}": ("worker",) for number in range(WORKERS)}
        self._pids = {}
        for name, arguments in roles.items():
            running = stack.enter_context(process(*arguments, settings=settings, log=log))
            self._pids[name] = running.pid
            if name == "api":
                wait_until_ready(url, log)
        self._url = server.url()
        customer = make_customer(url, make_vendor(folder, settings))
        with customer.client() as client:
            text = server.cache_connection_string
            ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
            office = connect(client, "Office", "Files", f"URI={files}")
            body = caching(office, sourceTable="table1") | {"enabled": "false"}
            ok(client.post("/api/job/create", json=body))
        with psycopg.connect(self._url) as connection:
            connection.execute(SQL["copies"], {"count": jobs})

    def change(self, minute: int) -> None:
        """The files of this minute get a row; those of the minute before are as they were."""
        for number, file in enumerate(self._files):
            if number % _QUARTER in (minute % _QUARTER, (minute - 1) % _QUARTER):
                more = "4,Barbara\n" if number % _QUARTER == minute % _QUARTER else ""
                # In one step: a run never reads half a file.
                new = file.with_suffix(".new")
                new.write_text(_ROWS + more)
                new.replace(file)

    def sample(self) -> Sample:
        """What is there now."""
        found: Sample = {}
        for name, pid in self._pids.items():
            tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            memory, files = 0.0, 0
            for one in tree:
                with suppress(psutil.NoSuchProcess):
                    memory += one.memory_full_info().pss / _MEGABYTE
                    files += one.num_fds()
            found |= {f"{name}, MB": memory, f"{name}, files": files}
        with psycopg.connect(self._url) as connection:
            row: Any = connection.execute(SQL["sample"]).fetchone()
        names = (*_COLUMNS, "p99 of waiting, s")
        return found | {name: float(value) for name, value in zip(names, row, strict=True)}


def growth(samples: list[Sample], name: str) -> tuple[float, float]:
    """The median of the second quarter of the time, and of the last."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    return (
        statistics.median(one[name] for one in early),
        statistics.median(one[name] for one in late),
    )


def main() -> None:
    """Run, and tell what has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--jobs", type=int, default=1000, help="jobs that run each minute")
    parser.add_argument("--keep", type=Path, help="JSON file for all samples")
    options = parser.parse_args()
    os.environ.pop("TIDEWELL_HOME", None)
    samples: list[Sample] = []
    changed = 0
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        server = stack.enter_context(start(folder / "postgres"))
        soak = Soak(server, folder, options.jobs, stack)
        started = time.monotonic()
        while (minutes := (time.monotonic() - started) / 60) < options.minutes:
            if int(minutes) > changed:
                changed = int(minutes)
                soak.change(changed)
            time.sleep(_SAMPLE_SECONDS)
            samples.append(soak.sample())
            if options.keep:
                options.keep.write_text(json.dumps(samples, indent=1) + "\n")
    table = Table("", "second quarter", "last quarter", "growth")
    for name in samples[0]:
        early, late = growth(samples, name)
        grown = f"{(late / early - 1) * 100:+.1f} %" if early else "-"
        table.add_row(name, f"{early:,.1f}", f"{late:,.1f}", grown)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
