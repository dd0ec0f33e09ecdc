"""Placeholders for the parameters of a statement, which the engines bind."""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlglot import exp

from tidewell.query.places import refused

_TYPES: dict[type, str] = {
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    Decimal: "DECIMAL",
    date: "DATE",
    time: "TIME",
    datetime: "TIMESTAMP",
    UUID: "UUID",
}


def type_parameters(query: exp.Query, values: Mapping[str, Any]) -> None:
    """Tell what types the values have, in place, for `typing.adapt_types`; a text tells none."""
    for node in query.find_all(exp.Parameter):
        kind = _TYPES.get(type(values.get(node.name.lower())))
        if kind:
            node.type = exp.DataType.build(kind, dialect="postgres")


def put_parameters(query: exp.Query, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Put `$1`, `$2` … in for the names, in place; returns the names in that order.

    Raises QueryFailed, with the place, for a name without a value.
    """
    order: list[str] = []
    for node in list(query.find_all(exp.Parameter)):
        name = node.name.lower()
        if name not in values:
            raise refused(
                node, f"the parameter @{node.name[:60]} has no value: give it in parameters"
            )
        if name not in order:
            order.append(name)
        placed: exp.Expr = exp.Parameter(this=exp.Literal.number(order.index(name) + 1))
        # Both engines bind a decimal with all its digits; DuckDB's cast would keep three of them.
        kind = None if isinstance(values[name], Decimal) else _TYPES.get(type(values[name]))
        node.replace(exp.cast(placed, kind, dialect="postgres") if kind else placed)
    return tuple(order)
