"""Edm types in Arrow, from the JSON that a service answers (OData JSON Format 4.01, 7.1).

Values are exact: decimals and 64-bit integers are asked for as strings (IEEE754Compatible), and a
value that does not fit what $metadata declares is an error that names its property.
"""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tidewell.errors import SourceBroken
from tidewell.sources.odata.metadata import Property

NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
INTERVAL = pa.opaque(pa.string(), "interval", "PostgreSQL")
_LARGEST_PRECISION = 38
_DIGITS_OF_A_FLOAT = 15
_NO_GUID = "0" * 32
_TICKS = r"^\\?/Date\((?P<ms>-?\d+)(?P<minutes>[+-]\d{1,4})?\)\\?/$"
_CLOCK = re.compile(r"PT(?:(\d{1,2})H)?(?:(\d{1,2})M)?(?:(\d{1,2})(?:\.(\d+))?S)?")
_SPECIAL_NUMBERS = {"INF": float("inf"), "-INF": float("-inf"), "NaN": float("nan")}

_PLAIN: dict[str, pa.DataType] = {
    "Edm.Boolean": pa.bool_(),
    "Edm.SByte": pa.int8(),
    "Edm.Byte": pa.uint8(),
    "Edm.Int16": pa.int16(),
    "Edm.Int32": pa.int32(),
    "Edm.Int64": pa.int64(),
    "Edm.Single": pa.float32(),
    "Edm.Double": pa.float64(),
    "Edm.String": pa.string(),
    "Edm.Guid": pa.uuid(),
    "Edm.Binary": pa.binary(),
    "Edm.Date": pa.date32(),
    "Edm.TimeOfDay": pa.time64("us"),
    "Edm.DateTime": pa.timestamp("us"),
    "Edm.DateTimeOffset": pa.timestamp("us", "UTC"),
    "Edm.Time": pa.time64("us"),
    "Edm.Duration": INTERVAL,
}


def arrow_type(one: Property) -> pa.DataType:
    """The Arrow type of a property; what has no scalar type (complex, geography …) is JSON."""
    if one.type == "Edm.Decimal":
        if one.precision and one.precision <= _LARGEST_PRECISION and one.scale is not None:
            return pa.decimal128(one.precision, one.scale)
        return NUMERIC
    return _PLAIN.get(one.type, pa.json_())


