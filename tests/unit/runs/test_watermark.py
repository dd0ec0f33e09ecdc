"""The watermark: text at the source's own precision, never rounded up."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.errors import SourceBroken
from tidewell.runs.watermark import Watermark


def batch(kind: pa.DataType, values: list[object]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, kind)], names=["t"])


@pytest.mark.parametrize(
    ("kind", "values", "text", "lower"),
    [
        (pa.int64(), [3, None, 9, 2], "9", "9"),
        (
            pa.decimal128(20, 4),
            [Decimal("1.5"), Decimal("12345678901234.0001")],
            "12345678901234.0001",
            "12345678901234.0001",
        ),
        (pa.date32(), [date(2026, 1, 31), date(2025, 12, 31)], "2026-01-31", "2026-01-31"),
        (pa.string(), ["2026-01-01", "2026-01-02"], "2026-01-02", "2026-01-02"),
        (
            pa.timestamp("us", "UTC"),
            [datetime(2026, 1, 1, 0, 0, 30, 123456, UTC)],
            "2026-01-01T00:00:30.123456Z",
            "2025-12-31T23:59:30.123456Z",
        ),
        (
            pa.timestamp("s"),
            [datetime(2026, 1, 1)],  # noqa: DTZ001 - a column without a zone
            "2026-01-01T00:00:00",
            "2025-12-31T23:59:00",
        ),
    ],
)
def test_the_greatest_value_is_kept_as_text(
    kind: pa.DataType, values: list[object], text: str, lower: str
) -> None:
    watermark = Watermark("t", kind, None)
    watermark.see(batch(kind, values))
    assert watermark.text == text
    assert watermark.lower_bound == lower


@pytest.mark.parametrize(
    ("stored", "settled", "text"),
    [
        (None, None, "9"),
        (None, "7", "7"),
        (None, "12", "9"),
        ("5", "7", "7"),
        ("5", "3", "5"),
        ("9", "12", "9"),
    ],
)
def test_it_goes_no_further_than_what_is_settled_nor_back(
    stored: str | None, settled: str | None, text: str
) -> None:
    watermark = Watermark("t", pa.int64(), stored)
    watermark.hold(settled)
    watermark.see(batch(pa.int64(), [6, 9]))
    assert (watermark.text, watermark.lower_bound) == (text, text)


def test_nanoseconds_are_not_rounded() -> None:
    kind = pa.timestamp("ns", "UTC")
    watermark = Watermark("t", kind, None)
    watermark.see(batch(kind, [1_767_225_600_123_456_789]))
    assert watermark.text == "2026-01-01T00:00:00.123456789Z"


def test_without_any_value_there_is_no_watermark() -> None:
    watermark = Watermark("t", pa.int64(), None)
    watermark.see(batch(pa.int64(), [None, None]))
    watermark.see(batch(pa.int64(), []))
    assert watermark.text is None
    assert watermark.lower_bound is None
    assert watermark.nulls == 2


def test_a_column_without_order_is_refused() -> None:
    with pytest.raises(SourceBroken, match="no order to follow"):
        Watermark("t", pa.bool_(), None)


@given(
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from([None, "UTC"]),
    st.lists(st.integers(-(2**40), 2**40), min_size=1),
    st.lists(st.integers(-(2**40), 2**40)),
)
def test_a_stored_watermark_goes_on_where_it_was(
    unit: str, zone: str | None, first: list[int], second: list[int]
) -> None:
    kind = pa.timestamp(unit, zone)
    if unit in {"s", "ms"}:  # keep within the years that ISO 8601 writes with four digits
        first = [value % 10**10 for value in first]
        second = [value % 10**10 for value in second]
    whole = Watermark("t", kind, None)
    whole.see(batch(kind, [*first, *second]))
    begun = Watermark("t", kind, None)
    begun.see(batch(kind, list(first)))
    continued = Watermark("t", kind, begun.text)
    continued.see(batch(kind, list(second)))
    assert continued.text == whole.text
    assert continued.after == sum(value > max(first) for value in second)
