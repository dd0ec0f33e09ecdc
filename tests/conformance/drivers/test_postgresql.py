"""The PostgreSQL driver keeps what every driver has to."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest

from tests.conformance.drivers.database import DatabaseConformance, Dialect, in_schema, make_tables
from tests.conftest import CacheDatabase, new_cache_database
from tidewell.sources.conformance import (
    Blocked,
    CredentialsConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.postgresql import DRIVER
from tidewell.sources.protocol import Driver, ReadRequest
from tidewell.state.embedded import EmbeddedServer

DIALECT = Dialect(schema="public")
NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
TYPED = Expected(
    "public",
    "typed",
    columns={
        "id": pa.int32(),
        "small": pa.int16(),
        "large": pa.int64(),
        "flag": pa.bool_(),
        "single": pa.float32(),
        "double": pa.float64(),
        "exact": pa.decimal128(38, 10),
        "anyscale": NUMERIC,
        "word": pa.string(),
        "fixed": pa.string(),
        "mood": pa.string(),
        "bytes": pa.binary(),
        "day": pa.date32(),
        "at": pa.timestamp("us"),
        "at_z": pa.timestamp("us", "UTC"),
        "of_day": pa.time64("us"),
        "token": pa.uuid(),
        "doc": pa.json_(),
    },
    rows=[
        {
            "id": 1,
            "small": -32768,
            "large": 2**63 - 1,
            "flag": True,
            "single": 1.5,
            "double": 1e-300,
            "exact": Decimal("-1234567890123456789012345678.0123456789"),
            "anyscale": "1E+2",
            "word": "Zürich",
            "fixed": "ab  ",
            "mood": "sad",
            "bytes": b"\x00\xff",
            "day": date(1, 1, 1),
            "at": datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
            "at_z": datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
            "of_day": clock(23, 59, 59, 999999),
            "token": UUID(int=1),
            "doc": '{"a": 1}',
        },
        {
            "id": 2,
            "small": 1,
            "large": -(2**63),
            "flag": False,
            "single": -0.0,
            "double": 0.1,
            "exact": Decimal("0E-10"),
            "anyscale": "0.00",
            "word": "a",
            "fixed": "AB  ",
            "mood": "happy",
            "bytes": b"",
            "day": date(9999, 12, 31),
            "at": datetime(2000, 1, 1),  # noqa: DTZ001
            "at_z": datetime(2000, 1, 1, tzinfo=UTC),
            "of_day": clock(0),
            "token": UUID(int=2),
            "doc": "[]",
        },
        {"id": 3}
        | dict.fromkeys(("small", "large", "flag", "single", "double", "exact", "anyscale"))
        | dict.fromkeys(("word", "fixed", "mood", "bytes", "day", "at", "at_z", "of_day"))
        | dict.fromkeys(("token", "doc")),
    ],
    key=("id",),
)
MAKE_TYPED = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE typed (id int PRIMARY KEY, small smallint, large bigint, flag boolean, single real,
    double double precision, exact numeric(38, 10), anyscale numeric, word varchar(20),
    fixed char(4), mood mood, bytes bytea, day date, at timestamp, at_z timestamptz, of_day time,
    token uuid, doc jsonb)
"""


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    """A database with all tables."""
    with new_cache_database(server) as made, psycopg.connect(made.url, autocommit=True) as it:

        def run(statement: str, rows: Sequence[Sequence[Any]]) -> None:
            if not rows:
                it.execute(statement)  # type: ignore[call-overload]
                return
            with it.transaction(), it.cursor() as cursor:
                cursor.executemany(statement, rows)  # type: ignore[arg-type]

        make_tables(DIALECT, run)
        run(MAKE_TYPED, [])
        marks = ", ".join(["%s"] * len(TYPED.columns))
        typed = [[*row.values()] for row in TYPED.rows]
        typed[0][7] = Decimal(100)
        run(f"INSERT INTO typed VALUES ({marks})", typed)  # noqa: S608
        run("CREATE TABLE held (id int)", [])
        yield made


class TestPostgreSQL(DatabaseConformance, HostConformance, CredentialsConformance):
    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def dialect(self) -> Dialect:
        return DIALECT

    @pytest.fixture
    def values(self, database: CacheDatabase) -> Mapping[str, str]:
        return database.values

    @pytest.fixture
    def typed(self, dialect: Dialect) -> Expected:
        rows = [dict(row) for row in TYPED.rows]
        rows[0]["anyscale"] = "100"
        return in_schema(Expected("", "typed", TYPED.columns, rows, TYPED.key), dialect)

    @pytest.fixture
    def blocked(self, database: CacheDatabase) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            with psycopg.connect(database.url) as other:
                other.execute("LOCK TABLE held")

                def wait() -> None:
                    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
                    while other.execute(waiting).fetchone() is None:
                        time.sleep(0.05)

                yield Blocked(database.values, ReadRequest("public", "held"), wait)

        return hanging()

    @pytest.fixture
    def elsewhere(self, values: Mapping[str, str]) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {**values, "Server": host, "Port": str(port), "Timeout": "2"}

    @pytest.fixture
    def guarded(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return values

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        return [{"Password": "not the password"}, {"User": "nobody_at_all"}]
