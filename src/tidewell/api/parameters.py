"""Parameters of the query that several calls take."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import WithJsonSchema

from tidewell import clock
from tidewell.errors import InvalidRequest
from tidewell.lax import NO_NUL

Words = Annotated[str, Query(max_length=1024, pattern=NO_NUL)]
"""A text that narrows an answer, as names do."""

Moment = Annotated[
    str, WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"const": ""}]})
]
"""An ISO 8601 time; empty: none."""

MomentOrNull = Annotated[
    str | None,
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date-time"}, {"const": ""}, {"type": "null"}]}
    ),
]
"""The same in a body."""


def moment_of(field: str, text: str) -> datetime | None:
    """The time that a parameter gives. Raises InvalidRequest."""
    try:
        return clock.from_wire(text) if text else None
    except (ValueError, OverflowError):
        raise InvalidRequest.of(field, "must be an ISO 8601 time") from None
