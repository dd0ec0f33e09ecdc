"""The Snowflake driver keeps what every driver has to, against its SQL API over DuckDB."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.conformance.drivers.database import (
    BIG_ROWS,
    ODD_NAME,
    DatabaseConformance,
    Dialect,
    make_tables,
)
from tests.product import key_pair
from tests.snowflake_server import OAUTH_TOKEN, TOKEN, Snowflake, snowflake
from tidewell.egress import EgressRules
from tidewell.errors import SourceNotFound, SourceRefused, Stopped
from tidewell.sources.conformance import (
    BigTable,
    Blocked,
    CredentialsConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.conformance.suite import with_defaults
from tidewell.sources.protocol import Comparison, Driver, Environment, ReadRequest, Source
from tidewell.sources.snowflake import DRIVER

DIALECT = Dialect(
    schema="PUBLIC",
    whole="DECIMAL(18, 0)",
    whole_type=pa.int64(),
    mark="?",
    moment="timestamptz",
    moment_type=pa.timestamp("us", "UTC"),
    numbers="SELECT unnest(range(1, {rows} + 1)) AS i",
)
TYPED = Expected(
    "PUBLIC",
    "typed",
    columns={
        "id": pa.int64(),
        "tiny": pa.int16(),
        "usual": pa.decimal128(38, 0),
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
            "id": 10**18 - 1,
            "tiny": -9999,
            "usual": Decimal(10**38 - 1),
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
            "id": -(10**18) + 1,
            "tiny": 0,
            "usual": Decimal(0),
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
        | dict.fromkeys(("tiny", "usual", "flag", "double", "exact", "word", "bytes", "day"))
        | dict.fromkeys(("moment", "moment_z", "of_day", "list")),
    ],
    key=("id",),
)
MAKE_TYPED = """CREATE TABLE typed (id DECIMAL(18, 0) PRIMARY KEY, tiny DECIMAL(4, 0),
    usual DECIMAL(38, 0), flag BOOLEAN, "double" DOUBLE, exact DECIMAL(38, 9), word VARCHAR,
    bytes BLOB, day DATE, moment TIMESTAMP, moment_z TIMESTAMPTZ, of_day TIME, list VARCHAR[])"""
ENVIRONMENT = Environment(egress=EgressRules.parse("127.0.0.0/8 ::1 no-such-host.invalid"))


@pytest.fixture(scope="module")
def service() -> Iterator[Snowflake]:
    """A database with all tables."""
    with snowflake() as running:

        def run(statement: str, rows: Sequence[Sequence[Any]]) -> None:
            running.run("BEGIN")
            running.run(statement, [list(row) for row in rows])
            running.run("COMMIT")

        make_tables(DIALECT, run)
        run(MAKE_TYPED, [])
        typed = [[*row.values()] for row in TYPED.rows]
        typed[0][-1], typed[1][-1] = ["a", "b"], []
        run(f"INSERT INTO typed VALUES ({', '.join('?' * len(typed[0]))})", typed)  # noqa: S608
        run("CREATE TABLE held (id DECIMAL(18, 0))", [])
        run("CREATE TABLE larger AS SELECT big.* FROM big, range(4)", [])
        run("CREATE VIEW seen AS SELECT id, word FROM typed", [])
        run("CREATE TABLE fine (id DECIMAL(9, 0), moment TIMESTAMP_NS)", [])
        run("INSERT INTO fine VALUES (1, '2024-01-01 00:00:00.000001999')", [])
        run("INSERT INTO fine VALUES (2, '2024-01-01 00:00:00.000002')", [])
        for name in ("typed", "texts", "empties", "wide", "paged"):
            running.keys[name] = ["id"]
        running.keys[ODD_NAME] = ["order"]
        yield running


@contextmanager
def opened(values: Mapping[str, str]) -> Iterator[Source]:
    with DRIVER.open(with_defaults(DRIVER, values), ENVIRONMENT) as source:
        yield source


class TestSnowflake(DatabaseConformance, HostConformance, CredentialsConformance):
    # A partition of 10 MB is held as bytes, as JSON and as columns.
    memory_bound = 384 * 2**20

    @pytest.fixture
    def big(self) -> BigTable:
        return BigTable("PUBLIC", "larger", 4 * BIG_ROWS)

    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def dialect(self) -> Dialect:
        return DIALECT

    @pytest.fixture
    def environment(self) -> Environment:
        return ENVIRONMENT

    @pytest.fixture
    def values(self, service: Snowflake) -> Mapping[str, str]:
        return service.values

    @pytest.fixture
    def typed(self) -> Expected:
        return TYPED

    @pytest.fixture
    def blocked(
        self, service: Snowflake, values: Mapping[str, str]
    ) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            yield Blocked(values, ReadRequest("PUBLIC", "held"), lambda: _wait(service))

        return hanging()

    @pytest.fixture
    def elsewhere(self, values: Mapping[str, str]) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {
            **values,
            "URL": f"http://{host}:{port}",
            "AuthScheme": "PAT",
            "AccessToken": TOKEN,
            "Timeout": "2",
        }

    @pytest.fixture
    def guarded(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return values

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        return [
            {"PrivateKey": key_pair()[0].decode()},
            {"User": "somebody"},
            {"Account": "another"},
            {"AuthScheme": "PAT", "AccessToken": "not the token"},
            {"AuthScheme": "OAuth", "OAuthAccessToken": "not the token"},
        ]


def _wait(service: Snowflake) -> None:
    assert service.held.wait(10)


def test_who_reads_no_further_ends_the_statement_on_its_warehouse(service: Snowflake) -> None:
    service.held.clear()
    service.ended_by_cancel.clear()
    with opened(service.values) as source:
        reading = source.read(ReadRequest("PUBLIC", "held"))
        ending = threading.Timer(0.5, source.cancel)
        ending.start()
        with pytest.raises(Stopped):
            reading.batches.read_all()
        ending.join()
    assert service.ended_by_cancel.wait(10)


def test_a_busy_service_is_asked_again_and_a_statement_begins_once(service: Snowflake) -> None:
    with opened(service.values) as source:
        service.busy, service.lost = 2, 1
        before = len(service.running)
        assert source.schemas() == ["PUBLIC", "OTHER"]
        assert (service.busy, service.lost) == (0, 0)
        assert len(service.running) == before + 1


@pytest.mark.parametrize(
    "given",
    [
        {"AuthScheme": "PAT", "AccessToken": TOKEN},
        {"AuthScheme": "OAuth", "OAuthAccessToken": OAUTH_TOKEN},
        {"Database": "shop", "Warehouse": "small", "Account": "myorg-shop", "User": "reader"},
        {"Database": '"SHOP"'},
    ],
)
def test_ways_to_sign_in_and_to_write_names(service: Snowflake, given: dict[str, str]) -> None:
    with opened(service.values | given) as source:
        assert source.schemas() == ["PUBLIC", "OTHER"]


def test_an_encrypted_key_needs_its_password(service: Snowflake) -> None:
    key = load_pem_private_key(service.private_key.encode(), None)
    encrypted = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    ).decode()
    values = service.values | {"PrivateKey": encrypted}
    with opened(values | {"PrivateKeyPassword": "secret"}) as source:
        assert source.schemas()
    for password in ({}, {"PrivateKeyPassword": "wrong"}):
        with pytest.raises(SourceRefused, match="PrivateKeyPassword"), opened(values | password):
            pass
    with (
        pytest.raises(SourceRefused, match="not encrypted"),
        opened(service.values | {"PrivateKeyPassword": "secret"}),
    ):
        pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PrivateKey": "/etc/passwd"}, "RSA key in PEM"),
        ({"PrivateKey": ""}, "RSA key in PEM"),
        ({"User": ""}, "User is needed"),
        ({"AuthScheme": "PAT"}, "AccessToken is needed"),
        ({"AuthScheme": "OAuth"}, "OAuthAccessToken is needed"),
        ({"AuthScheme": "PAT", "AccessToken": "a\r\nHost: b"}, "characters that no token has"),
        ({"Database": "my shop"}, "double quotes"),
        ({"Database": " "}, "Database must be a name"),
        ({"Warehouse": 'a"b'}, "double quotes"),
        ({"URL": "https://snowflakecomputing.com.example.com"}, "no host of Snowflake"),
        ({"URL": "http://shop.snowflakecomputing.com"}, "no host of Snowflake"),
        ({"URL": "https://user@shop.snowflakecomputing.com"}, "the API's root"),
        ({"URL": "shop"}, "the API's root"),
        ({"Timeout": "0"}, "Timeout"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    service: Snowflake, given: dict[str, str], said: str
) -> None:
    with pytest.raises(SourceRefused, match=said), opened(service.values | given):
        pass


def test_a_key_that_is_not_rsa_is_refused(service: Snowflake) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with (
        pytest.raises(SourceRefused, match="RSA key"),
        opened(service.values | {"PrivateKey": pem}),
    ):
        pass


def test_a_missing_warehouse_or_database_says_what_to_do(service: Snowflake) -> None:
    with (
        opened(service.values | {"Warehouse": "large"}) as source,
        pytest.raises(SourceRefused, match="give Warehouse"),
    ):
        source.schemas()
    with (
        opened(service.values | {"Database": "attic"}) as source,
        pytest.raises(SourceRefused, match="database does not exist"),
    ):
        source.schemas()


def test_one_schema_alone(service: Snowflake) -> None:
    with opened(service.values | {"Schema": "other"}) as source:
        assert source.schemas() == ["OTHER"]
        with pytest.raises(SourceNotFound):
            source.columns("PUBLIC", "typed")


def test_views_are_read_and_have_no_key(service: Snowflake) -> None:
    with opened(service.values) as source:
        kinds = {one.name: one.kind for one in source.tables("PUBLIC")}
        assert (kinds["seen"], kinds["typed"]) == ("view", "table")
        assert [one.key_position for one in source.columns("PUBLIC", "seen")] == [None, None]


@pytest.mark.parametrize(
    ("operator", "ids"),
    [("=", {1}), ("<>", {2}), ("<", set()), ("<=", {1}), (">", {2}), (">=", {1, 2})],
)
def test_no_row_is_lost_between_two_microseconds(
    service: Snowflake, operator: Any, ids: set[int]
) -> None:
    """A time of nanoseconds comes cut to microseconds, and is compared as it comes."""
    where = (Comparison("moment", operator, "2024-01-01T00:00:00.000001"),)
    with opened(service.values) as source:
        reading = source.read(ReadRequest("PUBLIC", "fine", where=where))
        rows = reading.batches.read_all().to_pylist()
    moment = datetime(2024, 1, 1, microsecond=1)  # noqa: DTZ001
    holds = {
        "=": lambda at: at == moment,
        "<>": lambda at: at != moment,
        "<": lambda at: at < moment,
        "<=": lambda at: at <= moment,
        ">": lambda at: at > moment,
        ">=": lambda at: at >= moment,
    }[operator]
    assert {row["id"] for row in rows} >= ids
    if not reading.residual:
        assert {row["id"] for row in rows} == ids
    assert {row["id"] for row in rows if holds(row["moment"])} == ids
