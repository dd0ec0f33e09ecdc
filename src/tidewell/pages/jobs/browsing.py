"""A look into a source while a job is made: its tables, and which columns tell what changed.

Drivers block, so they are asked in a thread; a source that does not answer in time holds nobody up.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tidewell.connections.opening import OpenedConnection
from tidewell.errors import SourceError, SourceUnavailable, Stopped
from tidewell.sources.forward import best_first
from tidewell.sources.protocol import Column, Environment, Source, Table

BOUND_SECONDS = 20.0
Found = TypeVar("Found")


@dataclass(frozen=True)
class TableColumns:
    """What a table offers for increments: its columns, and the one that is proposed.

    `why_not` says why there can be no increments, or that the table could not be looked at; it is
    then not known what it offers.
    """

    names: tuple[str, ...] = ()
    proposed: str = ""
    why_not: str = ""
    is_known: bool = False


async def tables(opened: OpenedConnection, environment: Environment) -> list[Table]:
    """All tables of a source, by schema. Raises a SourceError."""

    def look(source: Source) -> list[Table]:
        return [table for schema in source.schemas() for table in source.tables(schema)]

    return await _ask(opened, environment, look)


async def columns(
    opened: OpenedConnection,
    environment: Environment,
    asked: Sequence[tuple[str, str]],
    *,
    has_merge_keys: bool = False,
) -> list[TableColumns]:
    """The columns of some tables, each given by schema and name. Raises a SourceError.

    A table without a key offers none, unless the job brings merge keys of its own.
    """

    def look(source: Source) -> list[TableColumns]:
        return [_columns(source, schema, name, has_merge_keys) for schema, name in asked]

    return await _ask(opened, environment, look)


def _columns(source: Source, schema: str, name: str, has_merge_keys: bool) -> TableColumns:
    try:
        found = source.columns(schema, name)
    except SourceError as error:
        return TableColumns(why_not=error.message)
    if not has_merge_keys and not any(column.key_position is not None for column in found):
        why_not = "The table has no key, so each run reads it as a whole."
        return TableColumns(why_not=why_not, is_known=True)
    return TableColumns(tuple(column.name for column in found), _proposed(found), is_known=True)


def _proposed(found: Sequence[Column]) -> str:
    """The best column for a time check; empty where there is none."""
    return next((column.name for column in best_first(found)), "")


async def _ask(
    opened: OpenedConnection, environment: Environment, look: Callable[[Source], Found]
) -> Found:
    sources: list[Source] = []

    def ask() -> Found:
        with opened.driver.open(opened.values, environment) as source:
            sources.append(source)
            return look(source)

    asking = asyncio.create_task(asyncio.to_thread(ask))
    done, _ = await asyncio.wait([asking], timeout=BOUND_SECONDS)
    if not done:
        for source in sources:
            await asyncio.to_thread(source.cancel)
        asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        raise SourceUnavailable(f"The source does not answer within {BOUND_SECONDS:.0f} s.")
    try:
        return asking.result()
    except Stopped:
        raise SourceUnavailable from None
