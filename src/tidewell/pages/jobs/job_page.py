"""The page of one job: how it stands, its history, its last error, its settings and its rows."""

import asyncio
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from tidewell import clock
from tidewell.api.jobs import checked
from tidewell.api.services import Node, Services
from tidewell.cache.plan import Place
from tidewell.cache.preview import Preview, preview
from tidewell.connections import cache as cache_connections
from tidewell.connections import opening
from tidewell.errors import CacheError, Conflict, InvalidRequest, QueryFailed, SourceError
from tidewell.jobs import repository as jobs
from tidewell.jobs.schedule import Unit
from tidewell.jobs.settings import SCHEDULED_QUERY
from tidewell.pages.jobs import browsing, charts, listing, more, query_page
from tidewell.pages.jobs.advice import advice
from tidewell.pages.jobs.browsing import TableColumns
from tidewell.pages.jobs.scheduling import EVERY_WRONG, LEVELS, first_time, schedule_form
from tidewell.pages.jobs.showing import caller_of, changes_of, go, show
from tidewell.pages.jobs.steering import body_of
from tidewell.pages.requests import PageRoute, form_of
from tidewell.pages.visits import Visit, Visitor, check_mark
from tidewell.pages.words import took
from tidewell.runs import history

router = APIRouter(
    route_class=PageRoute, include_in_schema=False, prefix="/oem/accounts/{account_id}"
)
_RUNS = 60
_ROWS = 20
_FIELDS = {
    "params.timeCheckColumn": "time",
    "first": "first",
    "intervalValue": "every",
    "intervalUnit": "every",
}


@router.get("/jobs/{job_id}")
async def show_job(
    request: Request, node: Node, visit: Visitor, job_id: UUID, did: str = ""
) -> Response:
    """How a job stands, and what became of it so far."""
    now = clock.now()
    async with node.database.transaction() as connection:
        row = await jobs.one(connection, visit.account_id, job_id, visit.connection_ids)
        found = await history.recent_runs(connection, visit.account_id, [job_id], _RUNS)
        succeeded = await history.last_successes(connection, visit.account_id)
    runs = found.get(job_id, [])
    fresh = listing.freshness(row, succeeded.get(job_id), now)
    latest = runs[0] if runs else None
    failed = latest if latest and latest["state"] == "failed" else None
    receipt = next((run["receipt"] for run in runs if run["receipt"]), None)
    return show(
        request,
        node,
        visit,
        "job.html",
        here="jobs",
        row=row,
        line=listing.line(row, listing.state_of(row, fresh), fresh, runs[: listing.RUNS], now),
        runs=runs,
        took=[took(run["started_at"], run["finished_at"] or now) for run in runs],
        labels=listing.RUN_LABELS,
        durations=charts.durations(runs, _RUNS),
        written=charts.rows(runs, _RUNS),
        failed=failed,
        advice=advice(failed["error_code"]) if failed else None,
        receipt=receipt,
        changes=_changes(runs),
        saved=did == "saved",
        reads_nothing=await asyncio.to_thread(_reads_nothing, row),
    )


def _reads_nothing(row: dict[str, Any]) -> bool:
    """Whether a scheduled query belongs to no connection at all, as `SELECT 1` does."""
    if row["job_type"] != SCHEDULED_QUERY or row["connection_id"] or row["connection_ids"]:
        return False
    # Only here: what reads SQL takes 10 MB, and few pages need it.
    from tidewell.query.reading import names_tables  # noqa: PLC0415

    try:
        return not names_tables(str(row["params"].get("query") or ""))
    except QueryFailed:
        return False  # its runs say what is wrong with it


@router.get("/jobs/{job_id}/settings")
async def show_settings(request: Request, node: Node, visit: Visitor, job_id: UUID) -> Response:
    """The settings of a job, to be changed."""
    async with node.database.transaction() as connection:
        row = await jobs.one(connection, visit.account_id, job_id, visit.connection_ids)
    if row["job_type"] == SCHEDULED_QUERY:
        return await query_page.show_form(
            request, node, visit, row, query_page.form_of_job(row), {}
        )
    return await _settings(request, node, visit, row, _as_form(row), {})


