"""What schemathesis has to leave alone: read by it as SCHEMATHESIS_HOOKS.

It takes ids from the answers it gets, and would sooner or later delete the account that it calls
for, or the connection that all its jobs use. Such a call goes out with an id that nobody has.
"""

import os
from typing import Any
from uuid import uuid4

import schemathesis

KEPT = set(os.environ["FUZZ_KEPT"].split(","))
DESTROYS = {"deleteAccount", "deleteConnection", "updateConnection"}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Spare what has to stay."""
    operation = case.operation.definition.raw.get("operationId")
    if operation in DESTROYS:
        for name, value in (case.path_parameters or {}).items():
            if value in KEPT:
                case.path_parameters[name] = str(uuid4())


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out the calls whose query is wrong only before it is sent.

    Unknown parameters of a query are not read, as everywhere on the web. What is blank goes out as
    nothing, which most parameters may be: null, a text, a list or an object with nothing in it.
    Not as `filter_query`, whose answer nobody asks for where a query is made wrong on purpose.
    """
    query = dict(case.query or {})
    known = {one["name"] for one in case.operation.definition.raw.get("parameters", ())}
    return set(query) <= known and not any(map(is_blank, query.values()))


def is_blank(value: Any) -> bool:
    """Whether a value is sent as an empty text."""
    if isinstance(value, dict):
        value = list(value.values())
    return value in (None, "") or (isinstance(value, list) and all(map(is_blank, value)))
