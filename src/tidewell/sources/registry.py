"""Finds the drivers that are installed, by the entry point `tidewell.sources`.

A package of anyone brings a driver by naming an object that keeps the protocol `Driver` there. A
driver is imported when it is first asked for, so that the others cost nothing. What a driver needs
beyond its package stands behind its entry point as an extra (`name = "package:DRIVER [extra]"`).

Beside them, each installed Airbyte connector with a manifest is a driver of its name, and so is
each manifest of the folder that the operator names (docs/sources-saas.md). A name that a driver has
already is left to it: the connector is then found under its package's whole name.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from importlib.metadata import entry_points as all_entry_points
from pathlib import Path
from typing import cast

from packaging.requirements import Requirement

from tidewell.errors import InvalidRequest
from tidewell.sources.declarative import installed
from tidewell.sources.protocol import Driver, Environment, Source

GROUP = "tidewell.sources"


@dataclass(frozen=True)
class _Known:
    """A driver that was found: what it lacks, what would bring that, and how it is loaded."""

    name: str
    missing: Callable[[], str]
    brought_by: str
    load: Callable[[], Driver]


@dataclass
class _Operator:
    manifests: Path | None = None


_operator = _Operator()


def use_manifests(folder: Path | None) -> None:
    """Make a driver of each manifest in a folder; None: of none."""
    if folder != _operator.manifests:
        _operator.manifests = folder
        forget()


@cache
def _known() -> dict[str, _Known]:
    known = {
        _folded(point.name): _Known(
            point.name,
            lambda p=point: _missing(p),  # type: ignore[misc]
            f"{_distribution_name(point)}{_extras(point)}",
            lambda p=point: cast(Driver, p.load()),  # type: ignore[misc]
        )
        for point in all_entry_points(group=GROUP)
    }
    for name, package, load in installed.packages():
        free = package if name in known else name
        known.setdefault(free, _connector(free, load))
    if _operator.manifests is not None:
        for name, load_file in installed.files(_operator.manifests):
            known.setdefault(_folded(name), _connector(name, load_file))
    return known


def _folded(name: str) -> str:
    return name.lower().replace(" ", "")


def _connector(name: str, load: Callable[[str], Driver]) -> _Known:
    """A connector that is a manifest."""
    return _Known(
        name,
        lambda: "" if _is_installed(installed.CDK) else installed.CDK,
        "tidewell[saas]",
        lambda: load(name),
    )


def look_around() -> None:
    """Find what is installed now, so that the first `driver` need not."""
    _known()


def names() -> list[str]:
    """The names of the drivers that can be used here, as they spell them."""
    usable = [one.name for one in _known().values() if not one.missing()]
    return sorted(usable, key=str.lower)


@cache
def driver(name: str) -> Driver:
    """The driver of a name, without regard to case and blanks: `SQLServer` is `SQL Server`.

    Raises:
        InvalidRequest: no such driver is installed, or what it needs is missing; the message has
            the one `pip install` that brings it.
    """
    found = _known().get(_folded(name))
    if found is None:
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InvalidRequest.of(
            "driver", f"{name[:60]!r} is not installed; {hint}installed: {', '.join(names())}"
        )
    missing = found.missing()
    if missing:
        raise _needs(found, missing)
    try:
        return found.load()
    except ModuleNotFoundError as error:
        raise _needs(found, error.name or "a package") from error


def open_source(name: str, values: Mapping[str, str], environment: Environment) -> Source:
    """A source of a driver, which imports what it reads with.

    Raises InvalidRequest as `driver` does, and what `Driver.open` does.
    """
    try:
        return driver(name).open(values, environment)
    except ModuleNotFoundError as error:
        raise _needs(_known()[_folded(name)], error.name or "a package") from error


def forget() -> None:
    """Look again for what is installed, as after an installation."""
    _known.cache_clear()
    driver.cache_clear()


def _needs(found: _Known, missing: str) -> InvalidRequest:
    return InvalidRequest.of(
        "driver",
        f"{found.name} needs the Python package {missing}, which is not installed: "
        f"pip install '{found.brought_by}'",
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
            needed = needed and not requirement.marker.evaluate({"extra": ""})
            if needed and not _is_installed(requirement.name):
                return requirement.name
    return ""


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
