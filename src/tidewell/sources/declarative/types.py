"""JSON schema in Arrow, and the JSON of records as columns.

Connectors' schemas are kept by hand and are wide of the mark here and there. So a value is taken
as it is where its column can hold it exactly, and is otherwise an error that names the column:
nothing is rounded, cut or left out in silence.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pyarrow as pa

from tidewell.errors import SourceBroken

MOMENT = pa.timestamp("us", "UTC")
_LOCAL_MOMENT = pa.timestamp("us")
_BIG_INTEGER = pa.decimal128(38, 0)
_FINER = re.compile(r"(\.\d{6})\d+")
"""More digits of a second than PostgreSQL keeps: cut, never rounded up."""


def arrow_type(schema: Mapping[str, Any]) -> pa.DataType:
    """The Arrow type of a property; what has no single scalar type is JSON."""
    schema = _without_null(schema)
    said = schema.get("type")
    kinds = {str(one) for one in ([said] if isinstance(said, str) else said or ())} - {"null"}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) != 1:
        return pa.json_()
    match kinds.pop():
        case "string":
            return _text_type(schema)
        case "integer":
            big = schema.get("airbyte_type") == "big_integer"
            return _BIG_INTEGER if big else pa.int64()
        case "number":
            return pa.float64()
        case "boolean":
            return pa.bool_()
        case _:
            return pa.json_()


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A choice between null and one other schema is that other one."""
    branches = schema.get("anyOf") or schema.get("oneOf") or ()
    others = [one for one in branches if isinstance(one, Mapping) and one.get("type") != "null"]
    return others[0] if "type" not in schema and len(others) == 1 else schema


def _text_type(schema: Mapping[str, Any]) -> pa.DataType:
    match schema.get("format"):
        case "date-time":
            local = schema.get("airbyte_type") == "timestamp_without_timezone"
            return _LOCAL_MOMENT if local else MOMENT
        case "date":
            return pa.date32()
        case _:
            return pa.string()


def to_array(name: str, kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """The values of a property as an Arrow array. Raises SourceBroken that names it."""
    try:
        return _CONVERSIONS[kind](values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, InvalidOperation) as error:
        said = " ".join(str(error).split())[:200]
        raise SourceBroken(
            f"The service gave a value of {name} that is no {kind}, as the connector declares: "
            f"{said}"
        ) from error


def _json(values: Sequence[Any]) -> pa.Array:
    texts = [None if v is None else orjson.dumps(v, default=str).decode() for v in values]
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))


def _text(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, TypeError):
        return pa.array([_written(v) for v in values], pa.string())


def _written(value: Any) -> str | None:
    """A value that is no text in a column of text: as JSON writes it."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, default=str).decode()


def _integer(values: Sequence[Any]) -> pa.Array:
    try:
        # Told to make whole numbers, Arrow would cut the fractions off.
        found = pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError):
        found = None
    if found is not None and found.type in (pa.int64(), pa.null()):
        return found.cast(pa.int64())
    return pa.array([_whole(v) for v in values], pa.int64())


def _whole(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"{value} is no whole number")
        return int(value)
    return int(value)


def _big_integer(values: Sequence[Any]) -> pa.Array:
    whole = [_whole(v) for v in values]
    return pa.array([None if v is None else Decimal(v) for v in whole], _BIG_INTEGER)


def _number(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.float64())
    except (pa.ArrowException, TypeError):
        return pa.array([None if v is None or v == "" else float(v) for v in values], pa.float64())


_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def _boolean(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.bool_())
    except (pa.ArrowException, TypeError):
        return pa.array([_truth(v) for v in values], pa.bool_())


def _truth(value: Any) -> bool | None:
    if value is None or value == "" or isinstance(value, bool):
        return None if value == "" else value
    found = _TRUTHS.get(str(value).lower())
    if found is None:
        raise ValueError(f"{str(value)[:60]!r} is neither true nor false")
    return found


def _moment(values: Sequence[Any]) -> pa.Array:
    """Arrow reads ISO 8601 at once where each value has a zone; else each by itself."""
    try:
        return pa.array(values, pa.string()).cast(MOMENT)
    except (pa.ArrowException, TypeError):
        return pa.array([_read_moment(v) for v in values], MOMENT)


def _local_moment(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string()).cast(_LOCAL_MOMENT)
    except (pa.ArrowException, TypeError):
        read = [_read_moment(v) for v in values]
        return pa.array([None if v is None else v.replace(tzinfo=None) for v in read])


def _read_moment(value: Any) -> datetime | None:
    """A moment as services write it: ISO 8601, or seconds since 1970; "" is none; no zone: UTC."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    text = str(value).strip()
    try:
        read = datetime.fromisoformat(_FINER.sub(r"\1", text))
    except ValueError:
        read = parsedate_to_datetime(text)  # as in mail (RFC 5322); else a ValueError
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _day(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string()).cast(pa.date32())
    except (pa.ArrowException, TypeError):
        return pa.array([_read_day(v) for v in values], pa.date32())


def _read_day(value: Any) -> date | None:
    if value is None or value == "":
        return None
    read = _read_moment(value)
    return None if read is None else read.date()


_CONVERSIONS: dict[pa.DataType, Callable[[Sequence[Any]], pa.Array]] = {
    pa.json_(): _json,
    pa.string(): _text,
    pa.int64(): _integer,
    _BIG_INTEGER: _big_integer,
    pa.float64(): _number,
    pa.bool_(): _boolean,
    MOMENT: _moment,
    _LOCAL_MOMENT: _local_moment,
    pa.date32(): _day,
}
