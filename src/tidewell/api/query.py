"""The Query API (contract §7): statements, batches of them, and the catalogue."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import anyio
import orjson
import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from tidewell import clock
from tidewell.api.answers.query import Results
from tidewell.api.bodies import StrictRoute
from tidewell.api.callers import QueryCaller, QueryUser
from tidewell.api.parameters import Words
from tidewell.api.services import Node, Services
from tidewell.errors import InvalidRequest, QueryFailed, TidewellError, Unavailable
from tidewell.lax import NO_NUL, LaxBool, LaxInt, between
from tidewell.query import log as query_log
from tidewell.query.messages import MEDIA_TYPES, Format, QueryTask
from tidewell.query.parameters import read_parameters
from tidewell.query.processes import Running
from tidewell.query.tasks import over_account

router = APIRouter(route_class=StrictRoute, prefix="/api", tags=["query"])
_CATALOGUE_SECONDS = 60.0
_DEFAULT_SECONDS = 60
_MOST_SETS = 1000
_GONE = "The client has gone away."

Text = Annotated[str, StringConstraints(max_length=200_000, pattern=NO_NUL)]
Name = Annotated[str, Field(max_length=256, pattern=NO_NUL)]
Seconds = Annotated[LaxInt, between(1, 300)]
Workspace = Annotated[
    Words, Query(description="Accepted for the reference's clients; there are no workspaces here.")
]

log = structlog.get_logger()


class StatementBody(BaseModel):
    """What a statement comes with."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "query": "select top 5 * from OData1.OData.Categories WHERE ID > @p1",
                    "parameters": {"@p1": {"dataType": 8, "value": 3}},
                    "timeout": 60,
                }
            ]
        },
    )

    query: Annotated[Text, StringConstraints(min_length=1)]
    """One SELECT over `Catalog.Schema.Table`, where Catalog is a connection's name."""
    default_catalog: Name | None = None
    """The connection of tables that are named without one."""
    default_schema: Name | None = None
    """The schema of tables that are named without one."""
    timeout: Seconds | None = None
    """Seconds that it may take, 1 to 300; 60 where none are given."""


class QueryBody(StatementBody):
    """The body of a query."""

    parameters: dict[str, Any] | None = None
    """The values of `@name` in the statement: `{"@p1": {"dataType": 8, "value": 5}}`."""
    schema_only: LaxBool | None = None
    """Only the columns, no rows."""


class BatchBody(StatementBody):
    """The body of a batch: one statement, and a set of parameters for each time it is run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": "select * from OData1.OData.Categories WHERE ID = @p1",
                    "parameters": [
                        {"@p1": {"dataType": 8, "value": 1}},
                        {"@p1": {"dataType": 8, "value": 2}},
                    ],
                }
            ]
        },
    )

    parameters: Annotated[list[dict[str, Any]], Field(max_length=_MOST_SETS)] | None = None
    """One set of values for each time that the statement is run."""


class ProcedureBody(BaseModel):
    """The body of a call of a procedure."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="allow",
        json_schema_extra={"examples": [{"procedure": "Refresh", "parameters": {}}]},
    )

    procedure: Name
    parameters: dict[str, Any] | None = None


@router.post("/query", operation_id="query", response_model=Results)
async def query(
    body: QueryBody, request: Request, caller: QueryCaller, node: Node, workspace: Workspace = ""
) -> StreamingResponse:
    """Run one SELECT. Cached tables are read from the cache, others from their sources.

    `Accept: application/vnd.apache.arrow.stream` gives Arrow, `text/csv` CSV.
    """
    read_parameters(body.parameters or {})
    task = _task(body, (body.parameters or {},), _format(request))
    if body.schema_only:
        task = replace(task, schema_only=True)
    return await _answered(node, caller, request, task)


@router.post("/batch", operation_id="batch", response_model=Results)
async def batch(
    body: BatchBody, request: Request, caller: QueryCaller, node: Node, workspace: Workspace = ""
) -> StreamingResponse:
    """Run one SELECT for each set of parameters; one result each."""
    sets = tuple(body.parameters or ({},))
    for one in sets:
        read_parameters(one)
    return await _answered(node, caller, request, _task(body, sets, "json"))


