"""How a lower bound reaches a declarative connector: as its cursor's state, or in the query.

A bound that is pushed down is made a little looser, because services differ in whether `since`
includes the moment itself and in how fine they are; the caller applies the exact one afterwards.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from airbyte_cdk.sources.declarative.datetime.datetime_parser import DatetimeParser

from tidewell.sources.protocol import Column, Comparison

_TIME_PARTS = ("%H", "%s", "%ms", "%I", "%epoch", "%T", "%X", "%c")


@dataclass(frozen=True)
class Pushdown:
    """What a read adds to a stream: a state of its cursor, and parameters of its query."""

    state: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


def plan(
    stream: Mapping[str, Any],
    cursor_field: str | None,
    columns: Mapping[str, Column],
    where: Sequence[Comparison],
) -> Pushdown:
    """What of the comparisons the stream can make use of.

    `stream` is the manifest's; beside Airbyte's own cursor, `$parameters.since` maps a column to
    the query parameter that asks for rows after a moment, and `since_format` says how to write it.
    """
    said = stream.get("$parameters") or {}
    since = said.get("since") or {}
    cursor = stream.get("incremental_sync") or {}
    state: dict[str, Any] = {}
    parameters: dict[str, str] = {}
    for one in where:
        if one.operator not in (">", ">=", "="):
            continue
        column = columns[one.column]
        if one.column in since:
            form = said.get("since_format") or "%Y-%m-%dT%H:%M:%S+00:00"
            bound = _moment(column, one.value, ())
            if bound is not None:
                parameters[since[one.column]] = _written(bound, form)
        elif one.column == cursor_field and _formats(cursor):
            bound = _moment(column, one.value, _formats(cursor))
            if bound is not None:
                state = {one.column: _written(bound, _formats(cursor)[-1])}
    return Pushdown(state, parameters)


def follows(stream: Mapping[str, Any], kind: pa.DataType) -> bool:
    """Whether the values of a cursor's column, of this type, stand in the order of time."""
    if pa.types.is_string(kind):
        formats = _formats(stream.get("incremental_sync") or {})
        return bool(formats) and all(form.startswith("%Y-%m-%d") for form in formats)
    return bool(kind != pa.json_())


def _formats(cursor: Mapping[str, Any]) -> tuple[str, ...]:
    """The formats of a cursor over times, that of its state last; none of another cursor."""
    form = str(cursor.get("datetime_format") or "")
    if cursor.get("type") != "DatetimeBasedCursor" or not form or "{" in form:
        return ()
    return (*(cursor.get("cursor_datetime_formats") or ()), form)


def _moment(column: Column, text: str, formats: Sequence[str]) -> datetime | None:
    """The moment of a bound; of a column that is no time, by the cursor's own formats."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    for form in formats:
        with suppress(ValueError, OverflowError):
            read: datetime = DatetimeParser().parse(text, form)
            return read
    return None


def _written(moment: datetime, form: str) -> str:
    """A moment in a connector's own format, one of its units earlier."""
    unit = timedelta(seconds=1) if any(part in form for part in _TIME_PARTS) else timedelta(days=1)
    if moment <= datetime.min.replace(tzinfo=UTC) + unit:
        unit = timedelta()
    return str(DatetimeParser().format(moment - unit, form))
