"""What pages follow while runs work: server-sent events (WHATWG HTML §9.2), for their script.

The pages are the same without them, brought up to date by a reload. Two kinds of events:

    detail    what is to be said of the runs at work, by job: shown as it comes
    changed   a run has begun or ended, or a job was written: the page asks for its parts anew

A run's own page follows the events of the API (`log`, `progress`, `state`, `end`).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from tidewell import clock
from tidewell.api import events
from tidewell.api.services import Node
from tidewell.errors import NotFound, Unavailable
from tidewell.jobs import repository as jobs
from tidewell.pages.jobs import listing
from tidewell.pages.requests import PageRoute
from tidewell.pages.visits import Visit, Visitor
from tidewell.runs import history
from tidewell.runs import repository as runs
from tidewell.state.database import Database

router = APIRouter(
    route_class=PageRoute, include_in_schema=False, prefix="/oem/accounts/{account_id}"
)
_LOOK_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15.0
_LONGEST_SECONDS = 300.0  # then the page comes back, with a cookie that is still valid
_HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}


@router.get("/events")
async def follow_jobs(node: Node, visit: Visitor) -> Response:
    """How the account's runs go on."""
    return StreamingResponse(
        _events(node.database, visit), media_type=events.MEDIA_TYPE, headers=_HEADERS
    )


@router.get("/runs/{run_id}/events")
async def follow_run(node: Node, visit: Visitor, run_id: UUID) -> Response:
    """How one run goes on."""
    async with node.database.transaction() as connection:
        run = await runs.one(connection, visit.account_id, run_id)
        job_id, narrowed_to = run["job_id"], visit.connection_ids
        if not await jobs.is_seen(connection, visit.account_id, job_id, narrowed_to):
            raise NotFound(f"There is no run {run_id}.")
    return StreamingResponse(
        events.run_events(node.database, visit.account_id, run_id, 0),
        media_type=events.MEDIA_TYPE,
        headers=_HEADERS,
    )


async def _events(database: Database, visit: Visit) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    end_at = loop.time() + _LONGEST_SECONDS
    told_at = loop.time()
    stands: Any = None
    details: dict[str, str] = {}
    yield b"retry: 2000\n\n"
    while loop.time() < end_at:
        try:
            async with database.transaction() as connection:
                active = await history.active_runs(
                    connection, visit.account_id, visit.connection_ids
                )
                written = await history.last_change(connection, visit.account_id)
        except Unavailable:
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        found = b""
        now = clock.now()
        told = {str(run["job_id"]): listing.detail(run, now) for run in active}
        if told != details:
            details = told
            found += _event("detail", told)
        as_now = ([(run["id"], run["state"]) for run in active], written)
        if stands is not None and as_now != stands:
            found += _event("changed", {})
        stands = as_now
        if found or loop.time() - told_at > _HEARTBEAT_SECONDS:
            told_at = loop.time()
            yield found or b": still here\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


def _event(name: str, data: dict[str, str]) -> bytes:
    return f"event: {name}\ndata: {orjson.dumps(data).decode()}\n\n".encode()
