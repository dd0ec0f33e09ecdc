"""What the params of a caching job mean: filter, maxRowsPerRun, deleteDetection, onTypeChange."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.runs.conftest import FileJob
from tidewell.errors import CacheConflict, SourceBroken


def orders(*rows: tuple[int, int | None], name: str = "n") -> pa.Table:
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.int64()),
            "at": pa.array([row[1] for row in rows], pa.int64()),
            "name": pa.array([f"{name}{row[0]}" for row in rows], pa.string()),
        }
    )


def ids(job: FileJob) -> list[int]:
    return [row[0] for row in job.rows()]


def test_a_filter_keeps_the_rows_that_pass(job: FileJob) -> None:
    rows = orders((1, 10), (2, 20), (3, None), (4, 40))
    receipt = job.run(rows, filter="at > 10 AND lower(name) <> 'n4'")
    assert ids(job) == [2]
    assert (receipt.rows_read, receipt.rows_affected) == (1, 1)
    job.run(rows, filter="at > 10")
    assert ids(job) == [2, 4]


def test_a_filter_may_name_a_column_that_is_not_cached(job: FileJob) -> None:
    job.run(orders((1, 10), (2, 20)), filter="upper(name) = 'N2'", columns=("id",))
    assert job.rows() == [(2,)]


def test_a_filter_whose_column_has_gone_fails_the_run_and_says_so(job: FileJob) -> None:
    job.run(orders((1, 10)), filter="at > 1")
    with pytest.raises(SourceBroken, match=r"filter.*no column 'at'"):
        job.run(pa.table({"id": [1]}), filter="at > 1")
    assert ids(job) == [1]


def incremental(most: int | None = None) -> dict[str, object]:
    return {"time_column": "at", "merge_keys": ("id",), "max_rows": most}


def test_rows_come_in_time_order_a_few_at_a_time(job: FileJob) -> None:
    rows = orders((7, 1), (1, 2), (3, 2), (2, 2), (9, 3), (4, 5), (8, None))
    job.run(rows, **incremental(2))
    assert ids(job) == [1, 2, 3, 7]  # three rows have the time 2: none of them is left behind
    assert any("maxRowsPerRun" in line for line in job.log)
    job.run(**incremental(1))
    assert ids(job) == [1, 2, 3, 7, 9]
    job.run(**incremental(5))
    assert ids(job) == [1, 2, 3, 4, 7, 9]
    receipt = job.run(**incremental(5))
    assert receipt.rows_affected == 0


@settings(max_examples=10)
@given(
    times=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    most=st.integers(1, 5),
)
def test_no_row_is_lost_whatever_the_times_are(job: FileJob, times: list[int], most: int) -> None:
    job.forget()
    rows = orders(*enumerate(times))
    known = 0
    for _ in set(times):
        job.run(rows, **incremental(most))
        assert len(ids(job)) >= min(known + 1, len(times))
        known = len(ids(job))
    assert ids(job) == list(range(len(times)))


def test_delete_detection_drops_the_rows_whose_key_is_gone(job: FileJob) -> None:
    job.run(orders((1, 1), (2, 2), (3, 3)), **incremental(), detect_deletes=True)
    receipt = job.run(orders((2, 2), (3, 5)), **incremental(), detect_deletes=True)
    assert job.rows() == [(2, 2, "n2"), (3, 5, "n3")]
    assert (receipt.updated, receipt.deleted) == (1, 1)
    job.run(orders((3, 5)), **incremental())
    assert ids(job) == [2, 3]  # without it, an increment deletes nothing


def test_a_row_that_no_longer_passes_the_filter_is_gone_for_delete_detection(job: FileJob) -> None:
    job.run(orders((1, 1), (2, 2)), **incremental(), detect_deletes=True, filter="name <> 'x1'")
    changed = orders((1, 3), (2, 2), name="x")
    job.run(changed, **incremental(), detect_deletes=True, filter="name <> 'x1'")
    assert job.rows() == [(2, 2, "x2")]


def test_a_type_that_no_wider_one_follows_fails_or_rebuilds(job: FileJob) -> None:
    job.run(orders((1, 1), (2, 2)), **incremental())
    changed = pa.table({"id": [1, 3], "at": [1, 9], "name": [10, 30]})
    with pytest.raises(CacheConflict, match=r"name was text and is bigint now.*onTypeChange"):
        job.run(changed, **incremental())
    assert job.rows() == [(1, 1, "n1"), (2, 2, "n2")]

    receipt = job.run(changed, **incremental(), rebuild_on_type_change=True)

    assert job.rows() == [(1, 1, 10), (3, 9, 30)]
    assert receipt.mode == "full"