def to_array(one: Property, values: Sequence[Any]) -> pa.Array:
    """The JSON values of a property as an Arrow array. Raises SourceBroken."""
    kind = arrow_type(one)
    convert = _CONVERSIONS.get(one.type, _json)
    try:
        return convert(kind, values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceBroken(
            f"The service gave a value of {one.name} that is no {one.type}"
            f"{_facets(one)}, as its $metadata declares: {reason}"
        ) from error


def _facets(one: Property) -> str:
    if one.precision is None:
        return ""
    return f"({one.precision}, {one.scale})" if one.scale is not None else f"({one.precision})"


def needs_digits(one: Property) -> bool:
    """Whether a float may lose digits of a value: one with 15 or fewer comes back as written."""
    return one.type == "Edm.Decimal" and not 0 < (one.precision or 0) <= _DIGITS_OF_A_FLOAT


def _as_is(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.array(values, kind)


def _integer(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """A 64-bit integer comes as a string where the service is IEEE754Compatible."""
    if any(isinstance(v, str) for v in values):
        return _text(pa.string(), values).cast(kind)
    return pa.array(values, kind)


def _float(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    numbers = [_SPECIAL_NUMBERS.get(v) or float(v) if isinstance(v, str) else v for v in values]
    return pa.array(numbers, pa.float64()).cast(kind, safe=False)


def _text(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Enumerations and strings; a number is taken as it is written."""
    try:
        return pa.array(values, kind)
    except pa.ArrowTypeError:
        return pa.array([v if v is None or isinstance(v, str) else str(v) for v in values], kind)


def _decimal(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    texts = _text(pa.string(), values)
    if kind == NUMERIC:
        return pa.ExtensionArray.from_storage(kind, texts)
    return texts.cast(kind)


def _duration(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, _text(pa.string(), values))


def _guid(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """All of a column at once: 32 hexadecimal digits a value, nulls as zeros behind the mask."""
    digits = [_NO_GUID if v is None else v.replace("-", "") for v in values]
    if any(len(v) != len(_NO_GUID) for v in digits):
        raise ValueError("not 32 hexadecimal digits")
    known = pa.array([v is not None for v in values], pa.bool_())
    data = pa.py_buffer(bytes.fromhex("".join(digits)))
    raw = pa.Array.from_buffers(pa.binary(16), len(digits), [known.buffers()[1], data])
    return pa.ExtensionArray.from_storage(kind, raw)


def _binary(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """base64url, with or without padding; some services write plain base64."""

    def decoded(text: str) -> bytes:
        text = text.rstrip("=").replace("+", "-").replace("/", "_")
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)

    return pa.array([None if v is None else decoded(v) for v in values], kind)


def _moment(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    texts = pa.array(values, pa.string())
    first = next((v for v in values if v is not None), "")
    if first.startswith(("/Date(", "\\/Date(")):
        return _ticks(kind, texts)
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        # Up to 12 digits of a second are allowed; PostgreSQL keeps 6. Cut, never rounded up.
        return pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1").cast(kind)


def _ticks(kind: pa.DataType, texts: pa.Array) -> pa.Array:
    """`/Date(1577836800000+0060)/`: milliseconds of the local clock since 1970, and how many
    minutes that clock is ahead of UTC ([MS-ODATA] 2.2.6.3.1)."""
    parts = pc.extract_regex(texts, _TICKS)
    if parts.null_count != texts.null_count:
        raise ValueError("not /Date(milliseconds)/")
    milliseconds = pc.struct_field(parts, "ms").cast(pa.int64())
    offsets = pc.struct_field(parts, "minutes")
    if pc.any(pc.not_equal(offsets, "")).as_py():
        minutes = pc.replace_substring_regex(
            pc.if_else(pc.equal(offsets, ""), "0", offsets), r"^\+", ""
        ).cast(pa.int64())
        milliseconds = pc.subtract(milliseconds, pc.multiply(minutes, 60_000))
    return pc.multiply_checked(milliseconds, 1000).cast(kind)


def _time(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Arrow reads moments from text, but no times of day."""
    texts = pa.array(values, pa.string())
    moments = pc.binary_join_element_wise("1970-01-01", texts, "T")
    try:
        return moments.cast(pa.timestamp("us")).cast(kind)
    except pa.ArrowInvalid:
        shorter = pc.replace_substring_regex(moments, r"(\.\d{6})\d+", r"\1")
        return shorter.cast(pa.timestamp("us")).cast(kind)


def _clock(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """A time of day of OData 2, written as the duration since midnight: PT13H20M5.5S."""
    return _time(kind, [None if v is None else _time_of_day(v) for v in values])


def _time_of_day(text: str) -> str:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no time of day")
    hours, minutes, seconds, fraction = (part or "0" for part in found.groups())
    return f"{int(hours):02}:{int(minutes):02}:{int(seconds):02}.{fraction[:6]}"


def _date(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """OData 2 knows moments only; SAP's services say which of them are dates."""
    texts = pa.array(values, pa.string())
    first = next((v for v in values if v is not None), "")
    return _ticks(pa.timestamp("us"), texts).cast(kind) if "Date(" in first else texts.cast(kind)


def _json(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    texts = [None if v is None else orjson.dumps(v, default=float).decode() for v in values]
    return pa.ExtensionArray.from_storage(kind, pa.array(texts, pa.string()))


_CONVERSIONS: dict[str, Callable[[pa.DataType, Sequence[Any]], pa.Array]] = {
    "Edm.Boolean": _as_is,
    "Edm.SByte": _integer,
    "Edm.Byte": _integer,
    "Edm.Int16": _integer,
    "Edm.Int32": _integer,
    "Edm.Int64": _integer,
    "Edm.Single": _float,
    "Edm.Double": _float,
    "Edm.String": _text,
    "Edm.Decimal": _decimal,
    "Edm.Guid": _guid,
    "Edm.Binary": _binary,
    "Edm.Date": _date,
    "Edm.TimeOfDay": _time,
    "Edm.DateTime": _moment,
    "Edm.DateTimeOffset": _moment,
    "Edm.Time": _clock,
    "Edm.Duration": _duration,
}
