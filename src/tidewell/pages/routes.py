"""The hosted forms (contract §3): opened by a signed link, and by nothing else."""

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from tidewell import clock
from tidewell.accounts import repository as accounts
from tidewell.accounts.audit import Author
from tidewell.api.services import Node, Services
from tidewell.connections import links, signing
from tidewell.errors import Forbidden, NotFound, Unauthenticated
from tidewell.pages.forms import CacheForm, ConnectionForm, Shown, return_address
from tidewell.pages.rendering import STATIC, page
from tidewell.pages.requests import PageRoute, form_of
from tidewell.pages.sessions import PATH, Session, Sessions, cookie_name
from tidewell.pages.visits import is_secure, set_cookie
from tidewell.sources import registry

_ASSETS = {path.name: path for path in STATIC.iterdir()}
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/oem/static/{name}")
async def asset(name: str) -> Response:
    """A style sheet or script of ours; its address changes with its content."""
    path = _ASSETS.get(name)
    if path is None:
        raise NotFound("There is no such file.")
    headers = {"Cache-Control": "public, max-age=86400"}
    return FileResponse(path, media_type=_KINDS[path.suffix], headers=headers)


@router.get("/oem/user/cacheConnection")
async def show_cache_form(request: Request, node: Node) -> Response:
    """The form of the cache connection, as it stands."""
    opened = await _Opened.by_link(request, node, "cacheConnection")
    return await opened.answer(await CacheForm(node, opened.session, opened.author).show())


@router.post("/oem/user/cacheConnection")
async def save_cache_form(request: Request, node: Node) -> Response:
    """Save & Test."""
    opened, form = await _Opened.by_form(request, node, "cacheConnection")
    return await opened.answer(await CacheForm(node, opened.session, opened.author).save(form))


@router.get("/oem/user/connections/edit")
@router.get("/oem/user/connections/edit/{connection_id}")
async def show_connection_form(request: Request, node: Node) -> Response:
    """The form of a connection, or the list of drivers where none is chosen yet."""
    opened = await _Opened.by_link(request, node, "createConnection", "editConnection")
    chosen = request.query_params.get("dataSource", "")
    if not (opened.session.link.driver or chosen):
        return await opened.choice()
    return await opened.answer(await opened.connection_form(chosen).show())


@router.post("/oem/user/connections/edit")
@router.post("/oem/user/connections/edit/{connection_id}")
async def save_connection_form(request: Request, node: Node) -> Response:
    """Save & Test."""
    opened, form = await _Opened.by_form(request, node, "createConnection", "editConnection")
    chosen = request.query_params.get("dataSource", "")
    return await opened.answer(await opened.connection_form(chosen).save(form))


class _Opened:
    """A form that somebody may use: its session, and how its pages are answered."""

    def __init__(self, request: Request, node: Services, session: Session) -> None:
        self._request = request
        self._node = node
        self.session = session

    @classmethod
    async def by_link(cls, request: Request, node: Services, *flows: str) -> "_Opened":
        """Opened by its link, in time or again within the session. Raises Unauthenticated."""
        token, now = request.query_params.get("token", ""), clock.now()
        async with node.database.transaction() as connection:
            keys = await signing.accepted(connection, now)
        sessions = Sessions(node.sealing)
        try:
            session = sessions.begin(links.verify(token, keys, now))
        except Unauthenticated:
            found = sessions.find(links.identity(token), request.cookies, now)
            if found is None:
                raise
            session = found
        if session.link.flow not in flows:
            raise Unauthenticated("This link is for another page.")
        await _check_account(node, session)
        return cls(request, node, session)

    @classmethod
    async def by_form(
        cls, request: Request, node: Services, *flows: str
    ) -> tuple["_Opened", dict[str, str]]:
        """Opened before, and sent from its own page. Raises Unauthenticated, Forbidden."""
        form = await form_of(request)
        session = Sessions(node.sealing).find(form.get("form", ""), request.cookies, clock.now())
        if session is None or session.link.flow not in flows:
            raise Unauthenticated(
                "This page was open for too long, or its cookies are blocked: ask for a new link."
            )
        if not session.is_from_its_page(form.get("csrf", "")):
            raise Forbidden("This form was not sent from its own page.")
        await _check_account(node, session)
        return cls(request, node, session), form

    @property
    def author(self) -> Author:
        """The customer, through the vendor's link."""
        link = self.session.link
        return Author(link.parent_id, link.account_id, self._request.state.request_id)

    def connection_form(self, chosen: str) -> ConnectionForm:
        """The form of the connection that this link is for."""
        return ConnectionForm(self._node, self.session, self.author, chosen)

    async def answer(self, shown: Shown) -> Response:
        """The page of a form."""
        status = 200 if shown.state != "failed" or self._is_htmx else 422
        return await self._page("form.html", status, shown=shown)

    async def choice(self) -> Response:
        """The page on which a driver is chosen."""
        query = f"token={self._request.query_params.get('token', '')}"
        back = return_address(self.session.link, "new", None)
        return await self._page(
            "choose.html", 200, drivers=registry.names(), query=query, return_url=back
        )

    async def _page(self, template: str, status: int, **values: Any) -> Response:
        link = self.session.link
        async with self._node.database.transaction() as connection:
            parent = await accounts.parent(connection, link.parent_id)
        response = page(
            template,
            frame_origins=parent["frame_origins"],
            status=status,
            session=self.session,
            host=urlsplit(link.return_url).netloc,
            vendor=parent["name"],
            **values,
        )
        self._set_cookie(response, is_framed=bool(parent["frame_origins"]))
        return response

    def _set_cookie(self, response: Response, *, is_framed: bool) -> None:
        set_cookie(
            response,
            cookie_name(self.session.id),
            Sessions(self._node.sealing).cookie(self.session, clock.now()),
            PATH,
            secure=is_secure(self._node, self._request),
            is_framed=is_framed,
        )

    @property
    def _is_htmx(self) -> bool:
        return self._request.headers.get("hx-request") == "true"


async def _check_account(node: Services, session: Session) -> None:
    """The customer may have been deleted since the link was made."""
    link = session.link
    async with node.database.transaction() as connection:
        if not await accounts.is_account_of(connection, link.account_id, link.parent_id):
            raise Unauthenticated("This link is no longer valid: ask for a new one.")
