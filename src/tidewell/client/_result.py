"""The result of a query, as Arrow, pandas or plain rows."""

import base64
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    import pyarrow as pa

ARROW_STREAM = "application/vnd.apache.arrow.stream"

# Codes of the contract's §7; bool before int, datetime before date: the first that fits counts.
_CODES: tuple[tuple[type, int], ...] = (
    (bool, 14),
    (int, 9),
    (float, 11),
    (Decimal, 12),
    (datetime, 17),
    (date, 15),
    (time, 16),
    (UUID, 18),
    (bytes, 1),
    (str, 5),
)


class QueryResult:
    """The rows of a query; iterating gives each as a tuple."""

    def __init__(self, stream: bytes) -> None:
        import pyarrow as pa  # noqa: PLC0415 - takes longer than most calls; only queries need it

        with pa.ipc.open_stream(stream) as reader:
            self._table = reader.read_all()

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self._table.column_names)

    def to_arrow(self) -> "pa.Table":
        """The result as an Arrow table."""
        return self._table

    def to_pandas(self, **options: Any) -> Any:
        """The result as a pandas DataFrame (pandas has to be installed)."""
        return self._table.to_pandas(**options)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dicts by column name."""
        rows: list[dict[str, Any]] = self._table.to_pylist()
        return rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        columns = [column.to_pylist() for column in self._table.columns]
        return iter(zip(*columns, strict=True))

    def __len__(self) -> int:
        return int(self._table.num_rows)


def parameters_of(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Parameters as the API takes them. Raises TypeError for a value that has no type there."""
    return {
        name if name.startswith("@") else f"@{name}": _parameter(value)
        for name, value in values.items()
    }


def _parameter(value: Any) -> dict[str, Any]:
    if value is None:
        return {"dataType": 5, "value": None}
    for kind, code in _CODES:
        if isinstance(value, kind):
            plain = value if isinstance(value, bool | int | float | str) else _text(value)
            return {"dataType": code, "value": plain}
    raise TypeError(f"a parameter cannot be a {type(value).__name__}")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, date | time) else str(value)
