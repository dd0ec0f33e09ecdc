"""The fields of a schedule in a form."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tidewell import clock
from tidewell.errors import InvalidRequest

EVERY_WRONG = "Give a whole number from 1 to 10,000, and choose its unit."

LEVELS = (
    (1, "1: start, plan, rows and end"),
    (2, "2: and each request and statement"),
    (3, "3: and headers and bodies"),
    (4, "4: and TLS"),
    (5, "5: everything"),
)


def schedule_form(row: Mapping[str, Any]) -> dict[str, str]:
    """How often a job runs, and how much its log says, as a form's fields."""
    form = {
        "unit": row["interval_unit"],
        "every": str(row["interval_value"]),
        "level": str(row["log_verbosity"]),
    }
    return form | ({"enabled": "on"} if row["enabled"] else {})


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
