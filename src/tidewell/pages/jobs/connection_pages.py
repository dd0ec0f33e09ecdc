"""The connections of an account: the cache's and the sources', seen, tried, made and changed."""

from typing import Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Response

from tidewell.api.services import Node, Services, removal
from tidewell.connections import cache, opening, repository, strings
from tidewell.connections.links import Flow, Link
from tidewell.errors import Forbidden, NotFound
from tidewell.jobs import repository as jobs
from tidewell.pages.forms import CacheForm, ConnectionForm, Shown
from tidewell.pages.jobs.showing import go, show
from tidewell.pages.requests import PageRoute, form_of
from tidewell.pages.sessions import Session
from tidewell.pages.visits import Visit, Visitor, check_mark
from tidewell.sources import registry

router = APIRouter(
    route_class=PageRoute, include_in_schema=False, prefix="/oem/accounts/{account_id}"
)


@router.get("/connections")
async def list_connections(request: Request, node: Node, visit: Visitor, did: str = "") -> Response:
    """The account's connections, and whether each works."""
    async with node.database.transaction() as connection:
        rows = await repository.listed(connection, visit.account_id, visit.connection_ids)
        held = await cache.stored(connection, visit.account_id)
        users: dict[UUID, int] = {}
        for job in await jobs.listed(connection, visit.account_id, visit.connection_ids):
            for one in job["connection_ids"] or [job["connection_id"]]:
                users[one] = users.get(one, 0) + 1
    return show(
        request,
        node,
        visit,
        "connections.html",
        here="connections",
        rows=rows,
        users=users,
        cache=held,
        cache_place=_place(node, held) if held else "",
        notice="The connection is deleted." if did == "deleted" else "",
    )


@router.get("/cache")
async def show_cache(request: Request, node: Node, visit: Visitor) -> Response:
    """The form of the cache connection."""
    _not_narrowed(visit)
    session = _session(visit, visit.account_id, "cacheConnection", cache.DRIVER)
    return _form(request, node, visit, session, await _cache(node, visit, session).show())


@router.post("/cache")
async def save_cache(request: Request, node: Node, visit: Visitor) -> Response:
    """Save & Test the cache connection."""
    _not_narrowed(visit)
    form = await form_of(request)
    check_mark(visit, form)
    session = _session(visit, visit.account_id, "cacheConnection", cache.DRIVER)
    return _form(request, node, visit, session, await _cache(node, visit, session).save(form))


@router.get("/connections/new")
async def choose_driver(request: Request, node: Node, visit: Visitor, driver: str = "") -> Response:
    """What to connect, and then its form."""
    _not_narrowed(visit)
    if not driver:
        return show(
            request, node, visit, "drivers.html", here="connections", drivers=registry.names()
        )
    session = _session(visit, uuid4(), "createConnection", registry.driver(driver).name)
    return _form(request, node, visit, session, await _source(node, visit, session).show())


@router.post("/connections/new")
async def make_connection(
    request: Request, node: Node, visit: Visitor, driver: str = ""
) -> Response:
    """Save & Test a new connection; saving the same page twice is saving once."""
    _not_narrowed(visit)
    form = await form_of(request)
    check_mark(visit, form)
    try:
        form_id = UUID(form.get("form", ""))
    except ValueError:
        raise NotFound("There is no such form.") from None
    session = _session(visit, form_id, "createConnection", registry.driver(driver).name)
    return _form(request, node, visit, session, await _source(node, visit, session).save(form))


@router.get("/connections/{connection_id}")
async def show_connection(
    request: Request, node: Node, visit: Visitor, connection_id: UUID
) -> Response:
    """The form of a connection, without its secrets."""
    session = await _editing(node, visit, connection_id)
    return _form(request, node, visit, session, await _source(node, visit, session).show())


@router.post("/connections/{connection_id}")
async def save_connection(
    request: Request, node: Node, visit: Visitor, connection_id: UUID
) -> Response:
    """Save & Test a connection."""
    form = await form_of(request)
    check_mark(visit, form)
    session = await _editing(node, visit, connection_id)
    return _form(request, node, visit, session, await _source(node, visit, session).save(form))


@router.post("/connections/{connection_id}/test")
async def test_connection(
    request: Request, node: Node, visit: Visitor, connection_id: UUID
) -> Response:
    """Try a connection as it is, and note what came of it."""
    check_mark(visit, await form_of(request))
    async with node.database.transaction() as connection:
        opened = await opening.find(
            connection, node.sealing, visit.account_id, connection_id, visit.connection_ids
        )
    if opened is None:
        raise NotFound("There is no such connection.")
    error = await node.discovery.test(opened)
    async with node.database.transaction() as connection:
        await repository.note_test(
            connection, visit.account_id, connection_id, error, opened.modified_at
        )
    return go(request, node, visit, f"{visit.base}/connections")


@router.post("/connections/{connection_id}/delete")
async def delete_connection(
    request: Request, node: Node, visit: Visitor, connection_id: UUID
) -> Response:
    """Delete a connection, with its jobs and their cached tables; asked once more."""
    form = await form_of(request)
    check_mark(visit, form)
    async with node.database.transaction() as connection:
        row = await repository.one(
            connection, visit.account_id, connection_id, visit.connection_ids
        )
        users = await jobs.of_connection(connection, visit.account_id, connection_id)
    if form.get("sure") != "yes":
        return show(request, node, visit, "unlink.html", here="connections", row=row, users=users)
    await removal(node, visit.author).connection(visit.account_id, connection_id, force=True)
    return go(request, node, visit, f"{visit.base}/connections?did=deleted")


def _form(
    request: Request, node: Services, visit: Visit, session: Session, shown: Shown
) -> Response:
    failed = shown.state == "failed" and request.headers.get("hx-request") != "true"
    return show(
        request,
        node,
        visit,
        "form.html",
        here="connections",
        status=422 if failed else 200,
        shown=shown,
        session=session,
        is_cache=session.link.flow == "cacheConnection",
    )


def _cache(node: Services, visit: Visit, session: Session) -> CacheForm:
    return CacheForm(node, session, visit.author)


def _source(node: Services, visit: Visit, session: Session) -> ConnectionForm:
    return ConnectionForm(node, session, visit.author, session.link.driver)


async def _editing(node: Services, visit: Visit, connection_id: UUID) -> Session:
    async with node.database.transaction() as connection:
        row = await repository.one(
            connection, visit.account_id, connection_id, visit.connection_ids
        )
    return _session(visit, connection_id, "editConnection", row["driver"], connection_id)


def _session(
    visit: Visit, form_id: UUID, flow: Flow, driver: str, connection_id: UUID | None = None
) -> Session:
    """A form inside the visit, as the hosted forms know theirs."""
    link = Link(
        visit.parent_id,
        visit.account_id,
        flow,
        driver,
        f"{visit.base}/connections",
        connection_id=connection_id,
    )
    return Session(form_id, link, visit.csrf, {})


def _not_narrowed(visit: Visit) -> None:
    if visit.connection_ids is not None:
        raise Forbidden("This link is for some connections only: it makes or replaces none.")


def _place(node: Services, held: dict[str, Any]) -> str:
    text = node.sealing.open(held["sealed"], held["id"])
    values = strings.parse(text, cache.KEYS, cache.IGNORED)
    return f"{values['Server']}:{values['Port']}, database {values['Database']}"
