"""The Job API's calls on jobs (contract §4), and ours on their runs (§7)."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from tidewell import clock
from tidewell.api import events, scheduledqueries
from tidewell.api.answers.base import JOB, RUN, Done
from tidewell.api.answers.jobs import Jobs, QueuedRun, Run, RunLog, Runs, TimeCheckColumns, ValidJob
from tidewell.api.bodies import StrictRoute
from tidewell.api.callers import Account, AccountCaller
from tidewell.api.errors import invalid_fields
from tidewell.api.openapi import conflict, leads_to
from tidewell.api.parameters import Moment, Words, moment_of
from tidewell.api.services import Node, Services, job_changes, removal
from tidewell.connections import opening
from tidewell.errors import InvalidRequest, NotFound
from tidewell.jobs import repository as jobs
from tidewell.jobs.job import JobSettings, job_of_texts, job_to_wire
from tidewell.jobs.params import CachingParams
from tidewell.jobs.settings import (
    SCHEDULED_QUERY,
    JobBody,
    check_source_name,
    check_together,
)
from tidewell.jobs.source_check import check_source, time_check_columns
from tidewell.runs import repository as runs
from tidewell.runs.changes import JobChanges, settings_of
from tidewell.runs.wire import change_to_wire, log_line_to_wire, run_to_wire

router = APIRouter(route_class=StrictRoute, prefix="/api", tags=["jobs"])


def changes(node: Node, caller: AccountCaller) -> JobChanges:
    """The changes of jobs, on this node's database and queue."""
    return job_changes(node, caller.author)


Changes = Annotated[JobChanges, Depends(changes)]
JobId = Annotated[
    str, Path(description="The id of a job.", json_schema_extra={"format": "uuid", "example": JOB})
]
RunId = Annotated[
    str, Path(description="The id of a run.", json_schema_extra={"format": "uuid", "example": RUN})
]
_NO_ROOM = "there is no cache connection yet, or another job caches this table"
_OF_JOB = ("getJob", "updateJob", "runJob", "stopJob", "listRuns", "deleteJob")


@router.get("/job/list", operation_id="listJobs", response_model=Jobs)
async def list_jobs(caller: AccountCaller, node: Node) -> Response:
    """The sub-account's jobs, oldest first."""
    # As it is: to check ten thousand jobs against the model takes longer than all else. In parts,
    # so that other calls come between, and no heap of objects waits for the garbage collector.
    parts = []
    async with node.database.transaction() as connection:
        of_account = (caller.account_id, caller.connection_ids, clock.now())
        async for rows in jobs.listed_as_text(connection, *of_account):
            parts.append(orjson.dumps([job_of_texts(row) for row in rows])[1:-1])
            await asyncio.sleep(0)
    body = b'{"jobs":[' + b",".join(parts) + b"]}"
    return Response(body, media_type="application/json")


@router.get(
    "/job/timeCheckColumns", operation_id="listTimeCheckColumns", response_model=TimeCheckColumns
)
async def list_time_check_columns(
    caller: AccountCaller,
    node: Node,
    source_connection: Annotated[UUID, Query(alias="sourceConnection")],
    source_schema: Annotated[Words, Query(alias="sourceSchema")],
    source_table: Annotated[Words, Query(alias="sourceTable")],
) -> dict[str, Any]:
    """The columns of a source's table that an incremental job can follow, best first."""
    opened = await _opened(caller, node, source_connection, "sourceConnection")
    found = await time_check_columns(node.discovery, opened, source_schema, source_table)
    return {
        "columns": [
            {
                "colName": one.name,
                "colType": one.type,
                "isPrimaryKey": one.in_key,
            }
            for one in found
        ]
    }


@router.get("/job/{job_id}", operation_id="getJob", response_model=Jobs)
async def get_job(job_id: JobId, caller: AccountCaller, node: Node) -> dict[str, Any]:
    """One job."""
    return await _one(node, caller, _id("job", job_id))


