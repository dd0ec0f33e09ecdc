"""The list of jobs, and what is done with some of them at once."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from tidewell import clock
from tidewell.api.services import Node
from tidewell.connections import repository as connections
from tidewell.jobs import repository as jobs
from tidewell.pages.jobs import listing
from tidewell.pages.jobs.listing import Asked
from tidewell.pages.jobs.showing import go, show
from tidewell.pages.jobs.steering import DONE, chosen, deed_of, steer
from tidewell.pages.requests import PageRoute, pairs_of
from tidewell.pages.visits import Visitor, check_mark
from tidewell.runs import history

router = APIRouter(
    route_class=PageRoute, include_in_schema=False, prefix="/oem/accounts/{account_id}"
)


@router.get("/jobs")
async def list_jobs(
    request: Request,
    node: Node,
    visit: Visitor,
    q: str = "",
    state: str = "",
    connection: str = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    did: str = "",
    count: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """The account's jobs; what needs attention is counted on top."""
    asked = Asked(q[:200], state, connection, page)
    now = clock.now()
    async with node.database.transaction() as database:
        rows = await jobs.listed(database, visit.account_id, visit.connection_ids)
        succeeded = await history.last_successes(database, visit.account_id)
        cache = await jobs.cache_of(database, visit.account_id)
        sources = await connections.listed(database, visit.account_id, visit.connection_ids)
        fresh = {row["id"]: listing.freshness(row, succeeded.get(row["id"]), now) for row in rows}
        states = {row["id"]: listing.state_of(row, fresh[row["id"]]) for row in rows}
        found = [row for row in rows if asked.keeps(row, states[row["id"]])]
        found.sort(key=lambda row: listing.attention(states[row["id"]]))
        pages = max(-(-len(found) // listing.PAGE), 1)
        begin = (min(page, pages) - 1) * listing.PAGE
        shown = found[begin : begin + listing.PAGE]
        runs = await history.recent_runs(
            database, visit.account_id, [row["id"] for row in shown], listing.RUNS
        )
    lines = [
        listing.line(row, states[row["id"]], fresh[row["id"]], runs.get(row["id"], []), now)
        for row in shown
    ]
    return show(
        request,
        node,
        visit,
        "list.html",
        here="jobs",
        lines=lines,
        asked=asked,
        total=len(rows),
        found=len(found),
        pages=pages,
        counts=listing.counts(list(states.values())),
        filters=[(one, listing.LABELS[one]) for one in listing.FILTERS],
        sources=sources,
        has_cache=cache is not None,
        notice=_notice(did, count),
        nothing=did == "nothing",
        query=lambda **changed: urlencode(
            {
                name: value
                for name, value in (vars(asked) | changed).items()
                if value and (name, value) != ("page", 1)
            }
        ).replace("search=", "q="),
    )


@router.post("/jobs")
async def steer_jobs(request: Request, node: Node, visit: Visitor) -> Response:
    """Run, stop, enable, disable or delete the chosen jobs; deleting is asked once more."""
    pairs = await pairs_of(request)
    form = dict(pairs)
    check_mark(visit, form)
    # A button of a row says `run <id>`; those below the list are for all that are ticked.
    words = form.get("do", "").split()
    deed = deed_of(words[0] if words else "")
    ids = words[1:] or [value for name, value in pairs if name == "job"]
    rows = await chosen(node, visit, ids)
    if not rows:
        return go(request, node, visit, f"{visit.base}/jobs?did=nothing")
    if deed == "delete" and form.get("sure") != "yes":
        return show(request, node, visit, "delete.html", here="jobs", rows=rows)
    problems = await steer(node, visit, deed, rows)
    done = len(rows) - len(problems)
    if problems:
        return show(
            request,
            node,
            visit,
            "problems.html",
            here="jobs",
            status=409,
            done=done,
            deed=DONE[deed],
            problems=problems,
        )
    if form.get("back") == "job" and deed != "delete":
        return go(request, node, visit, f"{visit.base}/jobs/{rows[0]['id']}")
    return go(request, node, visit, f"{visit.base}/jobs?did={deed}&count={done}")


def _notice(did: str, count: int) -> str:
    if did == "nothing":
        return "No job was chosen: tick some, and choose again what to do."
    told: dict[str, str] = {str(deed): text for deed, text in DONE.items()}
    one = count == 1
    told["create"] = f"made, and {'its first run is' if one else 'their first runs are'} queued"
    told["plan"] = f"made, and {'waits for its' if one else 'wait for their'} first run"
    jobs_text = "One job was" if one else f"{count} jobs were"
    return f"{jobs_text} {told[did]}." if did in told and count else ""
