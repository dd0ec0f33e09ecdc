"""The fields of a schedule in a form."""

from datetime import datetime

from tidewell import clock
from tidewell.errors import InvalidRequest

EVERY_WRONG = "Give a whole number from 1 to 10,000, and choose its unit."


def first_time(text: str) -> datetime | None:
    """A first time as browsers send it (`2030-01-31T06:00`, taken as UTC); None where it is empty.

    Raises InvalidRequest.
    """
    if not text.strip():
        return None
    try:
        return clock.from_wire(text.strip())
    except (ValueError, OverflowError):
        raise InvalidRequest.of("first", "must be a time, as 2030-01-31T06:00 (UTC)") from None
