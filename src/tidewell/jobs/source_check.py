"""Check a job against its source: does the table exist, and can its increments be merged?

It runs in a thread, because drivers block, and within a bound; a source that does not answer holds
nobody up: the job is created and its first run tells.
"""

import asyncio
from collections.abc import Mapping, Sequence

from tidewell.errors import (
    InvalidRequest,
    SourceBroken,
    SourceError,
    SourceNotFound,
    SourceUnavailable,
    Stopped,
)
from tidewell.jobs.params import CachingParams
from tidewell.sources.forward import best_first
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column, Driver, Environment, Source

BOUND_SECONDS = 10.0


async def check_source(
    driver: Driver, values: Mapping[str, str], environment: Environment, params: CachingParams
) -> None:
    """Raises InvalidRequest that names the param and what exists instead, if the source answers."""
    opened: list[Source] = []
    reading = asyncio.create_task(
        asyncio.to_thread(
            _columns,
            driver,
            values,
            environment,
            params.source_schema,
            params.source_table,
            "params.",
            opened,
        )
    )
    done, _ = await asyncio.wait([reading], timeout=BOUND_SECONDS)
    if not done:
        for source in opened:
            await asyncio.to_thread(source.cancel)
        reading.add_done_callback(lambda task: task.exception())
        return
    try:
        columns = reading.result()
    except (SourceError, Stopped):
        return
    check_columns(columns, params)


async def time_check_columns(
    driver: Driver, values: Mapping[str, str], environment: Environment, schema: str, table: str
) -> list[Column]:
    """The columns of a table that a job can follow, best first.

    Raises InvalidRequest where there is no such table, SourceError where it does not answer.
    """
    opened: list[Source] = []
    reading = asyncio.create_task(
        asyncio.to_thread(_columns, driver, values, environment, schema, table, "", opened)
    )
    done, _ = await asyncio.wait([reading], timeout=BOUND_SECONDS)
    if not done:
        for source in opened:
            await asyncio.to_thread(source.cancel)
        reading.add_done_callback(lambda task: task.exception())
        raise SourceUnavailable(f"The source does not answer within {BOUND_SECONDS:.0f} s.")
    return best_first(reading.result())


def check_columns(columns: Sequence[Column], params: CachingParams) -> None:
    """The columns that a job names must exist, an increment needs an order and a key, and a filter
    has to be a condition over these columns."""
    by_name = {column.name: column for column in columns}
    asked = [("timeCheckColumn", name) for name in [params.time_check_column] if name]
    asked += [("mergeKeys", name) for name in params.merge_key_names or ()]
    asked += [("columns", name) for name in params.column_names or ()]
    for param, name in asked:
        if name not in by_name:
            raise InvalidRequest.of(
                f"params.{param}",
                f"the source's table has no column {name[:60]!r}{near_names(name, by_name)}",
            )
    if params.time_check_column:
        has_key = any(column.key_position is not None for column in columns)
        if not params.merge_keys and not has_key:
            raise InvalidRequest.of(
                "params.timeCheckColumn",
                f"{params.source_table} has no primary key, so an increment cannot be merged: "
                "give mergeKeys, or leave timeCheckColumn empty to refresh the whole table",
            )
    if params.filter.strip():
        # Only here: what reads a filter takes 30 MB, and most jobs have none.
        from tidewell.sources.rowfilter import FIELD, bind  # noqa: PLC0415
        from tidewell.sources.rowtest import RowTest  # noqa: PLC0415

        try:
            RowTest(bind(params.filter, columns), columns)
        except SourceBroken as error:
            raise InvalidRequest.of(FIELD, error.message) from error


def _columns(
    driver: Driver,
    values: Mapping[str, str],
    environment: Environment,
    schema: str,
    table: str,
    field: str,
    opened: list[Source],
) -> list[Column]:
    with driver.open(values, environment) as source:
        opened.append(source)
        schemas = source.schemas()
        if schema not in schemas:
            raise InvalidRequest.of(
                f"{field}sourceSchema",
                f"the source has no schema {schema[:60]!r}; it has: " + ", ".join(schemas[:10]),
            )
        try:
            return source.columns(schema, table)
        except SourceNotFound as error:
            raise InvalidRequest.of(f"{field}sourceTable", error.message) from error
