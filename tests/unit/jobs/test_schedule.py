"""The schedule: a grid from the first time, without drift."""

import calendar
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.jobs.schedule import Interval, Unit, grid_point, next_after


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


times = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2500, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.just(UTC),
)
intervals = st.builds(Interval, st.sampled_from(Unit), st.integers(1, 10_000))


@pytest.mark.parametrize(
    ("anchor", "interval", "moment", "expected"),
    [
        ("2026-01-01 00:30", Interval(Unit.HOUR, 1), "2026-01-01 00:30", "2026-01-01 01:30"),
        ("2026-01-01 00:30", Interval(Unit.HOUR, 1), "2026-01-01 01:29:59", "2026-01-01 01:30"),
        ("2026-01-01 00:30", Interval(Unit.MINUTE, 15), "2026-01-01 02:46", "2026-01-01 03:00"),
        ("2026-01-31 06:00", Interval(Unit.MONTH, 1), "2026-01-31 06:00", "2026-02-28 06:00"),
        ("2026-01-31 06:00", Interval(Unit.MONTH, 1), "2026-02-28 06:00", "2026-03-31 06:00"),
        ("2028-01-31 06:00", Interval(Unit.MONTH, 1), "2028-02-01 00:00", "2028-02-29 06:00"),
        ("2024-02-29 12:00", Interval(Unit.MONTH, 12), "2024-03-01 00:00", "2025-02-28 12:00"),
        ("2024-02-29 12:00", Interval(Unit.MONTH, 12), "2027-03-01 00:00", "2028-02-29 12:00"),
        ("2026-11-30 00:00", Interval(Unit.MONTH, 3), "2026-12-01 00:00", "2027-02-28 00:00"),
        ("2026-03-28 02:30", Interval(Unit.DAY, 1), "2026-03-28 03:00", "2026-03-29 02:30"),
        ("2026-01-05 08:00", Interval(Unit.WEEK, 2), "2026-06-01 00:00", "2026-06-08 08:00"),
        ("2026-01-01 00:00", Interval(Unit.MONTH, 10_000), "2026-01-02 00:00", "2859-05-01 00:00"),
    ],
)
def test_the_next_time_stands_on_the_calendar_grid(
    anchor: str, interval: Interval, moment: str, expected: str
) -> None:
    assert next_after(utc(anchor), interval, utc(moment)) == utc(expected)


def test_before_the_first_time_the_next_time_is_the_first_time() -> None:
    assert next_after(utc("2030-01-01"), Interval(Unit.HOUR, 1), utc("2026-01-01")) == utc(
        "2030-01-01"
    )


def test_past_the_last_year_there_is_no_next_time() -> None:
    anchor = utc("9999-12-31 23:00")
    assert next_after(anchor, Interval(Unit.DAY, 1), anchor) is None
    assert next_after(anchor, Interval(Unit.MONTH, 1), anchor) is None


@given(times, intervals, times)
def test_the_next_time_is_later_and_nothing_of_the_grid_lies_between(
    anchor: datetime, interval: Interval, moment: datetime
) -> None:
    following = next_after(anchor, interval, moment)
    assert following is not None
    assert following > moment or (following == anchor and moment < anchor)
    if following > anchor:
        months = (following.year - anchor.year) * 12 + following.month - anchor.month
        length = {
            Unit.MINUTE: timedelta(minutes=1),
            Unit.HOUR: timedelta(hours=1),
            Unit.DAY: timedelta(days=1),
            Unit.WEEK: timedelta(weeks=1),
        }
        if interval.unit is Unit.MONTH:
            steps, rest = divmod(months, interval.value)
        else:
            steps, rest = divmod(
                (following - anchor) // timedelta(microseconds=1),
                length[interval.unit] * interval.value // timedelta(microseconds=1),
            )
        assert rest == 0
        assert grid_point(anchor, interval, steps) == following
        assert grid_point(anchor, interval, steps - 1) <= moment


@given(times, st.integers(1, 24))
def test_months_keep_the_day_or_take_the_last_one(anchor: datetime, value: int) -> None:
    moment = anchor
    for _ in range(30):
        following = next_after(anchor, Interval(Unit.MONTH, value), moment)
        assert following is not None
        last_day = (following + timedelta(days=1)).month != following.month
        assert following.day == anchor.day or (following.day < anchor.day and last_day)
        assert following.time() == anchor.time()
        moment = following


