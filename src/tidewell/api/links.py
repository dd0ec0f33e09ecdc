"""Links to the hosted forms, and the public keys that prove them ours (contract §3, §7)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field

from tidewell import clock
from tidewell.accounts import audit
from tidewell.accounts import repository as accounts
from tidewell.accounts.audit import Action
from tidewell.api.answers.base import Done
from tidewell.api.answers.connections import FormLink, KeySet
from tidewell.api.bodies import StrictRoute
from tidewell.api.callers import Account, AccountCaller, WholeAccountCaller
from tidewell.api.connections import ConnectionId, connection_id_of
from tidewell.api.openapi import conflict
from tidewell.api.services import Node, Services, removal
from tidewell.connections import cache, links, repository, signing
from tidewell.connections.links import Flow, Link
from tidewell.lax import NO_NUL, LaxBool, NullIsAbsent
from tidewell.sources import registry

router = APIRouter(route_class=StrictRoute, tags=["connections"])
CACHE_PAGE = "/oem/user/cacheConnection"
CONNECTION_PAGE = "/oem/user/connections/edit"
JOBS_PAGE = "/oem/user/jobs"
_CACHE_NAME = "OEMCacheConnection"

ConnectionName = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, Field(max_length=256, pattern=NO_NUL)]


class EditLinkBody(NullIsAbsent):
    """The body that asks for a link to a form; its person comes back to `redirectURL`."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"redirectURL": "https://www.google.com"}]},
    )

    redirect_url: Annotated[str, Field(alias="redirectURL", max_length=2048)]
    """Where the person goes back to: absolute http or https, without credentials."""
    name: ConnectionName | None = None
    editable_name: Annotated[LaxBool, Field(alias="editableName")] = True
    """False: the person cannot change the given name."""


class CreateLinkBody(EditLinkBody):
    """The same for a new connection; without `dataSource` its person chooses one."""

    data_source: Annotated[Text | None, Field(alias="dataSource")] = None
    external_id: Annotated[Text | None, Field(alias="externalId")] = None


class JobsLinkBody(NullIsAbsent):
    """The body that asks for a link to the Jobs pages; without `redirectURL` none leads back."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"redirectURL": "https://www.google.com"}]},
    )

    redirect_url: Annotated[str, Field(alias="redirectURL", max_length=2048)] = ""
    """Where the pages lead back to: absolute http or https, without credentials."""


_NO_BODY = JobsLinkBody()


@router.post(
    "/api/job/cacheConnection/formLink",
    operation_id="generateCacheConnectionURL",
    response_model=FormLink,
)
async def cache_link(
    body: EditLinkBody, caller: WholeAccountCaller, node: Node, request: Request
) -> dict[str, str]:
    """A link to the form in which a customer fills in the cache connection."""
    link = _link(caller, body, "cacheConnection", driver=cache.DRIVER)
    return await _made(link, CACHE_PAGE, caller, node, request, body.name or _CACHE_NAME)


@router.post(
    "/api/poweredby/connection/create", operation_id="createConnection", response_model=FormLink
)
async def create_link(
    body: CreateLinkBody, caller: WholeAccountCaller, node: Node, request: Request
) -> dict[str, str]:
    """A link to the form in which a customer makes a connection."""
    driver = registry.driver(body.data_source).name if body.data_source else ""
    link = _link(
        caller, body, "createConnection", driver=driver, external_id=body.external_id or None
    )
    return await _made(link, CONNECTION_PAGE, caller, node, request, link.name)


@router.post(
    "/api/poweredby/connection/edit/{connection_id}",
    operation_id="editConnection",
    response_model=FormLink,
)
async def edit_link(
    connection_id: ConnectionId,
    body: EditLinkBody,
    caller: AccountCaller,
    node: Node,
    request: Request,
) -> dict[str, str]:
    """A link to the form in which a customer changes a connection."""
    key = connection_id_of(connection_id)
    async with node.database.transaction() as connection:
        row = await repository.one(connection, caller.account_id, key, caller.connection_ids)
    link = _link(caller, body, "editConnection", driver=row["driver"], connection_id=key)
    return await _made(link, f"{CONNECTION_PAGE}/{key}", caller, node, request, "")


@router.post("/api/poweredby/jobs", operation_id="generateJobsURL", response_model=FormLink)
async def jobs_link(
    caller: AccountCaller, node: Node, request: Request, body: JobsLinkBody = _NO_BODY
) -> dict[str, str]:
    """A link to the pages on which a customer sees and steers its jobs."""
    link = Link(
        parent_id=caller.parent_id,
        account_id=caller.account_id,
        flow="jobs",
        driver="",
        return_url=body.redirect_url,
        connection_ids=caller.connection_ids,
    )
    return await _made(link, JOBS_PAGE, caller, node, request, "")


@router.delete(
    "/api/poweredby/connection/delete/{connection_id}",
    operation_id="deleteConnection",
    response_model=Done,
    responses=conflict("jobs use the connection, and force is not given"),
)
async def delete_connection(
    connection_id: ConnectionId,
    caller: AccountCaller,
    node: Node,
    force: Annotated[LaxBool, Query()] = False,
) -> dict[str, Any]:
    """Delete a connection; with `force` also the jobs that use it, and their cached tables."""
    key = connection_id_of(connection_id)
    async with node.database.transaction() as connection:
        await repository.one(connection, caller.account_id, key, caller.connection_ids)
    await removal(node, caller.author).connection(caller.account_id, key, force=force)
    return {}


@router.get(
    "/.well-known/jwks.json",
    operation_id="getKeySet",
    tags=["operation"],
    response_model=KeySet,
)
async def jwks(node: Node) -> dict[str, Any]:
    """The public keys of this service's own signatures (RFC 7517)."""
    async with node.database.transaction() as connection:
        await signing.current(connection, node.sealing, clock.now())
        return signing.key_set(await signing.accepted(connection, clock.now()))


def _link(
    caller: Account,
    body: EditLinkBody,
    flow: Flow,
    *,
    driver: str,
    external_id: str | None = None,
    connection_id: UUID | None = None,
) -> Link:
    return Link(
        parent_id=caller.parent_id,
        account_id=caller.account_id,
        flow=flow,
        driver=driver,
        return_url=body.redirect_url,
        name=body.name or "",
        editable_name=body.editable_name or not body.name,
        external_id=external_id,
        connection_id=connection_id,
    )


async def _made(
    link: Link, path: str, caller: Account, node: Services, request: Request, shown_name: str
) -> dict[str, str]:
    now = clock.now()
    async with node.database.transaction() as connection:
        parent = await accounts.parent(connection, caller.parent_id)
        if link.return_url or link.flow != "jobs":
            links.check_return_url(link.return_url, parent["return_hosts"])
        key = await signing.current(connection, node.sealing, now)
        target = link.connection_id or link.account_id
        await audit.record(connection, caller.author, Action.LINK_MADE, target, link.flow, now)
    token = signing.sign(key, node.sealing, link.claims(now))
    base = node.settings.base_url or own_address(request)
    return {"redirectURL": links.address(base, path, token, link, shown_name)}


def own_address(request: Request) -> str:
    """Where this process itself listens: what a client writes into its Host header is not it."""
    host, port = request.scope["server"]
    return f"{request.url.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
