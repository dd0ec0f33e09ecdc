"""A run of a large table in key ranges: by several processes, as one would have done it."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg
import pytest

from tests.conftest import CacheDatabase, new_cache_database
from tests.integration.cache.conftest import LOOPBACK
from tests.mariadb_server import MariaDBServer
from tidewell.cache import CacheAddress, drop_cached_table
from tidewell.cache.plan import Receipt
from tidewell.errors import RunProcessDied, SourceBroken, Stopped, TidewellError
from tidewell.runs.caching import CachingRun
from tidewell.runs.log import RunLog
from tidewell.runs.messages import CachingTask, LogLine, Message, Progress
from tidewell.sources import registry
from tidewell.state.embedded import EmbeddedServer

_ATTEMPTS = count(1)
ROWS = 110_000

FILL = """
    CREATE TABLE orders (
        id bigint PRIMARY KEY, customer integer NOT NULL, name varchar(20), changed timestamptz,
        free numeric);
    INSERT INTO orders
    SELECT n * 3 - 1000, n % 977,
           CASE WHEN n % 11 > 0 THEN 'Customer ' || n % 5000 END,
           '2024-01-01'::timestamptz + n % 1000000 * interval '1 second', n / 7.0
      FROM generate_series(1, 110000) AS n;
    ANALYZE orders;
"""
FILL_MARIADB = (
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, name varchar(20),"
    " changed datetime(6))",
    "INSERT INTO orders SELECT CAST(seq AS SIGNED) * 3 - 1000, seq % 977,"
    " concat('Customer ', seq % 5000), '2024-01-01' + INTERVAL seq % 1000000 SECOND"
    " FROM seq_1_to_110000",
)


@dataclass
class Job:
    """A job that caches the table `orders` of a source."""

    cache: CacheDatabase
    driver: str
    source: dict[str, str]
    schema: str = "public"
    job_id: UUID = field(default_factory=uuid4)
    log: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    running: CachingRun | None = None

    def run(self, processes: int, **params: Any) -> Receipt:
        """Execute a run, here; its other processes are real."""
        keys = registry.driver(self.driver).keys
        self.log.clear()
        self.progress.clear()
        task = CachingTask(
            run_id=uuid4(),
            job_id=self.job_id,
            attempt=next(_ATTEMPTS),
            driver=self.driver,
            source={key.name: key.default for key in keys if key.default} | self.source,
            cache=asdict(self.address),
            secrets=(),
            connection_name="Shop",
            source_schema=self.schema,
            source_table="orders",
            cache_schema="Shop",
            cache_table="orders",
            egress=LOOPBACK,
            processes=processes,
            processes_rows=100_000,
            verbosity=2,
            **params,
        )
        self.running = CachingRun(task, self._take, RunLog(self._take, 2, ()))
        return self.running.execute()

    def forget(self) -> None:
        drop_cached_table(self.address, self.job_id)

    @property
    def address(self) -> CacheAddress:
        one = self.cache
        return CacheAddress(
            one.host, one.port, one.user, one.database, one.password, egress=LOOPBACK
        )

    @property
    def ranges(self) -> str:
        """What the plan says of ranges."""
        plan = next(line for line in self.log if line.startswith("Plan: "))
        return plan.partition(", in ")[2]

    def content(self) -> tuple[Any, ...]:
        """All rows of the cached table, in short."""
        return self.ask(
            'SELECT count(*), sum(hashtextextended(orders::text, 0)::numeric) FROM "Shop".orders'
        )

    def watermark(self) -> Any:
        return self.ask("SELECT watermark FROM tidewell.cached_table")[0]

    def left(self) -> list[str]:
        """Hidden tables, and sessions of runs."""
        with psycopg.connect(self.cache.url) as connection:
            return [
                one
                for (one,) in connection.execute(
                    "SELECT relname FROM pg_class WHERE relname LIKE 'load%' UNION ALL "
                    "SELECT application_name FROM pg_stat_activity "
                    "WHERE application_name LIKE 'tidewell%' AND usename = current_user"
                )
            ]

    def exists(self) -> bool:
        return bool(self.ask("SELECT to_regclass('\"Shop\".orders') IS NOT NULL")[0])

    def ask(self, statement: str) -> tuple[Any, ...]:
        with psycopg.connect(self.cache.url) as connection:
            return connection.execute(statement).fetchone() or ()

    def _take(self, message: Message) -> None:
        if isinstance(message, LogLine):
            self.log.append(message.message)
        elif isinstance(message, Progress):
            self.progress.append(message)


@pytest.fixture(scope="module")
def shop(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    """A customer's PostgreSQL with a large table."""
    with new_cache_database(server) as database:
        with psycopg.connect(database.url) as connection:
            connection.execute(f"ALTER DATABASE {database.database} SET timezone = 'Asia/Tokyo'")
            connection.execute(FILL)
        yield database


