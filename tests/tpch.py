"""TPC-H: its tables in Parquet, PostgreSQL and a cache; its queries; DuckDB's own answers."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import duckdb
import psycopg
import sqlglot
from psycopg import sql
from sqlglot import exp

from tidewell.cache import CacheAddress
from tidewell.connections import strings
from tidewell.query.engine import Engine
from tidewell.query.messages import QueryTask
from tidewell.query.opening import engine_of
from tidewell.query.result import as_rows
from tidewell.runs.caching import CachingRun
from tidewell.runs.log import RunLog
from tidewell.runs.messages import CachingTask
from tidewell.sources import registry

QUERIES = range(1, 23)
KEYS = {
    "region": ("r_regionkey",),
    "nation": ("n_nationkey",),
    "supplier": ("s_suppkey",),
    "part": ("p_partkey",),
    "partsupp": ("ps_partkey", "ps_suppkey"),
    "customer": ("c_custkey",),
    "orders": ("o_orderkey",),
    "lineitem": ("l_orderkey", "l_linenumber"),
}
"""The tables, and the primary key of each (TPC-H 3.0.1 §1.4.1)."""
FOREIGN_KEYS = {
    "supplier": ("s_nationkey",),
    "partsupp": ("ps_suppkey",),
    "customer": ("c_nationkey",),
    "orders": ("o_custkey",),
    "lineitem": ("l_partkey", "l_suppkey"),
}
"""Columns that people index, which no primary key begins with (§1.4.2)."""
LAKE, SHOP = "Lake", "Shop"
"""The connection of the Parquet files, and that of the PostgreSQL database."""
MIXED = {
    "region": (SHOP, False),
    "nation": (LAKE, True),
    "supplier": (SHOP, True),
    "part": (LAKE, False),
    "partsupp": (SHOP, False),
    "customer": (LAKE, True),
    "orders": (LAKE, False),
    "lineitem": (SHOP, True),
}
"""Where each table stands in the mixed queries, and whether it is read from the cache."""
PLACEMENTS = ("cached", "parquet", "postgresql", "mixed")
"""Where tables are: all cached, all live (in files, in a database), or some here and some there."""
LOOPBACK = "127.0.0.0/8"
_SCHEMA = "public"
_ATTEMPTS = count(1)


@dataclass(frozen=True)
class Answer:
    """Column labels, and rows as Python values."""

    labels: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Tpch:
    """The data of one scale factor, in a folder."""

    def __init__(self, folder: Path, scale: float) -> None:
        self.scale = scale
        self.folder = folder
        self.duck = duckdb.connect(str(folder / "tpch.duckdb"))
        path = Path(str(files("duckdb_extension_tpch"))) / "extensions"
        self.duck.load_extension(str(path / f"v{duckdb.__version__}" / "tpch.duckdb_extension"))
        self.parquet = folder / "parquet"
        if not self.parquet.exists():
            self.duck.execute(f"CALL dbgen(sf = {scale})")
            self.parquet.mkdir()
            for table in KEYS:
                self.duck.table(table).write_parquet(str(self.parquet / f"{table}.parquet"))

    def query(self, number: int) -> str:
        """The text of a query, over tables without catalog and schema."""
        row = self.duck.execute(
            "SELECT query FROM tpch_queries() WHERE query_nr = ?", [number]
        ).fetchone()
        assert row is not None
        return str(row[0])

    def reference(self, number: int) -> Answer:
        """DuckDB's own answer."""
        return self.answer(self.query(number))

    def answer(self, text: str) -> Answer:
        """DuckDB's own answer to any statement over the tables."""
        found = self.duck.execute(text)
        labels = tuple(column[0] for column in found.description or ())
        return Answer(labels, found.fetchall())

    def fill(self, url: str) -> None:
        """Make the tables in a PostgreSQL database, with their primary keys, and load them."""
        with psycopg.connect(url) as connection:
            for table, key in KEYS.items():
                columns = self.duck.execute(f"DESCRIBE {table}").fetchall()
                parts = [f"{name} {kind} NOT NULL" for name, kind, *_ in columns]
                connection.execute(
                    f"CREATE TABLE {table} ({', '.join(parts)}, "
                    f"PRIMARY KEY ({', '.join(key)}))".encode()
                )
                path = self.folder / f"{table}.csv"
                self.duck.table(table).write_csv(str(path))
                copy = sql.SQL("COPY {} FROM STDIN WITH (FORMAT csv, HEADER true)")
                with (
                    connection.cursor().copy(copy.format(sql.Identifier(table))) as into,
                    path.open("rb") as lines,
                ):
                    while piece := lines.read(1 << 20):
                        into.write(piece)
                path.unlink()
            connection.commit()
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE")


@dataclass(frozen=True)
class Connected:
    """A connection of the account: how it is reached, and its one schema."""

    name: str
    driver: str
    values: Mapping[str, str]
    schema: str
    roots: tuple[str, ...] = ()

    @property
    def id(self) -> UUID:
        """Its id, the same each time."""
        return UUID(int=sum(self.name.encode()))

    @property
    def text(self) -> str:
        """Its connection string."""
        return "".join(f"{key}={value};" for key, value in self.values.items())