@router.post(
    "/job/create",
    operation_id="createJob",
    response_model=Jobs,
    responses=conflict(_NO_ROOM) | leads_to(*_OF_JOB, job_id="$response.body#/jobs/0/id"),
)
async def create_job(
    body: JobBody, caller: AccountCaller, node: Node, changes: Changes
) -> dict[str, Any]:
    """Make a job; without `definedNextRun` its first run is queued at once."""
    settings = await checked(body, caller, node)
    job_id = await changes.create(caller.account_id, settings, body)
    return await _one(node, caller, job_id)


@router.post(
    "/job/validate",
    operation_id="validateJob",
    response_model=ValidJob,
    responses=conflict(_NO_ROOM),
)
async def validate_job(
    body: JobBody, caller: AccountCaller, node: Node, changes: Changes
) -> dict[str, Any]:
    """All checks of create; nothing is made."""
    settings = await checked(body, caller, node)
    await changes.check(caller.account_id, settings)
    return {
        "valid": True,
        "cacheSchema": settings.cache_schema or "",
        "cacheTable": settings.cache_table or "",
    }


@router.put(
    "/job/{job_id}/update",
    operation_id="updateJob",
    response_model=Jobs,
    responses=conflict("another job caches this table"),
)
async def update_job(
    job_id: JobId, body: JobBody, caller: AccountCaller, node: Node, changes: Changes
) -> dict[str, Any]:
    """Replace a job's settings."""
    key = _id("job", job_id)
    await _one(node, caller, key)
    await changes.update(caller.account_id, key, await checked(body, caller, node), body)
    return await _one(node, caller, key)


@router.delete("/job/{job_id}/delete", operation_id="deleteJob", response_model=Done)
async def delete_job(job_id: JobId, caller: AccountCaller, node: Node) -> dict[str, Any]:
    """End a run of a job, drop its cached table, forget it."""
    key = _id("job", job_id)
    await _one(node, caller, key)
    await removal(node, caller.author).job(caller.account_id, key)
    return {}


@router.post(
    "/job/{job_id}/run",
    operation_id="runJob",
    response_model=QueuedRun,
    responses=conflict("the job is disabled")
    | leads_to("getRun", "getRunLog", run_id="$response.body#/runId"),
)
async def run_job(
    job_id: JobId, caller: AccountCaller, node: Node, changes: Changes
) -> dict[str, Any]:
    """Queue a run now; while one is queued or running, that one is the answer."""
    key = _id("job", job_id)
    await _one(node, caller, key)
    return {"runId": str(await changes.run(caller.account_id, key))}


@router.post("/job/{job_id}/stop", operation_id="stopJob", response_model=Done)
async def stop_job(
    job_id: JobId, caller: AccountCaller, node: Node, changes: Changes
) -> dict[str, Any]:
    """End the job's queued or running run; with nothing to stop this is no error."""
    key = _id("job", job_id)
    await _one(node, caller, key)
    await changes.stop(caller.account_id, key)
    return {}


@router.get("/job/{job_id}/runs", operation_id="listRuns", response_model=Runs)
async def list_runs(
    job_id: JobId,
    caller: AccountCaller,
    node: Node,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Moment = "",
) -> dict[str, Any]:
    """A job's runs, newest first; `before` is a time, for the next page."""
    key = _id("job", job_id)
    await _one(node, caller, key)
    moment = moment_of("before", before)
    async with node.database.transaction() as connection:
        rows = await runs.of_job(connection, caller.account_id, key, moment, limit)
    now = clock.now()
    return {"runs": [run_to_wire(row, now) for row in rows]}


