"""The BigQuery driver keeps what every driver has to, against its REST API over DuckDB."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.bigquery_server import PROJECT, TOKEN, BigQuery, bigquery
from tests.conformance.drivers.database import (
    BIG_ROWS,
    ODD_NAME,
    DatabaseConformance,
    Dialect,
    make_tables,
)
from tests.product import key_pair
from tidewell.egress import EgressRules
from tidewell.errors import SourceRefused
from tidewell.sources.bigquery import DRIVER
from tidewell.sources.conformance import (
    BigTable,
    Blocked,
    CredentialsConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.conformance.suite import with_defaults
from tidewell.sources.protocol import Driver, Environment, ReadRequest

DIALECT = Dialect(
    whole="bigint",
    whole_type=pa.int64(),
    mark="?",
    moment="timestamptz",
    moment_type=pa.timestamp("us", "UTC"),
    numbers="SELECT unnest(range(1, {rows} + 1)) AS i",
)
TYPED = Expected(
    "main",
    "typed",
    columns={
        "id": pa.int64(),
        "flag": pa.bool_(),
        "double": pa.float64(),
        "exact": pa.decimal128(38, 9),
        "word": pa.string(),
        "bytes": pa.binary(),
        "day": pa.date32(),
        "moment": pa.timestamp("us"),
        "moment_z": pa.timestamp("us", "UTC"),
        "of_day": pa.time64("us"),
        "list": pa.json_(),
    },
    rows=[
        {
            "id": 2**63 - 1,
            "flag": True,
            "double": 1e-300,
            "exact": Decimal("-12345678901234567890123456789.012345678"),
            "word": "Zürich \\ 'a'",
            "bytes": b"\x00\xff",
            "day": date(1, 1, 1),
            "moment": datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
            "moment_z": datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
            "of_day": clock(23, 59, 59, 999999),
            "list": '["a","b"]',
        },
        {
            "id": -(2**63),
            "flag": False,
            "double": 0.1,
            "exact": Decimal("0E-9"),
            "word": "a",
            "bytes": b"",
            "day": date(9999, 12, 31),
            "moment": datetime(2000, 1, 1),  # noqa: DTZ001
            "moment_z": datetime(2000, 1, 1, tzinfo=UTC),
            "of_day": clock(0),
            "list": "[]",
        },
        {"id": 3}
        | dict.fromkeys(("flag", "double", "exact", "word", "bytes", "day", "moment", "moment_z"))
        | dict.fromkeys(("of_day", "list")),
    ],
    key=("id",),
)
MAKE_TYPED = """CREATE TABLE typed (id BIGINT PRIMARY KEY, flag BOOLEAN, "double" DOUBLE,
    exact DECIMAL(38, 9), word VARCHAR, bytes BLOB, day DATE, moment TIMESTAMP,
    moment_z TIMESTAMPTZ, of_day TIME, list VARCHAR[])"""


@pytest.fixture(scope="module")
def service() -> Iterator[BigQuery]:
    """A project with all tables."""
    with bigquery() as running:

        def run(statement: str, rows: Sequence[Sequence[Any]]) -> None:
            running.run("BEGIN")
            running.run(statement, [list(row) for row in rows])
            running.run("COMMIT")

        make_tables(DIALECT, run)
        run(MAKE_TYPED, [])
        typed = [[*row.values()] for row in TYPED.rows]
        typed[0][-1], typed[1][-1] = ["a", "b"], []
        run(f"INSERT INTO typed VALUES ({', '.join('?' * len(typed[0]))})", typed)  # noqa: S608
        run("CREATE TABLE held (id BIGINT)", [])
        run("CREATE TABLE larger AS SELECT big.* FROM big, range(4)", [])
        for name in ("typed", "texts", "empties", "wide", "paged"):
            running.keys[name] = ["id"]
        running.keys[ODD_NAME] = ["order"]
        yield running


class TestBigQuery(DatabaseConformance, HostConformance, CredentialsConformance):
    # A page of 10 MB is held as bytes, as JSON and as columns, while the next one is on its way.
    memory_bound = 384 * 2**20

    @pytest.fixture
    def big(self) -> BigTable:
        return BigTable("main", "larger", 4 * BIG_ROWS)

    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def dialect(self) -> Dialect:
        return DIALECT

    @pytest.fixture
    def environment(self) -> Environment:
        return Environment(egress=EgressRules.parse("127.0.0.0/8 ::1 no-such-host.invalid"))

    @pytest.fixture
    def values(self, service: BigQuery) -> Mapping[str, str]:
        return {"ProjectId": PROJECT, "URL": service.url, "OAuthJWTCert": service.certificate}

    @pytest.fixture
    def typed(self) -> Expected:
        return TYPED

    @pytest.fixture
    def blocked(
        self, service: BigQuery, values: Mapping[str, str]
    ) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            yield Blocked(values, ReadRequest("main", "held"), lambda: _wait(service))
            service.go_on.set()

        return hanging()

    @pytest.fixture
    def elsewhere(self, values: Mapping[str, str]) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {
            **values,
            "URL": f"http://{host}:{port}",
            "AuthScheme": "OAuth",
            "OAuthAccessToken": TOKEN,
            "Timeout": "2",
        }

    @pytest.fixture
    def guarded(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return values

    @pytest.fixture
    def wrong(self, service: BigQuery) -> list[Mapping[str, str]]:
        other = replace(service, private_key=key_pair()[0].decode())
        return [
            {"OAuthJWTCert": other.certificate},
            {"AuthScheme": "OAuth", "OAuthAccessToken": "not the token"},
        ]


def _wait(service: BigQuery) -> None:
    assert service.held.wait(10)


def test_a_busy_service_is_asked_again(service: BigQuery) -> None:
    values = {"ProjectId": PROJECT, "URL": service.url, "OAuthJWTCert": service.certificate}
    environment = Environment(egress=EgressRules.parse("127.0.0.0/8"))
    with DRIVER.open(with_defaults(DRIVER, values), environment) as source:
        service.busy = 2
        assert source.schemas() == ["main"]
        assert service.busy == 0


@pytest.mark.parametrize(
    "certificate",
    [
        "",
        "{}",
        '{"type": "external_account", "credential_source": {"executable": {"command": "id"}}}',
        '{"type": "authorized_user", "client_id": "a", "refresh_token": "b"}',
        "/etc/passwd",
    ],
)
def test_only_a_service_accounts_key_is_taken(certificate: str) -> None:
    values = {"ProjectId": "p", "OAuthJWTCert": certificate}
    with pytest.raises(SourceRefused, match="service account"):
        DRIVER.open(with_defaults(DRIVER, values), Environment())


def test_a_key_goes_to_google_or_to_a_host_of_the_operators() -> None:
    values = {"ProjectId": "p", "URL": "https://example.com", "OAuthAccessToken": "t"}
    with pytest.raises(SourceRefused, match="no host of BigQuery"):
        DRIVER.open(with_defaults(DRIVER, values | {"AuthScheme": "OAuth"}), Environment())
