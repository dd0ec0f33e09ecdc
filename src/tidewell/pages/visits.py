"""Who visits the Jobs pages: a customer through the vendor's link, or the service's operator.

A visit begins with a signed link and lives on in a signed cookie, an hour from its last use and
half a day at most. A customer's cookie goes to that account's own pages only; an operator's to all.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
from fastapi import Depends, Request, Response
from structlog.contextvars import bind_contextvars

from tidewell import clock
from tidewell.accounts import repository as accounts
from tidewell.accounts.audit import Author
from tidewell.api.services import Node, Services
from tidewell.connections.links import Link
from tidewell.connections.sealing import SealingBox
from tidewell.errors import Forbidden, NotFound, Unauthenticated

LIVES_FOR = timedelta(hours=1)
LONGEST = timedelta(hours=12)
OPERATOR_COOKIE = "tidewell_operator"
OPERATOR_PATH = "/oem/"
_ACCOUNT_AUDIENCE = "tidewell.visit"
_OPERATOR_AUDIENCE = "tidewell.operator.visit"
_ALGORITHM = "HS256"


@dataclass(frozen=True)
class Visit:
    """One visitor of one account's pages. `connection_ids` narrows what is seen, as a token's.

    `return_url` is "" where nothing leads back.
    """

    parent_id: UUID
    account_id: UUID
    account_name: str
    vendor: str
    frame_origins: tuple[str, ...]
    connection_ids: frozenset[UUID] | None
    return_url: str
    is_operator: bool
    csrf: str
    request_id: str
    claims: dict[str, Any] = field(repr=False)

    @property
    def author(self) -> Author:
        """Who writes, for the audit."""
        who = f"operator {self.request_id}" if self.is_operator else self.request_id
        return Author(self.parent_id, self.account_id, who)

    @property
    def return_host(self) -> str:
        """The host that the person goes back to."""
        return urlsplit(self.return_url).netloc

    @property
    def base(self) -> str:
        """Where this account's pages are."""
        return base_of(self.account_id)


class Visits:
    """Writes the cookies of visits, and reads them again."""

    def __init__(self, sealing: SealingBox) -> None:
        self._key = sealing.derived(b"page visits")

    def account_cookie(self, claims: dict[str, Any], now: datetime) -> str:
        """The cookie of a customer's visit, which lives on from now."""
        return self._cookie(claims, _ACCOUNT_AUDIENCE, now)

    def operator_cookie(self, claims: dict[str, Any], now: datetime) -> str:
        """The cookie of an operator's visit, which lives on from now."""
        return self._cookie(claims, _OPERATOR_AUDIENCE, now)

    def of_account(
        self, account_id: UUID, cookies: dict[str, str], now: datetime
    ) -> dict[str, Any] | None:
        """The claims of a customer's visit, if its cookie came along and it still lives."""
        claims = self._claims(cookies.get(cookie_name(account_id), ""), _ACCOUNT_AUDIENCE, now)
        return claims if claims and claims["accountId"] == str(account_id) else None

    def of_operator(self, cookies: dict[str, str], now: datetime) -> dict[str, Any] | None:
        """The claims of an operator's visit."""
        return self._claims(cookies.get(OPERATOR_COOKIE, ""), _OPERATOR_AUDIENCE, now)

    def csrf(self, claims: dict[str, Any]) -> str:
        """The mark that a visit's own forms carry."""
        identity = f"csrf {claims['aud']} {claims['jti']}".encode()
        return hmac.new(self._key, identity, hashlib.sha256).hexdigest()

    def _cookie(self, claims: dict[str, Any], audience: str, now: datetime) -> str:
        kept = claims | {"aud": audience, "exp": now + LIVES_FOR}
        return jwt.encode(kept, self._key, algorithm=_ALGORITHM)

    def _claims(self, cookie: str, audience: str, now: datetime) -> dict[str, Any] | None:
        try:
            claims: dict[str, Any] = jwt.decode(
                cookie,
                self._key,
                algorithms=[_ALGORITHM],
                audience=audience,
                options={"verify_exp": False, "verify_nbf": False, "verify_sub": False},
            )
        except (jwt.InvalidTokenError, ValueError):
            return None
        ends = min(claims["exp"], claims["nbf"] + LONGEST.total_seconds())
        return claims if now.timestamp() < ends else None


