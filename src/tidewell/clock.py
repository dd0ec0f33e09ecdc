"""The one place that reads the clock.

Everything that needs the time takes a `Clock` or calls `now()`, so that a test can bring its own
and no naive datetime can arise. Times are UTC with microseconds, as PostgreSQL keeps them.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]

SENTINEL = "0001-01-01T00:00:00Z"
"""How the Job API writes a time that does not exist (contract §4)."""


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


def to_wire(moment: datetime | None) -> str:
    """Write a time as the Job API does: ISO 8601, UTC, milliseconds, `Z`; None: the sentinel."""
    if moment is None:
        return SENTINEL
    if moment.tzinfo is None:
        raise ValueError("a datetime without a time zone cannot be sent")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_wire(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is UTC. Raises ValueError when it is no time."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
