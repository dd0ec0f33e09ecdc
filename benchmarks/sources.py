"""`make bench-sources`: how fast each driver reads, beside the plain way to read the same rows.

Both sides of a pair are measured in turns in one run, each turn in a fresh process that has read a
few rows before, so that only the ratio of their medians counts. A side reads all rows into Arrow
(or what the plain way makes of them) and keeps nothing. Memory is what the process grows by.
"""

import argparse
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import duckdb
import duckdb_extension_mysql_scanner
import httpx
import orjson
import psutil
import psycopg
from psycopg import sql
from tests.mariadb_server import MariaDBServer, mariadb_server
from tests.ports import free_port

from benchmarks.pages import pages_of, service
from benchmarks.rig import SQL, Rig
from tidewell.egress import EgressRules
from tidewell.sources import registry
from tidewell.sources.protocol import Environment, ReadRequest
from tidewell.state.embedded import binaries, start

FEW = 100


@dataclass(frozen=True)
class Turn:
    """What one turn took: rows read, seconds for that, seconds to find the columns out before, and
    by how many MB the process grew."""

    rows: int
    seconds: float
    looked: float
    grown_mb: float


@dataclass(frozen=True)
class Pair:
    """A driver, the plain way beside it, and the least ratio of ours to it that is wanted."""

    name: str
    plain: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    wanted: float


def measured(work: Callable[..., Any]) -> Turn:
    """One turn, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as processes:
        return processes.submit(_turn, work).result()


def _turn(work: Callable[..., Any]) -> Turn:
    work(limit=FEW)
    process = psutil.Process()
    before = process.memory_info().rss
    started = time.monotonic()
    found = work()
    rows, looked = found if isinstance(found, tuple) else (found, 0.0)
    seconds = time.monotonic() - started - looked
    # What the process has grown to is seen at its end: peak, not what is left.
    peak = int(_status("VmHWM")) * 1024
    return Turn(rows, seconds, looked, max(0, peak - before) / 2**20)


def _status(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def driver(
    name: str, values: dict[str, str], schema: str, table: str, limit: int | None = None
) -> tuple[int, float]:
    """Read a table as a run does: the columns first, which is timed apart, then all rows."""
    found = registry.driver(name)
    defaults = {key.name: key.default for key in found.keys if key.default}
    environment = Environment(
        file_roots=(Path("/"),), egress=EgressRules.parse("127.0.0.1 localhost")
    )
    with found.open(defaults | values, environment) as source:
        started = time.monotonic()
        source.columns(schema, table)
        looked = time.monotonic() - started
        reading = source.read(ReadRequest(schema, table, limit=limit))
        return sum(batch.num_rows for batch in reading.batches), looked


def psql_copy(url: str, rows: int, limit: int | None = None) -> int:
    """`psql \\copy … to /dev/null (format binary)`: the limit of any client."""
    import subprocess  # noqa: PLC0415 (only this side's process needs it)

    query = f"select * from rows{f' limit {limit}' if limit else ''}"
    command = f"\\copy ({query}) to '/dev/null' with (format binary)"
    subprocess.run([str(binaries() / "psql"), "-Xq", "-d", url, "-c", command], check=True)
    return limit or rows


def scan(relation: str, rows: int, setup: Sequence[str] = (), limit: int | None = None) -> int:
    """DuckDB's own scan, into Arrow batches."""
    with duckdb.connect(config={"threads": 2}) as duck:
        for statement in setup:
            duck.execute(statement)
        query = f"SELECT * FROM {relation}{f' LIMIT {limit}' if limit else ''}"
        reader = duck.execute(query).to_arrow_reader(8192)
        return sum(batch.num_rows for batch in reader)


def decode(root: str, limit: int | None = None) -> int:
    """Get each page and decode its JSON, and nothing else."""
    rows, url = 0, f"{root}rows"
    with httpx.Client() as client:
        while url:
            page = orjson.loads(client.get(url).content)
            rows += len(page["value"])
            link = page.get("@odata.nextLink")
            if limit or not link:
                return rows
            url = urljoin(url, link)
    return rows


