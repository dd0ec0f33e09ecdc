"""The OData driver keeps what every driver has to: against SAP CAP, a real service."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from tests.odata_server import ODataServer, odata_server
from tests.odd_service import Answer, Request, odd_service
from tests.slow_source import slow_source
from tidewell.sources.conformance import (
    TEXTS,
    BigTable,
    Blocked,
    CredentialsConformance,
    DriverConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.odata import DRIVER
from tidewell.sources.odata.types import NUMERIC
from tidewell.sources.protocol import Driver, ReadRequest

UTC_TIME = pa.timestamp("us", "UTC")
FIRST = datetime(2024, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC)
ODDLY_NAMED = "select_Größe_東京_a_name_of_more_than_sixty_three_bytes_for_sure"
LONG_COLUMN = "a_column_name_of_more_than_sixty_three_bytes_to_be_cut_somewhere_else"
BIG_ROWS, BIG_PAGE = 11_000, 100

TYPED = Expected(
    "OData",
    "Typed",
    columns={
        "ID": pa.int32(),
        "i16": pa.int16(),
        "i64": pa.int64(),
        "u8": pa.uint8(),
        "exact": pa.decimal128(12, 2),
        "anyscale": NUMERIC,
        "float64": pa.float64(),
        "flag": pa.bool_(),
        "day": pa.date32(),
        "at_time": pa.time64("us"),
        "at_s": UTC_TIME,
        "at_us": UTC_TIME,
        "token": pa.uuid(),
        "bytes": pa.binary(),
        "word": pa.string(),
        "state": pa.string(),
        "tags": pa.json_(),
    },
    rows=[
        dict.fromkeys(("i16", "i64", "u8", "exact", "anyscale", "float64", "flag", "day"))
        | dict.fromkeys(("at_time", "at_s", "at_us", "token", "bytes", "word", "state"))
        | {"ID": 1, "tags": "[]"},
        {
            "ID": 2,
            "i16": -32_768,
            "i64": 9_007_199_254_740_993,
            "u8": 255,
            "exact": Decimal("9999999999.99"),
            "anyscale": "0.0000001",
            "float64": -1.5e-300,
            "flag": True,
            "day": date(1900, 1, 1),
            "at_time": time(23, 59, 59),
            "at_s": datetime(2000, 1, 1, tzinfo=UTC),
            "at_us": FIRST,
            "token": UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
            "bytes": b"\x00\xff\xfb\xf0",
            "word": "Ångström's",
            "state": "open",
            "tags": '["a","ü"]',
        },
        {
            "ID": 3,
            "i16": 32_767,
            "i64": -9_223_372_036_854_775_808,
            "u8": 0,
            "exact": Decimal("-0.01"),
            "anyscale": "12345.5",
            "float64": 1.7976931348623157e308,
            "flag": False,
            "day": date(9999, 12, 31),
            "at_time": time(0),
            "at_s": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
            "at_us": FIRST + timedelta(milliseconds=1),
            "token": UUID(int=0),
            "bytes": b"",
            "word": "",
            "state": "shipped",
            "tags": "[]",
        },
    ],
    key=("ID",),
    moves_forward=("at_us",),
    never_null=("tags",),
)
TEXT_ROWS = Expected(
    "OData",
    "Texts",
    columns={"ID": pa.int32(), "text": pa.string()},
    rows=[{"ID": n, "text": text} for n, text in enumerate(TEXTS)],
    key=("ID",),
)
EMPTY = Expected("OData", "Empties", {"ID": pa.uuid(), "name": pa.string()}, [], key=("ID",))
WIDE = Expected(
    "OData",
    "Wide",
    columns={"ID": pa.int32()}
    | {f"c{n:03}": pa.string() if n % 2 else pa.int32() for n in range(120)},
    rows=[
        {"ID": row} | {f"c{n:03}": f"{row}:{n}" if n % 2 else row * n for n in range(120)}
        for row in range(3)
    ],
    key=("ID",),
)
ODD = Expected(
    "OData",
    ODDLY_NAMED,
    columns={"order": pa.int32(), "Größe": pa.string(), LONG_COLUMN: pa.int32()},
    rows=[{"order": 1, "Größe": "groß", LONG_COLUMN: 7}],
    key=("order",),
)
PAGED = Expected(
    "OData",
    "Paged",
    columns={"ID": pa.int32(), "name": pa.string(), "changed": UTC_TIME},
    rows=[
        {"ID": n, "name": f"name {n}", "changed": FIRST + timedelta(milliseconds=n // 300)}
        for n in range(2600)
    ],
    key=("ID",),
    moves_forward=("changed",),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ODataServer]:
    tables = (TYPED, TEXT_ROWS, WIDE, ODD, PAGED)
    rows = {table.name: [written(row) for row in table.rows] for table in tables}
    with odata_server(10, tmp_path_factory.mktemp("odata") / "server.log", rows) as running:
        yield running


class TestOData(DriverConformance, HostConformance, CredentialsConformance):
    memory_bound = 48 * 2**20

    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def values(self, service: ODataServer) -> Mapping[str, str]:
        return {"URL": service.conformance_url}

    @pytest.fixture
    def typed(self) -> Expected:
        return TYPED

    @pytest.fixture
    def texts(self) -> Expected:
        return TEXT_ROWS

    @pytest.fixture
    def empty(self) -> Expected:
        return EMPTY

    @pytest.fixture
    def wide(self) -> Expected:
        return WIDE

    @pytest.fixture
    def oddly_named(self) -> Expected:
        return ODD

    @pytest.fixture
    def paged(self) -> Expected:
        return PAGED

    @pytest.fixture
    def big(self) -> Iterator[BigTable]:
        long = "x" * 10_000

        def page(request: Request) -> Answer:
            first = int(request.query.get("$skiptoken", "0"))
            rows = [{"ID": n, "name": long} for n in range(first, first + BIG_PAGE)]
            following = first + BIG_PAGE
            link = {"@odata.nextLink": f"Things?$skiptoken={following}"}
            return Answer({"value": rows} | (link if following < BIG_ROWS else {}))

        with odd_service(page) as service:
            yield BigTable("OData", "Things", BIG_ROWS, {"URL": service.url})

    @pytest.fixture
    def blocked(self) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            with slow_source() as source:
                source.hold()
                request = ReadRequest("OData", "Things")
                yield Blocked({"URL": source.url}, request, source.wait_until_read)

        return hanging()

    @pytest.fixture
    def elsewhere(self) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {"URL": f"http://{host}:{port}/odata", "Timeout": "1"}

    @pytest.fixture
    def guarded(self, service: ODataServer) -> Mapping[str, str]:
        login = {"AuthScheme": "Basic", "User": "alice", "Password": "wonder;land=1"}
        return {"URL": service.closed_url} | login

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        return [
            {"Password": "not the password"},
            {"AuthScheme": "Bearer", "Token": "not-the-token"},
            {"AuthScheme": "None"},
        ]


class TestOData2(TestOData):
    """The same tables, spoken of in OData 2: pages that we cut, by key."""

    @pytest.fixture
    def values(self, service: ODataServer) -> Mapping[str, str]:
        return {"URL": service.conformance_v2_url, "PageSize": "700"}

    @pytest.fixture
    def big(self) -> Iterator[BigTable]:
        long = "x" * 10_000

        def page(request: Request) -> Answer:
            first = int(request.query.get("$filter", "ID gt -1").split()[-1].rstrip(")")) + 1
            last = min(first + int(request.query["$top"]), BIG_ROWS)
            return Answer({"d": {"results": [{"ID": n, "name": long} for n in range(first, last)]}})

        with odd_service(page, version="V2") as running:
            values = {"URL": running.url, "PageSize": str(BIG_PAGE)}
            yield BigTable("OData", "Things", BIG_ROWS, values)


def written(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the server's own API takes it."""
    return {name: _json_value(name, value) for name, value in row.items()}


def _json_value(name: str, value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case str() if name == "tags":
            return json.loads(value)
        case int() if name == "i64":
            return str(value)
        case _:
            return value