@router.post("/jobs/{job_id}/settings")
async def save_settings(request: Request, node: Node, visit: Visitor, job_id: UUID) -> Response:
    """Check and keep new settings of a job."""
    form = await form_of(request)
    check_mark(visit, form)
    async with node.database.transaction() as connection:
        row = await jobs.one(connection, visit.account_id, job_id, visit.connection_ids)
    if row["job_type"] == SCHEDULED_QUERY:
        return await query_page.save_form(request, node, visit, row, form)
    try:
        first = first_time(form.get("first", ""))
        params = more.changed(more.OF_CACHING, row["params"], form)
        if "time" in form:
            params["timeCheckColumn"] = form["time"]
        params["autoTruncateStrings"] = "true" if form.get("cut") else "false"
        changed = {
            "intervalUnit": form.get("unit", ""),
            "intervalValue": form.get("every", ""),
            "logVerbosity": form.get("level", ""),
            "enabled": "enabled" in form,
            "params": params,
        }
        body = body_of(row, **changed).model_copy(update={"defined_next_run": first})
        settings = await checked(body, caller_of(visit), node)
        await changes_of(node, visit).update(visit.account_id, job_id, settings, body)
    except ValidationError:
        errors = {"every": EVERY_WRONG}
        return await _settings(request, node, visit, row, form, errors)
    except InvalidRequest as error:
        return await _settings(request, node, visit, row, form, _blamed(error))
    except Conflict as error:
        return await _settings(request, node, visit, row, form, {"all": error.message})
    return go(request, node, visit, f"{visit.base}/jobs/{job_id}?did=saved")


@router.get("/jobs/{job_id}/rows")
async def show_rows(request: Request, node: Node, visit: Visitor, job_id: UUID) -> Response:
    """The first rows of a job's cached table."""
    async with node.database.transaction() as connection:
        row = await jobs.one(connection, visit.account_id, job_id, visit.connection_ids)
        cache = await jobs.cache_of(connection, visit.account_id)
    found, problem = Preview(), ""
    if cache is None:
        problem = "This account has no cache connection yet."
    else:
        address = cache_connections.address(
            node.sealing.open(cache["sealed"], cache["id"]), node.settings.egress_allow
        )
        place = Place(row["cache_schema"], row["cache_table"])
        try:
            found = await asyncio.to_thread(preview, address, place, _ROWS)
        except CacheError as error:
            problem = error.message
    return show(
        request,
        node,
        visit,
        "rows.html",
        here="jobs",
        row=row,
        preview=found,
        problem=problem,
        most=_ROWS,
    )


def _blamed(error: InvalidRequest) -> dict[str, str]:
    """What is wrong, by the field that is to blame."""
    found = more.blamed(more.OF_CACHING, error)
    if not found:
        field = error.details[0].field if error.details else ""
        found[_FIELDS.get(field, "all")] = error.message
    return found


def _as_form(row: dict[str, Any]) -> dict[str, str]:
    params = row["params"]
    form = schedule_form(row) | {"time": params.get("timeCheckColumn") or ""}
    form |= more.as_form(more.OF_CACHING, params)
    if str(params.get("autoTruncateStrings", "")).lower() == "true":
        form["cut"] = "on"
    return form


async def _settings(
    request: Request,
    node: Services,
    visit: Visit,
    row: dict[str, Any],
    form: dict[str, str],
    errors: dict[str, str],
) -> Response:
    return show(
        request,
        node,
        visit,
        "settings.html",
        here="jobs",
        status=422 if errors else 200,
        row=row,
        form=form,
        errors=errors,
        columns=await _offered(node, visit, row),
        units=[unit.value for unit in Unit],
        levels=LEVELS,
        more_settings=more.OF_CACHING,
    )


async def _offered(node: Services, visit: Visit, row: dict[str, Any]) -> TableColumns:
    """The columns to choose from; none where the source does not answer."""
    if row["connection_id"] is None:
        return TableColumns()
    async with node.database.transaction() as connection:
        opened = await opening.find(
            connection, node.sealing, visit.account_id, row["connection_id"], visit.connection_ids
        )
    if opened is None or not row["source_table"]:
        return TableColumns()
    asked = [(row["source_schema"], row["source_table"])]
    try:
        has_keys = bool(row["params"].get("mergeKeys"))
        found = await browsing.columns(node.discovery, opened, asked, has_merge_keys=has_keys)
        return found[0]
    except SourceError as error:
        return TableColumns(why_not=error.message)


def _changes(runs: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    """What runs noted of their tables, newest first: columns that came, went or grew."""
    return [
        (run["finished_at"], note)
        for run in runs
        for note in (run["receipt"] or {}).get("notes") or ()
    ][:20]
