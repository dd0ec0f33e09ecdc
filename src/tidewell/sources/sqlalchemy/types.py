"""SQLAlchemy's types in Arrow, and the Python values that its drivers give."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import pyarrow as pa
import sqlalchemy as sa

from tidewell.sources.protocol import Comparison, Operator

_NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
_MOST_DIGITS = 38
_EXACT: frozenset[Operator] = frozenset({"=", "<>", "<", "<=", ">", ">="})
_LOWER: frozenset[Operator] = frozenset({">", ">="})
_SAME: frozenset[Operator] = frozenset({"="})


@dataclass(frozen=True)
class Kind:
    """How a column's values come. `operators` are those that leave out no row that is meant;
    `exact`: nor let through another one."""

    type: pa.DataType
    array: Callable[[pa.DataType, Sequence[Any]], pa.Array]
    operators: frozenset[Operator] = frozenset()
    exact: bool = False


def kind_of(declared: sa.types.TypeEngine[Any]) -> Kind:
    """How the values of a declared type come; what has no type of its own here comes as text."""
    match declared:
        case sa.Boolean():
            return Kind(pa.bool_(), _booleans)
        case sa.Integer():
            return Kind(pa.int64(), _plain, _EXACT, exact=True)
        case sa.Float():
            return Kind(pa.float64(), _plain)
        case sa.Numeric():
            return _numeric(declared.precision, declared.scale)
        case sa.Enum() | sa.String():
            return Kind(pa.string(), _texts, _SAME)
        case sa.LargeBinary() | sa.types.BINARY() | sa.types.VARBINARY():
            return Kind(pa.binary(), _bytes)
        case sa.DateTime():
            zone = "UTC" if declared.timezone else None
            return Kind(pa.timestamp("us", zone), _moments, _LOWER)
        case sa.Date():
            return Kind(pa.date32(), _plain, _EXACT, exact=True)
        case sa.Time():
            return Kind(pa.time64("us"), _times)
        case sa.Uuid():
            return Kind(pa.uuid(), _uuids)
        case sa.JSON() | sa.ARRAY():
            return Kind(pa.json_(), _json)
        case _:
            return Kind(pa.string(), _texts)


def length_of(declared: sa.types.TypeEngine[Any]) -> int | None:
    """The declared maximum in characters."""
    return declared.length if isinstance(declared, sa.String) else None


def value_of(one: Comparison, kind: Kind) -> Any:
    """A comparison's value as its column's driver takes it; None where it is not pushed down."""
    if one.operator not in kind.operators:
        return None
    try:
        if pa.types.is_integer(kind.type):
            return int(one.value)
        if pa.types.is_decimal(kind.type):
            return Decimal(one.value)
        if pa.types.is_date(kind.type):
            return dt.date.fromisoformat(one.value)
        if pa.types.is_timestamp(kind.type):
            # More digits than Python keeps are cut, which lets more rows through, never fewer.
            moment = dt.datetime.fromisoformat(one.value)
            return moment if kind.type.tz else moment.replace(tzinfo=None)
    except (ValueError, InvalidOperation):
        return None
    # For some an empty text is NULL, which equals nothing.
    return one.value or None


def _numeric(precision: int | None, scale: int | None) -> Kind:
    if precision and precision <= _MOST_DIGITS and scale is not None and 0 <= scale <= precision:
        return Kind(pa.decimal128(precision, scale), _decimals, _EXACT, exact=True)
    return Kind(_NUMERIC, _opaque)


def _plain(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.array(values, kind)


def _booleans(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.array([None if v is None else bool(v) for v in values], kind)


def _decimals(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    exact = [v if v is None or isinstance(v, Decimal) else Decimal(str(v)) for v in values]
    return pa.array(exact, kind)


def _texts(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.array([v if v is None or isinstance(v, str) else str(v) for v in values], kind)


def _opaque(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    texts = [None if v is None else format(v, "f") for v in values]
    return pa.ExtensionArray.from_storage(kind, pa.array(texts, pa.string()))


def _bytes(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    return pa.array([None if v is None else bytes(v) for v in values], kind)


def _moments(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    if kind.tz is None:
        values = [None if v is None else v.replace(tzinfo=None) for v in values]
    return pa.array(values, kind)


def _times(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """MySQL's drivers give times of day as durations."""

    def clock(value: Any) -> Any:
        if not isinstance(value, dt.timedelta):
            return value
        return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + value).time()

    return pa.array([None if v is None else clock(v) for v in values], kind)


def _uuids(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    raw = [
        None if v is None else (v if isinstance(v, UUID) else UUID(str(v))).bytes for v in values
    ]
    return pa.ExtensionArray.from_storage(kind, pa.array(raw, pa.binary(16)))


def _json(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    texts = [None if v is None else json.dumps(v, default=str, ensure_ascii=False) for v in values]
    return pa.ExtensionArray.from_storage(kind, pa.array(texts, pa.string()))
