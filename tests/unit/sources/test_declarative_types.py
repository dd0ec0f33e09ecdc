"""JSON schema in Arrow, and values as services write them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.errors import SourceBroken
from tidewell.sources.declarative.inference import inferred_schema
from tidewell.sources.declarative.types import MOMENT, arrow_type, to_array

BIG = pa.decimal128(38, 0)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, pa.string()),
        ({"type": ["null", "string"]}, pa.string()),
        ({"type": ["string", "null"], "format": "date-time"}, MOMENT),
        (
            {
                "type": "string",
                "format": "date-time",
                "airbyte_type": "timestamp_without_timezone",
            },
            pa.timestamp("us"),
        ),
        ({"type": "string", "format": "date"}, pa.date32()),
        ({"type": "string", "format": "email"}, pa.string()),
        ({"type": "integer"}, pa.int64()),
        ({"type": "integer", "airbyte_type": "big_integer"}, BIG),
        ({"type": ["null", "number"]}, pa.float64()),
        ({"type": ["integer", "number", "null"]}, pa.float64()),
        ({"type": "boolean"}, pa.bool_()),
        ({"type": "object"}, pa.json_()),
        ({"type": ["array", "null"]}, pa.json_()),
        ({"type": ["string", "integer"]}, pa.json_()),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, pa.int64()),
        (
            {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
            MOMENT,
        ),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, pa.json_()),
        ({}, pa.json_()),
    ],
)
def test_a_property_has_the_type_that_its_schema_says(
    schema: dict[str, Any], kind: pa.DataType
) -> None:
    assert arrow_type(schema) == kind


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        (pa.string(), 12, "12"),
        (pa.string(), {"a": [1]}, '{"a":[1]}'),
        (pa.int64(), "12", 12),
        (pa.int64(), 3.0, 3),
        (pa.int64(), "", None),
        (BIG, 2**70, Decimal(2**70)),
        (pa.float64(), "1.5", 1.5),
        (pa.float64(), 2, 2.0),
        (pa.bool_(), "true", True),
        (pa.bool_(), 0, False),
        (pa.bool_(), "", None),
        (MOMENT, "2024-02-29T12:00:00.5+02:00", datetime(2024, 2, 29, 10, 0, 0, 500_000, UTC)),
        (MOMENT, "2024-02-29 12:00:00", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        (MOMENT, "2024-02-29T12:00:00.123456789Z", datetime(2024, 2, 29, 12, 0, 0, 123_456, UTC)),
        (MOMENT, "Thu, 29 Feb 2024 12:00:00 GMT", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        (MOMENT, 1_709_208_000, datetime(2024, 2, 29, 12, tzinfo=UTC)),
        (MOMENT, "", None),
        (pa.timestamp("us"), "2024-02-29T12:00:00", datetime(2024, 2, 29, 12)),  # noqa: DTZ001
        (pa.date32(), "2024-02-29", date(2024, 2, 29)),
        (pa.date32(), "2024-02-29T00:00:00Z", date(2024, 2, 29)),
        (pa.date32(), "", None),
        (pa.json_(), {"ü": None}, '{"ü":null}'),
    ],
)
def test_a_value_is_taken_as_services_write_it(kind: pa.DataType, written: Any, read: Any) -> None:
    assert to_array("c", kind, [None, written]).to_pylist() == [None, read]


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (pa.int64(), 1.5),
        (pa.int64(), 2**63),
        (pa.int64(), "twelve"),
        (pa.float64(), "much"),
        (pa.bool_(), "perhaps"),
        (MOMENT, "yesterday evening"),
        (pa.date32(), "yesterday evening"),
        (BIG, 10**38),
    ],
)
def test_a_value_that_has_no_place_is_an_error_that_names_its_column(
    kind: pa.DataType, written: Any
) -> None:
    with pytest.raises(SourceBroken, match="odd_column"):
        to_array("odd_column", kind, [None, written])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=5), JSON, max_size=4), max_size=5))
def test_what_is_inferred_from_records_takes_those_records(rows: list[dict[str, Any]]) -> None:
    properties = inferred_schema(rows)["properties"]
    assert set(properties) == {name for row in rows for name in row}
    for name, one in properties.items():
        values = [row.get(name) for row in rows]
        array = to_array(name, arrow_type(one), values)
        assert array.null_count == values.count(None)


def test_texts_are_times_only_where_all_of_them_are() -> None:
    rows = [
        {"a": "2024-02-29T12:00:00Z", "b": "2024-02-29", "c": "2024-02-29T12:00:00Z", "d": 1},
        {"a": "2024-02-29 12:00+01:00", "b": None, "c": "soon", "d": 1.5},
    ]
    kinds = {n: arrow_type(one) for n, one in inferred_schema(rows)["properties"].items()}
    assert kinds == {"a": MOMENT, "b": pa.date32(), "c": pa.string(), "d": pa.float64()}
