"""What a driver's test says about its source: tables, their rows, and how to make it block."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tidewell.sources.protocol import Column, ReadRequest

TEXTS = (
    "plain",
    "",
    " leading and trailing ",
    'it\'s "quoted", `so` [and] {so}; -- no comment /* none */ \\ %s ? $1 :x',
    "tab\tnew line\ncarriage\r\nreturn",
    "Zürich, Łódź, São Paulo, Αθήνα, Київ, 東京, القاهرة",
    "🌊 astral \U0001f9d1‍\U0001f680 and combining e\u0301",
    "NULL",
    "x" * 10_000,
)
"""Texts that a table `texts` has to hold, one a row: none may come back changed."""


@dataclass(frozen=True)
class Expected:
    """A table of the source, and what its driver has to give for it.

    `columns` are the exact Arrow types in the source's own order; `rows` is every row in any order,
    its values as Arrow gives them to Python (`pa.RecordBatch.to_pylist`). `key` is the primary key
    in its own order, `moves_forward` the columns that the driver has to propose for time checks,
    `never_null` the columns that cannot be without a value.
    """

    schema: str
    name: str
    columns: Mapping[str, pa.DataType]
    rows: Sequence[Mapping[str, Any]]
    key: tuple[str, ...] = ()
    moves_forward: tuple[str, ...] = ()
    never_null: tuple[str, ...] = ()

    def request(self, **parts: Any) -> ReadRequest:
        """A request for this table."""
        return ReadRequest(self.schema, self.name, **parts)


@dataclass(frozen=True)
class BigTable:
    """A table that is much larger than what its reading may take: `rows` rows.

    `values` are those of the connection, where it is not in the same source as the other tables.
    """

    schema: str
    name: str
    rows: int
    values: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Blocked:
    """A source that stops answering in the middle of a read.

    `wait` returns once the read of `request` hangs; it may not go on before the test ends.
    """

    values: Mapping[str, str]
    request: ReadRequest
    wait: Callable[[], None]


def is_comparable(column: Column) -> bool:
    """Whether comparisons with values of this column have a meaning of their own."""
    kind = column.type
    return not (
        isinstance(kind, pa.BaseExtensionType)
        or pa.types.is_nested(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_floating(kind)
    )


def as_text(value: Any, kind: pa.DataType) -> str:
    """A value of a column as the text of a comparison (`Comparison`)."""
    if pa.types.is_timestamp(kind):
        text = value.replace(tzinfo=None).isoformat()
        return f"{text}Z" if kind.tz else text
    if pa.types.is_decimal(kind):
        return format(value, "f")
    if pa.types.is_boolean(kind):
        return "true" if value else "false"
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return str(value.isoformat())
    return str(value)