def base_of(account_id: UUID) -> str:
    """Where an account's pages are."""
    return f"/oem/accounts/{account_id}"


def cookie_name(account_id: UUID) -> str:
    """The cookie of one account's visit: several may be open at a time."""
    return f"tidewell_visit_{account_id.hex[:12]}"


async def _visit(request: Request, node: Node, account_id: UUID) -> Visit:
    """The visit of the account in the path. Raises Unauthenticated."""
    visits, now = Visits(node.sealing), clock.now()
    claims = visits.of_account(account_id, request.cookies, now)
    is_operator = claims is None
    if claims is None:
        claims = visits.of_operator(request.cookies, now)
    if claims is None:
        raise Unauthenticated(
            "This page was open for too long, or its cookies are blocked: ask for a new link."
        )
    bind_contextvars(account_id=str(account_id))
    async with node.database.transaction() as connection:
        try:
            account = await accounts.account(connection, account_id)
        except NotFound:
            raise Unauthenticated("This account does not exist any more.") from None
    link = None if is_operator else Link.from_claims(claims)
    if link and link.parent_id != account["parent_id"]:
        raise Unauthenticated("This link is no longer valid: ask for a new one.")
    return Visit(
        parent_id=account["parent_id"],
        account_id=account_id,
        account_name=account["name"],
        vendor=account["parent_name"],
        frame_origins=tuple(account["frame_origins"]) if link else (),
        connection_ids=link.connection_ids if link else None,
        return_url=link.return_url if link else "",
        is_operator=is_operator,
        csrf=visits.csrf(claims),
        request_id=request.state.request_id,
        claims=claims,
    )


async def _operator(request: Request, node: Node) -> dict[str, Any]:
    """The claims of an operator's visit. Raises Unauthenticated."""
    claims = Visits(node.sealing).of_operator(request.cookies, clock.now())
    if claims is None:
        raise Unauthenticated("This page is for the operator: sign in first.")
    return claims


Visitor = Annotated[Visit, Depends(_visit)]
Operator = Annotated[dict[str, Any], Depends(_operator)]


def check_mark(visit: Visit, form: dict[str, str]) -> None:
    """A form has to come from its own page. Raises Forbidden."""
    if not hmac.compare_digest(form.get("csrf", "").encode(), visit.csrf.encode()):
        raise Forbidden("This form was not sent from its own page.")


def keep(response: Response, node: Services, request: Request, visit: Visit) -> None:
    """Let a visit live on with this answer."""
    visits, now = Visits(node.sealing), clock.now()
    secure = is_secure(node, request)
    if visit.is_operator:
        value, name, path = (
            visits.operator_cookie(visit.claims, now),
            OPERATOR_COOKIE,
            OPERATOR_PATH,
        )
    else:
        name, path = cookie_name(visit.account_id), visit.base
        value = visits.account_cookie(visit.claims, now)
    set_cookie(response, name, value, path, secure=secure, is_framed=bool(visit.frame_origins))


def set_cookie(
    response: Response, name: str, value: str, path: str, *, secure: bool, is_framed: bool
) -> None:
    """A cookie that no script reads and only our pages get.

    Inside the vendor's own page ours is a third party, whose cookies browsers keep only apart for
    each page around it (CHIPS).
    """
    third_party = is_framed and secure
    response.set_cookie(
        name,
        value,
        max_age=int(LIVES_FOR.total_seconds()),
        path=path,
        secure=secure,
        httponly=True,
        samesite="none" if third_party else "lax",
    )
    if third_party:
        response.headers["set-cookie"] += "; Partitioned"


def is_secure(node: Services, request: Request) -> bool:
    """Whether people reach this service over TLS."""
    base = node.settings.base_url or str(request.url)
    return base.lower().startswith("https:")
