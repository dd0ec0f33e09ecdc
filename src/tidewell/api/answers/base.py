"""What the answers have in common: spelling, times, ids, the empty one, and the one error shape."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

ACCOUNT = "fee1ce9d-c40c-4ef6-8f8c-77461315713d"
CONNECTION = "36b2c04f-70f4-44a1-876a-29e42237ee63"
JOB = "0d9ec6a8-0d0f-4b61-9e5a-3c7a5f0a9d11"
RUN = "7b1f2c1e-5a38-4b2f-8f39-0f6a2c9d4e22"
"""The ids that the examples share, so that they read as one story."""

Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
"""A UUID in lower case."""

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601 in UTC with milliseconds and `Z`; a time that does not exist is in the year 1."""


class Answer(BaseModel):
    """An answer. A docstring under a field is its description."""

    model_config = ConfigDict(
        alias_generator=to_camel, use_attribute_docstrings=True, extra="allow"
    )


class Done(Answer):
    """It is done; there is nothing to say about it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})


class FieldError(Answer):
    """A field that is to blame."""

    field: str
    """Its path in the body, or the name of the parameter."""
    message: str
    """What is wrong with it."""


class ErrorBody(Answer):
    """What is wrong and what to do."""

    code: str
    """What kind of error it is, for programs."""
    message: str
    """What is wrong and what to do, for people."""
    details: list[FieldError] = []
    """The fields to blame; absent where none is."""
    request_id: str
    """The same as in the header `X-Request-Id`; the service's log has more under it."""


class Error(Answer):
    """Every answer over 399."""

    error: ErrorBody
