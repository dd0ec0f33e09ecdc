"""When a job runs: pure arithmetic on a fixed grid, without drift (contract §4).

The grid starts at the job's first time and goes on in whole intervals. Minutes, hours, days and
weeks are fixed lengths of time; months are calendar steps in UTC from the first time's own day, so
the 31st falls to a shorter month's last day and comes back to the 31st.
"""

import calendar
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from enum import StrEnum


class Unit(StrEnum):
    """The unit of an interval, spelled as the Job API answers it."""

    MINUTE = "Minute"
    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


_LENGTH = {
    Unit.MINUTE: timedelta(minutes=1),
    Unit.HOUR: timedelta(hours=1),
    Unit.DAY: timedelta(days=1),
    Unit.WEEK: timedelta(weeks=1),
}


@dataclass(frozen=True)
class Interval:
    """Every `value` units."""

    unit: Unit
    value: int


def grid_point(anchor: datetime, interval: Interval, steps: int) -> datetime:
    """The time `steps` intervals after the anchor. Raises OverflowError past the year 9999."""
    if interval.unit is not Unit.MONTH:
        return anchor + _LENGTH[interval.unit] * interval.value * steps
    months = anchor.month - 1 + interval.value * steps
    year, month = anchor.year + months // 12, months % 12 + 1
    if year > MAXYEAR:
        raise OverflowError("date value out of range")
    return anchor.replace(
        year=year, month=month, day=min(anchor.day, calendar.monthrange(year, month)[1])
    )


def next_after(anchor: datetime, interval: Interval, moment: datetime) -> datetime | None:
    """The first point of the grid that is later than `moment`; None when there is none any more.

    Missed points coalesce by themselves: only the next one is ever asked for.
    """
    anchor, moment = anchor.astimezone(UTC), moment.astimezone(UTC)
    if moment < anchor:
        return anchor
    if interval.unit is Unit.MONTH:
        passed = (moment.year - anchor.year) * 12 + moment.month - anchor.month
        steps = max(passed // interval.value, 0)
    else:
        steps = (moment - anchor) // (_LENGTH[interval.unit] * interval.value)
    try:
        point = grid_point(anchor, interval, steps)
        return point if point > moment else grid_point(anchor, interval, steps + 1)
    except OverflowError:
        return None
