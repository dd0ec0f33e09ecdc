"""Comparisons as $filter (OData 4.01 URL conventions, 5.1.1; OData 2.0 URI conventions, 4.5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidewell.errors import SourceBroken
from tidewell.sources.odata.metadata import Property, Version
from tidewell.sources.protocol import Comparison, Operator

_OPERATORS: dict[Operator, str] = {
    "=": "eq",
    "<>": "ne",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
}
_PLAIN = frozenset({"Edm.SByte", "Edm.Byte", "Edm.Int16", "Edm.Int32"})
_MOMENTS = frozenset({"Edm.DateTime", "Edm.DateTimeOffset"})
_COMPARED = _PLAIN | _MOMENTS | {"Edm.Int64", "Edm.Decimal", "Edm.Date", "Edm.String"}
_KEYSET = {
    "V4": _PLAIN | {"Edm.Int64", "Edm.Decimal", "Edm.Date", "Edm.DateTimeOffset", "Edm.String"},
    "V2": _PLAIN | {"Edm.Int64", "Edm.Decimal", "Edm.String"},
}
_SUFFIXES = {"Edm.Int64": "L", "Edm.Decimal": "M"}
_FRACTION = re.compile(r"\.(\d+)")


@dataclass(frozen=True)
class Pushed:
    """A comparison in the filter language; `exact` when what it finds is what is meant."""

    text: str
    exact: bool


def push(one: Property, wanted: Comparison, version: Version) -> Pushed | None:
    """What the service can be asked for a comparison; None where nothing of use.

    How texts are ordered, and whether case counts, is each service's own affair: they are asked
    for by equality only, and what comes back is compared once more. Null differs from every value
    in OData 4 (5.1.1.1.2), in OData 2 this is not said.
    """
    if one.type not in _COMPARED or not one.filterable:
        return None
    operator, value = wanted.operator, wanted.value
    if one.type == "Edm.String":
        if operator != "=":
            return None
        return Pushed(f"{one.name} eq {literal(one, value, version)}", exact=False)
    exact = True
    if one.type in _MOMENTS and one.precision is not None:
        value, exact = _shortened(value, one.precision)
        # Between two values that the column can have: what is below it is at most the lower one.
        operator = "<=" if operator == "<" and not exact else operator
    if operator == "<>" and (version == "V2" or not exact):
        return None
    text = f"{one.name} {_OPERATORS[operator]} {literal(one, value, version)}"
    return Pushed(f"{text} and {one.name} ne null" if operator == "<>" else text, exact)


def literal(one: Property, value: str, version: Version) -> str:
    """A value as the service's URLs write it (OData 2.0 overview, 2.2.2: with its type)."""
    if one.type == "Edm.String":
        return "'" + value.replace("'", "''") + "'"
    if version == "V4":
        return value
    match one.type:
        case "Edm.Date":
            return f"datetime'{value}T00:00:00'"
        case "Edm.DateTime":
            return f"datetime'{value.removesuffix('Z')}'"
        case "Edm.DateTimeOffset":
            return f"datetimeoffset'{value}'"
        case _:
            return value + _SUFFIXES.get(one.type, "")


def can_be_followed(key: Sequence[Property], version: Version) -> bool:
    """Whether pages can go on after the last row's key."""
    return bool(key) and all(one.type in _KEYSET[version] and one.filterable for one in key)


def key_of(key: Sequence[Property], row: Any) -> tuple[Any, ...]:
    """The values of a row's key. Raises SourceBroken where it has none."""
    try:
        return tuple(row[one.name] for one in key)
    except KeyError as error:
        raise SourceBroken(f"The service left out the property {error} of a row.") from None
    except TypeError:
        raise SourceBroken("The service gave a row that is no JSON object.") from None


def after(key: Sequence[Property], row: dict[str, Any], version: Version) -> str:
    """The condition for the rows that come after one in the key's order."""
    values = [
        literal(one, str(value), version) for one, value in zip(key, key_of(key, row), strict=True)
    ]
    alternatives = []
    for position, one in enumerate(key):
        equal = [f"{key[i].name} eq {values[i]}" for i in range(position)]
        alternatives.append(" and ".join([*equal, f"{one.name} gt {values[position]}"]))
    return " or ".join(f"({one})" for one in alternatives)


def _shortened(value: str, digits: int) -> tuple[str, bool]:
    """A moment with no more digits of a second than that, and whether it is still the same."""
    found = _FRACTION.search(value)
    if found is None:
        return value, True
    kept, cut = found[1][:digits], found[1][digits:]
    return _FRACTION.sub(f".{kept}" if kept else "", value), not cut.strip("0")
