"""The checks of a scheduled query when it is made or changed (contract §6)."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from tidewell.api.callers import Account
from tidewell.api.errors import invalid_fields
from tidewell.api.services import Services
from tidewell.errors import Detail, InvalidRequest, QueryFailed
from tidewell.jobs.job import JobSettings
from tidewell.jobs.queryparams import ScheduledQueryParams
from tidewell.jobs.settings import JobBody
from tidewell.query.messages import QueryTask
from tidewell.query.tasks import over_account
from tidewell.runs.changes import settings_of_query
from tidewell.sources.near import near_names

_BOUND_SECONDS = 10.0
_FIELD = "params.query"
_LATE = "QUERY_TIMEOUT"


@dataclass(frozen=True)
class _Description:
    """What a statement does, as `Engine.describe` tells it."""

    writes: bool
    connections: tuple[UUID, ...]
    plain: bool
    columns: tuple[str, ...] | None


async def checked(body: JobBody, caller: Account, node: Services) -> JobSettings:
    """Every check of a scheduled query. Raises InvalidRequest with the place in its text."""
    try:
        params = ScheduledQueryParams.model_validate(body.params)
    except ValidationError as error:
        raise invalid_fields(error.errors(), "params") from error
    if params.write_mode == "merge" and not params.merge_keys:
        raise InvalidRequest.of("params.mergeKeys", "is missing: merge tells rows apart by it")
    told = await _described(params, caller, node)
    # Its runs see the whole account, in which a short name may lead elsewhere.
    if caller.connection_ids is not None and not (told.connections and told.plain):
        raise InvalidRequest.of(
            _FIELD,
            "this token is narrowed to some connections, so the query has to name tables of "
            "theirs, each as Catalog.Schema.Table, with the connection's name as it is spelled",
        )
    if told.writes and (params.destination_schema or params.destination_table):
        raise InvalidRequest.of(
            "params.destinationTable", "is for a SELECT; this statement names its own table"
        )
    if told.columns is not None:
        _check_columns(told.columns, params)
    return settings_of_query(body, params, writes=told.writes, connections=told.connections)


def _check_columns(columns: tuple[str, ...], params: ScheduledQueryParams) -> None:
    folded = [name.casefold() for name in columns]
    twice = next((name for name in columns if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise InvalidRequest.of(
            _FIELD, f"two columns of the result are named {twice[:60]!r}: name one with AS"
        )
    for key in params.merge_key_names:
        if key.casefold() not in folded:
            raise InvalidRequest.of(
                "params.mergeKeys",
                f"the result has no column {key[:60]!r}{near_names(key, columns)}",
            )


async def _described(params: ScheduledQueryParams, caller: Account, node: Services) -> _Description:
    """What the statement does, told by a process of queries within a bound."""
    task = QueryTask("describe", connections=(), text=params.query, seconds=_BOUND_SECONDS)
    async with node.database.transaction() as connection:
        task = await over_account(
            connection,
            node.sealing,
            node.settings,
            caller.account_id,
            caller.connection_ids,
            task,
        )
    try:
        try:
            return await _told(task, caller, node)
        except QueryFailed as error:
            if error.code != _LATE:
                raise
        return await _told(_by_names_alone(task), caller, node)
    except QueryFailed as error:
        message = error.message.removeprefix("The query cannot be run: ").removesuffix(".")
        raise InvalidRequest(f"{_FIELD}: {message}", details=[Detail(_FIELD, message)]) from error


def _by_names_alone(task: QueryTask) -> QueryTask:
    """The same without what leads to the sources: none of them can hold it up."""
    names = tuple({**one, "driver": "", "text": ""} for one in task.connections)
    return replace(task, connections=names, copies=(), cache=None)


async def _told(task: QueryTask, caller: Account, node: Services) -> _Description:
    async with node.queries.run(caller.account_id, task) as running:
        async for _ in running.data():
            pass
        told: dict[str, Any] = running.head["description"]
    columns = told["columns"]
    return _Description(
        told["writes"],
        tuple(map(UUID, told["connections"])),
        told["plain"],
        None if columns is None else tuple(columns),
    )
