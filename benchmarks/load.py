"""`make bench`: first load, refresh and increment against the limit, work by hand, and the peers.

All sides are measured in turns on one embedded PostgreSQL, in one run, so that only their ratios
count. Ours is a whole run as a worker executes it: in its own process, with the fence, the
bookkeeping, the digest and the counts, from the task that is handed over to the commit. The limit
is `psql \\copy` of the same rows in COPY's binary format, which is made beforehand.
"""

import argparse
import platform
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import duckdb
import psycopg
import pyarrow.parquet as pq
from psycopg import sql
from rich.console import Console

from benchmarks.peers import HOME, PeerFailed, Peers
from benchmarks.rig import BY_HAND, ROWS_OF_A_GROUP, SQL, Measured, Rig, Source
from tidewell.connections import strings
from tidewell.sources import registry
from tidewell.state.embedded import start

LIMIT = sql.Identifier("bench_limit")
HAND = sql.Identifier("bench_hand")
OURS = sql.Identifier("Bench", "rows")
OF_DLT = ("peer_dlt", "peer_dlt_staging")
SHARES = (10, 100, 1000)
"""Changed rows of each thousand, in a refresh."""

Side = Callable[[], Measured]


class Results:
    """Tables of medians, as Markdown."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Something that is missing from the tables."""
        self.lines += [text, ""]
        self._console.print(text, markup=False)

    def table(
        self, title: str, against: str, found: dict[str, list[Measured]], rows_read: int
    ) -> None:
        """One table of sides that each take `rows_read`; ratios are to the side `against`."""
        base = statistics.median(one.seconds for one in found[against])
        rows = ["| side | s | all turns | rows/s | ratio | peak MB | WAL MB |"]
        rows.append("| --- | --- | --- | --- | --- | --- | --- |")
        for name, turns in found.items():
            seconds = statistics.median(one.seconds for one in turns)
            every = " ".join(f"{one.seconds:.2f}" for one in turns)
            peak = max(one.peak_mb for one in turns)
            wal = statistics.median(one.wal_mb for one in turns)
            rows.append(
                f"| {name} | {seconds:.2f} | {every} | {rows_read / seconds:,.0f} "
                f"| {seconds / base:.2f} | {peak:.0f} | {wal:.1f} |"
            )
        self.lines += [f"### {title}", "", *rows, ""]
        self._console.print("\n".join([title, *rows, ""]), markup=False)


