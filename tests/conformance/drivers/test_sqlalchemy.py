"""The SQLAlchemy driver keeps what every driver has to, over two databases and two drivers."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest

from tests.conformance.drivers.database import DatabaseConformance, Dialect, in_schema, make_tables
from tests.conformance.drivers.test_mysql import Shop, shop
from tests.conftest import CacheDatabase, new_cache_database
from tests.mariadb_server import MariaDBServer
from tidewell.errors import SourceRefused
from tidewell.sources.conformance import (
    Blocked,
    CredentialsConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.protocol import Driver, Environment, ReadRequest
from tidewell.sources.sqlalchemy import DRIVER
from tidewell.state.embedded import EmbeddedServer

__all__ = ["shop"]

DIALECT = Dialect(schema="public", whole_type=pa.int64())
NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
TYPED = Expected(
    "public",
    "typed",
    columns={
        "id": pa.int64(),
        "flag": pa.bool_(),
        "double": pa.float64(),
        "exact": pa.decimal128(38, 10),
        "anyscale": NUMERIC,
        "word": pa.string(),
        "bytes": pa.binary(),
        "day": pa.date32(),
        "at": pa.timestamp("us"),
        "at_z": pa.timestamp("us", "UTC"),
        "of_day": pa.time64("us"),
        "token": pa.uuid(),
        "doc": pa.json_(),
        "parts": pa.json_(),
    },
    rows=[
        {
            "id": 2**63 - 1,
            "flag": True,
            "double": 1e-300,
            "exact": Decimal("-1234567890123456789012345678.0123456789"),
            "anyscale": "0.00",
            "word": "Zürich",
            "bytes": b"\x00\xff",
            "day": date(1, 1, 1),
            "at": datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
            "at_z": datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
            "of_day": clock(23, 59, 59, 999999),
            "token": UUID(int=1),
            "doc": '{"a": 1}',
            "parts": '["x", "y"]',
        },
        {
            "id": -(2**63),
            "flag": False,
            "double": 0.1,
            "exact": Decimal("0E-10"),
            "anyscale": "100",
            "word": "a",
            "bytes": b"",
            "day": date(9999, 12, 31),
            "at": datetime(2000, 1, 1),  # noqa: DTZ001
            "at_z": datetime(2000, 1, 1, tzinfo=UTC),
            "of_day": clock(0),
            "token": UUID(int=2),
            "doc": "[]",
            "parts": "[]",
        },
        {"id": 3}
        | dict.fromkeys(("flag", "double", "exact", "anyscale", "word", "bytes", "day", "at"))
        | dict.fromkeys(("at_z", "of_day", "token", "doc", "parts")),
    ],
    key=("id",),
)
MAKE_TYPED = """CREATE TABLE typed (id bigint PRIMARY KEY, flag boolean, "double" double precision,
    exact numeric(38, 10), anyscale numeric, word varchar(20), bytes bytea, day date, at timestamp,
    at_z timestamptz, of_day time, token uuid, doc jsonb, parts text[])"""


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
        typed[0][-1], typed[1][-1] = ["x", "y"], []
        run(f"INSERT INTO typed VALUES ({marks})", typed)  # noqa: S608
        run("CREATE TABLE held (id int)", [])
        yield made


class TestOverPostgreSQL(DatabaseConformance, HostConformance, CredentialsConformance):
    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def dialect(self) -> Dialect:
        return DIALECT

    @pytest.fixture
    def values(self, database: CacheDatabase) -> Mapping[str, str]:
        of = database.values
        return {
            "URL": f"postgresql+psycopg://{of['Server']}:{of['Port']}/{of['Database']}",
            "User": of["User"],
            "Password": of["Password"],
        }

    @pytest.fixture
    def typed(self, dialect: Dialect) -> Expected:
        return in_schema(TYPED, dialect)

    @pytest.fixture
    def blocked(
        self, database: CacheDatabase, values: Mapping[str, str]
    ) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            with psycopg.connect(database.url) as other:
                other.execute("LOCK TABLE held")

                def wait() -> None:
                    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
                    while other.execute(waiting).fetchone() is None:
                        time.sleep(0.05)

                yield Blocked(values, ReadRequest("public", "held"), wait)

        return hanging()

    @pytest.fixture
    def elsewhere(self, values: Mapping[str, str]) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {
            **values,
            "URL": f"postgresql+psycopg://{host}:{port}/shop",
            "Timeout": "2",
        }

    @pytest.fixture
    def guarded(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return values

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        return [{"Password": "not the password"}, {"User": "nobody_at_all"}]


class TestOverMariaDB(DatabaseConformance, HostConformance, CredentialsConformance):
    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def dialect(self, shop: Shop) -> Dialect:
        return replace(shop.dialect, whole_type=pa.int64())

    @pytest.fixture
    def values(self, shop: Shop) -> Mapping[str, str]:
        server: MariaDBServer = shop.server
        return {
            "URL": f"mariadb+pymysql://{server.host}:{server.port}/{shop.name}",
            "User": server.user,
            "Password": server.password,
        }

    @pytest.fixture
    def oddly_named(self, shop: Shop) -> Expected:
        # SQLAlchemy itself does not read a column's name with a backtick in it.
        name, column = 'it\'s "odd" `so` Größe', 'sel\'ect "x" 100% Größe 東京'
        with shop.server.connect(shop.name) as it, it.cursor() as cursor:
            table = name.replace("`", "``")
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS `{table}` (`order` INT PRIMARY KEY, `{column}` TEXT)"
            )
            cursor.execute(f"REPLACE INTO `{table}` VALUES (1, 'groß')")  # noqa: S608
        columns = {"order": pa.int64(), column: pa.string()}
        return Expected(shop.name, name, columns, [{"order": 1, column: "groß"}], key=("order",))

    @pytest.fixture
    def typed(self, shop: Shop) -> Expected:
        with shop.server.connect(shop.name) as it, it.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS few (id BIGINT PRIMARY KEY, exact DECIMAL(38, 10), "
                "word VARCHAR(20), day DATE, at DATETIME(6), of_day TIME(6), bytes BLOB)"
            )
            cursor.execute("REPLACE INTO few VALUES (1, -0.5, 'a ', '2024-02-29', "
                           "'2024-02-29 23:59:59.000001', '23:59:59.5', x'00ff'), "
                           "(2, NULL, NULL, NULL, NULL, NULL, NULL)")  # fmt: skip
        return Expected(
            shop.name,
            "few",
            {
                "id": pa.int64(),
                "exact": pa.decimal128(38, 10),
                "word": pa.string(),
                "day": pa.date32(),
                "at": pa.timestamp("us"),
                "of_day": pa.time64("us"),
                "bytes": pa.binary(),
            },
            [
                {
                    "id": 1,
                    "exact": Decimal("-0.5000000000"),
                    "word": "a ",
                    "day": date(2024, 2, 29),
                    "at": datetime(2024, 2, 29, 23, 59, 59, 1),  # noqa: DTZ001
                    "of_day": clock(23, 59, 59, 500000),
                    "bytes": b"\x00\xff",
                },
                {"id": 2} | dict.fromkeys(("exact", "word", "day", "at", "of_day", "bytes")),
            ],
            key=("id",),
        )

    @pytest.fixture
    def blocked(self, shop: Shop, values: Mapping[str, str]) -> AbstractContextManager[Blocked]:
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

                yield Blocked(values, ReadRequest(shop.name, "held"), wait)

        return hanging()

    @pytest.fixture
    def elsewhere(self, values: Mapping[str, str]) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {
            **values,
            "URL": f"mariadb+pymysql://{host}:{port}/shop",
            "Timeout": "2",
        }

    @pytest.fixture
    def guarded(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return values

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        return [{"Password": "not the password"}, {"User": "nobody_at_all"}]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////etc/passwd", "is not read here"),
        ("duckdb:////tmp/x.duckdb", "is not read here"),
        ("mssql+pyodbc:///?odbc_connect=Driver%3D/tmp/evil.so", "is not read here"),
        ("postgresql+psycopg2://127.0.0.1/shop", "is not read here"),
        ("postgresql+psycopg:///shop?host=/var/run/postgresql", "no options"),
        ("postgresql+psycopg:///shop", "dialect"),
        ("postgresql+psycopg://a@127.0.0.1/shop", "credentials"),
        ("mysql+pymysql://127.0.0.1/shop?read_default_file=/root/.my.cnf", "no options"),
        ("mysql+pymysql://127.0.0.1/shop?unix_socket=/run/mysqld.sock", "no options"),
        ("postgresql+psycopg://127.0.0.1/host=evil%20dbname=x", "dialect"),
        ("hana+hdbcli://127.0.0.1/shop", "pip install 'sqlalchemy-hana'"),
        ("nonsense", "is not read here"),
    ],
    ids=lambda text: text[:40],
)
def test_a_url_plays_no_tricks(url: str, said: str) -> None:
    with pytest.raises(SourceRefused, match=said):
        DRIVER.open({"URL": url, "Timeout": "2"}, Environment())