@pytest.fixture
def job(cache_database: CacheDatabase, shop: CacheDatabase) -> Job:
    return Job(cache_database, "PostgreSQL", shop.values)


def sessions(shop: CacheDatabase) -> int:
    """Sessions of the source that belong to runs."""
    with psycopg.connect(shop.url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidewell' "
            "AND datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


def parts() -> list[psutil.Process]:
    """Of this process: a node that other tests left running has run processes of its own."""
    return [
        one
        for one in psutil.Process().children()
        if "tidewell.runs.child" in " ".join(one.cmdline())
    ]


def soon(what: Any, seconds: float = 2.0) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"time_column": "changed", "filter": "customer < 300", "truncate_strings": True},
        {"columns": ("name",)},
    ],
    ids=["all", "filter and watermark", "columns"],
)
def test_three_processes_do_what_one_does(job: Job, params: dict[str, Any]) -> None:
    found = []
    for processes in (1, 3):
        receipt = job.run(processes, **params)
        assert job.ranges == ("" if processes == 1 else "3 ranges of id")
        found.append((replace(receipt, bytes_copied=0), job.content(), job.watermark()))
        assert job.progress[-1].rows == receipt.rows_read
        rows = [one.rows for one in job.progress]
        assert rows == sorted(rows)
        job.forget()
    assert found[1] == found[0]
    assert found[0][0].rows_read == ROWS or params.get("filter")
    assert job.left() == []
    copies = [line for line in job.log if "FROM STDIN" in line]
    assert sorted(line[:11] for line in copies) == [f"Part {n} of 3"[:11] for n in (1, 2, 3)]


