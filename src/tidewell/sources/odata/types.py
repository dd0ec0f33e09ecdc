"""Edm types in Arrow, from the JSON that a service answers (OData JSON Format 4.01, 7.1).

Values are exact: decimals and 64-bit integers are asked for as strings (IEEE754Compatible), and a
value that does not fit what $metadata declares is an error that names its property.
"""

import base64
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
    "Edm.DateTimeOffset": pa.timestamp("us", "UTC"),
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


def _as_is(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.array(values, kind)


def _integer(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """A 64-bit integer comes as a string where the service is IEEE754Compatible."""
    return pa.array([int(v) if isinstance(v, str) else v for v in values], kind)


def _float(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.array(
        [_SPECIAL_NUMBERS[v] if isinstance(v, str) else v for v in values], pa.float64()
    ).cast(kind, safe=False)


def _text(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Enumerations and strings; a number is taken as it is written."""
    return pa.array([v if v is None or isinstance(v, str) else str(v) for v in values], kind)


def _decimal(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    texts = _text(pa.string(), values)
    if kind == NUMERIC:
        return pa.ExtensionArray.from_storage(kind, texts)
    return texts.cast(kind)


def _duration(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, _text(pa.string(), values))


def _guid(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    raw = [None if v is None else bytes.fromhex(v.replace("-", "")) for v in values]
    return pa.ExtensionArray.from_storage(kind, pa.array(raw, pa.binary(16)))


def _binary(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """base64url, with or without padding; some services write plain base64."""

    def decoded(text: str) -> bytes:
        text = text.rstrip("=").replace("+", "-").replace("/", "_")
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)

    return pa.array([None if v is None else decoded(v) for v in values], kind)


def _moment(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    texts = pa.array(values, pa.string())
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        # Up to 12 digits of a second are allowed; PostgreSQL keeps 6. Cut, never rounded up.
        return pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1").cast(kind)


def _time(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Arrow reads moments from text, but no times of day."""
    moments = [None if v is None else f"1970-01-01T{v}" for v in values]
    return _moment(pa.timestamp("us"), moments).cast(kind)


def _cast(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.string()).cast(kind)


def _json(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    texts = [None if v is None else orjson.dumps(v, default=float).decode() for v in values]
    return pa.ExtensionArray.from_storage(kind, pa.array(texts, pa.string()))


_CONVERSIONS: dict[str, Callable[[pa.DataType, Sequence[Any]], pa.Array]] = {
    "Edm.Boolean": _as_is,
    "Edm.SByte": _as_is,
    "Edm.Byte": _as_is,
    "Edm.Int16": _as_is,
    "Edm.Int32": _as_is,
    "Edm.Int64": _integer,
    "Edm.Single": _float,
    "Edm.Double": _float,
    "Edm.String": _text,
    "Edm.Decimal": _decimal,
    "Edm.Guid": _guid,
    "Edm.Binary": _binary,
    "Edm.Date": _cast,
    "Edm.TimeOfDay": _time,
    "Edm.DateTimeOffset": _moment,
    "Edm.Duration": _duration,
}
