"""The REST driver keeps what every driver has to: against a JSON API that pages and filters."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tests.json_api import JSONAPI, Answer, json_api
from tidewell.sources.conformance import (
    TEXTS,
    BigTable,
    Blocked,
    CredentialsConformance,
    DriverConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.protocol import Driver, ReadRequest
from tidewell.sources.rest import DRIVER

UTC_TIME = pa.timestamp("us", "UTC")
FIRST = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
ODDLY_NAMED = "select 'Größe' \"東京\" of a table whose name has more than sixty-three bytes"
LONG_COLUMN = 'a column\'s "name" of more than sixty-three bytes, that is cut; somewhere = else.'
BIG_ROWS, BIG_PAGE = 14_000, 100

TYPED = Expected(
    "REST",
    "Typed",
    columns={
        "ID": pa.int64(),
        "word": pa.string(),
        "float64": pa.float64(),
        "flag": pa.bool_(),
        "changed": UTC_TIME,
        "day": pa.date32(),
        "tags": pa.json_(),
    },
    rows=[
        dict.fromkeys(("word", "float64", "flag", "changed", "day", "tags")) | {"ID": 1},
        {
            "ID": 9_223_372_036_854_775_807,
            "word": "Ångström's",
            "float64": -1.5e-300,
            "flag": True,
            "changed": FIRST,
            "day": date(1900, 1, 1),
            "tags": '["a","ü",{"deep":[1,null]}]',
        },
        {
            "ID": -9_223_372_036_854_775_808,
            "word": "",
            "float64": 1.7976931348623157e308,
            "flag": False,
            "changed": FIRST + timedelta(milliseconds=1),
            "day": date(9999, 12, 31),
            "tags": "{}",
        },
    ],
    key=("ID",),
    moves_forward=("changed",),
)
TEXT_ROWS = Expected(
    "REST",
    "Texts",
    columns={"ID": pa.int64(), "text": pa.string()},
    rows=[{"ID": n, "text": text} for n, text in enumerate(TEXTS)],
    key=("ID",),
)
EMPTY = Expected("REST", "Empties", {"ID": pa.int64(), "name": pa.string()}, [], key=("ID",))
WIDE = Expected(
    "REST",
    "Wide",
    columns={"ID": pa.int64()}
    | {f"c{n:03}": pa.string() if n % 2 else pa.int64() for n in range(120)},
    rows=[
        {"ID": row} | {f"c{n:03}": f"{row}:{n}" if n % 2 else row * n for n in range(120)}
        for row in range(3)
    ],
    key=("ID",),
)
ODD = Expected(
    "REST",
    ODDLY_NAMED,
    columns={"order": pa.int64(), "Größe": pa.string(), LONG_COLUMN: pa.int64()},
    rows=[{"order": 1, "Größe": "groß", LONG_COLUMN: 7}],
    key=("order",),
)
PAGED = Expected(
    "REST",
    "Paged",
    columns={"ID": pa.int64(), "name": pa.string(), "changed": UTC_TIME},
    rows=[
        {"ID": n, "name": f"name {n}", "changed": FIRST + timedelta(seconds=n // 300)}
        for n in range(2600)
    ],
    key=("ID",),
    moves_forward=("changed",),
)
DECLARED = """
Typed.ID:integer, Typed.word:text, Typed.float64:number, Typed.flag:boolean,
Typed.changed:timestamp, Typed.day:date, Typed.tags:json, Texts.ID:integer, Texts.text:text,
Empties.ID:integer, Empties.name:text
"""
PAGING = {
    "Paging": "Page",
    "PageParameter": "page",
    "PageSizeParameter": "size",
    "PageSize": "500",
}


@pytest.fixture(scope="module")
def api() -> Iterator[JSONAPI]:
    tables = (TYPED, TEXT_ROWS, EMPTY, WIDE, PAGED)
    rows = {table.name: [written(row) for row in table.rows] for table in tables}
    rows["odd"] = [written(row) for row in ODD.rows]
    with json_api(rows) as running:
        yield running


class TestREST(DriverConformance, HostConformance, CredentialsConformance):
    memory_bound = 64 * 2**20

    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def values(self, api: JSONAPI) -> Mapping[str, str]:
        return {
            "URL": api.url,
            "Paths": f"/Typed, /Texts, /Empties, /Wide, /Paged, {ODDLY_NAMED}=/odd",
            "Columns": DECLARED,
            "PrimaryKey": f"ID, {ODDLY_NAMED}=order",
            "CursorField": "Typed=changed, Paged=changed",
            "CursorParameter": "since",
        } | PAGING

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
    def big(self, api: JSONAPI) -> BigTable:
        long = "x" * 10_000

        def page(query: dict[str, str]) -> Answer:
            first = (int(query["page"]) - 1) * BIG_PAGE
            last = min(first + BIG_PAGE, BIG_ROWS)
            return Answer([{"ID": n, "name": long} for n in range(first, last)])

        api.answers["/big"] = page
        values = {"URL": api.url, "Paths": "/big"} | PAGING | {"PageSize": str(BIG_PAGE)}
        return BigTable("REST", "big", BIG_ROWS, values)

    @pytest.fixture
    def blocked(self) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            with json_api({}) as api:
                api.answers["/slow"] = api.block
                values = {"URL": api.url, "Paths": "/slow"} | PAGING
                request = ReadRequest("REST", "slow")
                yield Blocked(values, request, lambda: _waited(api))

        return hanging()

    @pytest.fixture
    def elsewhere(self) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {
            "URL": f"http://{host}:{port}",
            "Paths": "/things",
            "Timeout": "1",
        }

    @pytest.fixture
    def guarded(self, api: JSONAPI) -> Mapping[str, str]:
        login = {"AuthScheme": "Basic", "User": "alice", "Password": "wonder;land=1"}
        return {"URL": f"{api.url}/closed", "Paths": "/Paged"} | login

    @pytest.fixture
    def wrong(self, api: JSONAPI) -> list[Mapping[str, str]]:
        client = {"OAuthAccessTokenURL": f"{api.url}/token", "OAuthClientId": "7"}
        return [
            {"Password": "not the password"},
            {"AuthScheme": "Bearer", "Token": "not-the-token"},
            {"AuthScheme": "APIKey", "APIKey": "not-the-key"},
            {"AuthScheme": "OAuthClient", "OAuthClientSecret": "not the secret"} | client,
            {"AuthScheme": "None"},
        ]


def _waited(api: JSONAPI) -> None:
    assert api.blocked.wait(30), "nobody reads"


def written(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the API gives it."""
    return {name: _json_value(name, value) for name, value in row.items()}


def _json_value(name: str, value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case str() if name == "tags":
            return json.loads(value)
        case _:
            return value
