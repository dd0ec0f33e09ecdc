"""Arrow values as text that any database reads as the value it means."""

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa


def as_text(values: pa.Array) -> pa.Array:
    """Values as they are where Arrow writes them as SQL does, else as text.

    Bytes become `\\x` and hexadecimal digits, nested values JSON.
    """
    kind = values.type
    if isinstance(kind, pa.UuidType):
        return _each(values, str)
    if isinstance(kind, pa.BaseExtensionType):
        return as_text(values.storage)
    if pa.types.is_dictionary(kind):
        return as_text(values.dictionary_decode())
    if _is_binary(kind):
        return _each(values, lambda one: "\\x" + one.hex())
    if pa.types.is_nested(kind):
        return _each(values, _json)
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        return _each(values, str)
    if pa.types.is_null(kind):
        return values.cast(pa.string())
    return values


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _each(values: pa.Array, write: Any) -> pa.Array:
    return pa.array([None if v is None else write(v) for v in values.to_pylist()], pa.string())


def _json(value: Any) -> str:
    return orjson.dumps(value, default=_in_json, option=orjson.OPT_NON_STR_KEYS).decode()


def _in_json(value: Any) -> Any:
    match value:
        case Decimal() | timedelta():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return str(value)