fixed = st.builds(
    Interval,
    st.sampled_from([Unit.MINUTE, Unit.HOUR, Unit.DAY, Unit.WEEK]),
    st.integers(1, 10_000),
)
LENGTHS = {Unit.MINUTE: 60, Unit.HOUR: 3600, Unit.DAY: 86_400, Unit.WEEK: 604_800}


@given(times, fixed, st.integers(0, 100_000))
def test_minutes_hours_days_and_weeks_never_drift(
    anchor: datetime, interval: Interval, steps: int
) -> None:
    seconds = LENGTHS[interval.unit] * interval.value
    moment = anchor + timedelta(seconds=seconds * steps) if seconds * steps < 2e11 else anchor
    following = next_after(anchor, interval, moment)
    assert following is not None
    assert following - moment == timedelta(seconds=seconds)


@given(st.integers(1970, 2400), st.integers(1, 12), st.integers(1, 48), st.integers(1, 400))
def test_the_31st_comes_back_and_leap_days_come_every_fourth_year(
    year: int, month: int, value: int, steps: int
) -> None:
    anchor = datetime(year, month, calendar.monthrange(year, month)[1], 23, 59, tzinfo=UTC)
    point = grid_point(anchor, Interval(Unit.MONTH, value), steps)
    length = calendar.monthrange(point.year, point.month)[1]
    assert point.day == min(anchor.day, length)
    assert (point.year - year) * 12 + point.month - month == value * steps


@given(times, intervals, st.lists(times, min_size=1, max_size=30))
def test_what_was_missed_is_one_run(
    anchor: datetime, interval: Interval, looks: list[datetime]
) -> None:
    """A ticker that looks at any times: each point of the grid is run for at most once."""
    planned: datetime | None = anchor
    ran: list[datetime] = []
    for now in sorted(looks):
        if planned is not None and planned <= now:
            ran.append(planned)
            planned = next_after(anchor, interval, now)
            assert planned is None or planned > now
            assert planned is None or next_after(anchor, interval, planned) != planned
    assert len(ran) == len(set(ran)) <= len(looks)
    assert ran == sorted(ran)
    assert not ran or ran[0] == anchor


@given(times, intervals, st.lists(times, max_size=8), times)
def test_a_clock_that_jumps_puts_nothing_off(
    anchor: datetime, interval: Interval, wrong: list[datetime], now: datetime
) -> None:
    """Whatever a clock has shown, the next time after the true one is the grid's own."""
    planned: datetime | None = anchor
    for shown in wrong:  # back and forth
        if planned is not None and planned <= shown:
            planned = next_after(anchor, interval, shown)
    mended = next_after(anchor, interval, now)
    assert mended is not None
    if planned is not None and planned <= now:
        return  # it is due, and its run leads to `mended`
    if now >= anchor:
        assert grid_distance(anchor, interval, mended) <= grid_distance(anchor, interval, planned)


def grid_distance(anchor: datetime, interval: Interval, point: datetime | None) -> float:
    """How many intervals lie between the anchor and a point of the grid."""
    if point is None:
        return float("inf")
    if interval.unit is Unit.MONTH:
        months = (point.year - anchor.year) * 12 + point.month - anchor.month
        return months / interval.value
    return (point - anchor).total_seconds() / (LENGTHS[interval.unit] * interval.value)


@given(times, intervals)
def test_the_last_years_of_the_calendar_have_an_end_and_no_error(
    anchor: datetime, interval: Interval
) -> None:
    moment = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert next_after(anchor, interval, moment) is None
    before = datetime(9990, 1, 1, tzinfo=UTC)
    following = next_after(anchor, interval, before)
    assert following is None or following > before


@given(times, intervals, times, st.integers(-14, 14))
def test_a_time_in_another_zone_is_the_same_time(
    anchor: datetime, interval: Interval, moment: datetime, hours: int
) -> None:
    zone = timezone(timedelta(hours=hours))
    elsewhere = next_after(anchor.astimezone(zone), interval, moment.astimezone(zone))
    assert elsewhere == next_after(anchor, interval, moment)
