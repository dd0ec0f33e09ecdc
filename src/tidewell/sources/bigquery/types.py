"""BigQuery's types in Arrow, from the JSON of its answers (all values are text or null there)."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
_INTERVAL = pa.opaque(pa.string(), "interval", "PostgreSQL")
_MOST_DIGITS = 38
# Of NULL it makes the text null (GoogleSQL reference, JSON functions, TO_JSON_STRING).
_AS_JSON = "IF({} IS NULL, NULL, TO_JSON_STRING({}))"


@dataclass(frozen=True)
class Kind:
    """The Arrow type of a field, how it is selected, and the type that values are compared as."""

    type: pa.DataType
    expression: str = "{}"
    cast: str = ""
    compared: str | None = "{}"


def kind_of(field: Mapping[str, Any]) -> Kind:
    """How the values of a field come (REST reference, TableFieldSchema)."""
    name = field["type"]
    if field.get("mode") == "REPEATED" or name in ("RECORD", "STRUCT"):
        return Kind(pa.json_(), _AS_JSON, compared=None)
    if name in ("NUMERIC", "BIGNUMERIC"):
        digits = int(field.get("precision") or (38 if name == "NUMERIC" else 77))
        scale = int(field.get("scale") or (9 if "precision" not in field else 0))
        if name == "BIGNUMERIC" and digits > _MOST_DIGITS:
            return Kind(_NUMERIC, compared=None)
        return Kind(pa.decimal128(digits, scale), cast=name)
    return _PLAIN.get(name, Kind(pa.string(), "CAST({} AS STRING)", compared=None))


def array_of(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Values as Arrow. Raises pa.ArrowException, ValueError, TypeError."""
    if pa.types.is_binary(kind):
        return pa.array([None if v is None else base64.b64decode(v) for v in values], kind)
    texts = pa.array(values, pa.string())
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, texts)
    if pa.types.is_timestamp(kind) and kind.tz:
        return texts.cast(pa.int64()).cast(kind)
    if pa.types.is_time(kind):
        moments = pc.binary_join_element_wise("1970-01-01", texts, "T")
        return moments.cast(pa.timestamp("us")).cast(kind)
    return texts.cast(kind)


_WHOLE = Kind(pa.int64(), cast="INT64")
_DOUBLE = Kind(pa.float64(), cast="FLOAT64")
_TRUTH = Kind(pa.bool_(), cast="BOOL")
_PLAIN: dict[str, Kind] = {
    "INTEGER": _WHOLE,
    "INT64": _WHOLE,
    "FLOAT": _DOUBLE,
    "FLOAT64": _DOUBLE,
    "BOOLEAN": _TRUTH,
    "BOOL": _TRUTH,
    "STRING": Kind(pa.string()),
    "BYTES": Kind(pa.binary(), compared=None),
    "DATE": Kind(pa.date32(), cast="DATE"),
    "TIME": Kind(pa.time64("us"), cast="TIME"),
    "DATETIME": Kind(pa.timestamp("us"), cast="DATETIME"),
    "TIMESTAMP": Kind(pa.timestamp("us", "UTC"), cast="TIMESTAMP"),
    "JSON": Kind(pa.json_(), _AS_JSON, compared=None),
    "GEOGRAPHY": Kind(pa.string(), "ST_ASTEXT({})", compared=None),
    "INTERVAL": Kind(_INTERVAL, "CAST({} AS STRING)", compared=None),
}
