"""The log of queries, as the reference has it (contract §7)."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from tidewell import clock
from tidewell.api.answers.base import RUN
from tidewell.api.answers.query import QueryEntries, QueryLog
from tidewell.api.bodies import StrictRoute
from tidewell.api.callers import QueryCaller
from tidewell.api.parameters import Moment, MomentOrNull, moment_of
from tidewell.api.services import Node
from tidewell.errors import NotFound
from tidewell.lax import LaxInt, between
from tidewell.query import log as query_log
from tidewell.runs import repository as runs

router = APIRouter(route_class=StrictRoute, prefix="/api", tags=["query"])
_MOST_ENTRIES = 10_000
_MOST_LINES = 10_000
_TYPES = (0, 2**31 - 1)

QueryId = Annotated[
    str,
    Path(
        description="The id of a query, or of a run.",
        json_schema_extra={"format": "uuid", "example": RUN},
    ),
]


class LogBody(BaseModel):
    """What the list is narrowed to; the same may come as parameters of the query."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"queryType": 200}]},
    )

    query_type: Annotated[LaxInt, between(*_TYPES)] | None = None
    """200: of the Query API, 204: of caching jobs, 205: scheduled queries; without: all."""
    start_time: MomentOrNull = None
    """ISO 8601; the log goes back seven days."""
    end_time: MomentOrNull = None
    """ISO 8601."""


_EVERYTHING = LogBody()


@router.post("/log/query/list", operation_id="listQueryLog", response_model=QueryEntries)
async def list_query_log(
    caller: QueryCaller,
    node: Node,
    body: LogBody = _EVERYTHING,
    query_type: Annotated[int | None, Query(alias="queryType", ge=_TYPES[0], le=_TYPES[1])] = None,
    start_time: Annotated[Moment, Query(alias="startTime")] = "",
    end_time: Annotated[Moment, Query(alias="endTime")] = "",
) -> dict[str, Any]:
    """What was asked, newest first."""
    async with node.database.transaction() as connection:
        rows = await query_log.listed(
            connection,
            caller.account_id,
            clock.now(),
            kept=timedelta(days=node.settings.keep_query_days),
            since=moment_of("startTime", body.start_time or start_time),
            until=moment_of("endTime", body.end_time or end_time),
            type_code=query_type if body.query_type is None else body.query_type,
            connection_ids=caller.connection_ids,
            limit=_MOST_ENTRIES,
        )
    return {"queries": [query_log.entry_to_wire(row) for row in rows]}


@router.get("/log/query/get/{query_id}", operation_id="getQueryLog", response_model=QueryLog)
async def get_query_log(query_id: QueryId, caller: QueryCaller, node: Node) -> dict[str, Any]:
    """One query with its log; that of a run has the run's own lines."""
    try:
        key = UUID(query_id)
    except ValueError:
        raise NotFound(f"There is no query {query_id[:60]}.") from None
    async with node.database.transaction() as connection:
        row = await query_log.one(
            connection,
            caller.account_id,
            key,
            clock.now(),
            timedelta(days=node.settings.keep_query_days),
            caller.connection_ids,
        )
        lines = await runs.log(connection, caller.account_id, key, 0, _MOST_LINES)
    told = [f"{clock.to_wire(line['at'])} {line['message']}" for line in lines]
    return query_log.entry_to_wire(row) | {"log": told or query_log.lines_of(row)}
