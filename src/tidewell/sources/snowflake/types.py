"""Snowflake's types in Arrow, how they are selected, and their values from the API's texts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from tidewell.sources.protocol import Operator
from tidewell.sources.relational.statement import ALL

_NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
_LONGEST_TEXT = 16_777_216
"""Characters that a text without a length may have: no length at all (or 128 MB since 2025)."""
_MICROSECONDS = 6
_AS_JSON = "TO_JSON({})"
_ROUNDED_DOWN: frozenset[Operator] = frozenset({">=", ">", "<", "<>"})
"""What leaves out no row that is meant where values have more digits than a microsecond: those are
cut off, so that a value may be later than what is compared with."""


@dataclass(frozen=True)
class Kind:
    """The Arrow type of a column, how it is selected, and how and as what it is compared."""

    type: pa.DataType
    expression: str = "{}"
    compared: str | None = "{}"
    cast: str = ""
    length: int | None = None
    inexact: bool = False
    operators: frozenset[Operator] = ALL


def kind_of(
    name: str,
    *,
    length: int | None = None,
    precision: int | None = None,
    scale: int | None = None,
    collation: str | None = None,
) -> Kind:
    """How the values of a type come, as INFORMATION_SCHEMA names it; others come as text.

    `scale` is also the digits of a time's seconds. A column with a collation is not compared.
    """
    if name in ("NUMBER", "DECIMAL", "NUMERIC"):
        return _number(38 if precision is None else precision, scale or 0)
    if name in ("TEXT", "VARCHAR", "CHAR", "STRING"):
        declared = length if length and length < _LONGEST_TEXT else None
        return Kind(pa.string(), compared=None if collation else "{}", length=declared)
    kind = _PLAIN.get(name, _OTHER)
    if pa.types.is_timestamp(kind.type) and (scale is None or scale > _MICROSECONDS):
        return replace(kind, inexact=True, operators=_ROUNDED_DOWN)
    return kind


def array_of(kind: pa.DataType, values: Sequence[str | None]) -> pa.Array:
    """Values as Arrow. Raises pa.ArrowException, ValueError, TypeError."""
    if pa.types.is_binary(kind):
        return pa.array([None if one is None else bytes.fromhex(one) for one in values], kind)
    texts = pa.array(values, pa.string())
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, texts)
    if pa.types.is_timestamp(kind):
        return texts.cast(pa.int64()).cast(kind)
    if pa.types.is_time(kind):
        moments = pc.binary_join_element_wise("1970-01-01", texts, "T")
        return moments.cast(pa.timestamp("us")).cast(kind)
    return texts.cast(kind)


def _number(precision: int, scale: int) -> Kind:
    cast = f"NUMBER({precision}, {scale})"
    if scale:
        return Kind(pa.decimal128(precision, scale), cast=cast)
    for digits, whole in ((4, pa.int16()), (9, pa.int32()), (18, pa.int64())):
        if precision <= digits:
            return Kind(whole, cast=cast)
    return Kind(pa.decimal128(precision, 0), cast=cast)


def _moment(cast: str, zone: str | None = None) -> Kind:
    return Kind(pa.timestamp("us", zone), "DATE_PART(EPOCH_MICROSECOND, {})", cast=cast)


_OTHER = Kind(pa.string(), "TO_VARCHAR({})", compared=None)
_PLAIN = {
    "FLOAT": Kind(pa.float64(), cast="FLOAT"),
    "BOOLEAN": Kind(pa.bool_(), cast="BOOLEAN"),
    "BINARY": Kind(pa.binary(), "HEX_ENCODE({})", compared=None),
    "DATE": Kind(pa.date32(), "TO_CHAR({}, 'YYYY-MM-DD')", cast="DATE"),
    "TIME": Kind(pa.time64("us"), "TO_CHAR({}, 'HH24:MI:SS.FF6')", compared=None),
    "TIMESTAMP_NTZ": _moment("TIMESTAMP_NTZ"),
    "TIMESTAMP_LTZ": _moment("TIMESTAMP_LTZ", "UTC"),
    "TIMESTAMP_TZ": _moment("TIMESTAMP_TZ", "UTC"),
    "DECFLOAT": Kind(_NUMERIC, "TO_VARCHAR({})", compared=None),
    "VARIANT": Kind(pa.json_(), _AS_JSON, compared=None),
    "OBJECT": Kind(pa.json_(), _AS_JSON, compared=None),
    "ARRAY": Kind(pa.json_(), _AS_JSON, compared=None),
    "VECTOR": Kind(pa.json_(), "TO_JSON(TO_ARRAY({}))", compared=None),
    "GEOGRAPHY": Kind(pa.string(), "ST_ASTEXT({})", compared=None),
    "GEOMETRY": Kind(pa.string(), "ST_ASTEXT({})", compared=None),
}
