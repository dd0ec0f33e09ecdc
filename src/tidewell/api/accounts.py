"""Sub-accounts of a vendor, and the audit of what was written (contract §7)."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tidewell import clock
from tidewell.accounts import audit
from tidewell.accounts import repository as accounts
from tidewell.accounts.audit import Action
from tidewell.api.answers.accounts import Account, Accounts, AuditEvents, CreatedAccount
from tidewell.api.answers.base import ACCOUNT, Done
from tidewell.api.bodies import StrictRoute
from tidewell.api.callers import WholeParentCaller
from tidewell.api.openapi import conflict, leads_to
from tidewell.api.parameters import Moment, MomentOrNull, moment_of
from tidewell.api.services import Node, removal
from tidewell.errors import NotFound

router = APIRouter(route_class=StrictRoute, prefix="/api", tags=["accounts"])
_MOST_EVENTS = 10_000
_TAKEN = "another sub-account has this externalId"

AccountId = Annotated[
    str,
    Path(
        description="The id of a sub-account.",
        json_schema_extra={"format": "uuid", "example": ACCOUNT},
    ),
]
AccountKey = Annotated[
    str,
    Path(
        description="The id of a sub-account, or the vendor's own id of it.",
        json_schema_extra={"example": ACCOUNT},
    ),
]
Text = Annotated[str, Field(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


class AccountBody(BaseModel):
    """The body that makes or changes a sub-account; what is not given stays."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"externalId": "acme", "accountName": "Acme Ltd"}]},
    )

    external_id: Text | None = None
    """The vendor's own id of it; no other sub-account may have it."""
    account_name: Text | None = None


class AuditBody(BaseModel):
    """What the audit is narrowed to; the same may come as parameters of the query."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"startTime": "2026-01-31T06:00:00Z"}]},
    )

    start_time: MomentOrNull = None
    """ISO 8601; the audit goes back 400 days."""
    end_time: MomentOrNull = None
    """ISO 8601."""


_EVERYTHING = AuditBody()


@router.get("/poweredby/account/list", operation_id="listAccounts", response_model=Accounts)
async def list_accounts(caller: WholeParentCaller, node: Node) -> dict[str, Any]:
    """The vendor's sub-accounts, oldest first."""
    async with node.database.transaction() as connection:
        rows = await accounts.list_accounts(connection, caller.parent_id)
    return {"accounts": [_to_wire(row) for row in rows]}


@router.post(
    "/poweredby/account/create",
    operation_id="createAccount",
    response_model=CreatedAccount,
    responses=conflict(_TAKEN)
    | leads_to("updateAccount", "deleteAccount", account_id="$response.body#/accountId"),
)
async def create_account(
    body: AccountBody, caller: WholeParentCaller, node: Node
) -> dict[str, Any]:
    """Make a sub-account."""
    account_id, now = uuid4(), clock.now()
    name, external_id = body.account_name or "", body.external_id or None
    async with node.database.transaction() as connection:
        row = await accounts.create_account(
            connection, account_id, caller.parent_id, name, external_id, now
        )
        await audit.record(
            connection,
            caller.author.about(account_id),
            Action.ACCOUNT_CREATED,
            account_id,
            name,
            now,
        )
    return {
        "accountId": str(row["id"]),
        "externalId": row["external_id"],
        "createdTime": clock.to_wire(row["created_at"]),
    }


@router.put(
    "/poweredby/account/update/{account_id}",
    operation_id="updateAccount",
    response_model=Account,
    responses=conflict(_TAKEN),
)
async def update_account(
    account_id: AccountId, body: AccountBody, caller: WholeParentCaller, node: Node
) -> dict[str, Any]:
    """Change a sub-account's name or the vendor's own id of it."""
    key = _id(account_id)
    changes: dict[str, str | None] = {}
    if "account_name" in body.model_fields_set:
        changes["name"] = body.account_name or ""
    if "external_id" in body.model_fields_set:
        changes["external_id"] = body.external_id or None
    async with node.database.transaction() as connection:
        row = await accounts.update_account(connection, key, caller.parent_id, changes)
        await audit.record(
            connection,
            caller.author.about(key),
            Action.ACCOUNT_UPDATED,
            key,
            row["name"],
            clock.now(),
        )
    return _to_wire(row)


@router.delete(
    "/poweredby/account/delete/{account_id}", operation_id="deleteAccount", response_model=Done
)
async def delete_account(
    account_id: AccountId, caller: WholeParentCaller, node: Node
) -> dict[str, Any]:
    """Delete a sub-account with its connections, jobs and cached tables."""
    key = _id(account_id)
    await removal(node, caller.author.about(key)).account(caller.parent_id, key)
    return {}


@router.get(
    "/poweredby/account/{account_id_or_external_id}",
    operation_id="getAccount",
    response_model=Account,
)
async def get_account(
    account_id_or_external_id: AccountKey, caller: WholeParentCaller, node: Node
) -> dict[str, Any]:
    """One sub-account, by its id or the vendor's own id of it."""
    async with node.database.transaction() as connection:
        row = await accounts.find_account(connection, caller.parent_id, account_id_or_external_id)
    return _to_wire(row)


@router.post("/log/audit/list", operation_id="listAuditLog", response_model=AuditEvents)
async def list_audit_log(
    caller: WholeParentCaller,
    node: Node,
    body: AuditBody = _EVERYTHING,
    start_time: Annotated[Moment, Query(alias="startTime")] = "",
    end_time: Annotated[Moment, Query(alias="endTime")] = "",
) -> dict[str, Any]:
    """What was written, newest first: of the token's sub-account, else of all."""
    since = moment_of("startTime", body.start_time or start_time)
    until = moment_of("endTime", body.end_time or end_time)
    async with node.database.transaction() as connection:
        rows = await audit.listed(
            connection, caller.parent_id, caller.account_id, since, until, _MOST_EVENTS
        )
    return {"events": [audit.event_to_wire(row) for row in rows]}


def _to_wire(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "externalId": row["external_id"],
        "accountName": row["name"],
        "created": clock.to_wire(row["created_at"]),
    }


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound.of("sub-account") from None
