"""Who calls: the token of a request, checked, as the dependency of every route that needs one."""

from base64 import b64decode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPBasic, HTTPBearer
from structlog.contextvars import bind_contextvars

from tidewell import clock
from tidewell.accounts import pats, repository, tokens
from tidewell.accounts.audit import Author
from tidewell.accounts.repository import PublicKey
from tidewell.api.rate import RateLimit
from tidewell.api.services import Node
from tidewell.errors import Forbidden, InvalidRequest, Unauthenticated


@dataclass(frozen=True)
class Parent:
    """A call of a parent account; `account_id` where the token names a sub-account."""

    parent_id: UUID
    account_id: UUID | None
    connection_ids: frozenset[UUID] | None
    request_id: str

    @property
    def author(self) -> Author:
        """Who writes, for the audit."""
        return Author(self.parent_id, self.account_id, self.request_id)


@dataclass(frozen=True)
class Account:
    """A call for a sub-account's data; `connection_ids` narrows it to these connections."""

    parent_id: UUID
    account_id: UUID
    connection_ids: frozenset[UUID] | None
    request_id: str

    @property
    def author(self) -> Author:
        """Who writes, for the audit."""
        return Author(self.parent_id, self.account_id, self.request_id)


@dataclass(frozen=True)
class QueryUser:
    """A call of the Query API; `credential` says in the log of queries whose token it was."""

    account_id: UUID
    connection_ids: frozenset[UUID] | None
    credential: str


# Only for the OpenAPI document: the schemes themselves would answer with errors of their own.
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="token")
_basic = HTTPBasic(auto_error=False, scheme_name="personalAccessToken")


async def _parent(request: Request, node: Node, _: Annotated[object, Depends(_bearer)]) -> Parent:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        raise Unauthenticated
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("The Authorization header must be: Bearer <JWT>.")
    async with node.database.transaction() as connection:

        async def keys(parent_id: UUID, kid: str | None) -> Sequence[PublicKey] | None:
            return await repository.keys_of_parent(connection, parent_id, kid)

        claims = await tokens.verify(token.strip(), keys, clock.now())
        if claims.account_id is not None and not await repository.is_account_of(
            connection, claims.account_id, claims.parent_id
        ):
            raise Forbidden("The token's sub is not a sub-account of its iss.")
    limit: RateLimit = request.app.state.rate
    limit.spend(claims.account_id or claims.parent_id)
    _tell_log(claims.account_id, claims.parent_id)
    _given_once(request)
    request_id: str = request.state.request_id
    return Parent(claims.parent_id, claims.account_id, claims.connection_ids, request_id)


async def _account(parent: Annotated[Parent, Depends(_parent)]) -> Account:
    if parent.account_id is None:
        raise Forbidden("This call needs a token with sub, the id of a sub-account.")
    return Account(parent.parent_id, parent.account_id, parent.connection_ids, parent.request_id)


def _given_once(request: Request) -> None:
    """Refuse a parameter of the query that is given twice, of which only the last would count."""
    times = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in times.items():
        if count > 1:
            raise InvalidRequest.of(name, "is given more than once")


def _tell_log(account_id: UUID | None, parent_id: UUID | None = None) -> None:
    """From now on the lines of this request say whose it is."""
    ids = {"account_id": account_id} if account_id else {"parent_id": parent_id}
    bind_contextvars(**{name: str(one) for name, one in ids.items()})


def _not_narrowed(caller: Parent | Account) -> None:
    if caller.connection_ids is not None:
        raise Forbidden(
            "This token is narrowed to some connections (connection_ids), and this call is about "
            "the whole account: use a token without it."
        )


async def _whole_parent(parent: Annotated[Parent, Depends(_parent)]) -> Parent:
    _not_narrowed(parent)
    return parent


async def _whole_account(account: Annotated[Account, Depends(_account)]) -> Account:
    _not_narrowed(account)
    return account


async def _query_user(
    request: Request,
    node: Node,
    bearer: Annotated[object, Depends(_bearer)],
    _: Annotated[object, Depends(_basic)],
) -> QueryUser:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        account = await _account(await _parent(request, node, bearer))
        return QueryUser(account.account_id, account.connection_ids, "token")
    user, token = _user_and_token(given)
    async with node.database.transaction() as connection:
        holder = await pats.holder(connection, user, token, clock.now())
    limit: RateLimit = request.app.state.rate
    limit.spend(holder.account_id)
    _tell_log(holder.account_id)
    _given_once(request)
    return QueryUser(holder.account_id, None, f"personal access token {holder.name}".strip())


def _user_and_token(given: str) -> tuple[str, str]:
    """What HTTP Basic holds (RFC 7617 §2)."""
    try:
        user, separator, token = b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError:
        user, separator, token = "", "", ""
    if not separator:
        raise Unauthenticated("The Authorization header is no valid HTTP Basic.")
    return user, token


ParentCaller = Annotated[Parent, Depends(_parent)]
AccountCaller = Annotated[Account, Depends(_account)]
# For calls that reach beyond single connections: a narrowed token may not make them.
WholeParentCaller = Annotated[Parent, Depends(_whole_parent)]
WholeAccountCaller = Annotated[Account, Depends(_whole_account)]
QueryCaller = Annotated[QueryUser, Depends(_query_user)]


def act_for(app: FastAPI, parent_id: UUID, account_id: UUID) -> None:
    """Let every call of an application be one of this sub-account, without a token.

    For the operator's own command line, whose application no network reaches.
    """

    def operator(request: Request) -> Parent:
        return Parent(parent_id, account_id, None, request.state.request_id)

    app.dependency_overrides[_parent] = operator
    app.dependency_overrides[_query_user] = lambda: QueryUser(account_id, None, "command line")
