"""The schema of records that come without one, from the first of them.

Only what a column's later values most likely keep to is taken: a time where every text is one.
Where a later value does not fit, the run fails and names the column; a manifest can declare it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def inferred_schema(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A JSON schema with the properties in the order in which they first come."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        "type": "object",
        "properties": {name: _property(row.get(name) for row in rows) for name in names},
    }


def _property(values: Iterable[Any]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    kinds = {_kind(value) for value in known}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if kinds == {"string"}:
        if all(_MOMENT.fullmatch(value) for value in known):
            return {"type": ["null", "string"], "format": "date-time"}
        if all(_DAY.fullmatch(value) for value in known):
            return {"type": ["null", "string"], "format": "date"}
    if len(kinds) == 1:
        return {"type": ["null", kinds.pop()]}
    return {}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "object"
