"""Times, spans and numbers as people read them."""

from datetime import UTC, datetime, timedelta

from tidewell.jobs.schedule import Interval

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def ago(moment: datetime, now: datetime) -> str:
    """`5 min ago`; of a time to come `in 5 min`."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    text = about(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def about(seconds: float) -> str:
    """A span in its largest unit: `40 s`, `5 min`, `3 h`, `12 days`."""
    if round(seconds) < _MINUTE:
        return f"{seconds:.0f} s"
    if round(seconds / _MINUTE) < _HOUR / _MINUTE:
        return f"{seconds / _MINUTE:.0f} min"
    if round(seconds / _HOUR) < 2 * _DAY / _HOUR:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"


def span(seconds: float) -> str:
    """A span in its two largest units: `0.4 s`, `12 s`, `3 min 5 s`, `1 h 4 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def took(started: datetime | None, ended: datetime | None) -> float:
    """Seconds between two times; 0 where one of them does not exist."""
    if started is None or ended is None:
        return 0.0
    return max((ended - started) / timedelta(seconds=1), 0.0)


def stamp(moment: datetime) -> str:
    """A time to the second: `2026-11-24 21:47:05 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: int) -> str:
    """`1,234,567`."""
    return f"{value:,}"


def rows(count: int) -> str:
    """`1 row`, `1,234 rows`."""
    return "1 row" if count == 1 else f"{number(count)} rows"


def size(count: int) -> str:
    """Bytes in their largest unit: `4.2 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def every(interval: Interval) -> str:
    """`every hour`, `every 15 minutes`."""
    unit = interval.unit.value.lower()
    return f"every {unit}" if interval.value == 1 else f"every {interval.value} {unit}s"
