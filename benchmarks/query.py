"""`make bench-query`: TPC-H through the Query API's own processes, beside the bare engines.

Cached tables beside PostgreSQL itself over the same tables, live Parquet files beside DuckDB
itself over the same files. Ours is all of a query but HTTP: from the task that the API hands to a
query's process to the last byte of the JSON that it gives back. The bare sides run the text of
TPC-H in an open session and fetch all rows. Sides take turns; every answer of ours is compared with
DuckDB's own before it counts. `--kinds answers` measures nothing: it compares the answers where all
tables are cached, live in Parquet, live in PostgreSQL, and mixed.
"""

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import orjson
import psycopg
from psycopg import sql
from rich.console import Console
from tests import tpch
from tests.tpch import LAKE, SHOP, Account, Answer, Connected, Tpch, differences

from tidewell.cache import CacheAddress
from tidewell.errors import TidewellError
from tidewell.query.messages import QueryTask
from tidewell.query.processes import QueryProcesses
from tidewell.state.embedded import EmbeddedServer, start

_MEMORY = "4GB"
_GOALS = {"cached": 1.1, "live": 1.5}
_SECONDS = 300.0
_SHORT = {
    "one row": "SELECT o_orderdate, o_totalprice FROM orders WHERE o_orderkey = 4711",
    "small join": "SELECT n_name, r_name FROM nation JOIN region ON n_regionkey = r_regionkey "
    "WHERE r_name LIKE 'A%' ORDER BY n_name",
    "top ten": "SELECT s_name, s_acctbal FROM supplier JOIN nation ON s_nationkey = n_nationkey "
    "WHERE n_name = 'FRANCE' ORDER BY s_acctbal DESC, s_name LIMIT 10",
}
"""Statements whose engines have little to do."""


class World:
    """The data of one scale factor: in Parquet, in a customer's database, and cached."""

    def __init__(self, server: EmbeddedServer, folder: Path, scale: float) -> None:
        name = f"tpch_{str(scale).replace('.', '_')}"
        home = folder / name
        prepared = home.exists()
        home.mkdir(exist_ok=True)
        home.chmod(0o755)
        self.tpch = Tpch(home, scale)
        self.lake = tpch.parquet_source(self.tpch)
        self._source = _database(server, f"{name}_source", make=not prepared)
        cache = _database(server, f"{name}_cache", make=not prepared)
        self.shop = tpch.postgresql_source(self._source)
        self.cache_url = _url(cache)
        address = CacheAddress(
            cache["Server"], int(cache["Port"]), cache["User"], cache["Database"],
            cache["Password"], egress=tpch.LOOPBACK,
        )  # fmt: skip
        self.account = Account(address, (self.lake, self.shop))
        if not prepared:
            self._load()

    def task(self, kind: str, text: str) -> QueryTask:
        """A query over cached or live tables."""
        catalog = SHOP if kind == "cached" else LAKE
        kept = [(SHOP, table) for table in tpch.KEYS] if kind == "cached" else []
        return self.account.task(kept, catalog, text=text, seconds=_SECONDS, memory=_MEMORY)

    def placed(self, placement: str, number: int) -> QueryTask:
        """A query of TPC-H over tables as a placement has them."""
        query = tpch.placed(self.tpch.query(number), placement, self.lake, self.shop)
        return self.account.task(
            query.kept, query.catalog, text=query.text, seconds=_SECONDS, memory=_MEMORY
        )

    def _load(self) -> None:
        self.tpch.fill(_url(self._source))
        for table in tpch.KEYS:
            self.account.keep(self.shop, table)
        for table, (name, cached) in tpch.MIXED.items():
            if cached and name == LAKE:
                self.account.keep(self.lake, table)
        with psycopg.connect(self.cache_url, autocommit=True) as connection:
            for table, columns in tpch.FOREIGN_KEYS.items():
                for column in columns:
                    connection.execute(
                        sql.SQL("CREATE INDEX ON {} ({})").format(
                            sql.Identifier(SHOP, table), sql.Identifier(column)
                        )
                    )
            connection.execute("VACUUM ANALYZE")


class Bench:
    """One kind of table, one scale: each query of ours beside the bare engine's."""

    def __init__(self, world: World, rounds: int) -> None:
        self._world = world
        self._rounds = rounds
        self._account = uuid4()

    async def compare(
        self,
        kind: str,
        texts: Mapping[str, str],
        bare: Callable[[str], Answer],
        told: Callable[[str], None],
    ) -> None:
        """Print a row for each query, and their sum."""
        processes = QueryProcesses(at_once=2, for_one_account=2)
        ours_total = bare_total = 0.0
        missed = []
        try:
            await self._answer(processes, self._world.task(kind, "SELECT 1 AS warm"))
            for number, text in texts.items():
                ours: list[float] = []
                theirs: list[float] = []
                answer = Answer((), [])
                for turn in range(self._rounds):
                    for side in ("ours", "bare") if turn % 2 else ("bare", "ours"):
                        started = time.perf_counter()
                        if side == "bare":
                            bare(text)
                            theirs.append(time.perf_counter() - started)
                        else:
                            parts = await self._answer(processes, self._world.task(kind, text))
                            ours.append(time.perf_counter() - started)
                            answer = _decoded(parts)
                wrong = differences(answer, self._world.tpch.answer(text))
                if wrong:
                    raise SystemExit(f"query {number} ({kind}) answers wrongly: {wrong}")
                one, other = statistics.median(ours), statistics.median(theirs)
                ours_total, bare_total = ours_total + one, bare_total + other
                if one > other * _GOALS[kind]:
                    missed.append(number)
                told(f"| {number} | {other * 1000:.1f} | {one * 1000:.1f} | {one / other:.2f} |")
        finally:
            await processes.close()
        told(
            f"| all | {bare_total * 1000:.1f} | {ours_total * 1000:.1f} "
            f"| {ours_total / bare_total:.2f} |"
        )
        told("")
        told(f"Goal: at most {_GOALS[kind]} times. Above it: {', '.join(missed) or 'none'}.")

    async def agree(self, told: Callable[[str], None]) -> bool:
        """Print which of the answers are DuckDB's own, wherever the tables are."""
        processes = QueryProcesses(at_once=2, for_one_account=2)
        wrong: list[str] = []
        try:
            for placement in tpch.PLACEMENTS:
                same = 0
                for number in tpch.QUERIES:
                    task = self._world.placed(placement, number)
                    try:
                        answer = _decoded(await self._answer(processes, task))
                        found = differences(answer, self._world.tpch.reference(number))
                    except TidewellError as error:
                        found = [error.message]
                    same += not found
                    if found:
                        wrong.append(f"Query {number}, {placement}: {found}")
                told(f"| {placement} | {same} of {len(tpch.QUERIES)} |")
        finally:
            await processes.close()
        for one in wrong:
            told("")
            told(one)
        return not wrong

    async def _answer(self, processes: QueryProcesses, task: QueryTask) -> list[bytes]:
        async with processes.run(self._account, task) as running:
            return [piece async for piece in running.data()]


