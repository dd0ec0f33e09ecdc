"""`make bench`: a full load from Parquet against the limit, `psql \\copy` binary of the same rows.

Both sides are measured in turns on one embedded PostgreSQL, in one run, so that only their ratio
counts. Ours is a whole run as a worker executes it: in its own process, with the fence, the
bookkeeping and the counts, from the task that is handed over to the commit.
"""

import argparse
import asyncio
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import duckdb
import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from tidewell.cache import CacheAddress, drop_cached_table
from tidewell.runs.children import Child
from tidewell.runs.messages import CachingTask, Done, Failed, Message
from tidewell.state.embedded import EmbeddedServer, binaries, start
from tidewell.state.statements import statements

_SQL = statements("benchmarks", "data.sql")
_LIMIT = sql.Identifier("bench_limit")


@dataclass(frozen=True)
class Measured:
    """One load: seconds, and the peak memory of the process that did it in MB."""

    seconds: float
    peak_mb: float


class Bench:
    """Loads the same rows both ways."""

    def __init__(self, server: EmbeddedServer, folder: Path, rows: int) -> None:
        self._server = server
        self._rows = rows
        self._parquet = folder / "rows.parquet"
        self._binary = folder / "rows.bin"
        self._job = uuid4()
        self._attempt = 0

    def prepare(self) -> None:
        """Make the Parquet file, and the binary file that psql loads, from the same rows."""
        duckdb.connect().execute(
            sql.SQL(_SQL["generate"])
            .format(rows=sql.Literal(self._rows), path=sql.Literal(str(self._parquet)))
            .as_string()
        )
        self.ours()
        self._psql(f"\\copy \"Bench\".rows to '{self._binary}' with (format binary)")
        drop_cached_table(self._address, self._job)

    def limit(self) -> Measured:
        """`psql \\copy` of the binary file into a new table."""
        self._execute("make_table")
        self._execute("checkpoint")
        try:
            started = time.monotonic()
            peak = self._psql(f"\\copy bench_limit from '{self._binary}' with (format binary)")
            return Measured(time.monotonic() - started, peak)
        finally:
            self._execute("drop_table")

    def ours(self) -> Measured:
        """A whole run in its process, into a new table."""
        self._execute("checkpoint")
        return asyncio.run(self._run())

    def forget(self) -> None:
        """Drop what ours has loaded."""
        drop_cached_table(self._address, self._job)

    async def _run(self) -> Measured:
        child = await Child.spawn()
        try:
            await asyncio.sleep(2)  # a warm process, as a worker keeps it
            self._attempt += 1
            started = time.monotonic()
            ended = await child.execute(self._task(), _ignore)
            seconds = time.monotonic() - started
            if isinstance(ended, Failed):
                raise SystemExit(f"the load failed: {ended.message}")
            self._check(ended)
            return Measured(seconds, _peak_mb(child.pid))
        finally:
            await child.close()

    def _check(self, ended: Done) -> None:
        """The benchmark measures nothing else than all rows being there."""
        with psycopg.connect(self._server.cache_url) as connection:
            found = connection.execute('SELECT count(*) FROM "Bench".rows').fetchone()
        if found != (self._rows,) or ended.rows_affected != self._rows:
            raise SystemExit(f"{found} rows stand in the cache, {self._rows} were to be loaded")

    def _task(self) -> CachingTask:
        return CachingTask(
            run_id=uuid4(),
            job_id=self._job,
            attempt=self._attempt,
            driver="Files",
            source={"URI": str(self._parquet), "Format": "Auto", "IncludeColumnHeaders": "True"},
            cache=asdict(self._address),
            secrets=(),
            connection_name="Bench",
            source_schema="Files",
            source_table="rows",
            cache_schema="Bench",
            cache_table="rows",
            file_roots=(str(self._parquet.parent),),
        )

    @property
    def _address(self) -> CacheAddress:
        server = self._server
        return CacheAddress(
            server.host,
            server.port,
            server.cache_user,
            server.cache_database,
            server.cache_password,
            egress=server.host,
        )

    def _execute(self, name: str) -> None:
        url = self._server.url("cache") if name == "checkpoint" else self._server.cache_url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL(_SQL[name]).format(table=_LIMIT))

    def _psql(self, command: str) -> float:
        """Run a command of psql; returns its peak memory in MB."""
        with subprocess.Popen(
            [binaries() / "psql", "-X", "-q", "-d", self._server.cache_url, "-c", command],
            stdin=subprocess.DEVNULL,
        ) as running:
            peak = 0.0
            while running.poll() is None:
                peak = max(peak, _peak_mb(running.pid))
                time.sleep(0.02)
        if running.returncode:
            raise SystemExit(f"psql ended with status {running.returncode}")
        return peak


def _ignore(message: Message) -> None:
    """Progress is not shown here."""


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def _rounds(
    count: int, sides: dict[str, Callable[[], Measured]], after: Callable[[], None]
) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for turn in range(count):
        # What one side leaves to the disk is written while the other works: so each goes first.
        for name in sorted(sides, reverse=bool(turn % 2)):
            found[name].append(sides[name]())
        after()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with start(folder / "home") as server:
            bench = Bench(server, folder, options.rows)
            console.print(f"Making {options.rows:,} rows of 12 columns …")
            bench.prepare()
            found = _rounds(
                options.rounds, {"limit": bench.limit, "ours": bench.ours}, bench.forget
            )
            with psycopg.connect(server.url()) as connection:
                version = connection.info.parameter_status("server_version")
    _show(console, found, options.rows, f"PostgreSQL {version}, Python {platform.python_version()}")


def _show(console: Console, found: dict[str, list[Measured]], rows: int, versions: str) -> None:
    limit = statistics.median(one.seconds for one in found["limit"])
    titles = {"limit": "psql \\copy binary (the limit)", "ours": "Tidewell, a whole run"}
    table = Table(title=f"Full load of {rows:,} rows x 12 columns ({versions})")
    for column in ("way", "s (median)", "all s", "rows/s", "ratio", "peak MB"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for name, measured in found.items():
        seconds = statistics.median(one.seconds for one in measured)
        table.add_row(
            titles[name],
            f"{seconds:.2f}",
            " ".join(f"{one.seconds:.2f}" for one in measured),
            f"{rows / seconds:,.0f}",
            f"{seconds / limit:.2f}",
            f"{max(one.peak_mb for one in measured):.0f}",
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
