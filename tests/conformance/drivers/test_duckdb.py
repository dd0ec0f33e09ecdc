"""The DuckDB driver keeps what every driver has to."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest

from tests.conformance.drivers.database import BIG_ROWS, DatabaseConformance, Dialect, make_tables
from tidewell.errors import SourceRefused
from tidewell.sources.conformance import BigTable, Blocked, Expected
from tidewell.sources.duckdb import DRIVER
from tidewell.sources.protocol import Driver, Environment, ReadRequest

DIALECT = Dialect(mark="?", numbers="SELECT unnest(range(1, {rows} + 1)) AS i")
NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
LARGER_ROWS = 3 * BIG_ROWS
TYPED = Expected(
    "main",
    "typed",
    columns={
        "id": pa.int32(),
        "small": pa.int16(),
        "large": pa.int64(),
        "unsigned": pa.uint64(),
        "huge": NUMERIC,
        "flag": pa.bool_(),
        "single": pa.float32(),
        "double": pa.float64(),
        "exact": pa.decimal128(38, 10),
        "word": pa.string(),
        "bytes": pa.binary(),
        "day": pa.date32(),
        "at": pa.timestamp("us"),
        "at_z": pa.timestamp("us", "UTC"),
        "of_day": pa.time64("us"),
        "token": pa.uuid(),
        "list": pa.json_(),
    },
    rows=[
        {
            "id": 1,
            "small": -32768,
            "large": 2**63 - 1,
            "unsigned": 2**64 - 1,
            "huge": str(2**127 - 1),
            "flag": True,
            "single": 1.5,
            "double": 1e-300,
            "exact": Decimal("-1234567890123456789012345678.0123456789"),
            "word": "Zürich",
            "bytes": b"\x00\xff",
            "day": date(1, 1, 1),
            "at": datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
            "at_z": datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
            "of_day": clock(23, 59, 59, 999999),
            "token": UUID(int=1),
            "list": '["a","b"]',
        },
        {
            "id": 2,
            "small": 1,
            "large": -(2**63),
            "unsigned": 0,
            "huge": "-1",
            "flag": False,
            "single": -0.0,
            "double": 0.1,
            "exact": Decimal("0E-10"),
            "word": "a",
            "bytes": b"",
            "day": date(9999, 12, 31),
            "at": datetime(2000, 1, 1),  # noqa: DTZ001
            "at_z": datetime(2000, 1, 1, tzinfo=UTC),
            "of_day": clock(0),
            "token": UUID(int=2),
            "list": "[]",
        },
        {"id": 3}
        | dict.fromkeys(("small", "large", "unsigned", "huge", "flag", "single", "double"))
        | dict.fromkeys(("exact", "word", "bytes", "day", "at", "at_z", "of_day", "token", "list")),
    ],
    key=("id",),
)
MAKE_TYPED = """CREATE TABLE typed (id INTEGER PRIMARY KEY, small SMALLINT, large BIGINT,
    unsigned UBIGINT, huge HUGEINT, flag BOOLEAN, single REAL, double DOUBLE,
    exact DECIMAL(38, 10), word VARCHAR, bytes BLOB, day DATE, "at" TIMESTAMP,
    at_z TIMESTAMPTZ, of_day TIME, token UUID, list VARCHAR[])"""
NEVER_ENDING = """CREATE VIEW held AS
    SELECT max(a.range * b.range) AS i FROM range(3000000) a, range(3000000) b"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables."""
    file = tmp_path_factory.mktemp("duckdb") / "shop.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def run(statement: str, rows: Sequence[Sequence[Any]]) -> None:
            if rows:
                connection.execute("BEGIN")
                connection.executemany(statement, [list(row) for row in rows])
                connection.execute("COMMIT")
            else:
                connection.execute(statement)

        make_tables(DIALECT, run)
        run(MAKE_TYPED, [])
        marks = ", ".join("?" * len(TYPED.columns))
        typed = [[*row.values()] for row in TYPED.rows]
        typed[0][-1], typed[1][-1] = ["a", "b"], []
        run(f"INSERT INTO typed VALUES ({marks})", typed)  # noqa: S608
        times = LARGER_ROWS // BIG_ROWS
        run(f"CREATE TABLE larger AS SELECT big.* FROM big, range({times})", [])  # noqa: S608
        run(NEVER_ENDING, [])
        run("CREATE VIEW outside AS SELECT * FROM read_text('/etc/hostname')", [])
        run('CREATE SCHEMA "Other one"', [])
        run('CREATE TABLE "Other one".notes (a INTEGER, b INTEGER, PRIMARY KEY (b, a))', [])
    return file


class TestDuckDB(DatabaseConformance):
    # DuckDB itself keeps pages of the file, up to the limit that it is given.
    memory_bound = 224 * 2**20

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
    def big(self) -> BigTable:
        return BigTable("main", "larger", LARGER_ROWS)

    @pytest.fixture
    def blocked(self, values: Mapping[str, str]) -> AbstractContextManager[Blocked]:
        # Nobody but DuckDB itself can tell that it computes; it does for longer than the test.
        request = ReadRequest("main", "held")
        return nullcontext(Blocked(values, request, lambda: time.sleep(0.5)))


def test_a_view_reaches_nothing_outside_of_the_file(file: Path) -> None:
    environment = Environment(file_roots=(file.parent.resolve(),))
    with (
        DRIVER.open({"Data Source": str(file)}, environment) as source,
        pytest.raises(SourceRefused, match="outside"),
    ):
        list(source.read(ReadRequest("main", "outside")).batches)


def test_the_schemas_and_a_key_of_two_columns_are_told(file: Path) -> None:
    environment = Environment(file_roots=(file.parent.resolve(),))
    with DRIVER.open({"Data Source": str(file)}, environment) as source:
        assert source.schemas() == ["main", "Other one"]
        positions = {one.name: one.key_position for one in source.columns("Other one", "notes")}
    assert positions == {"a": 1, "b": 0}


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.duckdb").write_text("something else, longer than a header" * 500)
    environment = Environment(file_roots=(tmp_path.resolve(),))
    values = {"Data Source": str(tmp_path / "no.duckdb")}
    with DRIVER.open(values, environment) as source, pytest.raises(SourceRefused):
        source.test()