def test_the_ranges_have_about_as_many_rows_each(job: Job) -> None:
    job.run(4)
    lines = [line for line in job.log if "to stdout" in line.lower()]
    assert len(lines) == 4
    bounds = sorted(
        int(part.split("'")[1]) for line in lines for part in line.split('"id" >= ')[1:]
    )
    ideal = [ROWS * 3 * quarter // 4 for quarter in (1, 2, 3)]
    for bound, wanted in zip(bounds, ideal, strict=True):
        assert abs(bound - wanted) < ROWS * 3 * 0.05


def test_all_parts_read_one_moment(job: Job, shop: CacheDatabase) -> None:
    """What is written while the parts start, also outside of the key's ends, is of a later one."""
    wrote = threading.Event()

    def write() -> None:
        with psycopg.connect(shop.url, autocommit=True) as connection:
            while not any(line.startswith("Plan: ") for line in list(job.log)):
                time.sleep(0.001)
            connection.execute(
                "INSERT INTO orders (id, customer) VALUES (-99999, 1), (99999999, 1);"
                "DELETE FROM orders WHERE customer = 5"
            )
            wrote.set()

    writing = threading.Thread(target=write)
    writing.start()
    receipt = job.run(3)
    writing.join()
    try:
        assert wrote.is_set()
        assert receipt.rows_read == ROWS
    finally:
        with psycopg.connect(shop.url) as connection:
            connection.execute("DROP TABLE orders")
            connection.execute(FILL)


def test_small_tables_and_those_that_stand_are_read_by_one(job: Job, shop: CacheDatabase) -> None:
    job.run(3, columns=("customer",))
    job.run(3, columns=("customer",))
    assert job.ranges == ""
    job.forget()
    job.run(3, max_rows=100_000, time_column="changed")
    assert job.ranges == ""
    job.forget()
    job.run(3, merge_keys=("customer", "id"))
    assert job.ranges == ""
    job.forget()
    with psycopg.connect(shop.url) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS small")
        connection.execute("CREATE TABLE small.orders (id int PRIMARY KEY)")
        connection.execute("INSERT INTO small.orders SELECT generate_series(1, 90000)")
        connection.execute("ANALYZE small.orders")
    replace(job, schema="small", job_id=uuid4()).run(3)
    assert job.ranges == ""


@pytest.fixture
def mariadb_job(cache_database: CacheDatabase, mariadb: MariaDBServer) -> Iterator[Job]:
    with mariadb.database() as name:
        with mariadb.connect(name) as connection, connection.cursor() as cursor:
            for statement in FILL_MARIADB:
                cursor.execute(statement)
        yield Job(cache_database, "MySQL", mariadb.values(name), schema=name)


def test_mariadb_in_ranges_is_what_one_process_reads(mariadb_job: Job) -> None:
    found = []
    for processes in (1, 3):
        receipt = mariadb_job.run(processes, time_column="changed")
        assert mariadb_job.ranges == ("" if processes == 1 else "3 ranges of id")
        found.append(
            (replace(receipt, bytes_copied=0), mariadb_job.content(), mariadb_job.watermark())
        )
        mariadb_job.forget()
    assert found[1] == found[0]
    # Each part has a moment of its own: a number that moves forward may not be followed.
    mariadb_job.run(3, time_column="customer")
    assert mariadb_job.ranges == ""


def test_an_error_of_a_part_is_the_runs_own(job: Job, shop: CacheDatabase) -> None:
    with psycopg.connect(shop.url) as connection:
        connection.execute("UPDATE orders SET changed = 'infinity' WHERE id = 2999")
    said = []
    try:
        for processes in (1, 3):
            with pytest.raises(TidewellError) as caught:
                job.run(processes)
            said.append((type(caught.value), caught.value.code, caught.value.message))
    finally:
        with psycopg.connect(shop.url) as connection:
            connection.execute("UPDATE orders SET changed = NULL WHERE id = 2999")
    assert said[0][0] is SourceBroken
    assert said[1] == said[0]
    assert not job.exists()
    assert soon(lambda: job.left() == [] and sessions(shop) == 0 and parts() == [])


def order(folder: Path, point: str, what: str = "SIGKILL") -> None:
    (folder / point).write_text(f"{what} self")


@pytest.mark.parametrize("point", ["before COPY", "after read of a part", "after COPY"])
def test_a_part_that_is_killed_fails_the_run(
    job: Job, shop: CacheDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, point: str
) -> None:
    monkeypatch.setenv("FAILPOINTS", str(tmp_path))  # the parts' alone: here it was read before
    order(tmp_path, point)
    with pytest.raises(
        RunProcessDied, match=r"part [23] of this run ended unexpectedly \(status -9"
    ):
        job.run(3)
    assert not job.exists()
    assert soon(lambda: job.left() == [] and sessions(shop) == 0 and parts() == [])
    assert job.run(3).rows_read == ROWS
    assert job.content()[0] == ROWS


@pytest.mark.parametrize("after", [0.0, 0.3, 0.8, 1.1, 1.4, 1.7])
def test_a_stop_ends_all_parts(job: Job, shop: CacheDatabase, after: float) -> None:
    ended: list[float] = []

    def stop() -> None:
        soon(lambda: any(line.startswith("Plan: ") for line in list(job.log)), 30)
        time.sleep(after)
        assert job.running is not None
        ended.append(time.monotonic())
        job.running.cancel()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with suppress(Stopped):
        job.run(3)
        assert job.exists()
    took = time.monotonic() - ended[0]
    stopping.join()
    assert took < 2
    assert soon(
        lambda: (
            not [one for one in job.left() if "drop" not in one]
            and sessions(shop) == 0
            and parts() == []
        )
    )
    if job.exists():
        assert job.content()[0] == ROWS
