"""A source is changed while it is read in pages: the next increment reads what came meanwhile."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.runs.watermark import OVERLAP, Watermark

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KINDS = [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")]


def batch(kind: pa.DataType, *times: datetime) -> pa.RecordBatch:
    plain = [time.replace(tzinfo=UTC if kind.tz else None, microsecond=0) for time in times]
    return pa.record_batch({"at": pa.array(plain, kind)})


def next_read(watermark: Watermark, kind: pa.DataType) -> datetime:
    """From which time on the next increment reads."""
    bound = Watermark("at", kind, watermark.text).lower_bound
    assert bound is not None
    return datetime.fromisoformat(bound[:19]).replace(tzinfo=UTC)


@given(
    kind=st.sampled_from(KINDS),
    skew=st.integers(-23 * 3600, 23 * 3600),
    took=st.integers(0, 6 * 3600),
    data=st.data(),
)
def test_whatever_was_changed_while_a_source_was_read_is_read_next(
    kind: pa.DataType, skew: int, took: int, data: st.DataObject
) -> None:
    """The source's clock may be far from ours, and its columns may have no zone."""
    began = NOW + timedelta(seconds=skew)
    changed = began + timedelta(seconds=data.draw(st.integers(0, took)))
    last = changed + timedelta(seconds=data.draw(st.integers(0, (began - changed).seconds + took)))
    last = min(last, began + timedelta(seconds=took))
    watermark = Watermark("at", kind, None)
    watermark.see(batch(kind, NOW - timedelta(days=9)))
    watermark.see(batch(kind, last))
    watermark.has_read(NOW, took)
    assert next_read(watermark, kind) <= changed


@given(took=st.floats(0, 1e5), after=st.integers(0, 10**5), kind=st.sampled_from(KINDS))
def test_a_watermark_never_moves_back(took: float, after: int, kind: pa.DataType) -> None:
    first = Watermark("at", kind, None)
    first.see(batch(kind, NOW))
    second = Watermark("at", kind, first.text)
    second.see(batch(kind, NOW - OVERLAP, NOW + timedelta(seconds=after)))
    second.has_read(NOW, took)
    assert next_read(second, kind) >= next_read(first, kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_old_rows_and_short_reads_move_it_all_the_way(kind: pa.DataType) -> None:
    for last, took in ((NOW - timedelta(days=2), 3600.0), (NOW, 9.9)):
        watermark = Watermark("at", kind, None)
        watermark.see(batch(kind, last))
        watermark.has_read(NOW, took)
        assert next_read(watermark, kind) == last - OVERLAP


def test_numbers_are_followed_as_they_are() -> None:
    watermark = Watermark("at", pa.int64(), None)
    watermark.see(pa.record_batch({"at": [5]}))
    watermark.has_read(NOW, 1000)
    assert watermark.text == "5"
