"""Add jobs in three steps: a connection, its tables, and a schedule.

Each step is a page of its own with everything in its address, so that the way back, a reload and a
bookmark work, also without JavaScript.
"""

import json
from contextlib import suppress
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from tidewell.api.jobs import checked
from tidewell.api.services import Node, Services
from tidewell.connections import opening
from tidewell.connections import repository as connections
from tidewell.connections.opening import OpenedConnection
from tidewell.discovery.messages import FoundTables
from tidewell.errors import InvalidRequest, NotFound, RequestError, SourceError
from tidewell.jobs import repository as jobs
from tidewell.jobs.schedule import Unit
from tidewell.jobs.settings import JobBody
from tidewell.pages.jobs import browsing
from tidewell.pages.jobs.scheduling import EVERY_WRONG, first_time
from tidewell.pages.jobs.showing import caller_of, changes_of, go, show
from tidewell.pages.jobs.steering import Problem
from tidewell.pages.requests import PageRoute, pairs_of
from tidewell.pages.visits import Visit, Visitor, check_mark

router = APIRouter(
    route_class=PageRoute, include_in_schema=False, prefix="/oem/accounts/{account_id}/jobs/new"
)
_MOST_SHOWN = 500
_MOST_CHOSEN = 50

Tables = list[tuple[str, str]]


@router.get("")
async def choose_connection(request: Request, node: Node, visit: Visitor) -> Response:
    """Step 1: where the tables are."""
    async with node.database.transaction() as connection:
        rows = await connections.listed(connection, visit.account_id, visit.connection_ids)
        cache = await jobs.cache_of(connection, visit.account_id)
    return show(
        request, node, visit, "new1.html", here="jobs", sources=rows, has_cache=cache is not None
    )


@router.get("/{connection_id}")
async def choose_tables(
    request: Request,
    node: Node,
    visit: Visitor,
    connection_id: UUID,
    q: str = "",
    nothing: str = "",
) -> Response:
    """Step 2: which tables, several at once."""
    opened = await _opened(node, visit, connection_id)
    found = FoundTables()
    problem = ""
    try:
        found = await node.discovery.tables(opened, q, _MOST_SHOWN)
    except SourceError as error:
        problem = error.message
    async with node.database.transaction() as connection:
        rows = await jobs.listed(connection, visit.account_id, [connection_id])
    kept = {(row["source_schema"], row["source_table"]) for row in rows}
    return show(
        request,
        node,
        visit,
        "new2.html",
        here="jobs",
        source=opened,
        tables=[
            {
                "name": table.name,
                "schema": table.schema,
                "remarks": table.remarks,
                "value": json.dumps([table.schema, table.name]),
                "is_cached": (table.schema, table.name) in kept,
            }
            for table in found.tables
        ],
        total=found.total,
        fitting=found.fitting,
        several_schemas=found.several_schemas,
        most=_MOST_SHOWN,
        search=q,
        problem=problem,
        nothing=bool(nothing),
    )


@router.get("/{connection_id}/schedule")
async def choose_schedule(
    request: Request,
    node: Node,
    visit: Visitor,
    connection_id: UUID,
    table: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """Step 3: how often, and by which column increments are told."""
    tables = _tables(table or [])
    if not tables:
        return go(request, node, visit, f"{visit.base}/jobs/new/{connection_id}?nothing=yes")
    opened = await _opened(node, visit, connection_id)
    return await _schedule(request, node, visit, opened, tables, {}, {})


@router.post("/{connection_id}/schedule")
async def make_jobs(request: Request, node: Node, visit: Visitor, connection_id: UUID) -> Response:
    """Make a job for each table; what fails for one holds no other back."""
    pairs = await pairs_of(request)
    form = dict(pairs)
    check_mark(visit, form)
    tables = _tables([value for name, value in pairs if name == "table"])
    opened = await _opened(node, visit, connection_id)
    async with node.database.transaction() as connection:
        if await jobs.cache_of(connection, visit.account_id) is None:
            return go(request, node, visit, f"{visit.base}/jobs/new")
    try:
        bodies = [
            _body(form, opened, schema, name, form.get(f"time-{place}", ""))
            for place, (schema, name) in enumerate(tables)
        ]
    except InvalidRequest as error:
        field = error.details[0].field if error.details else ""
        errors = {"first" if field == "first" else "every": error.message}
        return await _schedule(request, node, visit, opened, tables, form, errors)
    problems = []
    for body, (_, name) in zip(bodies, tables, strict=True):
        try:
            settings = await checked(body, caller_of(visit), node)
            await changes_of(node, visit).create(visit.account_id, settings, body)
        except RequestError as error:
            problems.append(Problem(name, error.message))
    done = len(bodies) - len(problems)
    did = "plan" if any(body.defined_next_run for body in bodies) else "create"
    if problems:
        return show(
            request,
            node,
            visit,
            "problems.html",
            here="jobs",
            status=409,
            done=done,
            deed="made",
            problems=problems,
        )
    return go(request, node, visit, f"{visit.base}/jobs?did={did}&count={done}")


async def _opened(node: Services, visit: Visit, connection_id: UUID) -> OpenedConnection:
    async with node.database.transaction() as connection:
        opened = await opening.find(
            connection, node.sealing, visit.account_id, connection_id, visit.connection_ids
        )
    if opened is None:
        raise NotFound("There is no such connection.")
    return opened


async def _schedule(
    request: Request,
    node: Services,
    visit: Visit,
    opened: OpenedConnection,
    tables: Tables,
    form: dict[str, str],
    errors: dict[str, str],
) -> Response:
    try:
        offered = await browsing.columns(node.discovery, opened, tables)
    except SourceError as error:
        offered = [browsing.TableColumns(why_not=error.message)] * len(tables)
    return show(
        request,
        node,
        visit,
        "new3.html",
        here="jobs",
        status=422 if errors else 200,
        source=opened,
        tables=[
            {"schema": schema, "name": name, "value": json.dumps([schema, name]), "offer": offer}
            for (schema, name), offer in zip(tables, offered, strict=True)
        ],
        units=[unit.value for unit in Unit],
        form=form,
        errors=errors,
    )


def _body(
    form: dict[str, str], opened: OpenedConnection, schema: str, name: str, time: str
) -> JobBody:
    first = first_time(form.get("first", ""))
    try:
        body = JobBody.model_validate(
            {
                "jobType": "Caching",
                "intervalUnit": form.get("unit", ""),
                "intervalValue": form.get("every", ""),
                "params": {
                    "sourceConnection": str(opened.id),
                    "sourceName": opened.name,
                    "sourceSchema": schema,
                    "sourceTable": name,
                    "timeCheckColumn": time,
                    "autoTruncateStrings": "true" if form.get("cut") else "false",
                },
            }
        )
    except ValidationError as error:
        raise InvalidRequest(EVERY_WRONG) from error
    return body.model_copy(update={"defined_next_run": first})


def _tables(values: list[str]) -> Tables:
    found: Tables = []
    for value in values[:_MOST_CHOSEN]:
        with suppress(ValueError):
            match json.loads(value):
                case [str(schema), str(name)]:
                    f"{schema}{name}".encode()  # a lone surrogate is no name
                    found.append((schema, name))
    return found