def _decoded(parts: list[bytes]) -> Answer:
    [result] = orjson.loads(b"".join(parts))["results"]
    labels = tuple(column["columnLabel"] for column in result["schema"])
    numbers = [column["dataTypeName"] in ("DECIMAL", "NUMERIC") for column in result["schema"]]
    rows = [
        tuple(
            Decimal(str(value)) if number and value is not None else _dated(value)
            for value, number in zip(row, numbers, strict=True)
        )
        for row in result["rows"]
    ]
    return Answer(labels, rows)


def _dated(value: Any) -> Any:
    """Dates come as text: all of TPC-H's are of the form of the reference's comparison."""
    if isinstance(value, str) and len(value) == 10 and value[4:5] == "-" and value[7:8] == "-":
        return f"{value}T00:00:00"
    return value


@contextmanager
def _postgresql(world: World) -> Iterator[Callable[[str], Answer]]:
    with psycopg.connect(world.cache_url, autocommit=True) as connection:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(SHOP)))

        def run(text: str) -> Answer:
            return Answer((), connection.execute(text.encode()).fetchall())

        yield run


@contextmanager
def _duckdb(lake: Connected, folder: Path) -> Iterator[Callable[[str], Answer]]:
    with duckdb.connect(config={"threads": 2, "memory_limit": _MEMORY}) as duck:
        for table in tpch.KEYS:
            duck.read_parquet(str(folder / f"{table}.parquet")).create_view(table)

        def run(text: str) -> Answer:
            return Answer((), duck.execute(text).fetchall())

        yield run


def _database(server: EmbeddedServer, name: str, *, make: bool) -> dict[str, str]:
    """A database of the embedded server's cache role, as the values of a connection."""
    if make:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(server.cache_user)
                )
            )
    return {
        "Server": server.host,
        "Port": str(server.port),
        "User": server.cache_user,
        "Password": server.cache_password,
        "Database": name,
    }


def _url(values: dict[str, str]) -> str:
    return (
        f"postgresql://{values['User']}:{values['Password']}@{values['Server']}:{values['Port']}"
        f"/{values['Database']}"
    )


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def main() -> None:
    """Measure, print, and write the tables where `--write` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", default="0.1,1")
    parser.add_argument("--kinds", default="answers,cached,live", help="of: answers, cached, live")
    parser.add_argument("--short", action="store_true", help="short statements, not TPC-H's own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prepare", action="store_true", help="make the data and end")
    parser.add_argument("--home", type=Path, help="keep the data there, and use what is there")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    console = Console(width=120)
    all_agree = True
    lines: list[str] = []

    def told(line: str) -> None:
        lines.append(line)
        console.print(line, markup=False)

    with _folder(options.home) as folder:
        folder.chmod(0o755)
        with start(folder / "home") as server:
            with psycopg.connect(server.url("postgres")) as connection:
                postgresql = connection.info.parameter_status("server_version")
            told(
                f"PostgreSQL {postgresql}, DuckDB {duckdb.__version__}, sqlglot "
                f"{version('sqlglot')}, Python {platform.python_version()}, {platform.machine()}; "
                f"medians of {options.rounds} turns"
            )
            for scale in map(float, options.scales.split(",")):
                world = World(server, folder, scale)
                if options.prepare:
                    continue
                bench = Bench(world, options.rounds)
                queries = {str(number): world.tpch.query(number) for number in tpch.QUERIES}
                texts = _SHORT if options.short else queries
                for kind in options.kinds.split(","):
                    if kind == "answers":
                        told(f"\n### TPC-H, scale factor {scale:g}: answers\n")
                        told("| tables | same as DuckDB's own |")
                        told("| --- | --- |")
                        all_agree &= asyncio.run(bench.agree(told))
                        continue
                    name = "PostgreSQL" if kind == "cached" else "DuckDB"
                    told(f"\n### TPC-H, scale factor {scale:g}: {kind}\n")
                    told(f"| query | bare {name}, ms | Tidewell, ms | ratio |")
                    told("| --- | --- | --- | --- |")
                    bare = (
                        _postgresql(world)
                        if kind == "cached"
                        else _duckdb(world.lake, world.tpch.parquet)
                    )
                    with bare as run:
                        asyncio.run(bench.compare(kind, texts, run, told))
                world.tpch.duck.close()
    if options.write:
        options.write.write_text("\n".join(lines) + "\n")
    if not all_agree:
        raise SystemExit("not every answer is right")


if __name__ == "__main__":
    main()