@router.post("/exec", operation_id="execute", response_model=Results)
async def execute(body: ProcedureBody, caller: QueryCaller) -> dict[str, Any]:
    """Run a stored procedure: no source has one that can be called here, so this always fails."""
    raise InvalidRequest.of(
        "procedure", f"{body.procedure[:60]!r} cannot be run: there are no procedures here"
    )


@router.get("/catalogs", operation_id="listCatalogs", response_model=Results)
async def catalogs(
    request: Request,
    caller: QueryCaller,
    node: Node,
    workspace: Workspace = "",
    catalog_name: Annotated[Words, Query(alias="catalogName")] = "",
) -> StreamingResponse:
    """The connections."""
    return await _looked(node, caller, request, "catalogs", {"catalog": catalog_name})


@router.get("/schemas", operation_id="listSchemas", response_model=Results)
async def schemas(
    request: Request,
    caller: QueryCaller,
    node: Node,
    workspace: Workspace = "",
    catalog_name: Annotated[Words, Query(alias="catalogName")] = "",
    schema_name: Annotated[Words, Query(alias="schemaName")] = "",
) -> StreamingResponse:
    """The schemas of the connections that answer."""
    wanted = {"catalog": catalog_name, "schema": schema_name}
    return await _looked(node, caller, request, "schemas", wanted)


@router.get("/tables", operation_id="listTables", response_model=Results)
async def tables(
    request: Request,
    caller: QueryCaller,
    node: Node,
    workspace: Workspace = "",
    catalog_name: Annotated[Words, Query(alias="catalogName")] = "",
    schema_name: Annotated[Words, Query(alias="schemaName")] = "",
    table_name: Annotated[Words, Query(alias="tableName")] = "",
    table_type: Annotated[
        Words, Query(alias="tableType", description="TABLE, VIEW, or both with a comma.")
    ] = "",
) -> StreamingResponse:
    """The tables and views."""
    types = [one.strip() for one in table_type.split(",") if one.strip()]
    wanted = {
        "catalog": catalog_name,
        "schema": schema_name,
        "table": table_name,
        "types": types,
    }
    return await _looked(node, caller, request, "tables", wanted)


@router.get("/columns", operation_id="listColumns", response_model=Results)
async def columns(
    request: Request,
    caller: QueryCaller,
    node: Node,
    workspace: Workspace = "",
    catalog_name: Annotated[Words, Query(alias="catalogName")] = "",
    schema_name: Annotated[Words, Query(alias="schemaName")] = "",
    table_name: Annotated[Words, Query(alias="tableName")] = "",
    column_name: Annotated[Words, Query(alias="columnName")] = "",
) -> StreamingResponse:
    """The columns of tables."""
    wanted = {
        "catalog": catalog_name,
        "schema": schema_name,
        "table": table_name,
        "column": column_name,
    }
    return await _looked(node, caller, request, "columns", wanted)


@router.get("/primaryKeys", operation_id="listPrimaryKeys", response_model=Results)
async def primary_keys(
    request: Request,
    caller: QueryCaller,
    node: Node,
    workspace: Workspace = "",
    catalog_name: Annotated[Words, Query(alias="catalogName")] = "",
    schema_name: Annotated[Words, Query(alias="schemaName")] = "",
    table_name: Annotated[Words, Query(alias="tableName")] = "",
) -> StreamingResponse:
    """The primary keys of tables."""
    wanted = {"catalog": catalog_name, "schema": schema_name, "table": table_name}
    return await _looked(node, caller, request, "primaryKeys", wanted)


@dataclass
class _Asked:
    """One query, and what its entry in the log needs; a catalogue call has none."""

    node: Services
    caller: QueryUser
    task: QueryTask
    user_agent: str
    id: UUID = field(default_factory=uuid4)
    at: datetime = field(default_factory=clock.now)

    async def note(
        self, head: Mapping[str, Any], rows: int = 0, error: TidewellError | None = None
    ) -> None:
        """Write it down; a log that cannot be written fails no query."""
        if self.task.kind != "query":
            return
        entry = query_log.Entry(
            id=self.id,
            at=self.at,
            milliseconds=int((clock.now() - self.at).total_seconds() * 1000),
            query=self.task.text,
            credential=self.caller.credential,
            drivers=", ".join(head.get("drivers", ())),
            rows_returned=rows,
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            user_agent=self.user_agent,
        )
        try:
            async with self.node.database.transaction() as connection:
                await query_log.note(connection, self.caller.account_id, entry)
        except Unavailable:
            log.warning("query_not_logged", query_id=str(self.id))


