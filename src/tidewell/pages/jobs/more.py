"""Params of a job that most leave as they are: folded away in its settings, and set there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidewell.errors import InvalidRequest

_KEYS = "mergeKeys"


@dataclass(frozen=True)
class Setting:
    """A param as the form has it: a text, or one of some values with the words for them."""

    name: str
    param: str
    label: str
    help: str
    choices: tuple[tuple[str, str], ...] = ()


_LIMITS = (
    Setting(
        "seconds",
        "timeoutSeconds",
        "Time limit",
        "Seconds after which a run is ended as failed, all attempts together. Empty: none.",
    ),
    Setting(
        "retries",
        "retries",
        "Tries after the first",
        "How often a run is tried again after an error that passes by itself. Empty: twice.",
    ),
)
OF_CACHING = (
    Setting(
        "keys",
        _KEYS,
        "Merge key",
        "Columns that tell rows apart, separated by commas. Empty: the source's own key.",
    ),
    Setting(
        "filter",
        "filter",
        "Filter",
        "SQL condition over the source's columns, as active = true; only such rows are copied.",
    ),
    Setting(
        "full",
        "fullRefreshEvery",
        "Full refresh after so many runs",
        "With a time-check column. Empty: never.",
    ),
    Setting(
        "gone",
        "deleteDetection",
        "Rows deleted at the source",
        "With a time-check column; a full refresh always sees them.",
        (("none", "Stay until a full refresh"), ("keys", "Go: the keys are read each run")),
    ),
    Setting(
        "most",
        "maxRowsPerRun",
        "Most rows a run",
        "With a time-check column: the oldest new ones first. Empty: all.",
    ),
    Setting(
        "types",
        "onTypeChange",
        "A column that changes its type",
        "Where no type holds both.",
        (("fail", "Fails the run"), ("rebuild", "Is loaded anew")),
    ),
    Setting("schema", "cacheSchema", "Schema in your PostgreSQL", "Another place is loaded anew."),
    Setting("table", "cacheTable", "Table in your PostgreSQL", "The old one is dropped."),
    *_LIMITS,
)
OF_QUERIES = _LIMITS


def as_form(settings: Iterable[Setting], params: Mapping[str, Any]) -> dict[str, str]:
    """The params as they stand, as the form's fields."""
    return {one.name: _text(one, params) for one in settings}


def changed(
    settings: Iterable[Setting], params: Mapping[str, Any], form: Mapping[str, str]
) -> dict[str, Any]:
    """The params with what a form changes of them; what it does not send, or leaves, stays."""
    found = dict(params)
    for one in settings:
        text = form.get(one.name, _text(one, params)).strip()
        if text == _text(one, params):
            continue
        found.pop(one.param, None)
        if one.param == _KEYS and text:
            names = [name.strip() for name in text.split(",") if name.strip()]
            found[_KEYS] = [{"colName": name} for name in names]
        elif text:
            found[one.param] = text
    return found


def blamed(settings: Iterable[Setting], error: InvalidRequest) -> dict[str, str]:
    """The fields that an error names, with what it says of them."""
    return {
        one.name: detail.message
        for one in settings
        for detail in error.details
        if detail.field == f"params.{one.param}" or detail.field.startswith(f"params.{one.param}.")
    }


def _text(one: Setting, params: Mapping[str, Any]) -> str:
    value = params.get(one.param)
    if one.param == _KEYS:
        keys = value if isinstance(value, list) else []
        return ", ".join(key if isinstance(key, str) else str(key.get("colName")) for key in keys)
    text = "" if value is None else str(value).strip()
    if not one.choices:
        return text
    # As the API takes them: without case, and of deleteDetection a boolean too.
    text = {"true": "keys", "false": "none"}.get(text.lower(), text.lower())
    return text if text in dict(one.choices) else one.choices[0][0]