class Bench:
    """The three questions, each with its sides."""

    def __init__(self, rig: Rig, rows: int, rounds: int, results: Results) -> None:
        self._rig = rig
        self._rows = rows
        self._rounds = rounds
        self._results = results
        self._binary = rig.folder / "rows.bin"
        self.parquet = rig.generate("base", rows)

    def first_load(self, kinds: list[str], *, peers: bool) -> None:
        """Into a new table, without a key, from each kind of source."""
        sources = {"parquet": self._rig.parquet(self.parquet)}
        addresses = {"parquet": str(self.parquet)}
        self.write_binary()
        if "postgresql" in kinds:
            sources["postgresql"], addresses["postgresql"] = self.as_postgresql()
        if "sqlite" in kinds:
            sources["sqlite"], addresses["sqlite"] = self._as_sqlite()
        others = Peers(self._rig)
        for kind in kinds:
            sides: dict[str, Side] = {
                "psql \\copy binary": self._limit,
                "Tidewell": partial(self._ours_once, sources[kind]),
            }
            if peers:
                sides |= others.ways(kind, addresses[kind])
            self._results.table(
                f"First load of {self._rows:,} rows from {kind}",
                "psql \\copy binary",
                self._turns(sides),
                self._rows,
            )
        self._forget_dlt()

    def refresh(self, *, peers: bool) -> None:
        """A table that stands, against a reload by hand; with a key and without."""
        versions = {
            "0 % changed, the same file": self.parquet,
            "0 % changed, in another file": self._rig.generate(
                "again", self._rows, group=ROWS_OF_A_GROUP - 2048
            ),
        } | {
            f"{share / 10:g} % changed": self._rig.generate(
                f"changed_{share}", self._rows, changed=share
            )
            for share in SHARES
        }
        for key in (("id",), ()):
            self._refresh_of(versions, key, peers=peers)

    def _refresh_of(self, versions: dict[str, Path], key: tuple[str, ...], *, peers: bool) -> None:
        job = uuid4()
        params = {"merge_keys": key or None}
        self._rig.ours(job, self._rig.parquet(self.parquet), **params)
        self._copy_out(OURS, "true")
        self._hand_table(key=bool(key))
        sides: dict[str, Side] = {
            "reload by hand": partial(self._reload, "reload" if key else "reload_without_key")
        }
        for name, path in versions.items():
            sides[f"Tidewell, {name}"] = self._refreshed(job, path, params)
        if peers and (HOME / "dlt").exists():
            for strategy in ("truncate-and-insert", "insert-from-staging"):
                sides[f"dlt, replace, {strategy}"] = partial(
                    self._replaced, list(versions.values())[-1], key, strategy
                )
        self._results.table(
            f"Refresh of a table of {self._rows:,} rows {'with' if key else 'without'} a key",
            "reload by hand",
            self._turns(sides),
            self._rows,
        )
        self._rig.forget(job)
        self._rig.execute("drop_table", table=HAND)
        self._forget_dlt()

    def increment(self, *, peers: bool) -> None:
        """A tenth of the rows: nine changed of ten, one new."""
        others = Peers(self._rig)
        new = self._rows // 100
        path = self._rig.generate("increment", self._rows + new, changed=90, old=self._rows)
        params = {"merge_keys": ("id",), "time_column": "created"}
        found: dict[str, list[Measured]] = {"COPY and MERGE by hand": [], "Tidewell": []}
        for _ in range(self._rounds):
            job = uuid4()
            self._rig.ours(job, self._rig.parquet(self.parquet), **params)
            self._hand_table(index=True)
            found["Tidewell"].append(self._rig.ours(job, self._rig.parquet(path), **params))
            self._check(self._rows + new)
            self._copy_out(OURS, "created >= '2025-01-01'")
            found["COPY and MERGE by hand"].append(
                self._rig.measured(lambda: self._rig.psql(self._by_hand("merge")))
            )
            if self._rig.count(HAND) != self._rows + new:
                raise SystemExit("the merge by hand is not what it should be")
            self._rig.forget(job)
            self._rig.execute("drop_table", table=HAND)
        if peers and (HOME / "dlt").exists():
            others.dlt("parquet", str(self.parquet), "merge")
            part = self._part(path)
            found["dlt, merge (upsert)"] = [others.dlt("parquet", str(part), "merge")]
        self._results.table(
            f"Increment of {self._rows // 10:,} rows into a table of {self._rows:,}",
            "COPY and MERGE by hand",
            found,
            self._rows // 10,
        )

    def _turns(self, sides: dict[str, Side]) -> dict[str, list[Measured]]:
        found: dict[str, list[Measured]] = {name: [] for name in sides}
        for turn in range(self._rounds):
            # What one side leaves to the disk is written while another works: so they take turns.
            for name in list(sides) if turn % 2 else list(reversed(list(sides))):
                try:
                    found[name].append(sides[name]())
                except PeerFailed as error:
                    self._results.note(f"{name}: {error}")
        return {name: turns for name, turns in found.items() if turns}

    def _limit(self) -> Measured:
        self._rig.execute("make_table", table=LIMIT)
        try:
            command = f"\\copy bench_limit from '{self._binary}' with (format binary)"
            return self._rig.measured(lambda: self._rig.psql(command))
        finally:
            self._rig.execute("drop_table", table=LIMIT)

    def _ours_once(self, source: Source) -> Measured:
        job = uuid4()
        measured = self._rig.ours(job, source, merge_keys=None)
        self._check(self._rows)
        self._rig.forget(job)
        return measured

    def _check(self, rows: int) -> None:
        """The benchmark measures nothing else than all rows being there."""
        if (found := self._rig.count(OURS)) != rows:
            raise SystemExit(f"{found} rows stand in the cache, {rows} were to be loaded")

    def _refreshed(self, job: UUID, path: Path, params: dict[str, Any]) -> Side:
        def side() -> Measured:
            # Every turn begins with the base version.
            self._rig.ours(job, self._rig.parquet(self.parquet), **params)
            return self._rig.ours(job, self._rig.parquet(path), **params)

        return side

    def _replaced(self, path: Path, key: tuple[str, ...], strategy: str) -> Measured:
        """dlt's turn: the base version stands, as for ours."""
        replace = partial(
            Peers(self._rig).dlt, "parquet", mode="replace", unique=bool(key), strategy=strategy
        )
        replace(source=str(self.parquet))
        return replace(source=str(path))

    def _forget_dlt(self) -> None:
        for schema in OF_DLT:
            self._rig.execute("drop_schema", schema=sql.Identifier(schema))

    def _reload(self, name: str) -> Measured:
        return self._rig.measured(lambda: self._rig.psql(self._by_hand(name)))

    def _hand_table(self, *, key: bool = True, index: bool = False) -> None:
        self._rig.execute("drop_table", table=HAND)
        self._rig.execute("make_table", table=HAND)
        self._rig.execute("fill", table=HAND, other=OURS)
        if key:
            self._rig.execute("add_key", table=HAND)
        if index:
            self._rig.execute("add_index", table=HAND)

    def _by_hand(self, name: str) -> str:
        return BY_HAND[name].replace("{file}", str(self._binary)) + ";"

    def write_binary(self) -> None:
        """The rows as `psql \\copy` takes them."""
        job = uuid4()
        self._rig.ours(job, self._rig.parquet(self.parquet), merge_keys=None)
        self._copy_out(OURS, "true")
        self._rig.forget(job)

    def _copy_out(self, table: sql.Identifier, condition: str) -> None:
        query = f"(select * from {table.as_string()} where {condition})"  # noqa: S608 - our own
        self._rig.psql(f"\\copy {query} to '{self._binary}' with (format binary)")

    def _part(self, path: Path) -> Path:
        """The rows of the increment alone: what a peer that reads files cannot pick by itself."""
        part = path.parent / "part.parquet"
        rows = duckdb.connect().execute(
            "FROM read_parquet($path) WHERE created >= '2025-01-01'", {"path": str(path)}
        )
        pq.write_table(rows.to_arrow_table(), part)
        return part

    def as_postgresql(self) -> tuple[Source, str]:
        """The same rows in a table of a database of their own, once they are written binary."""
        rig, server = self._rig, self._rig.server
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench_source")
            connection.execute(
                sql.SQL("CREATE DATABASE bench_source OWNER {}").format(
                    sql.Identifier(server.cache_user)
                )
            )
        url = rig.url.rpartition("/")[0] + "/bench_source"
        table = sql.SQL(SQL["make_table"]).format(table=sql.Identifier("rows"))
        with psycopg.connect(url) as connection:
            connection.execute(table)
            with (
                open(self._binary, "rb") as file,
                connection.cursor().copy("COPY rows FROM STDIN (FORMAT binary)") as copy,
            ):
                while piece := file.read(1 << 20):
                    copy.write(piece)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE rows")
        text = (
            f"Server={server.host};Port={server.port};User={server.cache_user};"
            f"Password={server.cache_password};Database=bench_source"
        )
        values = strings.parse(text, registry.driver("PostgreSQL").keys)
        return Source("PostgreSQL", values, "public"), url

    def _as_sqlite(self) -> tuple[Source, str]:
        """The same rows in a table of a SQLite file, with the types that SQLite has."""
        path = self._rig.folder / "sqlite" / "rows.db"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as database:
            database.execute(
                "CREATE TABLE rows (id INTEGER, customer INTEGER, pieces INTEGER, price REAL, "
                "ratio REAL, name TEXT, city TEXT, note TEXT, active INTEGER, day TEXT, "
                "created TEXT, amount REAL)"
            )
            rows = duckdb.connect().execute(
                "SELECT id, customer, pieces, price, ratio, name, city, note, active::INTEGER, "
                "day::VARCHAR, strftime(created, '%Y-%m-%d %H:%M:%S.%f'), amount::DOUBLE "
                "FROM read_parquet($path)",
                {"path": str(self.parquet)},
            )
            while some := rows.fetchmany(50_000):
                database.executemany(
                    "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", some
                )
        values = {"Data Source": str(path)}
        return Source("SQLite", values, "main", roots=(str(path.parent),)), f"sqlite:///{path}"


@contextmanager
def _rig() -> Iterator[Rig]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with start(folder / "home") as server:
            yield Rig(server, folder)


def versions(rig: Rig) -> str:
    """What was measured with."""
    with psycopg.connect(rig.url) as connection:
        server = connection.info.parameter_status("server_version")
    return f"PostgreSQL {server}, Python {platform.python_version()}, {platform.machine()}"


def main() -> None:
    """Measure, print, and write the tables where `--write` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="first,refresh,increment")
    parser.add_argument("--sources", default="parquet,postgresql,sqlite")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    console = Console(width=120)
    results = Results(console)
    peers = not options.no_peers
    with _rig() as rig:
        console.print(versions(rig))
        bench = Bench(rig, options.rows, options.rounds, results)
        if "first" in options.only:
            bench.first_load(options.sources.split(","), peers=peers)
        if "refresh" in options.only:
            bench.refresh(peers=peers)
        if "increment" in options.only:
            bench.increment(peers=peers)
        if options.write:
            options.write.write_text("\n".join([versions(rig), "", *results.lines]) + "\n")


if __name__ == "__main__":
    main()
