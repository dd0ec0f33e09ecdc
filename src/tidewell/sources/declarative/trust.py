"""What a manifest that a customer wrote may not hold.

The low-code language can name Python classes, and its templates are Jinja. A connector that the
operator installed may use all of it; a manifest out of a connection is data of a stranger: it names
no code, and its templates cannot be made to eat time or memory.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import nodes

from tidewell.errors import SourceRefused

LARGEST_MANIFEST = 512 * 1024
"""Characters."""
_LARGEST_TREE = 100_000
"""Values in a manifest with its references written out; a few lines can stand for billions."""
_FORBIDDEN_KEYS = frozenset({"class_name", "__injected_declarative_manifest"})
_COSTLY = (nodes.Pow, nodes.Mul, nodes.For, nodes.Macro, nodes.CallBlock, nodes.FilterBlock)
_COSTLY_FILTERS = frozenset({"center", "indent", "format", "batch", "slice", "wordwrap"})
_TEMPLATES = jinja2.Environment(autoescape=True)  # only parses; nothing is rendered with it


def parse(text: str) -> Mapping[str, Any]:
    """A manifest in YAML or JSON. Raises SourceRefused."""
    import yaml  # noqa: PLC0415 - comes with the extra

    if len(text) > LARGEST_MANIFEST:
        raise SourceRefused(f"Manifest is longer than {LARGEST_MANIFEST} characters.")
    try:
        read = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        place = getattr(error, "problem_mark", None)
        where = f" in line {place.line + 1}" if place else ""
        raise SourceRefused(f"Manifest is neither YAML nor JSON{where}.") from None
    if not isinstance(read, dict) or not isinstance(read.get("streams"), list):
        raise SourceRefused("Manifest must be an object with a list of streams.")
    return read


def check(manifest: Mapping[str, Any]) -> None:
    """Raises SourceRefused that says what the manifest may not hold."""
    if _Measure(manifest).size(manifest) > _LARGEST_TREE:
        raise SourceRefused("Manifest: it is too large once its references are written out.")
    for key, value in _leaves(manifest):
        if key in _FORBIDDEN_KEYS:
            raise SourceRefused(f"Manifest: {key} names Python code, which a manifest may not do.")
        if key == "type" and isinstance(value, str) and value.startswith("Custom"):
            raise SourceRefused(f"Manifest: {value[:60]} needs Python code; use a plain component.")
        # Names of parameters and headers are templates too.
        for text in (key, value):
            if isinstance(text, str) and ("{{" in text or "{%" in text):
                _check_template(text)


class _Measure:
    """Counts the values of a manifest as they are after references, without writing them out."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._manifest = manifest
        self._known: dict[int | str, int] = {}
        self._open: set[int | str] = set()

    def size(self, value: Any) -> int:
        if isinstance(value, str):
            return self._once(value, self._target(value)) if value.startswith("#/") else 1
        if isinstance(value, dict | list):
            return self._once(id(value), value)
        return 1

    def _once(self, name: int | str, value: Any) -> int:
        if name in self._known:
            return self._known[name]
        if name in self._open or len(self._open) > 200:
            raise SourceRefused("Manifest: its references go round in a circle, or too deep.")
        self._open.add(name)
        inner = value.values() if isinstance(value, dict) else value
        counted = inner if isinstance(value, dict | list) else ()
        self._known[name] = 1 + sum(self.size(one) for one in counted)
        self._open.discard(name)
        return self._known[name]

    def _target(self, reference: str) -> Any:
        found: Any = self._manifest
        for part in reference.removeprefix("#/").split("/"):
            if isinstance(found, dict):
                found = found.get(part)
            elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                return None
        return found


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Every value of a manifest with the key it stands under."""
    left = [("", value)]
    while left:
        key, one = left.pop()
        if isinstance(one, dict):
            left.extend((str(name), inner) for name, inner in one.items())
        elif isinstance(one, list):
            left.extend((key, inner) for inner in one)
        yield key, one


def _check_template(text: str) -> None:
    try:
        tree = _TEMPLATES.parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise SourceRefused(f"Manifest: {text[:80]!r} is no template: {error.message}") from None
    costly = next(iter(tree.find_all(_COSTLY)), None)
    if costly is None:
        costly = next((f for f in tree.find_all(nodes.Filter) if f.name in _COSTLY_FILTERS), None)
    if costly is None:
        # A method of text such as ljust or zfill makes any length of one number.
        costly = next(
            (
                a
                for a in tree.find_all(nodes.Getattr)
                if a.attr in ("ljust", "rjust", "center", "zfill", "format", "format_map")
            ),
            None,
        )
    if costly is not None:
        raise SourceRefused(
            f"Manifest: {text[:80]!r} uses {type(costly).__name__}, which templates of a "
            "connection may not."
        )
