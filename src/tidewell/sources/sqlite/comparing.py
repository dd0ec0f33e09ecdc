"""A comparison's value as SQLite compares it: as a number or as text, at the column's own form."""

from contextlib import suppress

import pyarrow as pa

from tidewell.sources.sqlite.columns import AS_IT_IS, SQLiteColumn

_MOST_INTEGER = 2**63


def comparable(text: str, one: SQLiteColumn) -> int | float | str | None:
    """The value to compare with; None where SQLite would compare something else than is meant."""
    kind = one.column.type
    if one.expression != AS_IT_IS:
        return None
    if pa.types.is_boolean(kind):
        return {"true": 1, "false": 0, "1": 1, "0": 0}.get(text.lower())
    with suppress(ValueError):
        if pa.types.is_integer(kind) and abs(int(text)) < _MOST_INTEGER:
            return int(text)
        if pa.types.is_floating(kind):
            return float(text)
    if pa.types.is_string(kind):
        return text
    if one.written and pa.types.is_date(kind):
        return text
    if one.written and pa.types.is_timestamp(kind):
        return _as_written(text, one.written)
    return None


def has_order(one: SQLiteColumn) -> bool:
    """Whether SQLite sorts the column's values as what they mean."""
    kind = one.column.type
    if one.expression != AS_IT_IS:
        return False
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return one.written is not None
    return True


def _as_written(text: str, example: str) -> str | None:
    """A time in the form of the column's own. Digits that the column has no place for stay at the
    end, where they compare rightly; before a zone they would not."""
    zone = next((end for end in ("Z", "+00:00") if example.endswith(end)), "")
    moment, _, fraction = text.removesuffix("Z").removesuffix("+00:00").partition(".")
    digits = len(example.removesuffix(zone).partition(".")[2])
    fraction = fraction.rstrip("0").ljust(digits, "0")
    if zone and len(fraction) > digits:
        return None
    moment = moment.replace("T", example[10]).replace(" ", example[10])
    return f"{moment}.{fraction}{zone}" if fraction else f"{moment}{zone}"