@router.get("/run/{run_id}", operation_id="getRun", response_model=Run)
async def get_run(run_id: RunId, caller: AccountCaller, node: Node) -> dict[str, Any]:
    """One run, with its receipt and every change of its state."""
    run = await _run(node, caller, run_id)
    async with node.database.transaction() as connection:
        changes = await runs.changes(connection, caller.account_id, run["id"])
    return {
        "run": run_to_wire(run, clock.now()) | {"changes": [change_to_wire(row) for row in changes]}
    }


@router.get("/run/{run_id}/log", operation_id="getRunLog", response_model=RunLog)
async def get_run_log(
    run_id: RunId,
    caller: AccountCaller,
    node: Node,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> dict[str, Any]:
    """The lines of a run's log, in order, after a given line."""
    run = await _run(node, caller, run_id)
    async with node.database.transaction() as connection:
        rows = await runs.log(connection, caller.account_id, run["id"], after, limit)
    return {"lines": [log_line_to_wire(row) for row in rows]}


@router.get(
    "/run/{run_id}/events",
    operation_id="followRun",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `log`, `progress`, `state`, and `end` at the end.",
            "content": {
                events.MEDIA_TYPE: {
                    "schema": {"type": "string"},
                    "example": (
                        'id: 41\nevent: progress\ndata: {"rowsRead": 8, "bytesCopied": 1204}\n\n'
                    ),
                }
            },
        },
        204: {"description": "The client has seen the end already: it need not come back."},
    },
)
async def follow_run(
    run_id: RunId,
    caller: AccountCaller,
    node: Node,
    last_event_id: Annotated[
        str | None, Header(description="The last event that was seen; what follows is sent.")
    ] = None,
) -> Response:
    """A run as server-sent events, while it waits and works, until its end."""
    run = await _run(node, caller, run_id)
    after = events.resume_point(last_event_id)
    if after is None:
        return Response(status_code=204)
    return StreamingResponse(
        events.run_events(node.database, caller.account_id, run["id"], after),
        media_type=events.MEDIA_TYPE,
        headers={"X-Accel-Buffering": "no"},
    )


async def checked(body: JobBody, caller: Account, node: Services) -> JobSettings:
    """Every check of a job's body; the source is asked where it answers in time."""
    if body.job_type == SCHEDULED_QUERY:
        return await scheduledqueries.checked(body, caller, node)
    try:
        params = CachingParams.model_validate(body.params)
    except ValidationError as error:
        raise invalid_fields(error.errors(), "params") from error
    check_together(params)
    opened = await _opened(caller, node, params.source_connection, "params.sourceConnection")
    check_source_name(params, opened.name, opened.driver.name)
    await check_source(node.discovery, opened, params)
    return settings_of(body, params, opened)


async def _opened(
    caller: Account, node: Services, connection_id: UUID, field: str
) -> opening.OpenedConnection:
    """A connection that a field names. Raises InvalidRequest that blames the field."""
    async with node.database.transaction() as connection:
        opened = await opening.find(
            connection, node.sealing, caller.account_id, connection_id, caller.connection_ids
        )
    if opened is None:
        raise InvalidRequest.of(
            field,
            f"there is no connection {connection_id} in this account: make it with "
            "POST /api/connections",
        )
    return opened


async def _one(node: Services, caller: Account, job_id: UUID) -> dict[str, Any]:
    async with node.database.transaction() as connection:
        row = await jobs.one(connection, caller.account_id, job_id, caller.connection_ids)
    return _answer([row])


async def _run(node: Services, caller: Account, text: str) -> dict[str, Any]:
    run_id = _id("run", text)
    async with node.database.transaction() as connection:
        row = await runs.one(connection, caller.account_id, run_id)
        job_id, narrowed_to = row["job_id"], caller.connection_ids
        if not await jobs.is_seen(connection, caller.account_id, job_id, narrowed_to):
            raise NotFound.of("run")
    return row


def _answer(rows: list[dict[str, Any]]) -> dict[str, Any]:
    now = clock.now()
    return {"jobs": [job_to_wire(row, now) for row in rows]}


def _id(kind: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound.of(kind) from None