class Bench:
    """All pairs over the same rows."""

    def __init__(self, rig: Rig, mariadb: MariaDBServer, rows: int) -> None:
        self._rig = rig
        self._rows = rows
        self._parquet = rig.generate("base", rows)
        self._mariadb = mariadb

    @contextmanager
    def pairs(self) -> Iterator[list[Pair]]:
        """Make all sources."""
        pages = pages_of(self._parquet, self._rows // 4)
        with service(pages) as root, self._mariadb.database() as database:
            self._fill_mariadb(database)
            yield [self._odata(root), self._postgresql(), self._mysql(database), *self._files()]

    def _odata(self, root: str) -> Pair:
        ours = partial(driver, "OData", {"URL": root}, "OData", "rows")
        return Pair("OData", "orjson of the same pages", ours, partial(decode, root), 0.7)

    def _postgresql(self) -> Pair:
        server = self._rig.server
        with psycopg.connect(server.cache_url, autocommit=True) as connection:
            connection.execute(sql.SQL(SQL["make_table"]).format(table=sql.Identifier("rows")))
            csv = self._rig.folder / "rows.csv"
            _written(self._parquet, csv, "FORMAT csv, HEADER false")
            with (
                csv.open("rb") as file,
                connection.cursor().copy("COPY rows FROM STDIN (FORMAT csv)") as copy,
            ):
                while piece := file.read(1 << 20):
                    copy.write(piece)
            connection.execute("VACUUM ANALYZE rows")
        values = {
            "Server": server.host,
            "Port": str(server.port),
            "User": server.cache_user,
            "Password": server.cache_password,
            "Database": server.cache_database,
        }
        ours = partial(driver, "PostgreSQL", values, "public", "rows")
        theirs = partial(psql_copy, server.cache_url, self._rows)
        return Pair("PostgreSQL", "psql \\copy (binary) to /dev/null", ours, theirs, 0.9)

    def _fill_mariadb(self, database: str) -> None:
        tsv = self._rig.folder / "rows.tsv"
        rows = (  # its own path, and nothing else
            "SELECT * REPLACE (active::TINYINT AS active, strftime(created AT TIME ZONE 'UTC', "
            f"'%Y-%m-%d %H:%M:%S.%f') AS created) FROM read_parquet('{self._parquet}')"
        )
        options = "FORMAT csv, HEADER false, DELIMITER '\t', NULLSTR '\\N'"
        duckdb.connect().execute(f"COPY ({rows}) TO '{tsv}' ({options})")
        with self._mariadb.connect(database, local_infile=True) as it, it.cursor() as cursor:
            cursor.execute("SET GLOBAL local_infile = 1")
            cursor.execute(
                "CREATE TABLE `rows` (id BIGINT, customer INT, pieces SMALLINT, price DOUBLE, "
                "ratio FLOAT, name TEXT, city TEXT, note TEXT, active TINYINT(1), day DATE, "
                "created DATETIME(6), amount DECIMAL(18, 2))"
            )
            cursor.execute(
                f"LOAD DATA LOCAL INFILE '{tsv}' INTO TABLE `rows` CHARACTER SET utf8mb4 "
                "FIELDS TERMINATED BY '\\t' OPTIONALLY ENCLOSED BY '\"'"
            )

    def _mysql(self, database: str) -> Pair:
        one = self._mariadb
        ours = partial(driver, "MySQL", one.values(database), database, "rows")
        address = " ".join(
            (
                f"host={one.host} port={one.port} user={one.user}",
                f"password={one.password} database={database}",
            )
        )
        folder = Path(duckdb_extension_mysql_scanner.__file__).parent
        extension = next(folder.rglob("*.duckdb_extension"))
        setup = (f"LOAD '{extension}'", f"ATTACH '{address}' AS shop (TYPE mysql)")
        theirs = partial(scan, f'shop."{database}"."rows"', self._rows, setup)
        return Pair("MySQL (MariaDB)", "DuckDB's mysql_scanner", ours, theirs, 0.9)

    def _files(self) -> Iterator[Pair]:
        kinds = {
            "parquet": ("FORMAT parquet", "read_parquet"),
            "csv": ("FORMAT csv, HEADER true", "read_csv"),
            "jsonl": ("FORMAT json", "read_json"),
        }
        for ending, (options, function) in kinds.items():
            path = self._rig.folder / f"file.{ending}"
            _written(self._parquet, path, options)
            ours = partial(driver, "Files", {"URI": str(path)}, "Files", "file")
            theirs = partial(scan, f"{function}('{path}')", self._rows)
            yield Pair(f"Files ({ending})", f"DuckDB's {function}", ours, theirs, 0.9)


def _written(parquet: Path, path: Path, options: str) -> None:
    duckdb.connect().execute(f"COPY (FROM read_parquet('{parquet}')) TO '{path}' ({options})")


def _line(pair: Pair, ours: Sequence[Turn], theirs: Sequence[Turn]) -> str:
    def rate(turns: Sequence[Turn]) -> float:
        return statistics.median(one.rows / one.seconds for one in turns)

    ratio = rate(ours) / rate(theirs)
    looked = statistics.median(one.looked for one in ours)
    memory = max(one.grown_mb for one in ours)
    return (
        f"| {pair.name} | {rate(ours):,.0f} | {pair.plain} | {rate(theirs):,.0f} | {ratio:.2f} "
        f"| {pair.wanted} | {looked:.2f} | {memory:.0f} |"
    )


def _versions(connection: Any) -> str:
    server = connection.info.parameter_status("server_version")
    names = ("duckdb", "pyarrow", "numpy", "psycopg", "pymysql", "orjson")
    return ", ".join(
        [
            f"Python {platform.python_version()}, PostgreSQL {server}",
            *(f"{name} {version(name)}" for name in names),
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a pair's name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with start(folder / "home") as server, mariadb_server(free_port()) as mariadb:
            rig = Rig(server, folder)
            bench = Bench(rig, mariadb, options.rows)
            with psycopg.connect(server.cache_url) as connection:
                print(_versions(connection), f"; {options.rows:,} rows, OData a quarter of them")
            heads = ["driver", "rows/s", "plain way", "rows/s", "ratio", "wanted"]
            heads += ["columns s", "grows by MB"]
            print(f"| {' | '.join(heads)} |")
            print("| --- " * len(heads) + "|", flush=True)
            with bench.pairs() as pairs:
                for pair in pairs:
                    if options.only.lower() in pair.name.lower():
                        turns = [
                            (measured(pair.theirs), measured(pair.ours))
                            for _ in range(options.rounds)
                        ]
                        theirs, ours = zip(*turns, strict=True)
                        print(_line(pair, ours, theirs), flush=True)


if __name__ == "__main__":
    main()
