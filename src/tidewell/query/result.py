"""The result of a query: its columns, and its rows in chunks of two forms that engines give."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any, TypeAlias

import orjson
import pyarrow as pa

from tidewell.query.arrowtypes import code_of, sizes
from tidewell.query.binding import Output
from tidewell.query.codes import Code
from tidewell.query.places import failure

Row = Sequence[Any]
Chunk: TypeAlias = Any
"""A `pa.RecordBatch`, or a list of rows."""

_DIGITS = Context(prec=76)
"""Twice what a decimal of 128 bits holds: Python rounds to 28 digits otherwise."""


@dataclass(frozen=True)
class ResultColumn:
    """A column of a result, as its schema tells it (contract §7)."""

    output: Output
    type: pa.DataType

    @property
    def code(self) -> Code:
        """Its data type."""
        return code_of(self.type)

    def to_wire(self, ordinal: int) -> dict[str, Any]:
        """The column in the `schema` of a result."""
        named, column = self.output.named, self.output.column
        length, precision, scale = sizes(self.code, self.type, column.length if column else None)
        return {
            "ordinal": ordinal,
            "catalogName": named.catalog if named else "",
            "schemaName": named.schema if named else "",
            "tableName": named.table if named else "",
            "columnName": column.name if column else self.output.label,
            "columnLabel": self.output.label,
            "dataType": int(self.code),
            "dataTypeName": self.code.name,
            "length": length,
            "precision": precision,
            "scale": scale,
            "nullable": column.nullable if column else True,
        }


@dataclass(frozen=True)
class Result:
    """Columns, and rows that come as they are asked for."""

    columns: tuple[ResultColumn, ...]
    chunks: Iterator[Chunk]

    @property
    def schema(self) -> pa.Schema:
        """The columns as an Arrow schema."""
        return pa.schema([pa.field(one.output.label, one.type) for one in self.columns])


def as_rows(chunk: Chunk) -> list[Row]:
    """A chunk as rows of Python values."""
    if isinstance(chunk, list):
        return chunk
    columns = [_values(column) for column in chunk.columns]
    return list(zip(*columns, strict=True)) if columns else [()] * chunk.num_rows


def as_batch(chunk: Chunk, schema: pa.Schema) -> pa.RecordBatch:
    """A chunk as a record batch of a schema."""
    if isinstance(chunk, pa.RecordBatch):
        return pa.RecordBatch.from_arrays(chunk.columns, schema=schema)
    columns: Iterable[Row] = zip(*chunk, strict=True) if chunk else [()] * len(schema)
    return pa.RecordBatch.from_arrays(
        [_array(values, field.type) for values, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def as_text(value: Any) -> Any:
    """A value that JSON has no form for: decimals stay numbers with all their digits."""
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f").encode() if value.is_finite() else b"null")
    if isinstance(value, bytes | bytearray | memoryview):
        return base64_of(value)
    return str(value)


def base64_of(value: bytes | bytearray | memoryview) -> str:
    """Bytes as the reference writes them."""
    import base64  # noqa: PLC0415 - rarely needed

    return base64.b64encode(value).decode()


def _values(column: pa.Array) -> list[Any]:
    kind = column.type
    if isinstance(kind, pa.UuidType):
        return [None if one is None else str(one) for one in column.to_pylist()]
    if isinstance(kind, pa.BaseExtensionType):
        column, kind = column.storage, kind.storage_type
    if pa.types.is_nested(kind):
        return [
            None if one is None else orjson.dumps(one, default=str).decode()
            for one in column.to_pylist()
        ]
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_timestamp(kind) and kind.tz:
        return [None if one is None else one.astimezone(UTC) for one in column.to_pylist()]
    if column.null_count == 0 and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return list(column.to_numpy().tolist())
    if pa.types.is_duration(kind):
        return [None if one is None else str(one) for one in column.to_pylist()]
    if pa.types.is_interval(kind):
        return [None if one is None else str(_span(one)) for one in column.to_pylist()]
    return list(column.to_pylist())


def _span(interval: pa.MonthDayNano) -> timedelta:
    """An interval as psycopg reads one from the cache: a year of 365 days, a month of 30."""
    months, days, nanoseconds = interval
    years, rest = divmod(abs(months), 12)
    counted = 365 * years + 30 * rest
    days += counted if months > 0 else -counted
    return timedelta(days=days, microseconds=nanoseconds // 1000)


def _array(values: Row, kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.UuidType):
        stored = pa.array([None if one is None else one.bytes for one in values], pa.binary(16))
        return pa.ExtensionArray.from_storage(kind, stored)
    if pa.types.is_decimal(kind):
        step = Decimal(1).scaleb(-kind.scale)
        try:
            fitted = [
                None if one is None or not one.is_finite() else one.quantize(step, context=_DIGITS)
                for one in values
            ]
            return pa.array(fitted, kind)
        except (InvalidOperation, pa.ArrowInvalid):
            raise failure(f"a number has more digits than a {kind} holds: cast it") from None
    return pa.array(values, kind)
