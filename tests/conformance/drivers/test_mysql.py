"""The MySQL driver keeps what every driver has to: against a real MariaDB."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from tests.conformance.drivers.database import DatabaseConformance, Dialect, in_schema, make_tables
from tests.mariadb_server import MariaDBServer
from tidewell.sources.conformance import (
    Blocked,
    CredentialsConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.mysql import DRIVER
from tidewell.sources.protocol import Driver, ReadRequest

SPELLING = Dialect(
    whole="INT",
    text="LONGTEXT",
    moment="DATETIME",
    quote="`",
    numbers="SELECT seq AS i FROM seq_1_to_{rows}",
)
TYPED = Expected(
    "",
    "typed",
    columns={
        "id": pa.int32(),
        "tiny": pa.int8(),
        "unsigned": pa.uint64(),
        "flag": pa.bool_(),
        "bits": pa.uint64(),
        "single": pa.float32(),
        "double": pa.float64(),
        "exact": pa.decimal128(38, 10),
        "anyscale": pa.opaque(pa.string(), "numeric", "PostgreSQL"),
        "word": pa.string(),
        "fixed": pa.string(),
        "mood": pa.string(),
        "bytes": pa.binary(),
        "day": pa.date32(),
        "at": pa.timestamp("us"),
        "at_z": pa.timestamp("us", "UTC"),
        "of_day": pa.time64("us"),
        "year": pa.int16(),
        "token": pa.uuid(),
    },
    rows=[
        {
            "id": 1,
            "tiny": -128,
            "unsigned": 2**64 - 1,
            "flag": True,
            "bits": 5,
            "single": 1.5,
            "double": 1e-300,
            "exact": Decimal("-1234567890123456789012345678.0123456789"),
            "anyscale": "1." + "1" * 30,
            "word": "Zürich ",
            "fixed": "ab",
            "mood": "sad",
            "bytes": b"\x00\xff",
            "day": date(1000, 1, 1),
            "at": datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
            "at_z": datetime(2038, 1, 1, 0, 0, 0, 1, UTC),
            "of_day": clock(23, 59, 59, 999999),
            "year": 2155,
            "token": UUID(int=1),
        },
        {
            "id": 2,
            "tiny": 1,
            "unsigned": 0,
            "flag": False,
            "bits": 0,
            "single": -2.0,
            "double": 0.1,
            "exact": Decimal("0E-10"),
            "anyscale": "0." + "0" * 30,
            "word": "zürich",
            "fixed": "AB",
            "mood": "happy",
            "bytes": b"",
            "day": date(9999, 12, 31),
            "at": datetime(2000, 1, 1),  # noqa: DTZ001
            "at_z": datetime(2000, 1, 1, tzinfo=UTC),
            "of_day": clock(0),
            "year": 1901,
            "token": UUID(int=2),
        },
        {"id": 3}
        | dict.fromkeys(("tiny", "unsigned", "flag", "bits", "single", "double", "exact"))
        | dict.fromkeys(("anyscale", "word", "fixed", "mood", "bytes", "day", "at", "at_z"))
        | dict.fromkeys(("of_day", "year", "token")),
    ],
    key=("id",),
)
MAKE_TYPED = """CREATE TABLE typed (id INT PRIMARY KEY, tiny TINYINT, `unsigned` BIGINT UNSIGNED,
    flag BIT(1), bits BIT(9), single FLOAT, `double` DOUBLE, exact DECIMAL(38, 10),
    anyscale DECIMAL(65, 30), word VARCHAR(20), fixed CHAR(4), mood ENUM('sad', 'happy'),
    bytes BLOB, day DATE, at DATETIME(6), at_z TIMESTAMP(6) NULL, of_day TIME(6), year YEAR,
    token UUID)"""


@dataclass(frozen=True)
class Shop:
    """A database with all tables."""

    server: MariaDBServer
    name: str
    dialect: Dialect


@pytest.fixture(scope="module")
def shop(mariadb: MariaDBServer) -> Iterator[Shop]:
    with mariadb.database() as name, mariadb.connect(name) as connection:

        def run(statement: str, rows: Sequence[Sequence[Any]]) -> None:
            with connection.cursor() as cursor:
                if rows:
                    cursor.executemany(statement, rows)
                else:
                    cursor.execute(statement)

        run("SET time_zone = '+00:00', sql_mode = 'NO_BACKSLASH_ESCAPES'", [])
        dialect = replace(SPELLING, schema=name)
        make_tables(dialect, run)
        run(MAKE_TYPED, [])
        marks = ", ".join(["%s"] * len(TYPED.columns))
        typed = [[*row.values()] for row in TYPED.rows]
        run(f"INSERT INTO typed VALUES ({marks})", typed)  # noqa: S608
        run("CREATE TABLE held (id INT)", [])
        yield Shop(mariadb, name, dialect)


class TestMySQL(DatabaseConformance, HostConformance, CredentialsConformance):
    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def dialect(self, shop: Shop) -> Dialect:
        return shop.dialect

    @pytest.fixture
    def values(self, shop: Shop) -> Mapping[str, str]:
        return shop.server.values(shop.name)

    @pytest.fixture
    def typed(self, dialect: Dialect) -> Expected:
        return in_schema(TYPED, dialect)

    @pytest.fixture
    def blocked(self, shop: Shop) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            with shop.server.connect(shop.name) as other, other.cursor() as cursor:
                cursor.execute("LOCK TABLES held WRITE")

                def wait() -> None:
                    with shop.server.connect() as third, third.cursor() as looking:
                        while not looking.execute(
                            "SELECT 1 FROM information_schema.processlist "
                            "WHERE state LIKE 'Waiting for table metadata lock%'"
                        ):
                            time.sleep(0.05)

                values = shop.server.values(shop.name)
                yield Blocked(values, ReadRequest(shop.name, "held"), wait)

        return hanging()

    @pytest.fixture
    def elsewhere(self, values: Mapping[str, str]) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {**values, "Server": host, "Port": str(port), "Timeout": "1"}

    @pytest.fixture
    def guarded(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return values

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        return [{"Password": "not the password"}, {"User": "nobody_at_all"}]
