"""The tables that every database is tried with, made by the test's own connection to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tidewell.sources.conformance import TEXTS, BigTable, DriverConformance, Expected

ODD_NAME = 'it\'s "odd" `so` [x] 100% select Größe 東京'
PAGED_ROWS = 9_000
BIG_ROWS = 20_500
LONG = "x" * 10_000
FIRST = datetime(2024, 2, 29, 23, 59, 59)  # noqa: DTZ001 (a column without a zone)

Run = Callable[[str, Sequence[Sequence[Any]]], None]
"""Runs a statement once for each row of parameters, or once where there are none."""


@dataclass(frozen=True)
class Dialect:
    """How a database spells what its tables are made of, and how its driver gives them."""

    schema: str = "main"
    whole: str = "integer"
    whole_type: pa.DataType = field(default_factory=pa.int32)
    text: str = "text"
    moment: str = "timestamp"
    moment_type: pa.DataType = field(default_factory=lambda: pa.timestamp("us"))
    mark: str = "%s"
    quote: str = '"'
    moment_is_text: bool = False
    numbers: str = "SELECT i FROM generate_series(1, {rows}) AS g (i)"
    repeat: str = "repeat('x', 10000)"


def make_tables(dialect: Dialect, run: Run) -> None:
    """Make and fill the tables."""
    for table in (texts(dialect), empty(dialect), wide(dialect), odd(dialect), paged(dialect)):
        _make(dialect, run, table)
    big = _quoted(dialect, "big")
    run(f"CREATE TABLE {big} (id {dialect.whole}, name {dialect.text})", [])
    numbers = dialect.numbers.format(rows=BIG_ROWS)
    run(f"INSERT INTO {big} SELECT i, {dialect.repeat} FROM ({numbers}) AS n", [])  # noqa: S608


def texts(dialect: Dialect) -> Expected:
    return Expected(
        dialect.schema,
        "texts",
        {"id": dialect.whole_type, "text": pa.string()},
        [{"id": n, "text": text} for n, text in enumerate(TEXTS)],
        key=("id",),
    )


def empty(dialect: Dialect) -> Expected:
    columns = {"id": dialect.whole_type, "name": pa.string()}
    return Expected(dialect.schema, "empties", columns, [], key=("id",))


def wide(dialect: Dialect) -> Expected:
    names = [f"c{n:03}" for n in range(120)]
    return Expected(
        dialect.schema,
        "wide",
        {"id": dialect.whole_type}
        | {n: pa.string() if i % 2 else dialect.whole_type for i, n in enumerate(names)},
        [
            {"id": row} | {n: f"{row}:{i}" if i % 2 else row * i for i, n in enumerate(names)}
            for row in range(3)
        ],
        key=("id",),
    )


def odd(dialect: Dialect) -> Expected:
    columns = {"order": dialect.whole_type, ODD_NAME: pa.string(), "Größe\\": dialect.whole_type}
    rows = [{"order": 1, ODD_NAME: "groß", "Größe\\": 7}]
    return Expected(dialect.schema, ODD_NAME, columns, rows, key=("order",))


def paged(dialect: Dialect) -> Expected:
    zone = UTC if dialect.moment_type.tz else None
    return Expected(
        dialect.schema,
        "paged",
        {"id": dialect.whole_type, "name": pa.string(), "changed": dialect.moment_type},
        [
            {
                "id": n,
                "name": f"name {n}",
                "changed": (FIRST + timedelta(seconds=n // 1200)).replace(tzinfo=zone),
            }
            for n in range(PAGED_ROWS)
        ],
        key=("id",),
        moves_forward=("changed",),
    )


class DatabaseConformance(DriverConformance):
    """What is the same for all databases; `dialect` and the rest is each one's own."""

    memory_bound = 96 * 2**20

    @pytest.fixture
    def dialect(self) -> Dialect:
        raise NotImplementedError

    @pytest.fixture
    def texts(self, dialect: Dialect) -> Expected:
        return texts(dialect)

    @pytest.fixture
    def empty(self, dialect: Dialect) -> Expected:
        return empty(dialect)

    @pytest.fixture
    def wide(self, dialect: Dialect) -> Expected:
        return wide(dialect)

    @pytest.fixture
    def oddly_named(self, dialect: Dialect) -> Expected:
        return odd(dialect)

    @pytest.fixture
    def paged(self, dialect: Dialect) -> Expected:
        return paged(dialect)

    @pytest.fixture
    def big(self, dialect: Dialect) -> BigTable:
        return BigTable(dialect.schema, "big", BIG_ROWS)


def in_schema(table: Expected, dialect: Dialect) -> Expected:
    """The same table in the dialect's schema."""
    return replace(table, schema=dialect.schema)


def _make(dialect: Dialect, run: Run, table: Expected) -> None:
    def spelled(kind: pa.DataType) -> str:
        if pa.types.is_timestamp(kind):
            return dialect.moment
        return dialect.text if kind == pa.string() else dialect.whole

    columns = [f"{_quoted(dialect, n)} {spelled(kind)}" for n, kind in table.columns.items()]
    key = f"PRIMARY KEY ({', '.join(_quoted(dialect, name) for name in table.key)})"
    name = _quoted(dialect, table.name)
    run(f"CREATE TABLE {name} ({', '.join([*columns, key])})", [])
    marks = ", ".join(dialect.mark for _ in columns)
    statement = f"INSERT INTO {name.replace('%', _percent(dialect))} VALUES ({marks})"  # noqa: S608
    if table.rows:
        run(statement, [[_given(dialect, value) for value in row.values()] for row in table.rows])


def _percent(dialect: Dialect) -> str:
    return "%%" if dialect.mark == "%s" else "%"


def _given(dialect: Dialect, value: Any) -> Any:
    if isinstance(value, datetime) and dialect.moment_is_text:
        return value.isoformat(sep=" ")
    return value


def _quoted(dialect: Dialect, name: str) -> str:
    return dialect.quote + name.replace(dialect.quote, dialect.quote * 2) + dialect.quote
