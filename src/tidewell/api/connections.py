"""The cache connection (contract §3) and our own calls on connections (§9)."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tidewell import __version__, clock
from tidewell.accounts import audit
from tidewell.accounts.audit import Action
from tidewell.api.answers.base import CONNECTION
from tidewell.api.answers.connections import (
    CacheConnection,
    Connections,
    DataSources,
    Tested,
)
from tidewell.api.answers.connections import Connection as ConnectionAnswer
from tidewell.api.bodies import StrictRoute
from tidewell.api.callers import Account, AccountCaller, ParentCaller, WholeAccountCaller
from tidewell.api.openapi import conflict, leads_to
from tidewell.api.parameters import Words
from tidewell.api.services import Node, Services, removal
from tidewell.connections import cache, opening, repository, strings
from tidewell.connections.opening import OpenedConnection
from tidewell.connections.repository import ConnectionSettings
from tidewell.errors import InvalidRequest, NotFound
from tidewell.lax import NO_NUL
from tidewell.sources import registry
from tidewell.state.database import Connection

router = APIRouter(route_class=StrictRoute, prefix="/api", tags=["connections"])

ConnectionId = Annotated[
    str,
    Path(
        description="The id of a connection.",
        json_schema_extra={"format": "uuid", "example": CONNECTION},
    ),
]
ExternalId = Annotated[Words, Query(alias="externalId", max_length=256)]
ConnectionString = Annotated[str, Field(min_length=1, max_length=65_536)]


class CacheConnectionBody(BaseModel):
    """The body of POST /api/job/cacheConnection."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "connectionString": "jdbc:cdata:postgresql:Server=127.0.0.1;Port=5432;"
                    "User=cache;Password='p;w';Database=support;"
                }
            ]
        },
    )

    connection_string: ConnectionString
    """`key=value` pairs separated by `;`, as the reference's PostgreSQL driver takes them."""


class ConnectionBody(BaseModel):
    """The body that makes or replaces a connection."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "OData1",
                    "driver": "OData",
                    "connectionString": "URL=https://services.odata.org/V4/Northwind/Northwind.svc/",
                    "externalId": "northwind-7",
                }
            ]
        },
    )

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
    driver: Annotated[str, Field(min_length=1, max_length=64)]
    connection_string: ConnectionString
    """The driver's keys; a secret that is sent back masked stays as it is."""
    external_id: Annotated[str, Field(max_length=256, pattern=NO_NUL)] | None = None
    """The vendor's own id of it; no other connection of the account may have it."""


_TAKEN = "another connection of the account has this name or externalId"
_OF_CONNECTION = (
    *("getConnection", "updateConnection", "testConnection", "editConnection"),
    "deleteConnection",
)


@router.post(
    "/job/cacheConnection",
    operation_id="updateCacheConnection",
    response_model=CacheConnection,
    response_model_exclude_unset=True,
)
async def update_cache_connection(
    body: CacheConnectionBody, caller: WholeAccountCaller, node: Node
) -> dict[str, Any]:
    """Create the account's cache connection, or replace it; it is tested, up or not."""
    text = body.connection_string
    tested = await cache.test(text, node.settings.egress_allow)
    row = await removal(node, caller.author).replace_cache(caller.account_id, text, tested)
    return cache.to_wire_connection(row, text)


@router.post(
    "/connections",
    operation_id="makeConnection",
    status_code=201,
    response_model=ConnectionAnswer,
    responses=conflict(_TAKEN)
    | leads_to(*_OF_CONNECTION, status=201, connection_id="$response.body#/connection/id"),
)
async def create_connection(
    body: ConnectionBody, caller: WholeAccountCaller, node: Node
) -> dict[str, Any]:
    """Make a connection to a source."""
    connection_id = uuid4()
    driver = registry.driver(body.driver)
    values = strings.parse(body.connection_string, driver.keys)
    settings = _settings(body, driver.name, values, node, connection_id)
    async with node.database.transaction() as connection:
        row = await repository.insert(
            connection, caller.account_id, connection_id, settings, clock.now()
        )
        await _note(connection, caller, Action.CONNECTION_CREATED, row)
    return _to_wire(row, node)


