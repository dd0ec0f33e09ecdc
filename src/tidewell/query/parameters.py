"""Parameters of a statement: `{"@p1": {"dataType": 8, "value": 5}}`, bound and never pasted."""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from tidewell.errors import InvalidRequest
from tidewell.query.codes import Code

_MOST_DIGITS = 38
"""What DuckDB's decimals hold; it takes longer ones for doubles."""


def _decimal(value: Any) -> Decimal:
    """A decimal with all its digits: DuckDB takes 1E+3 for 1.000."""
    read = Decimal(str(value))
    exponent = read.as_tuple().exponent
    shortened = isinstance(exponent, int) and exponent > 0
    return Decimal(f"{read:f}") if shortened and read.adjusted() < _MOST_DIGITS else read


_READERS: dict[Code, Callable[[Any], Any]] = {
    Code.BINARY: lambda value: base64.b64decode(value, validate=True),
    Code.DATE: date.fromisoformat,
    Code.TIME: time.fromisoformat,
    Code.TIMESTAMP: datetime.fromisoformat,
    Code.UUID: UUID,
    Code.DECIMAL: _decimal,
    Code.NUMERIC: _decimal,
}
_NUMBERS = frozenset(
    {Code.TINYINT, Code.SMALLINT, Code.INTEGER, Code.BIGINT, Code.FLOAT, Code.DOUBLE}
)


def read_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, in lower case and without `@`. Raises InvalidRequest that names one."""
    return {
        name.removeprefix("@").lower(): _value(f"parameters.{name}", one)
        for name, one in given.items()
    }


def _value(field: str, given: Any) -> Any:
    value = given.get("value") if isinstance(given, Mapping) else given
    code = _code(field, given.get("dataType") if isinstance(given, Mapping) else None)
    if value is None:
        return None
    if isinstance(value, list | dict):
        raise InvalidRequest.of(f"{field}.value", "must be one value")
    try:
        if code in _NUMBERS:
            return _number(value, code)
        if code is Code.BOOLEAN:
            return _boolean(value)
        if code in _READERS:
            return _READERS[code](value)
    except (ValueError, TypeError, InvalidOperation, binascii.Error):
        raise InvalidRequest.of(
            f"{field}.value", f"is no {code.name if code else 'value'}: {str(value)[:60]!r}"
        ) from None
    if code is Code.VARCHAR and not isinstance(value, str):
        return str(value)
    if isinstance(value, str) and "\0" in value:
        raise InvalidRequest.of(f"{field}.value", "holds a NUL character")
    return value


def _code(field: str, given: Any) -> Code | None:
    """The code that is given; the reference's client sends an empty one with NULL."""
    if given in (None, ""):
        return None
    try:
        return Code(int(given))
    except (ValueError, TypeError):
        raise InvalidRequest.of(
            f"{field}.dataType",
            "must be one of " + ", ".join(f"{code.value} {code.name}" for code in Code),
        ) from None


def _number(value: Any, code: Code) -> Any:
    """A number as it is: the reference's client calls every number an INTEGER."""
    if isinstance(value, bool | int | float):
        return value
    return float(value) if code in (Code.FLOAT, Code.DOUBLE) else int(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool) or value in (0, 1):
        return bool(value)
    raise ValueError
