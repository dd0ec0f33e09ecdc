"""Pages of OData are read by column where they can be, and always as they are meant."""

from typing import Any

import orjson
import pytest

from tidewell.sources.odata.columnar import ColumnarReader
from tidewell.sources.odata.metadata import Property
from tidewell.sources.odata.types import to_array


def of(name: str, kind: str, precision: int | None = None, scale: int | None = None) -> Property:
    return Property(name, kind, True, None, precision, scale)


PROPERTIES = [
    of("id", "Edm.Int64"),
    of("small", "Edm.Int16"),
    of("price", "Edm.Double"),
    of("ratio", "Edm.Single"),
    of("name", "Edm.String"),
    of("flag", "Edm.Boolean"),
    of("day", "Edm.Date"),
    of("at", "Edm.DateTimeOffset"),
    of("clock", "Edm.TimeOfDay"),
    of("token", "Edm.Guid"),
    of("exact", "Edm.Decimal", 38, 10),
    of("any", "Edm.Decimal"),
]
FULL = {
    "id": "9223372036854775807",
    "small": -32768,
    "price": 0.1,
    "ratio": 0.1,
    "name": 'a "quoted" 東京 🌊 \\ {}[],: \n',
    "flag": True,
    "day": "0001-01-01",
    "at": "9999-12-31T23:59:59.123456789Z",
    "clock": "23:59:59.9999999",
    "token": "01234567-89ab-cdef-0123-456789abcdef",
    "exact": "-1234567890123456789012345678.0123456789",
    "any": "1E+2",
}
ROWS: list[dict[str, Any]] = [
    FULL,
    {**dict.fromkeys(FULL), "id": "1"},
    {**FULL, "id": "-9223372036854775808", "price": 5, "at": "2024-02-29T12:00:00+05:30"},
]


def page(rows: list[dict[str, Any]], **more: str) -> bytes:
    return orjson.dumps({"@odata.context": "$metadata#x", "value": rows} | more)


def test_a_page_is_what_the_other_way_makes_of_it() -> None:
    reader = ColumnarReader(PROPERTIES)
    found = reader.read(page(ROWS, **{"@odata.nextLink": "x?$skiptoken=2"}))
    assert found is not None
    assert (found.link, found.context) == ("x?$skiptoken=2", "$metadata#x")
    batch = reader.columns(found)
    assert batch is not None
    for one in PROPERTIES:
        expected = to_array(one, [row[one.name] for row in ROWS])
        assert batch.column(one.name).equals(expected), one.name


def test_an_empty_page_has_no_rows() -> None:
    reader = ColumnarReader(PROPERTIES)
    found = reader.read(page([]))
    assert found is not None
    batch = reader.columns(found)
    assert batch is not None
    assert batch.num_rows == 0


@pytest.mark.parametrize(
    "change",
    [
        {"name": 7},
        {"small": 40_000},
        {"price": "INF"},
        {"exact": 1.5},
        {"flag": "yes"},
        {"day": "yesterday"},
        {"token": "no guid"},
    ],
    ids=str,
)
def test_what_is_not_as_it_should_be_is_left_to_the_other_way(change: dict[str, Any]) -> None:
    reader = ColumnarReader(PROPERTIES)
    found = reader.read(page([{**FULL, **change}]))
    assert found is None or reader.columns(found) is None


def test_a_property_that_is_left_out_is_not_taken_for_null() -> None:
    reader = ColumnarReader(PROPERTIES)
    left_out = {name: value for name, value in FULL.items() if name != "name"}
    says_its_name = {**left_out, "any": None, "day": None}
    found = reader.read(page([FULL, {**says_its_name, "note": '"name":'}]))
    assert found is not None
    assert reader.columns(found) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"value": null}', b'{"value": [null]}'])
def test_what_is_no_page_is_left_to_the_other_way(content: bytes) -> None:
    assert ColumnarReader(PROPERTIES).read(content) is None


def test_a_service_that_writes_numbers_is_learned_from_its_first_page() -> None:
    properties = PROPERTIES[:2]
    reader = ColumnarReader(properties)
    rows = [{"id": 2**62, "small": 1}, {"id": None, "small": None}]
    assert reader.read(page(rows)) is None
    reader.learn(rows)
    found = reader.read(page(rows))
    assert found is not None
    batch = reader.columns(found)
    assert batch is not None
    assert batch.to_pylist() == rows
