"""How PostgreSQL's types are given as Arrow: the selected expression, the type, the decoder."""

from dataclasses import dataclass
from typing import LiteralString

import pyarrow as pa

from tidewell.sources.postgresql import copy
from tidewell.sources.postgresql.copy import Decoder
from tidewell.sources.postgresql.numeric import decimal

_LENGTH_HEADER = 4
"""What atttypmod counts in addition to a length, a precision and a scale."""
_MOST_DIGITS = 38
"""Of Arrow's decimal128; more digits travel as text."""

AS_IT_IS: LiteralString = "{}"
AS_TEXT: LiteralString = "{}::text"
AS_JSON: LiteralString = "to_json({})::text"
BY_BYTES: LiteralString = '{} COLLATE "C"'
# A cast of char(n) to text would drop the blanks.
WITH_BLANKS_BY_BYTES: LiteralString = 'textin(bpcharout({})) COLLATE "C"'
AS_TEXT_BY_BYTES: LiteralString = '{}::text COLLATE "C"'


@dataclass(frozen=True)
class Travel:
    """How the values of a column come; `{}` in an expression stands for the column.

    `compared` is what comparisons and an order see: texts go by their bytes, whatever the column's
    own collation is.
    """

    type: pa.DataType
    decode: Decoder
    expression: LiteralString = AS_IT_IS
    length: int | None = None
    compared: LiteralString = AS_IT_IS


_MOMENT = pa.timestamp("us")
_MOMENT_WITH_ZONE = pa.timestamp("us", "UTC")
_NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
_INTERVAL = pa.opaque(pa.string(), "interval", "PostgreSQL")
_TEXT = Travel(pa.string(), copy.text, AS_TEXT, compared=AS_TEXT_BY_BYTES)
_JSON = Travel(pa.json_(), copy.extended_text(pa.json_()), AS_JSON)

_PLAIN: dict[str, Travel] = {
    "bool": Travel(pa.bool_(), copy.boolean),
    "int2": Travel(pa.int16(), copy.plain(">i2", pa.int16())),
    "int4": Travel(pa.int32(), copy.plain(">i4", pa.int32())),
    "int8": Travel(pa.int64(), copy.plain(">i8", pa.int64())),
    "oid": Travel(pa.uint32(), copy.plain(">u4", pa.uint32())),
    "float4": Travel(pa.float32(), copy.plain(">f4", pa.float32())),
    "float8": Travel(pa.float64(), copy.plain(">f8", pa.float64())),
    "text": Travel(pa.string(), copy.text, compared=BY_BYTES),
    "varchar": Travel(pa.string(), copy.text, compared=BY_BYTES),
    "name": Travel(pa.string(), copy.text, length=63, compared=BY_BYTES),
    "bytea": Travel(pa.binary(), copy.binary),
    "date": Travel(pa.date32(), copy.date),
    "timestamp": Travel(_MOMENT, copy.timestamp(_MOMENT)),
    "timestamptz": Travel(_MOMENT_WITH_ZONE, copy.timestamp(_MOMENT_WITH_ZONE)),
    "time": Travel(pa.time64("us"), copy.plain(">i8", pa.time64("us"))),
    "uuid": Travel(pa.uuid(), copy.uuid),
    "json": Travel(pa.json_(), copy.extended_text(pa.json_())),
    "jsonb": Travel(pa.json_(), copy.extended_text(pa.json_()), AS_TEXT),
    "interval": Travel(_INTERVAL, copy.extended_text(_INTERVAL), AS_TEXT),
    # Whole cents of a currency that only the server knows: its own cast is the exact one.
    "money": Travel(pa.decimal128(19, 2), decimal(19, 2), "{}::numeric(19,2)"),
}


def travel(name: str, *, builtin: bool, category: str, modifier: int) -> Travel:
    """How a type's values come; what Arrow has no type for comes as text or as JSON."""
    if category in ("A", "composite"):
        return _JSON
    if not builtin:
        return _TEXT
    if name == "numeric":
        return _numeric(modifier)
    if name == "varchar" and modifier > _LENGTH_HEADER:
        length = modifier - _LENGTH_HEADER
        return Travel(pa.string(), copy.text, length=length, compared=BY_BYTES)
    if name == "bpchar":
        return _padded(modifier)
    return _PLAIN.get(name, _TEXT)


def _padded(modifier: int) -> Travel:
    """char(n): its values come with their blanks at the end, and are compared with them."""
    length = modifier - _LENGTH_HEADER if modifier > _LENGTH_HEADER else None
    return Travel(pa.string(), copy.text, length=length, compared=WITH_BLANKS_BY_BYTES)


def _numeric(modifier: int) -> Travel:
    """atttypmod holds the precision and, in its lower 11 bits (signed), the scale."""
    if modifier >= _LENGTH_HEADER:
        precision = (modifier - _LENGTH_HEADER) >> 16 & 0xFFFF
        scale = ((modifier - _LENGTH_HEADER & 0x7FF) ^ 0x400) - 0x400
        if 0 <= scale <= precision <= _MOST_DIGITS:
            return Travel(pa.decimal128(precision, scale), decimal(precision, scale))
    return Travel(_NUMERIC, copy.extended_text(_NUMERIC), AS_TEXT)
