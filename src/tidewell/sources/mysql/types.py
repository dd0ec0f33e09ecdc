"""How MySQL's types are given as Arrow: the selected expression, the type, the decoder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString

import pyarrow as pa
import pyarrow.compute as pc

from tidewell.errors import SourceBroken
from tidewell.sources.fields import Fields, varying
from tidewell.sources.mysql.rows import Decoder

_MOST_DIGITS = 38
_NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
_MOMENT = pa.timestamp("us")
_MOMENT_IN_UTC = pa.timestamp("us", "UTC")

AS_IT_IS: LiteralString = "{}"
AS_NUMBER: LiteralString = "{} + 0"
# The text of a FLOAT has six digits, that of the same number as a DOUBLE has all.
AS_DOUBLE: LiteralString = "{} + 0e0"
AS_WKT: LiteralString = "ST_AsText({})"
AS_BYTES_OF_UUID: LiteralString = "UNHEX(REPLACE({}, '-', ''))"
AS_UTF8: LiteralString = "CAST({} AS CHAR CHARACTER SET utf8mb4)"
BY_BYTES: LiteralString = "CAST(CONVERT({} USING utf8mb4) AS BINARY)"


@dataclass(frozen=True)
class Travel:
    """How the values of a column come; `{}` in an expression stands for the column.

    `compared` is what comparisons and an order see; None where MySQL would compare something else
    than the values that come.
    """

    type: pa.DataType
    decode: Decoder
    expression: LiteralString = AS_IT_IS
    compared: LiteralString | None = AS_IT_IS
    length: int | None = None


def travel(
    name: str,
    full: str,
    length: int | None,
    digits: tuple[int, int],
    *,
    zero_dates: Callable[[Fields, pa.Array], pa.Array],
) -> Travel:
    """How a type's values come; `full` is `int(10) unsigned`, `digits` precision and scale.

    `zero_dates` replaces the days that do not exist, or refuses them.
    """
    if name in _INTEGERS:
        kind = _INTEGERS[name][1 if "unsigned" in full else 0]
        return Travel(kind, _number(kind))
    if name in ("char", "varchar"):
        return Travel(pa.string(), _text, AS_IT_IS, BY_BYTES, length)
    match name:
        case "decimal":
            return _decimal(*digits)
        case "bit" if "(1)" in full:
            return Travel(pa.bool_(), _boolean, AS_NUMBER, AS_NUMBER)
        case "date":
            return Travel(pa.date32(), _times(pa.date32(), zero_dates))
        case "datetime":
            return Travel(_MOMENT, _times(_MOMENT, zero_dates))
        case "timestamp":
            return Travel(_MOMENT_IN_UTC, _in_utc(zero_dates))
    return _PLAIN.get(name, _OTHER)


_INTEGERS: dict[str, tuple[pa.DataType, pa.DataType]] = {
    "tinyint": (pa.int8(), pa.uint8()),
    "smallint": (pa.int16(), pa.uint16()),
    "mediumint": (pa.int32(), pa.uint32()),
    "int": (pa.int32(), pa.uint32()),
    "bigint": (pa.int64(), pa.uint64()),
    "year": (pa.int16(), pa.int16()),
}


def _decimal(precision: int, scale: int) -> Travel:
    if precision <= _MOST_DIGITS:
        kind = pa.decimal128(precision, scale)
        return Travel(kind, _number(kind))
    return Travel(_NUMERIC, _extended(_NUMERIC), AS_UTF8, AS_IT_IS)


def _text(fields: Fields) -> pa.Array:
    return varying(fields, pa.string())


def _binary(fields: Fields) -> pa.Array:
    return varying(fields, pa.binary())


def _number(kind: pa.DataType) -> Decoder:
    return lambda fields: _text(fields).cast(kind)


def _float32(fields: Fields) -> pa.Array:
    return _text(fields).cast(pa.float64()).cast(pa.float32(), safe=False)


def _boolean(fields: Fields) -> pa.Array:
    return pc.equal(_text(fields), "1")


def _extended(kind: pa.DataType) -> Decoder:
    return lambda fields: pa.ExtensionArray.from_storage(kind, _text(fields))


_json = _extended(pa.json_())


def _uuid(fields: Fields) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), _binary(fields).cast(pa.binary(16)))


def _times(kind: pa.DataType, zero_dates: Callable[[Fields, pa.Array], pa.Array]) -> Decoder:
    def decode(fields: Fields) -> pa.Array:
        values = _text(fields)
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            return zero_dates(fields, values).cast(kind)

    return decode


def _in_utc(zero_dates: Callable[[Fields, pa.Array], pa.Array]) -> Decoder:
    decode = _times(_MOMENT, zero_dates)
    return lambda fields: decode(fields).cast(pa.int64()).cast(_MOMENT_IN_UTC)


def _clock(fields: Fields) -> pa.Array:
    values = _text(fields)
    try:
        # Arrow reads no time from a text, but a moment of the first day.
        moments = pc.binary_join_element_wise("1970-01-01", values, " ")
        return moments.cast(pa.timestamp("us")).cast(pa.time64("us"))
    except pa.ArrowInvalid:
        odd = values.filter(pc.invert(pc.match_substring_regex(values, r"^([01]\d|2[0-3]):")))
        raise SourceBroken(
            f"The column {fields.name} holds {odd[0].as_py() if len(odd) else 'a time'}, which is "
            "no time of a day: read a view that gives it as a number (TIME_TO_SEC)."
        ) from None


_TEXT = Travel(pa.string(), _text, AS_IT_IS, BY_BYTES)
_BYTES = Travel(pa.binary(), _binary, compared=None)
_SHAPE = Travel(pa.string(), _text, AS_WKT, compared=None)
_OTHER = Travel(pa.string(), _text, AS_UTF8, compared=None)
_PLAIN: dict[str, Travel] = {
    "float": Travel(pa.float32(), _float32, AS_DOUBLE, compared=None),
    "double": Travel(pa.float64(), _number(pa.float64())),
    "bit": Travel(pa.uint64(), _number(pa.uint64()), AS_NUMBER, AS_NUMBER),
    "time": Travel(pa.time64("us"), _clock),
    "json": Travel(pa.json_(), _json, AS_UTF8, compared=None),
    "uuid": Travel(pa.uuid(), _uuid, AS_BYTES_OF_UUID, compared=None),
    **dict.fromkeys(("tinytext", "text", "mediumtext", "longtext", "enum", "set"), _TEXT),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _BYTES),
    **dict.fromkeys(("geometry", "point", "linestring", "polygon", "multipoint"), _SHAPE),
    **dict.fromkeys(("multilinestring", "multipolygon", "geometrycollection"), _SHAPE),
    "geomcollection": _SHAPE,
}
