"""The type table: which PostgreSQL type holds each Arrow type (docs/types.md shows it).

PostgreSQL types are written as `format_type` writes them, so that a declaration can be compared
with the catalogue.
"""

import re
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from tidewell.cache.plan import CacheColumn

_LONGEST_VARCHAR = 10_485_760
_LARGEST_PRECISION = 1000
_DECIMAL128_DIGITS = 38


class Wire(Enum):
    """How values travel in binary COPY."""

    AS_IS = "as is"
    JSON = "json"
    """As JSON text, into jsonb."""
    TEXT = "text"
    """As text, into a text column of the staging table that is cast on its way to the cache."""


@dataclass(frozen=True)
class Held:
    """Where a column of an Arrow type is held: the declared type, and how its values travel.

    `arrow` is the Arrow type that batches are cast to before they are encoded.
    """

    declared: str
    arrow: pa.DataType
    wire: Wire = Wire.AS_IS


_PLAIN: dict[pa.DataType, Held] = {
    pa.bool_(): Held("boolean", pa.bool_()),
    pa.int8(): Held("smallint", pa.int16()),
    pa.int16(): Held("smallint", pa.int16()),
    pa.int32(): Held("integer", pa.int32()),
    pa.int64(): Held("bigint", pa.int64()),
    pa.uint8(): Held("smallint", pa.int16()),
    pa.uint16(): Held("integer", pa.int32()),
    pa.uint32(): Held("bigint", pa.int64()),
    pa.uint64(): Held("numeric(20,0)", pa.decimal128(20, 0)),
    pa.float16(): Held("real", pa.float32()),
    pa.float32(): Held("real", pa.float32()),
    pa.float64(): Held("double precision", pa.float64()),
    pa.binary(): Held("bytea", pa.binary()),
    pa.large_binary(): Held("bytea", pa.large_binary()),
    pa.binary_view(): Held("bytea", pa.binary()),
    pa.date32(): Held("date", pa.date32()),
    pa.date64(): Held("date", pa.date32()),
    pa.uuid(): Held("uuid", pa.binary(16)),
    pa.null(): Held("text", pa.string()),
    pa.month_day_nano_interval(): Held("interval", pa.string(), Wire.TEXT),
}

_OPAQUE = frozenset({"numeric", "interval"})
"""Opaque Arrow types whose storage is text that PostgreSQL itself reads."""


def held(column: CacheColumn) -> Held:
    """The PostgreSQL type of a column. Every Arrow type has one; nested ones become jsonb."""
    return _held(column.type, column.length)


def _held(kind: pa.DataType, length: int | None) -> Held:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, pa.OpaqueType):
        if kind.type_name in _OPAQUE:
            return Held(kind.type_name, pa.string(), Wire.TEXT)
        return _held(kind.storage_type, length)
    if isinstance(kind, pa.Bool8Type):
        return _PLAIN[pa.bool_()]
    if isinstance(kind, pa.JsonType):
        return Held("jsonb", pa.string(), Wire.JSON)
    if isinstance(kind, pa.BaseExtensionType):
        return _held(kind.storage_type, length)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _held(kind.value_type, length)
    if pa.types.is_large_string(kind):
        return Held(_text(length), pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return Held(_text(length), pa.string())
    if pa.types.is_fixed_size_binary(kind):
        return Held("bytea", kind)
    if pa.types.is_decimal(kind):
        return _decimal(kind)
    if pa.types.is_timestamp(kind):
        zone = "with" if kind.tz else "without"
        arrow = pa.timestamp("us", "UTC" if kind.tz else None)
        return Held(f"timestamp {zone} time zone", arrow)
    if pa.types.is_time(kind):
        return Held("time without time zone", pa.time64("us"))
    if pa.types.is_duration(kind):
        return Held("interval", pa.duration("us"))
    return Held("jsonb", pa.string(), Wire.JSON)


def _text(length: int | None) -> str:
    if length is None or not 0 < length <= _LONGEST_VARCHAR:
        return "text"
    return f"character varying({length})"


def _decimal(kind: pa.DataType) -> Held:
    scale = max(kind.scale, 0)
    precision = max(kind.precision - min(kind.scale, 0), scale)
    declared = f"numeric({precision},{scale})" if precision <= _LARGEST_PRECISION else "numeric"
    if precision <= _DECIMAL128_DIGITS:
        return Held(declared, pa.decimal128(max(precision, 1), scale))
    return Held(declared, pa.string(), Wire.TEXT)


_DECLARATION = re.compile(r"(?P<base>[a-z ]+?)(?:\((?P<first>\d+)(?:,(?P<second>-?\d+))?\))?")
_INTEGERS = {"smallint": 5, "integer": 10, "bigint": 19}
_FLOATS = ("real", "double precision")
_TEXTS = ("character varying", "text")
_MOMENTS = ("date", "timestamp without time zone", "timestamp with time zone")


def wider(one: str, other: str) -> str | None:
    """The type that holds all values of both without loss and means the same; None: there is none.

    Text holds anything, but what was a number or a time would no longer be one to whoever reads it.
    """
    if one == other:
        return one
    first, second = _parts(one), _parts(other)
    bases = {first[0], second[0]}
    if bases <= set(_INTEGERS):
        return max(bases, key=lambda base: _INTEGERS[base])
    if bases <= {*_INTEGERS, "numeric"}:
        return _wider_numeric(_as_numeric(first), _as_numeric(second))
    if bases <= set(_FLOATS) or bases <= {"smallint", "integer", *_FLOATS}:
        return "double precision"
    if bases <= set(_TEXTS):
        lengths = (first[1], second[1])
        longest = None if None in lengths else max(length or 0 for length in lengths)
        return _text(longest)
    if bases <= set(_MOMENTS):
        return max(bases, key=_MOMENTS.index)
    return None


def _parts(declared: str) -> tuple[str, int | None, int | None]:
    match = _DECLARATION.fullmatch(declared)
    if match is None:
        return declared, None, None
    first, second = match["first"], match["second"]
    return match["base"], int(first) if first else None, int(second) if second else None


def _as_numeric(parts: tuple[str, int | None, int | None]) -> tuple[int, int] | None:
    """Digits before and after the point; None where both are unlimited."""
    base, precision, scale = parts
    if base in _INTEGERS:
        return _INTEGERS[base], 0
    if precision is None:
        return None
    return precision - (scale or 0), scale or 0


def _wider_numeric(one: tuple[int, int] | None, other: tuple[int, int] | None) -> str:
    if one is None or other is None:
        return "numeric"
    before, after = max(one[0], other[0]), max(one[1], other[1])
    return f"numeric({before + after},{after})"