@router.put(
    "/connections/{connection_id}",
    operation_id="updateConnection",
    response_model=ConnectionAnswer,
    responses=conflict(_TAKEN),
)
async def update_connection(
    connection_id: ConnectionId, body: ConnectionBody, caller: AccountCaller, node: Node
) -> dict[str, Any]:
    """Replace a connection's values; a masked secret keeps the stored one, at the same address."""
    key = connection_id_of(connection_id)
    driver = registry.driver(body.driver)
    values = strings.parse(body.connection_string, driver.keys)
    async with node.database.transaction() as connection:
        await repository.lock(connection, caller.account_id, key)
        opened = await _opened(connection, caller, node, key)
        if opened.driver.name == driver.name:
            if astray := strings.sent_elsewhere(values, opened.values, driver.keys):
                raise InvalidRequest.of(
                    strings.FIELD,
                    f"{', '.join(astray)} must be given again: what has changed may lead elsewhere",
                )
            values = strings.unmasked(values, opened.values, driver.keys)
        settings = _settings(body, driver.name, values, node, key)
        row = await repository.update(
            connection,
            caller.account_id,
            key,
            settings,
            clock.now(),
            another_source=opened.leads_elsewhere(driver, values),
        )
        await _note(connection, caller, Action.CONNECTION_UPDATED, row)
    return _to_wire(row, node)


@router.get(
    "/connections/{connection_id}",
    operation_id="getConnection",
    response_model=ConnectionAnswer,
)
async def get_connection(
    connection_id: ConnectionId, caller: AccountCaller, node: Node
) -> dict[str, Any]:
    """A connection, its secrets masked."""
    async with node.database.transaction() as connection:
        row = await repository.one(
            connection, caller.account_id, connection_id_of(connection_id), caller.connection_ids
        )
    return _to_wire(row, node)


@router.post(
    "/connections/{connection_id}/test",
    operation_id="testConnection",
    response_model=Tested,
    response_model_exclude_unset=True,
)
async def test_connection(
    connection_id: ConnectionId, caller: AccountCaller, node: Node
) -> dict[str, Any]:
    """Try a connection: whether its source answers, and if not, why."""
    key = connection_id_of(connection_id)
    async with node.database.transaction() as connection:
        opened = await _opened(connection, caller, node, key)
    error = await node.discovery.test(opened)
    async with node.database.transaction() as connection:
        await repository.note_test(connection, caller.account_id, key, error, opened.modified_at)
    return {"isTested": True} if error is None else {"isTested": False, "testError": error}


@router.get(
    "/poweredby/connection/list",
    operation_id="listConnections",
    response_model=Connections,
)
async def list_connections(
    caller: AccountCaller, node: Node, driver: Words = "", external_id: ExternalId = ""
) -> dict[str, Any]:
    """The account's connections, perhaps only those of a driver or an external id."""
    async with node.database.transaction() as connection:
        rows = await repository.listed(
            connection, caller.account_id, caller.connection_ids, driver, external_id
        )
    return {
        "connections": [
            {
                "id": str(row["id"]),
                "name": row["name"],
                "dataSource": row["driver"],
                "lastModified": clock.to_wire(row["modified_at"]),
                "externalId": row["external_id"],
                "mcpUrl": "",
                "status": _status(row),
            }
            for row in rows
        ]
    }


@router.get("/poweredby/sources/list", operation_id="listDataSources", response_model=DataSources)
async def list_sources(caller: ParentCaller) -> dict[str, Any]:
    """The drivers that are installed."""
    return {"dataSources": [{"dataSource": name} for name in registry.names()]}


async def _note(
    connection: Connection, caller: Account, action: Action, row: dict[str, Any]
) -> None:
    await audit.record(connection, caller.author, action, row["id"], row["name"], clock.now())


async def _opened(
    connection: Connection, caller: Account, node: Services, connection_id: UUID
) -> OpenedConnection:
    opened = await opening.find(
        connection, node.sealing, caller.account_id, connection_id, caller.connection_ids
    )
    if opened is None:
        raise NotFound.of("connection")
    return opened


def _settings(
    body: ConnectionBody, driver: str, values: dict[str, str], node: Services, row: UUID
) -> ConnectionSettings:
    sealed = node.sealing.seal(strings.write(values), row)
    return ConnectionSettings(body.name, driver, sealed, body.external_id)


def _to_wire(row: dict[str, Any], node: Services) -> dict[str, Any]:
    keys = registry.driver(row["driver"]).keys
    values = strings.parse(node.sealing.open(row["sealed"], row["id"]), keys)
    return {
        "connection": {
            "id": str(row["id"]),
            "accountId": str(row["account_id"]),
            "name": row["name"],
            "driver": row["driver"],
            "driverVersion": __version__,
            "connectionString": strings.write(strings.masked(values, keys)),
            "connectionType": 0,
            "externalId": row["external_id"],
            "created": clock.to_wire(row["created_at"]),
            "lastModified": clock.to_wire(row["modified_at"]),
            "isTested": row["is_tested"],
            "status": _status(row),
        }
    }


def _status(row: dict[str, Any]) -> str:
    if row["is_tested"]:
        return "Authenticated"
    return "NotAuthenticated" if row["test_error"] else "Conditional"


def connection_id_of(text: str) -> UUID:
    """The id in a path. Raises NotFound where it is none."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound.of("connection") from None
