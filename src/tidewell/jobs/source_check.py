"""Check a job against its source: does the table exist, and can its increments be merged?

A source that does not answer in time holds nobody up: the job is created and its first run tells.
"""

from tidewell.connections.opening import OpenedConnection
from tidewell.discovery.asking import Discovery
from tidewell.discovery.messages import FoundColumn, FoundTable
from tidewell.errors import InvalidRequest, SourceError
from tidewell.jobs.params import CachingParams
from tidewell.sources.near import near_names


async def check_source(
    discovery: Discovery, opened: OpenedConnection, params: CachingParams
) -> None:
    """Raises InvalidRequest that names the param and what exists instead, if the source answers."""
    try:
        found = await discovery.table(
            opened, params.source_schema, params.source_table, params.filter
        )
    except SourceError:
        return
    check_exists(found, "params.")
    check_columns(found, params)


async def time_check_columns(
    discovery: Discovery, opened: OpenedConnection, schema: str, table: str
) -> list[FoundColumn]:
    """The columns of a table that a job can follow, best first.

    Raises InvalidRequest where there is no such table, SourceError where it does not answer.
    """
    found = await discovery.table(opened, schema, table)
    check_exists(found)
    return found.proposed


def check_exists(found: FoundTable, prefix: str = "") -> None:
    """Raises InvalidRequest that blames the field of what the source does not have."""
    if found.missing:
        raise InvalidRequest.of(f"{prefix}source{found.missing.title()}", found.error)


def check_columns(found: FoundTable, params: CachingParams) -> None:
    """The columns that a job names must exist, an increment needs an order and a key, and a filter
    has to be a condition over these columns."""
    names = [column.name for column in found.columns]
    asked = [("timeCheckColumn", name) for name in [params.time_check_column] if name]
    asked += [("mergeKeys", name) for name in params.merge_key_names or ()]
    asked += [("columns", name) for name in params.column_names or ()]
    for param, name in asked:
        if name not in names:
            raise InvalidRequest.of(
                f"params.{param}",
                f"the source's table has no column {name[:60]!r}{near_names(name, names)}",
            )
    if params.time_check_column and not params.merge_keys and not found.has_key:
        raise InvalidRequest.of(
            "params.timeCheckColumn",
            f"{params.source_table} has no primary key, so an increment cannot be merged: "
            "give mergeKeys, or leave timeCheckColumn empty to refresh the whole table",
        )
    if found.filter_error:
        raise InvalidRequest.of("params.filter", found.filter_error)
