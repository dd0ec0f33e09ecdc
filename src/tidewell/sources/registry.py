"""Finds the drivers that are installed, by the entry point `tidewell.sources`.

A package of anyone brings a driver by naming an object that keeps the protocol `Driver` there. A
driver is imported when it is first asked for, so that the others cost nothing. What a driver needs
beyond its package stands behind its entry point as an extra (`name = "package:DRIVER [extra]"`).
"""

import difflib
from functools import cache
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from importlib.metadata import entry_points as all_entry_points
from typing import cast

from packaging.requirements import Requirement

from tidewell.errors import InvalidRequest
from tidewell.sources.protocol import Driver

GROUP = "tidewell.sources"


@cache
def _known() -> dict[str, EntryPoint]:
    return {point.name.lower(): point for point in all_entry_points(group=GROUP)}


def names() -> list[str]:
    """The names of the drivers that can be used here, as they spell them."""
    usable = [point.name for point in _known().values() if not _missing(point)]
    return sorted(usable, key=str.lower)


@cache
def driver(name: str) -> Driver:
    """The driver of a name, without regard to case.

    Raises:
        InvalidRequest: no such driver is installed, or what it needs is missing; the message has
            the one `pip install` that brings it.
    """
    point = _known().get(name.lower())
    if point is None:
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InvalidRequest.of(
            "driver", f"{name[:60]!r} is not installed; {hint}installed: {', '.join(names())}"
        )
    missing = _missing(point)
    if missing:
        raise _needs(point, missing)
    try:
        return cast(Driver, point.load())
    except ModuleNotFoundError as error:
        raise _needs(point, error.name or "a package") from error


def forget() -> None:
    """Look again for what is installed, as after an installation."""
    _known.cache_clear()
    driver.cache_clear()


def _needs(point: EntryPoint, missing: str) -> InvalidRequest:
    return InvalidRequest.of(
        "driver",
        f"{point.name} needs the Python package {missing}, which is not installed: "
        f"pip install '{_distribution_name(point)}{_extras(point)}'",
    )


def _extras(point: EntryPoint) -> str:
    """The extras of an entry point as pip takes them: `[saas]`, or nothing."""
    return f"[{','.join(point.extras)}]" if point.extras else ""


def _distribution_name(point: EntryPoint) -> str:
    found: Distribution | None = point.dist
    return str(found.name) if found else "tidewell"


def _missing(point: EntryPoint) -> str:
    """The first package of the driver's extras that is not installed; empty when none is."""
    found: Distribution | None = point.dist
    if found is None or not point.extras:
        return ""
    for text in found.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None:
            continue
        for extra in point.extras:
            needed = requirement.marker.evaluate({"extra": extra})
            if needed and not requirement.marker.evaluate({"extra": ""}):
                try:
                    distribution(requirement.name)
                except PackageNotFoundError:
                    return requirement.name
    return ""
