"""How the list of jobs says how each one stands, and which ones it shows."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tidewell.pages.jobs.charts import durations, sparkline
from tidewell.pages.jobs.listing import Asked, State, counts, detail, freshness, state_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = UUID(int=1)


def job(**changes: Any) -> dict[str, Any]:
    return {
        "id": JOB,
        "name": "Orders",
        "connection_id": UUID(int=2),
        "connection_ids": None,
        "connection_name": "Shop",
        "cache_schema": "Shop",
        "enabled": True,
        "interval_unit": "Hour",
        "interval_value": 1,
        "run_state": "success",
    } | changes


def run(state: str = "success", seconds: float = 4, **changes: Any) -> dict[str, Any]:
    return {
        "state": state,
        "queued_at": NOW,
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=seconds),
        "rows_affected": 10,
        "rows_read": 20,
        "retry_at": None,
    } | changes


@pytest.mark.parametrize(
    ("hours", "level"), [(0.5, "fresh"), (1.2, "fresh"), (1.5, "due"), (2.1, "late")]
)
def test_rows_are_late_when_they_are_older_than_two_intervals(hours: float, level: str) -> None:
    found = freshness(job(), NOW - timedelta(hours=hours), NOW)
    assert found.level == level
    assert found.share == min(round(hours / 2, 3), 1)


def test_a_month_is_as_long_as_it_is() -> None:
    monthly = job(interval_unit="Month")
    assert freshness(monthly, NOW - timedelta(days=31 * 1.2), NOW).level == "fresh"


def test_a_job_that_is_off_or_never_succeeded_has_no_level() -> None:
    assert freshness(job(enabled=False), NOW - timedelta(days=9), NOW).level == "none"
    assert freshness(job(), None, NOW).text == "no rows yet"


@pytest.mark.parametrize(
    ("changes", "age", "state"),
    [
        ({}, 1, "ok"),
        ({}, 3, "late"),
        ({"run_state": "failed"}, 3, "failed"),
        ({"run_state": "running"}, 3, "running"),
        ({"run_state": "retrying"}, 3, "retrying"),
        ({"run_state": "stopped"}, 1, "stopped"),
        ({"run_state": None}, None, "never"),
        ({"enabled": False, "run_state": "failed"}, 3, "off"),
        ({"enabled": False, "run_state": "running"}, 3, "running"),
    ],
)
def test_one_word_says_how_a_job_stands(
    changes: dict[str, Any], age: int | None, state: State
) -> None:
    row = job(**changes)
    success = None if age is None else NOW - timedelta(hours=age)
    assert state_of(row, freshness(row, success, NOW)) == state


def test_filters() -> None:
    assert Asked(search="ord shop").keeps(job(), "ok")
    assert not Asked(search="ord mail").keeps(job(), "ok")
    assert Asked(state="running").keeps(job(), "retrying")
    assert not Asked(state="failed").keeps(job(), "ok")
    assert not Asked(connection=str(JOB)).keeps(job(), "ok")
    assert counts(["ok", "queued", "running", "failed", "never"]) == {
        "failed": 1,
        "late": 0,
        "running": 2,
        "ok": 1,
        "stopped": 0,
        "off": 0,
        "never": 1,
    }


def test_what_is_said_of_a_run_besides_its_state() -> None:
    assert detail(run("running"), NOW + timedelta(seconds=12)) == "20 rows read, 12 s"
    assert detail(run(), NOW + timedelta(minutes=5)) == "10 rows written, 5 min ago"
    waits = run("retrying", retry_at=NOW + timedelta(minutes=2))
    assert detail(waits, NOW) == "in 2 min"


def test_bars_stand_from_old_to_new_inside_the_chart() -> None:
    runs = [run("failed", 0.1), run(seconds=100), run(seconds=1)]
    for chart in (sparkline(runs, 30), durations(runs, 30)):
        assert [bar.kind for bar in chart.bars] == ["ok", "ok", "bad"]
        assert all(0 <= bar.x <= 100 - bar.width for bar in chart.bars)
        assert all(0 < bar.height <= 1 for bar in chart.bars)
        assert chart.summary == "Last 3 runs: 1 failed, 2 succeeded"
    # A failure is seen at a glance, however quick it was.
    assert sparkline(runs, 30).bars[-1].height > 0.5
    assert durations(runs, 30).bars[-1].height < 0.2
    assert sparkline([], 30).summary == "No run yet"
