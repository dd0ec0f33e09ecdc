"""How the dates of CSV files are written: a date is one only where its day and month are certain.

DuckDB finds the format in each file by itself, and takes the day for the first where both orders
would do. So of two files of one table, 01/02/2026 alone in the one and 01/13/2026 in the other,
it would read the one day-first and the other month-first.
"""

from collections.abc import Mapping
from typing import Any

AS_SEEN = "auto"
"""The format that DuckDB finds by itself."""

MOMENTS = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_MONTHS = 12


def formats(
    kinds: Mapping[str, str], parts: Mapping[str, Mapping[str, Any]]
) -> dict[str, str | None]:
    """The formats of the columns in `parts`, whose values do not begin with a year; None: text.

    `kinds` are the types of all columns. One format holds for all dates of a reading, so that where
    there would be two of them, dates that begin with their year are the only ones.
    """
    found = {name: _format(kinds[name], told) for name, told in parts.items()}
    dates = {found.get(name, AS_SEEN) for name, kind in kinds.items() if kind == "DATE"}
    if len(dates - {None}) > 1:
        return {name: one if one == AS_SEEN else None for name, one in found.items()}
    return found


def _format(kind: str, parts: Mapping[str, Any]) -> str | None:
    """By dots the day is always first; by other signs only a day above 12 tells the order.

    DuckDB takes moments with AM or PM for month-first ones, all others for day-first ones.
    """
    sign = str(parts["least_sign"])
    if not parts["in_one_form"] or sign != parts["greatest_sign"]:
        return None
    day_first = sign == "." or parts["first"] > _MONTHS
    month_first = parts["second"] > _MONTHS
    if day_first == month_first:
        return None
    if kind in MOMENTS:
        as_taken = not parts["some_half_days"] if day_first else parts["all_half_days"]
        return AS_SEEN if as_taken else None
    return sign.join(("%d", "%m", "%Y") if day_first else ("%m", "%d", "%Y"))
