"""From Arrow's types to the codes of the Query API (contract §7), with their sizes."""

import pyarrow as pa

from tidewell.query.codes import Code

LONGEST_TEXT = 2_147_483_647
"""`length` of a text that has no declared one."""

_SIZES: dict[Code, tuple[int, int]] = {
    Code.BOOLEAN: (1, 1),
    Code.TINYINT: (1, 3),
    Code.SMALLINT: (2, 5),
    Code.INTEGER: (4, 10),
    Code.BIGINT: (8, 19),
    Code.FLOAT: (4, 7),
    Code.DOUBLE: (8, 15),
    Code.DATE: (10, 10),
    Code.TIME: (15, 15),
    Code.TIMESTAMP: (26, 26),
    Code.UUID: (36, 36),
}
"""Length and precision of the types that have but one."""


def code_of(kind: pa.DataType) -> Code:
    """The code of an Arrow type; what has no code of its own is text."""
    if isinstance(kind, pa.UuidType):
        return Code.UUID
    if isinstance(kind, pa.Bool8Type):
        return Code.BOOLEAN
    if isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric":
        return Code.DECIMAL
    if isinstance(kind, pa.BaseExtensionType):
        return code_of(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return code_of(kind.value_type)
    known = [
        (pa.types.is_boolean, Code.BOOLEAN),
        (pa.types.is_int8, Code.TINYINT),
        (pa.types.is_int16, Code.SMALLINT),
        (pa.types.is_uint8, Code.SMALLINT),
        (pa.types.is_int32, Code.INTEGER),
        (pa.types.is_uint16, Code.INTEGER),
        (pa.types.is_int64, Code.BIGINT),
        (pa.types.is_uint32, Code.BIGINT),
        (pa.types.is_uint64, Code.DECIMAL),
        (pa.types.is_decimal, Code.DECIMAL),
        (pa.types.is_float64, Code.DOUBLE),
        (pa.types.is_floating, Code.FLOAT),
        (pa.types.is_date, Code.DATE),
        (pa.types.is_time, Code.TIME),
        (pa.types.is_timestamp, Code.TIMESTAMP),
        (pa.types.is_binary, Code.BINARY),
        (pa.types.is_large_binary, Code.BINARY),
        (pa.types.is_fixed_size_binary, Code.BINARY),
    ]
    return next((code for matches, code in known if matches(kind)), Code.VARCHAR)


def sizes(code: Code, kind: pa.DataType, length: int | None) -> tuple[int, int, int]:
    """`length`, `precision` and `scale` of a column."""
    if code in _SIZES:
        return (*_SIZES[code], 0)
    if pa.types.is_decimal(kind):
        return kind.precision, kind.precision, kind.scale
    if code is Code.DECIMAL:
        return 38, 38, 0
    return length or LONGEST_TEXT, length or LONGEST_TEXT, 0
