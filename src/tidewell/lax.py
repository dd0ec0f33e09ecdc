"""Numbers and booleans that may come as strings, as the Job API's own examples send them."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_DIGITS = re.compile(r" *[+-]?[0-9]{1,18} *")
_INTEGER = PydanticCustomError("whole_number", "must be a whole number")
_BOOLEAN = PydanticCustomError("boolean", "must be true or false")


def _integer(value: Any) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _INTEGER


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    if isinstance(value, bool):
        return value
    raise _BOOLEAN


LaxInt = Annotated[int, BeforeValidator(_integer)]
"""A whole number, also as a string: `1` or `"1"`."""

LaxBool = Annotated[bool, BeforeValidator(_boolean)]
"""A boolean, also as a string: `true` or `"true"` in any case."""
