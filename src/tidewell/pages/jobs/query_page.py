"""A scheduled query in the browser: written, checked, made and changed."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from tidewell.api.jobs import checked
from tidewell.api.services import Node, Services
from tidewell.errors import Conflict, InvalidRequest
from tidewell.jobs import repository as jobs
from tidewell.jobs.schedule import Unit
from tidewell.jobs.settings import SCHEDULED_QUERY, JobBody
from tidewell.pages.jobs import more
from tidewell.pages.jobs.scheduling import EVERY_WRONG, LEVELS, first_time, schedule_form
from tidewell.pages.jobs.showing import caller_of, changes_of, go, show
from tidewell.pages.requests import PageRoute, form_of
from tidewell.pages.visits import Visit, Visitor, check_mark

router = APIRouter(
    route_class=PageRoute, include_in_schema=False, prefix="/oem/accounts/{account_id}"
)
_MODES = (
    ("replace", "Its result replaces the one before"),
    ("append", "Its rows are added"),
    ("merge", "Its rows are merged by key"),
)
# A field of the form, and the param that it is.
_PARAMS = {
    "query": "query",
    "name": "name",
    "mode": "writeMode",
    "schema": "destinationSchema",
    "table": "destinationTable",
}
_FIELDS = {f"params.{param}": field for field, param in _PARAMS.items()} | {
    "params.mergeKeys": "keys",
    "name": "name",
    "first": "first",
    "intervalValue": "every",
    "intervalUnit": "every",
}
_MOST_TABLES = 100

Job = dict[str, Any]
Form = dict[str, str]


@router.get("/jobs/new/query")
async def new_query(request: Request, node: Node, visit: Visitor) -> Response:
    """A query to be written."""
    return await show_form(request, node, visit, None, {}, {})


@router.post("/jobs/new/query")
async def make_query(request: Request, node: Node, visit: Visitor) -> Response:
    """Check a query, or make its job."""
    form = await form_of(request)
    check_mark(visit, form)
    return await save_form(request, node, visit, None, form)


async def save_form(
    request: Request, node: Services, visit: Visit, row: Job | None, form: Form
) -> Response:
    """Check what was sent; make the job, or change the one that there is."""
    try:
        body = _body(form, row)
        settings = await checked(body, caller_of(visit), node)
        if form.get("do") == "check":
            return await show_form(request, node, visit, row, form, {}, is_checked=True)
        changes = changes_of(node, visit)
        if row is None:
            job_id = await changes.create(visit.account_id, settings, body)
            return go(request, node, visit, f"{visit.base}/jobs/{job_id}")
        await changes.update(visit.account_id, row["id"], settings, body)
        return go(request, node, visit, f"{visit.base}/jobs/{row['id']}?did=saved")
    except ValidationError:
        errors = {"every": EVERY_WRONG}
    except InvalidRequest as error:
        errors = _errors(error)
    except Conflict as error:
        errors = {"all": error.message}
    return await show_form(request, node, visit, row, form, errors)


async def show_form(
    request: Request,
    node: Services,
    visit: Visit,
    row: Job | None,
    form: Form,
    errors: dict[str, str],
    *,
    is_checked: bool = False,
) -> Response:
    """The form, with what is wrong in it."""
    async with node.database.transaction() as connection:
        known = await jobs.listed(connection, visit.account_id, visit.connection_ids)
    tables = [
        f"{one['connection_name']}.{one['source_schema']}.{one['source_table']}"
        for one in known
        if one["source_table"]
    ]
    return show(
        request,
        node,
        visit,
        "query.html",
        here="jobs",
        status=422 if errors else 200,
        row=row,
        form=form,
        errors=errors,
        checked=is_checked,
        tables=sorted(tables)[:_MOST_TABLES],
        modes=_MODES,
        units=[unit.value for unit in Unit],
        levels=LEVELS,
        more_settings=more.OF_QUERIES,
    )


def form_of_job(row: Job) -> Form:
    """A scheduled query as it stands, as the form's fields."""
    params = row["params"]
    form = {field: str(params.get(param) or "") for field, param in _PARAMS.items()}
    keys = params.get("mergeKeys") or []
    names = [one if isinstance(one, str) else str(one.get("colName", "")) for one in keys]
    form |= {"keys": ", ".join(names), "mode": form["mode"].lower(), "name": row["name"]}
    return form | schedule_form(row) | more.as_form(more.OF_QUERIES, params)


def _body(form: Form, row: Job | None) -> JobBody:
    """What the form asks for. Raises ValidationError, InvalidRequest."""
    first = first_time(form.get("first", ""))
    params = more.changed(more.OF_QUERIES, row["params"] if row else {}, form)
    params |= {param: form.get(field, "").strip() for field, param in _PARAMS.items()}
    names = [name.strip() for name in form.get("keys", "").split(",") if name.strip()]
    params["mergeKeys"] = [{"colName": name} for name in names] or None
    kept = {name: value for name, value in params.items() if value not in ("", None)}
    if "query" not in kept:
        raise InvalidRequest.of("params.query", "Write a query.")
    body = JobBody.model_validate(
        {
            "jobType": SCHEDULED_QUERY,
            "intervalUnit": form.get("unit", ""),
            "intervalValue": form.get("every", ""),
            "logVerbosity": form.get("level") or 1,
            "enabled": row is None or "enabled" in form,
            "params": kept,
        }
    )
    return body.model_copy(update={"defined_next_run": first})


def _errors(error: InvalidRequest) -> dict[str, str]:
    """What is wrong, by the field that is to blame."""
    found = more.blamed(more.OF_QUERIES, error)
    found |= {
        _FIELDS.get(one.field, "all"): one.message
        for one in error.details
        if one.message not in found.values()
    }
    return found or {"all": error.message}
