"""What every benchmark stands on: a server, the rows, and how a side is measured."""

import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import duckdb
import psutil
import psycopg
from psycopg import sql

from tidewell.cache import CacheAddress, drop_cached_table
from tidewell.runs.children import Child
from tidewell.runs.messages import CachingTask, Done, Failed, Message
from tidewell.state.embedded import EmbeddedServer, binaries
from tidewell.state.statements import statements

_TURNS_TO_CHILDREN = 10
ROWS_OF_A_GROUP = 122_880
SQL = statements("benchmarks", "data.sql")
BY_HAND = statements("benchmarks", "by_hand.sql")


@dataclass(frozen=True)
class Measured:
    """One turn of one side: seconds, peak memory of its processes in MB, WAL written in MB."""

    seconds: float
    peak_mb: float = 0.0
    wal_mb: float = 0.0


@dataclass(frozen=True)
class Source:
    """Where ours reads from: a driver, its values, and the names of schema and table."""

    driver: str
    values: dict[str, str]
    schema: str
    table: str = "rows"
    roots: tuple[str, ...] = ()


class Rig:
    """One embedded server and a folder of rows."""

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._attempt = 0

    @property
    def url(self) -> str:
        """The cache's database, as psql and the peers reach it."""
        return self.server.cache_url

    @property
    def address(self) -> CacheAddress:
        """The same for ours."""
        one = self.server
        return CacheAddress(
            one.host, one.port, one.cache_user, one.cache_database, one.cache_password,
            egress=one.host,
        )  # fmt: skip

    def generate(
        self,
        name: str,
        rows: int,
        *,
        changed: int = 0,
        old: int | None = None,
        group: int = ROWS_OF_A_GROUP,
    ) -> Path:
        """Make a Parquet file; `changed` rows of each thousand differ, and those from `old` on."""
        path = self.folder / name / "rows.parquet"
        path.parent.mkdir(exist_ok=True)
        statement = sql.SQL(SQL["generate"]).format(
            rows=sql.Literal(rows),
            changed=sql.Literal(changed),
            old=sql.Literal(rows if old is None else old),
            path=sql.Literal(str(path)),
            group=sql.Literal(group),
        )
        duckdb.connect().execute(statement.as_string())
        return path

    def parquet(self, path: Path) -> Source:
        """A Parquet file as a source of ours."""
        values = {"URI": str(path), "Format": "Auto", "IncludeColumnHeaders": "True"}
        return Source("Files", values, "Files", path.stem, roots=(str(path.parent),))

    def execute(self, name: str, **parts: sql.Composable) -> None:
        """A statement of data.sql, as the cache's owner (what settles: as superuser)."""
        url = self.server.url("cache") if name in ("vacuum", "checkpoint") else self.url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL(SQL[name]).format(**parts))

    def count(self, table: sql.Identifier) -> int:
        """The rows of a table."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
        return int(row[0]) if row else 0

    def psql(self, *commands: str) -> float:
        """Run commands of psql in one session; returns its peak memory in MB."""
        arguments = [str(binaries() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url]
        return self.program([*arguments, "-f", "-"], given="\n".join(commands))

    def program(
        self, command: list[str], *, given: str = "", environment: dict[str, str] | None = None
    ) -> float:
        """Run a program to its end; returns the peak memory of it and its children in MB."""
        running = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        peak = Peak(running.pid)
        with peak.watched():
            said, _ = running.communicate(given)
        if running.returncode:
            raise SystemExit(
                f"{command[0]} ended with status {running.returncode}:\n{said[-2000:]}"
            )
        return peak.mb

    def measured(self, work: Callable[[], float]) -> Measured:
        """Measure a side, with nothing left to write from before."""
        self._settle()
        before = self._wal()
        started = time.monotonic()
        peak = work()
        seconds = time.monotonic() - started
        return Measured(seconds, peak, (self._wal() - before) / 1e6)

    def ours(self, job: UUID, source: Source, **params: Any) -> Measured:
        """A whole run from the task to the commit, in its own process.

        The process has run a job of a few rows before, as those of a worker have.
        """
        small = self.folder / "small" / "few.parquet"
        if not small.exists():
            self.generate("small", 1000).rename(small)
        first = self._task(uuid4(), self.parquet(small), merge_keys=None)
        self._settle()
        measured = asyncio.run(self._run(first, self._task(job, source, **params)))
        self.forget(first.job_id)
        return measured

    def _task(self, job: UUID, source: Source, **params: Any) -> CachingTask:
        self._attempt += 1
        return CachingTask(
            run_id=uuid4(),
            job_id=job,
            attempt=self._attempt,
            driver=source.driver,
            source=source.values,
            cache=asdict(self.address),
            secrets=(),
            connection_name="Bench",
            source_schema=source.schema,
            source_table=source.table,
            cache_schema="Bench",
            cache_table=source.table,
            file_roots=source.roots,
            egress=self.server.host,
            **params,
        )

    async def _run(self, first: CachingTask, task: CachingTask) -> Measured:
        child = await Child.spawn()
        try:
            await child.execute(first, _ignore)
            await asyncio.sleep(1)
            peak = Peak(child.pid)
            before = self._wal()
            with peak.watched():
                started = time.monotonic()
                ended = await child.execute(task, _ignore)
                seconds = time.monotonic() - started
            if isinstance(ended, Failed):
                raise SystemExit(f"the load failed: {ended.message}")
            self.last: Done = ended
            return Measured(seconds, peak.mb, (self._wal() - before) / 1e6)
        finally:
            await child.close()

    def _settle(self) -> None:
        """Do what the side before has left to others: rows to clear away, pages and files to write.

        Else autovacuum does it whenever it comes, on the next side's account.
        """
        self.execute("vacuum")
        self.execute("checkpoint")
        os.sync()

    def forget(self, job: UUID) -> None:
        """Drop what ours has loaded."""
        drop_cached_table(self.address, job)

    def _wal(self) -> int:
        with psycopg.connect(self.server.url("cache")) as connection:
            row = connection.execute(SQL["wal"]).fetchone()
        return int(row[0]) if row else 0


class Peak:
    """The peak memory of a process and its children: private and shared pages, each once."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._processes: list[psutil.Process] = []
        self._ended = threading.Event()
        self.mb = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look every 50 ms while the block runs."""
        watching = threading.Thread(target=self._watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            self._ended.set()
            watching.join()

    def _watch(self) -> None:
        # To look for children reads all processes of the system: not each time, or what is measured
        # would have to share its core with the measuring.
        turn = 0
        while True:
            if turn % _TURNS_TO_CHILDREN == 0:
                self._find()
            turn += 1
            self.mb = max(self.mb, self._now())
            if self._ended.wait(0.05):
                return

    def _find(self) -> None:
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self._pid)
            self._processes = [first, *first.children(recursive=True)]

    def _now(self) -> float:
        total = 0
        for one in self._processes:
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
        return total / 2**20


def _ignore(message: Message) -> None:
    """Progress is not shown here."""
