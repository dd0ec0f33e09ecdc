"""The SQLite driver keeps what every driver has to."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.conformance.drivers.database import DatabaseConformance, Dialect, make_tables
from tidewell.sources.conformance import Blocked, Expected
from tidewell.sources.protocol import Driver, Environment, ReadRequest
from tidewell.sources.sqlite import DRIVER

DIALECT = Dialect(
    whole_type=pa.int64(),
    moment="DATETIME",
    mark="?",
    moment_is_text=True,
    numbers="WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
    "SELECT i FROM n",
    repeat="printf('%.*c', 10000, 'x')",
)
TYPED = Expected(
    "main",
    "typed",
    columns={
        "id": pa.int64(),
        "flag": pa.bool_(),
        "double": pa.float64(),
        "exact": pa.decimal128(10, 2),
        "word": pa.string(),
        "bytes": pa.binary(),
        "day": pa.date32(),
        "at": pa.timestamp("us"),
        "at_z": pa.timestamp("us", "UTC"),
        "mixed": pa.string(),
    },
    rows=[
        {
            "id": 2**63 - 1,
            "flag": True,
            "double": 1e-300,
            "exact": Decimal("-12345678.90"),
            "word": "Zürich",
            "bytes": b"\x00\xff",
            "day": date(1, 1, 1),
            "at": datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
            "at_z": datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
            "mixed": "1",
        },
        {
            "id": -(2**63),
            "flag": False,
            "double": 0.1,
            "exact": Decimal("0.00"),
            "word": "a",
            "bytes": b"",
            "day": date(9999, 12, 31),
            "at": datetime(2000, 1, 1),  # noqa: DTZ001
            "at_z": datetime(2000, 1, 1, tzinfo=UTC),
            "mixed": "n/a",
        },
        {"id": 3}
        | dict.fromkeys(("flag", "double", "exact", "word", "bytes", "day", "at", "at_z", "mixed")),
    ],
    key=("id",),
)
MAKE_TYPED = """CREATE TABLE typed (id INTEGER PRIMARY KEY, flag BOOLEAN, double REAL,
    exact DECIMAL(10, 2), word VARCHAR(20), bytes BLOB, day DATE, at DATETIME, at_z TIMESTAMP,
    mixed INTEGER)"""
NEVER_ENDING = """CREATE VIEW held AS
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000)
    SELECT max(i) AS i FROM n"""


def stored(value: Any) -> Any:
    match value:
        case datetime() if value.tzinfo:
            return value.isoformat().replace("+00:00", "Z")
        case datetime():
            return value.isoformat(sep=" ", timespec="microseconds")
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case "1":
            return 1
        case _:
            return value


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables."""
    file = tmp_path_factory.mktemp("sqlite") / "shop.db"
    with closing(sqlite3.connect(file)) as connection:

        def run(statement: str, rows: Sequence[Sequence[Any]]) -> None:
            if rows:
                connection.executemany(statement, rows)
            else:
                connection.execute(statement)

        make_tables(DIALECT, run)
        run(MAKE_TYPED, [])
        marks = ", ".join("?" * len(TYPED.columns))
        typed = [[stored(value) for value in row.values()] for row in TYPED.rows]
        run(f"INSERT INTO typed VALUES ({marks})", typed)  # noqa: S608
        run(NEVER_ENDING, [])
        connection.commit()
    return file


class TestSQLite(DatabaseConformance):
    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def dialect(self) -> Dialect:
        return DIALECT

    @pytest.fixture
    def environment(self, file: Path) -> Environment:
        return Environment(file_roots=(file.parent.resolve(),))

    @pytest.fixture
    def values(self, file: Path) -> Mapping[str, str]:
        return {"Data Source": str(file)}

    @pytest.fixture
    def typed(self) -> Expected:
        return TYPED

    @pytest.fixture
    def blocked(self, values: Mapping[str, str]) -> AbstractContextManager[Blocked]:
        # Nobody but SQLite itself can tell that it computes; it does for longer than the test.
        request = ReadRequest("main", "held")
        return nullcontext(Blocked(values, request, lambda: time.sleep(0.5)))