@dataclass(frozen=True)
class Account:
    """An account whose connections and cache hold the tables of TPC-H."""

    cache: CacheAddress
    connections: tuple[Connected, ...]

    @property
    def cache_url(self) -> str:
        """The address of the cache for psycopg."""
        one = self.cache
        return f"postgresql://{one.user}:{one.password}@{one.host}:{one.port}/{one.database}"

    def keep(self, connected: Connected, table: str) -> None:
        """Load a table into the cache, as its caching job does."""
        task = CachingTask(
            run_id=uuid4(),
            job_id=uuid5(connected.id, table),
            attempt=next(_ATTEMPTS),
            driver=connected.driver,
            source=strings.parse(connected.text, registry.driver(connected.driver).keys),
            cache=asdict(self.cache),
            secrets=(),
            connection_name=connected.name,
            source_schema=connected.schema,
            source_table=table,
            cache_schema=connected.name,
            cache_table=table,
            file_roots=connected.roots,
            egress=LOOPBACK,
        )
        CachingRun(task, lambda _: None, RunLog(lambda _: None, 1, ())).execute()

    def task(
        self, kept: Collection[tuple[str, str]] = (), catalog: str = "", **more: Any
    ) -> QueryTask:
        """A task as a query's process gets it; `kept`: connection and table of each copy."""
        schemas = {one.name: one for one in self.connections}
        return QueryTask(
            "query",
            connections=tuple(
                {"id": str(one.id), "name": one.name, "driver": one.driver, "text": one.text}
                for one in self.connections
            ),
            copies=tuple(
                {
                    "connection_id": str(schemas[name].id),
                    "schema": schemas[name].schema,
                    "table": table,
                    "cache_schema": name,
                    "cache_table": table,
                    "refreshed_at": datetime.now(UTC).isoformat(),
                }
                for name, table in kept
            ),
            cache=asdict(self.cache),
            default_catalog=catalog,
            default_schema=schemas[catalog].schema if catalog else "",
            file_roots=tuple(root for one in self.connections for root in one.roots),
            egress=LOOPBACK,
            **more,
        )

    @contextmanager
    def engine(
        self, spill: Path, kept: Collection[tuple[str, str]] = (), catalog: str = ""
    ) -> Iterator[Engine]:
        """An engine as that process has it."""
        engine = engine_of(self.task(kept, catalog), str(spill))
        try:
            yield engine
        finally:
            engine.close()


def parquet_source(tpch: Tpch, name: str = LAKE) -> Connected:
    """The Parquet files as a connection."""
    values = {"URI": str(tpch.parquet), "Format": "Auto", "IncludeColumnHeaders": "True"}
    return Connected(name, "Files", values, "Files", (str(tpch.parquet),))


def postgresql_source(values: Mapping[str, str], name: str = SHOP) -> Connected:
    """A database that was filled as a connection."""
    return Connected(name, "PostgreSQL", values, _SCHEMA)


@dataclass(frozen=True)
class Placed:
    """A query over tables that are somewhere: its text, the copies, and the default catalog."""

    text: str
    kept: Collection[tuple[str, str]]
    catalog: str


def placed(text: str, placement: str, lake: Connected, shop: Connected) -> Placed:
    """A query of TPC-H over its tables as a placement has them."""
    if placement == "cached":
        return Placed(text, [(shop.name, table) for table in KEYS], shop.name)
    if placement == "mixed":
        connections = {LAKE: lake, SHOP: shop}
        places = {table: connections[name] for table, (name, _) in MIXED.items()}
        kept = [(places[table].name, table) for table, (_, cached) in MIXED.items() if cached]
        return Placed(spread(text, places), kept, "")
    return Placed(text, (), {"parquet": lake, "postgresql": shop}[placement].name)


def spread(text: str, places: Mapping[str, Connected]) -> str:
    """A query whose tables stand in several connections, with their names written out."""

    def put(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Table) and node.name in places:
            place = places[node.name]
            node.set("db", exp.to_identifier(place.schema, quoted=True))
            node.set("catalog", exp.to_identifier(place.name, quoted=True))
        return node

    return sqlglot.parse_one(text, dialect="duckdb").transform(put).sql(dialect="postgres")


def answer_of(engine: Engine, text: str) -> Answer:
    """What an engine answers."""
    result = engine.run(text, {}).result
    rows = [tuple(row) for chunk in result.chunks for row in as_rows(chunk)]
    return Answer(tuple(one.output.label for one in result.columns), rows)


def differences(found: Answer, reference: Answer) -> list[str]:
    """What is not the same in two answers: labels, or rows whatever their order. Empty: nothing."""
    told = []
    if [one.lower() for one in found.labels] != [one.lower() for one in reference.labels]:
        told.append(f"labels {found.labels} are not {reference.labels}")
    ours, theirs = _comparable(found.rows), _comparable(reference.rows)
    told += [f"{row} is too much" for row in (ours - theirs).elements()]
    told += [f"{row} is missing" for row in (theirs - ours).elements()]
    return told[:6]


def _comparable(rows: list[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(comparable(one) for one in row) for row in rows)


def comparable(value: Any) -> Any:
    """A value that is equal where numbers differ only by how an engine rounds an average."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        number = float(value)
        return f"{number:.8e}" if number and math.isfinite(number) else str(number + 0.0)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00"
    return str(value)