def _task(body: StatementBody, sets: tuple[Mapping[str, Any], ...], kind: Format) -> QueryTask:
    if not body.query.strip():
        raise InvalidRequest.of("query", "is empty")
    return QueryTask(
        "query",
        connections=(),
        text=body.query,
        parameters=sets,
        default_catalog=body.default_catalog or "",
        default_schema=body.default_schema or "",
        format=kind,
        seconds=float(body.timeout or _DEFAULT_SECONDS),
    )


def _format(request: Request) -> Format:
    accepted = request.headers.get("accept", "").lower()
    if "application/vnd.apache.arrow.stream" in accepted:
        return "arrow"
    return "csv" if "text/csv" in accepted else "json"


async def _looked(
    node: Services, caller: QueryUser, request: Request, subject: str, wanted: Mapping[str, Any]
) -> StreamingResponse:
    task = QueryTask(
        "catalogue",
        connections=(),
        subject=subject,
        wanted=wanted,
        seconds=_CATALOGUE_SECONDS,
    )
    return await _answered(node, caller, request, task)


async def _answered(
    node: Services, caller: QueryUser, request: Request, task: QueryTask
) -> StreamingResponse:
    """Run a task; the answer begins when it is sure to be one, and streams from there."""
    async with node.database.transaction() as connection:
        task = await over_account(
            connection,
            node.sealing,
            node.settings,
            caller.account_id,
            caller.connection_ids,
            task,
        )
    asked = _Asked(node, caller, task, request.headers.get("user-agent", ""))
    async with AsyncExitStack() as stack:
        try:
            running = await _unless_gone(
                request, stack.enter_async_context(node.queries.run(caller.account_id, task))
            )
        except TidewellError as error:
            await asked.note({}, error=error)
            raise
        streaming = stack.pop_all()
    return StreamingResponse(
        _sent(asked, running, streaming),
        media_type=MEDIA_TYPES[_kind(task)],
        headers=_headers(asked, running.head),
    )


async def _sent(asked: _Asked, running: Running, streaming: AsyncExitStack) -> AsyncIterator[bytes]:
    """The answer in pieces. One that breaks off ends with its error, and the connection with it."""
    try:
        async for piece in running.data():
            yield piece
        await asked.note(running.head, running.rows)
    except TidewellError as error:
        await asked.note(running.head, running.rows, error)
        if _kind(asked.task) == "json":
            # No client can take this for a whole answer: after rows stands no comma.
            told = {"code": error.code, "message": error.message}
            yield b"\n" + orjson.dumps({"error": told}) + b"\n"
        raise
    except (asyncio.CancelledError, GeneratorExit):
        with anyio.CancelScope(shield=True):
            await asked.note(running.head, running.rows, QueryFailed(_GONE))
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await streaming.aclose()


def _kind(task: QueryTask) -> Format:
    return "csv" if task.format == "csv" else "arrow" if task.format == "arrow" else "json"


def _headers(asked: _Asked, head: Mapping[str, Any]) -> dict[str, str]:
    """The query's id, and the age in seconds of the oldest cached table (RFC 9111 §5.1)."""
    headers = {"X-Query-Id": str(asked.id)} if asked.task.kind == "query" else {}
    if head.get("refreshed_at"):
        refreshed_at = datetime.fromisoformat(head["refreshed_at"])
        age = max(int((clock.now() - refreshed_at).total_seconds()), 0)
        headers |= {"Age": str(age), "X-Refreshed-At": clock.to_wire(refreshed_at)}
    return headers


async def _unless_gone(request: Request, beginning: Awaitable[Running]) -> Running:
    """Wait for an answer to begin; where the client goes away meanwhile, the query ends."""
    begun = asyncio.ensure_future(beginning)
    watching = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait([begun, watching], return_when=asyncio.FIRST_COMPLETED)
        if begun.done():
            return begun.result()
        raise QueryFailed(_GONE)
    finally:
        watching.cancel()
        begun.cancel()
        await asyncio.gather(watching, begun, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
