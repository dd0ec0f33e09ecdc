"""The page of one run: what it did, and its log by level."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from tidewell import clock
from tidewell.api.services import Node
from tidewell.errors import NotFound
from tidewell.jobs import repository as jobs
from tidewell.pages.jobs import listing
from tidewell.pages.jobs.advice import advice
from tidewell.pages.jobs.showing import show
from tidewell.pages.requests import PageRoute
from tidewell.pages.visits import Visitor
from tidewell.pages.words import took
from tidewell.runs import repository as runs

router = APIRouter(
    route_class=PageRoute, include_in_schema=False, prefix="/oem/accounts/{account_id}"
)
_LINES = 1000


@router.get("/runs/{run_id}")
async def show_run(
    request: Request,
    node: Node,
    visit: Visitor,
    run_id: UUID,
    level: Annotated[int, Query(ge=1, le=5)] = 5,
    after: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """A run, and the lines of its log up to a level."""
    now = clock.now()
    async with node.database.transaction() as connection:
        run = await runs.one(connection, visit.account_id, run_id)
        job_id, narrowed_to = run["job_id"], visit.connection_ids
        if not await jobs.is_seen(connection, visit.account_id, job_id, narrowed_to):
            raise NotFound(f"There is no run {run_id}.")
        lines = await runs.log(connection, visit.account_id, run_id, after, _LINES)
    return show(
        request,
        node,
        visit,
        "run.html",
        here="jobs",
        run=run,
        label=listing.RUN_LABELS[run["state"]],
        seconds=took(run["started_at"], run["finished_at"] or now),
        lines=[line for line in lines if line["level"] <= level],
        level=level,
        levels=sorted({line["level"] for line in lines}),
        following=lines[-1]["line"] if len(lines) == _LINES else None,
        advice=advice(run["error_code"]) if run["state"] == "failed" else None,
    )
