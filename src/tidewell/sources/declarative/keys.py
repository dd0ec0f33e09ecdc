"""A connector's spec as connection keys, and the values of a connection as its config.

A spec is JSON schema (`connectionSpecification`). Its objects are written out flat, with dots:
`credentials.api_key`. Where an object is a choice (`oneOf`), the keys of all choices are there, and
the constant that tells them apart is a key with choices: the others belong to one of its values.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tidewell.errors import SourceRefused
from tidewell.sources.protocol import Key

TIMEOUT = Key("Timeout", "Seconds that one answer may take.", default="60", neutral=True)
_TAG = re.compile(r"<[^>]+>")
_LONGEST_HELP = 300


@dataclass(frozen=True)
class _Leaf:
    path: tuple[str, ...]
    schema: Mapping[str, Any]
    required: bool
    choices: tuple[str, ...] = ()
    only_with: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return ".".join(self.path)


class Spec:
    """The keys of a connector."""

    def __init__(self, specification: Mapping[str, Any]) -> None:
        found: dict[str, _Leaf] = {}
        for leaf in _leaves(specification, (), required=True):
            known = found.get(leaf.name)
            found[leaf.name] = leaf if known is None else _joined(known, leaf)
        self._leaves = found

    @property
    def keys(self) -> tuple[Key, ...]:
        """The connection keys, those that are required first."""
        keys = [_key(leaf) for leaf in self._leaves.values()]
        keys.sort(key=lambda key: not key.required)
        if not any(key.name.lower() == TIMEOUT.name.lower() for key in keys):
            keys.append(TIMEOUT)
        return tuple(keys)

    def config(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The connector's config. Raises SourceRefused that names the key."""
        config: dict[str, Any] = {}
        for leaf in self._leaves.values():
            text = values.get(leaf.name)
            if text is None or text == "":
                continue
            place = config
            for part in leaf.path[:-1]:
                place = place.setdefault(part, {})
            place[leaf.path[-1]] = _value(leaf, text)
        return config


def _leaves(
    schema: Mapping[str, Any],
    path: tuple[str, ...],
    *,
    required: bool,
    only_with: tuple[str, ...] = (),
) -> Iterator[_Leaf]:
    needed = schema.get("required") or ()
    for name, one in (schema.get("properties") or {}).items():
        if not isinstance(one, Mapping) or name.startswith("__"):
            continue
        inner, is_needed = (*path, name), required and name in needed
        options = [o for o in one.get("oneOf") or one.get("anyOf") or () if isinstance(o, Mapping)]
        objects = [o for o in options if o.get("properties")]
        if objects:
            for option in objects:
                told = _constants(option, inner) or only_with
                yield from _leaves(option, inner, required=False, only_with=told)
        elif one.get("properties"):
            yield from _leaves(one, inner, required=is_needed, only_with=only_with)
        else:
            choices = [one["const"]] if "const" in one else one.get("enum") or ()
            belongs = () if "const" in one else only_with
            yield _Leaf(inner, one, is_needed, tuple(str(c) for c in choices), belongs)


def _constants(option: Mapping[str, Any], path: tuple[str, ...]) -> tuple[str, ...]:
    """What tells that an option is the chosen one: `credentials.auth_type=OAuth2.0`."""
    return tuple(
        f"{'.'.join((*path, name))}={one['const']}"
        for name, one in option["properties"].items()
        if isinstance(one, Mapping) and "const" in one
    )


def _joined(first: _Leaf, second: _Leaf) -> _Leaf:
    """A key that stands in several choices of an object."""
    choices = tuple(dict.fromkeys(first.choices + second.choices))
    either = first.only_with and second.only_with
    only_with = tuple(dict.fromkeys(first.only_with + second.only_with)) if either else ()
    return _Leaf(first.path, {**second.schema, **first.schema}, False, choices, only_with)


def _key(leaf: _Leaf) -> Key:
    schema = leaf.schema
    said = [str(schema.get(part) or "") for part in ("title", "description")]
    text = " ".join(_TAG.sub("", ". ".join(filter(None, said))).split())
    default = schema.get("default")
    if len(leaf.choices) == 1 and "const" in schema and leaf.required:
        default = leaf.choices[0]
    return Key(
        leaf.name,
        (text or leaf.name)[:_LONGEST_HELP],
        required=leaf.required,
        secret=bool(schema.get("airbyte_secret")),
        default="" if default is None else _written(default),
        choices=leaf.choices,
        only_with=leaf.only_with,
    )


def _written(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _value(leaf: _Leaf, text: str) -> Any:
    kinds = leaf.schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    try:
        for kind in kinds:
            match kind:
                case "integer":
                    return int(text)
                case "number":
                    number = float(text)
                    return int(number) if number.is_integer() else number
                case "boolean":
                    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
                case "array":
                    return _list(leaf.schema, text)
                case "object":
                    return orjson.loads(text)
    except (ValueError, KeyError):
        raise SourceRefused(f"{leaf.name} must be {_article(kinds[0])}.") from None
    return text


def _list(schema: Mapping[str, Any], text: str) -> list[Any]:
    """A list: JSON, or its items separated by commas."""
    if text.lstrip().startswith("["):
        read = orjson.loads(text)
        if not isinstance(read, list):
            raise ValueError
        return read
    items = [part.strip() for part in text.split(",") if part.strip()]
    kind = (schema.get("items") or {}).get("type")
    return [int(item) for item in items] if kind == "integer" else items


def _article(kind: str) -> str:
    return {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "array": "a list, as JSON or separated by commas",
        "object": "a JSON object",
    }.get(kind, kind)
