"""Finds the drivers that are installed, by the entry point `tidewell.sources`.

A package of anyone brings a driver by naming an object that keeps the protocol `Driver` there. A
driver is imported when it is first asked for, so that the others cost nothing.
"""

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from tidewell.errors import InvalidRequest
from tidewell.sources.protocol import Driver

GROUP = "tidewell.sources"


@cache
def _installed() -> dict[str, EntryPoint]:
    return {point.name.lower(): point for point in entry_points(group=GROUP)}


def names() -> list[str]:
    """The names of the installed drivers, as they spell them."""
    return sorted((point.name for point in _installed().values()), key=str.lower)


@cache
def driver(name: str) -> Driver:
    """The driver of a name, without regard to case.

    Raises:
        InvalidRequest: no such driver is installed, or a package that it needs is missing.
    """
    point = _installed().get(name.lower())
    if point is None:
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InvalidRequest.of(
            "driver", f"{name[:60]!r} is not installed; {hint}installed: {', '.join(names())}"
        )
    try:
        return cast(Driver, point.load())
    except ModuleNotFoundError as error:
        raise InvalidRequest.of(
            "driver", f"{point.name} needs the Python package {error.name}, which is not installed"
        ) from error
