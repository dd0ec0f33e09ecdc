"""Comparisons as $filter (OData 4.01 URL conventions, 5.1.1)."""

import re

from tidewell.sources.odata.metadata import Property
from tidewell.sources.protocol import Comparison, Operator

_OPERATORS: dict[Operator, str] = {
    "=": "eq",
    "<>": "ne",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
}
_PUSHED_DOWN = frozenset(
    {
        "Edm.SByte",
        "Edm.Byte",
        "Edm.Int16",
        "Edm.Int32",
        "Edm.Int64",
        "Edm.Decimal",
        "Edm.Date",
        "Edm.DateTimeOffset",
        "Edm.String",
    }
)
_FRACTION = re.compile(r"\.(\d+)")


def can_push_down(one: Property, wanted: Comparison) -> bool:
    """Whether the service can be asked for this.

    How texts are ordered, and whether case counts, is each service's own affair: they are asked
    for by equality only, and what comes back is compared once more (`is_exact`).
    """
    return one.type in _PUSHED_DOWN and (is_exact(one) or wanted.operator == "=")


def is_exact(one: Property) -> bool:
    """Whether the service's answer to a comparison with this property is ours."""
    return one.type != "Edm.String"


def comparison(one: Property, wanted: Comparison) -> str:
    """A comparison in the filter language, in which null differs from every value (5.1.1.1.2)."""
    text = f"{one.name} {_OPERATORS[wanted.operator]} {_literal(one, wanted.value)}"
    return f"{text} and {one.name} ne null" if wanted.operator == "<>" else text


def _literal(one: Property, value: str) -> str:
    match one.type:
        case "Edm.String":
            return "'" + value.replace("'", "''") + "'"
        case "Edm.DateTimeOffset" if one.precision is not None:
            return _FRACTION.sub(lambda found: _digits(found[1], one.precision or 0), value)
        case _:
            return value


def _digits(fraction: str, precision: int) -> str:
    """A fraction of a second with as many digits as the property has, never rounded up."""
    kept = fraction[:precision]
    return f".{kept}" if kept else ""
