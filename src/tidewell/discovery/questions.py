"""The questions to a source, answered where it may be opened."""

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tidewell.discovery.messages import FoundColumn, FoundTable, FoundTables, Question
from tidewell.egress import EgressRules
from tidewell.errors import InvalidRequest, SourceBroken, SourceError, SourceNotFound
from tidewell.query.arrowtypes import code_of
from tidewell.sources import registry
from tidewell.sources.forward import best_first
from tidewell.sources.protocol import Column, Environment, Source

_COMMON = ("odata", "postgresql")
"""Not files, for which DuckDB is read: a tenth of a second, and as much memory as all of this."""


def answer(question: Question, on_open: Callable[[Source], None]) -> Any:
    """What the source answers, as it is sent; `on_open` gets the source before it is asked.

    Raises SourceErrors.
    """
    if question.kind == "warm":
        return _warm_up()
    environment = Environment(
        file_roots=tuple(Path(root) for root in question.file_roots),
        egress=EgressRules.parse(question.egress),
        patient=False,
    )
    with registry.open_source(question.driver, question.values, environment) as source:
        on_open(source)
        return _ask(source, question)


def _ask(source: Source, question: Question) -> Any:
    if question.kind == "test":
        return source.test()
    if question.kind == "tables":
        return _listed(source, question.search.casefold(), question.most)
    if question.kind == "columns":
        return [_described(source, schema, name) for schema, name in question.asked]
    return _looked_up(source, *question.asked[0], question.filter)


def _listed(source: Source, search: str, most: int) -> FoundTables:
    found = [table for schema in source.schemas() for table in source.tables(schema)]
    fitting = [table for table in found if search in f"{table.schema}.{table.name}".casefold()]
    several = len({table.schema for table in found}) > 1
    return FoundTables(tuple(fitting[:most]), len(found), len(fitting), several)


def _described(source: Source, schema: str, name: str) -> FoundTable:
    try:
        return FoundTable(_found(source.columns(schema, name)))
    except SourceError as error:
        return FoundTable(error=error.message)


def _looked_up(source: Source, schema: str, name: str, text: str) -> FoundTable:
    schemas = source.schemas()
    if schema not in schemas:
        has = ", ".join(schemas[:10])
        return FoundTable(
            error=f"the source has no schema {schema[:60]!r}; it has: {has}", missing="schema"
        )
    try:
        columns = source.columns(schema, name)
    except SourceNotFound as error:
        return FoundTable(error=error.message, missing="table")
    return FoundTable(_found(columns), filter_error=_wrong_with(text, columns))


def _found(columns: list[Column]) -> tuple[FoundColumn, ...]:
    ranks = {column.name: rank for rank, column in enumerate(best_first(columns))}
    return tuple(
        FoundColumn(
            column.name,
            code_of(column.type).name,
            column.key_position is not None,
            ranks.get(column.name),
        )
        for column in columns
    )


def _wrong_with(text: str, columns: list[Column]) -> str:
    """What is wrong with a job's filter; empty where it is a condition over these columns."""
    if not text.strip():
        return ""
    # Only here: what reads a filter takes a quarter of a second, and most jobs have none.
    from tidewell.sources.rowfilter import bind  # noqa: PLC0415
    from tidewell.sources.rowtest import RowTest  # noqa: PLC0415

    try:
        RowTest(bind(text, columns), columns)
    except SourceBroken as error:
        return error.message
    except InvalidRequest as error:
        return error.details[0].message
    return ""


def _warm_up() -> None:
    """Import what the first `POST /api/job/create` would wait for."""
    for name in _COMMON:
        with suppress(ModuleNotFoundError):  # who asks for that driver is told
            import_module(f"tidewell.sources.{name}.source")
