"""How people come in: a customer by the vendor's link, an operator by the command line's."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from tidewell import clock
from tidewell.accounts import repository as accounts
from tidewell.api.services import Node
from tidewell.connections import links, signing
from tidewell.errors import Unauthenticated
from tidewell.pages.rendering import page
from tidewell.pages.requests import PageRoute
from tidewell.pages.visits import (
    OPERATOR_COOKIE,
    OPERATOR_PATH,
    Operator,
    Visits,
    base_of,
    cookie_name,
    is_secure,
    set_cookie,
)
from tidewell.runs import history

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_MOST_ACCOUNTS = 200


@router.get("/oem/user/jobs")
async def enter(request: Request, node: Node, token: str = "") -> Response:
    """Begin a customer's visit, and go on to its list of jobs."""
    now = clock.now()
    async with node.database.transaction() as connection:
        keys = await signing.accepted(connection, now)
        claims = links.verify(token, keys, now)
        link = links.Link.from_claims(claims)
        if link.flow != "jobs":
            raise Unauthenticated("This link is for another page.")
        if not await accounts.is_account_of(connection, link.account_id, link.parent_id):
            raise Unauthenticated("This link is no longer valid: ask for a new one.")
        parent = await accounts.parent(connection, link.parent_id)
    base = base_of(link.account_id)
    response = _onward(f"{base}/jobs")
    set_cookie(
        response,
        cookie_name(link.account_id),
        Visits(node.sealing).account_cookie(claims, now),
        base,
        secure=is_secure(node, request),
        is_framed=bool(parent["frame_origins"]),
    )
    return response


@router.get("/oem/operator")
async def sign_in(request: Request, node: Node, token: str = "") -> Response:
    """Begin an operator's visit, and go on to the list of accounts."""
    now = clock.now()
    async with node.database.transaction() as connection:
        keys = await signing.accepted(connection, now)
    claims = links.verify(token, keys, now, links.OPERATOR_AUDIENCE)
    response = _onward("/oem/accounts")
    set_cookie(
        response,
        OPERATOR_COOKIE,
        Visits(node.sealing).operator_cookie(claims, now),
        OPERATOR_PATH,
        secure=is_secure(node, request),
        is_framed=False,
    )
    return response


@router.get("/oem/accounts")
async def list_accounts(request: Request, node: Node, operator: Operator, q: str = "") -> Response:
    """All sub-accounts, those with failed jobs first."""
    search = q.replace("\0", "")[:200]
    async with node.database.transaction() as connection:
        rows = await history.accounts_at_a_glance(connection, search, _MOST_ACCOUNTS)
    response = page("jobs/accounts.html", accounts=rows, search=search, most=_MOST_ACCOUNTS)
    set_cookie(
        response,
        OPERATOR_COOKIE,
        Visits(node.sealing).operator_cookie(operator, clock.now()),
        OPERATOR_PATH,
        secure=is_secure(node, request),
        is_framed=False,
    )
    return response


def _onward(address: str) -> Response:
    headers = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    return RedirectResponse(address, status_code=303, headers=headers)
