"""A page of an account: its frame around it, and the visit lives on."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from tidewell import clock
from tidewell.api.callers import Account
from tidewell.api.services import Services, job_changes
from tidewell.pages.rendering import page
from tidewell.pages.visits import Visit, keep
from tidewell.runs.changes import JobChanges


def show(
    request: Request,
    node: Services,
    visit: Visit,
    template: str,
    *,
    status: int = 200,
    **values: Any,
) -> Response:
    """Answer with a page of the account."""
    response = page(
        f"jobs/{template}",
        frame_origins=visit.frame_origins,
        status=status,
        visit=visit,
        now=clock.now(),
        **values,
    )
    keep(response, node, request, visit)
    return response


def go(request: Request, node: Services, visit: Visit, address: str) -> Response:
    """Go on to another page, after a form was sent: a reload then sends nothing again."""
    response = RedirectResponse(address, status_code=303)
    keep(response, node, request, visit)
    return response


def caller_of(visit: Visit) -> Account:
    """The visitor as the checks of the API know callers."""
    return Account(visit.parent_id, visit.account_id, visit.connection_ids, visit.request_id)


def changes_of(node: Services, visit: Visit) -> JobChanges:
    """The changes of jobs, in the visitor's name."""
    return job_changes(node, visit.author)
