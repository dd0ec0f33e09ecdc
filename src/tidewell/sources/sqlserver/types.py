"""SQL Server's types in Arrow, and how their values are selected and compared."""

from dataclasses import dataclass

import pyarrow as pa

from tidewell.sources.protocol import Operator
from tidewell.sources.relational.statement import ALL

_SAME: frozenset[Operator] = frozenset({"="})
_UNICODE = ("nchar", "nvarchar", "ntext", "sysname")
_MOST_BYTES = 8000
_MOMENT = "CAST({} AS datetime2(6))"
_IN_UTC = "CAST(SWITCHOFFSET({}, 0) AS datetime2(6))"
# By its text: the bytes that it is cast to are those of the text in another order.
_BYTES_OF_UUID = "CONVERT(binary(16), REPLACE(CAST({} AS char(36)), '-', ''), 2)"


@dataclass(frozen=True)
class Travel:
    """The Arrow type of a column, its expression, what is compared, and the type of values that it
    is compared with. Texts are compared by their column's collation, which knows other equals, so
    that only equality leaves out no row that is meant; what it lets through is compared again."""

    type: pa.DataType
    expression: str = "{}"
    compared: str | None = "{}"
    cast: str = ""
    length: int | None = None
    inexact: bool = False
    operators: frozenset[Operator] = ALL


def travel(name: str, max_length: int, precision: int, scale: int) -> Travel:
    """How a type's values come; what Arrow has no type for comes as text."""
    if name in _PLAIN:
        return _PLAIN[name]
    if name in ("decimal", "numeric"):
        kind = pa.decimal128(precision, scale)
        return Travel(kind, cast=f"decimal({precision}, {scale})")
    if name in ("char", "varchar", "nchar", "nvarchar", "sysname"):
        length = max_length // 2 if name in _UNICODE else max_length
        return Travel(
            pa.string(),
            length=length if max_length > 0 else None,
            inexact=True,
            operators=_SAME,
        )
    if name in ("binary", "varbinary"):
        return Travel(pa.binary(), compared=None)
    return _OTHER


def _moment(expression: str, zone: str | None = None) -> Travel:
    kind = pa.timestamp("us", zone)
    return Travel(kind, expression, expression, cast="datetime2(6)")


_OTHER = Travel(pa.string(), "CAST({} AS nvarchar(max))", None)
_PLAIN = {
    "bit": Travel(pa.bool_(), cast="bit"),
    "tinyint": Travel(pa.uint8(), cast="tinyint"),
    "smallint": Travel(pa.int16(), cast="smallint"),
    "int": Travel(pa.int32(), cast="int"),
    "bigint": Travel(pa.int64(), cast="bigint"),
    "real": Travel(pa.float32(), compared=None),
    "float": Travel(pa.float64(), cast="float"),
    "money": Travel(pa.decimal128(19, 4), "CAST({} AS decimal(19, 4))", cast="money"),
    "smallmoney": Travel(pa.decimal128(10, 4), "CAST({} AS decimal(10, 4))", cast="smallmoney"),
    "date": Travel(pa.date32(), cast="date"),
    "time": Travel(pa.time64("us"), "CAST({} AS time(6))", compared=None),
    "datetime2": _moment(_MOMENT),
    "datetime": _moment(_MOMENT),
    "smalldatetime": _moment(_MOMENT),
    "datetimeoffset": _moment(_IN_UTC, "UTC"),
    "text": Travel(pa.string(), "CAST({} AS varchar(max))", None),
    "ntext": _OTHER,
    "image": Travel(pa.binary(), "CAST({} AS varbinary(max))", None),
    # The number of a row's version: it moves forward with each change of the row.
    "timestamp": Travel(pa.int64(), "CAST({} AS bigint)", "CAST({} AS bigint)", cast="bigint"),
    "uniqueidentifier": Travel(pa.uuid(), _BYTES_OF_UUID, None),
    "geography": Travel(pa.string(), "{}.STAsText()", None),
    "geometry": Travel(pa.string(), "{}.STAsText()", None),
    "hierarchyid": Travel(pa.string(), "{}.ToString()", None),
    "json": Travel(pa.json_(), "CAST({} AS nvarchar(max))", None),
}
