"""Links to the hosted pages: made for a customer, signed by us, good for a short time (§3).

What a link says is inside its signed token, the return address too; what stands beside the token
in the query string is for the reference's clients to read, and never trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

import jwt

from tidewell.connections.signing import ALGORITHM, SigningKey
from tidewell.errors import InvalidRequest, Unauthenticated

OPENS_FOR = timedelta(seconds=180)
ISSUER = "tidewell.accountservice"
AUDIENCE = "tidewell.oem"
OPERATOR_AUDIENCE = "tidewell.operator"
TOKEN_TYPE = "powered-by"  # noqa: S105 - a claim's value
_LONGEST_URL = 2048

Flow = Literal["cacheConnection", "createConnection", "editConnection", "jobs"]


@dataclass(frozen=True)
class Link:
    """What a page is for: whose it is, what it edits, and where the person goes back to.

    `driver` is "" where the person chooses; `editable_name` False pins `name`. `connection_ids`
    narrows the Jobs pages to the jobs of these connections.
    """

    parent_id: UUID
    account_id: UUID
    flow: Flow
    driver: str
    return_url: str
    name: str = ""
    editable_name: bool = True
    external_id: str | None = None
    connection_id: UUID | None = None
    connection_ids: frozenset[UUID] | None = None

    def claims(self, now: datetime) -> dict[str, Any]:
        """The claims of the link's token."""
        return {
            "sub": str(self.account_id),
            "accountId": str(self.account_id),
            "oemAdminAccountId": str(self.parent_id),
            "oemSubAccountId": str(self.account_id),
            "tokenType": TOKEN_TYPE,
            "flowType": self.flow,
            "flowDatasource": self.driver,
            "nbf": now,
            "exp": now + OPENS_FOR,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "jti": str(uuid4()),
            "redirectUrl": self.return_url,
            "connectionName": self.name,
            "editableName": self.editable_name,
            "externalId": self.external_id,
            "connectionId": str(self.connection_id) if self.connection_id else None,
            "connectionIds": sorted(map(str, self.connection_ids or ()))
            if self.connection_ids is not None
            else None,
        }

    @classmethod
    def from_claims(cls, claims: dict[str, Any]) -> "Link":
        """The link that a verified token stands for."""
        return cls(
            parent_id=UUID(claims["oemAdminAccountId"]),
            account_id=UUID(claims["accountId"]),
            flow=claims["flowType"],
            driver=claims["flowDatasource"],
            return_url=claims["redirectUrl"],
            name=claims["connectionName"],
            editable_name=claims["editableName"],
            external_id=claims["externalId"],
            connection_id=UUID(claims["connectionId"]) if claims["connectionId"] else None,
            connection_ids=_ids(claims.get("connectionIds")),
        )


def address(base_url: str, path: str, token: str, link: Link, shown_name: str = "") -> str:
    """The link itself, as the reference writes it."""
    query = f"token={token}"
    if link.driver:
        query += f"&driver={quote(link.driver, safe='')}"
    if link.return_url:
        query += f"&redirectUrl={quote(link.return_url, safe='')}"
    if shown_name:
        query += f"&connectionName={quote(shown_name, safe='')}"
    return f"{base_url.rstrip('/')}{path}?{query}"


def operator_claims(now: datetime) -> dict[str, Any]:
    """The claims of a link with which an operator signs in: to every account of the service."""
    return {
        "iss": ISSUER,
        "aud": OPERATOR_AUDIENCE,
        "nbf": now,
        "exp": now + OPENS_FOR,
        "jti": str(uuid4()),
    }


def verify(
    token: str, keys: Sequence[SigningKey], now: datetime, audience: str = AUDIENCE
) -> dict[str, Any]:
    """The claims of a link's token. Raises Unauthenticated: altered, or opened too late."""
    refused = Unauthenticated("This link is not valid, or no longer: ask for a new one.")
    for key in keys:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public_pem,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=audience,
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            continue
        if not claims["nbf"] - 60 <= now.timestamp() < claims["exp"]:
            raise refused
        return claims
    raise refused


def _ids(texts: Sequence[str] | None) -> frozenset[UUID] | None:
    return None if texts is None else frozenset(map(UUID, texts))


def identity(token: str) -> str:
    """The `jti` that a token claims, unverified: only good to look for a session of that name."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return ""
    return str(claims.get("jti", ""))


def check_return_url(url: str, hosts: Sequence[str]) -> str:
    """A return address: absolute http(s), without credentials, at a registered host if any is.

    Raises InvalidRequest.
    """
    field = "redirectURL"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidRequest.of(field, "is not an address") from None
    control = any(ord(character) <= 32 or ord(character) == 127 for character in url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or control:
        raise InvalidRequest.of(field, "must be an absolute http or https address")
    if "\\" in url or len(url) > _LONGEST_URL:
        raise InvalidRequest.of(field, f"must be an address of at most {_LONGEST_URL} characters")
    if "@" in parts.netloc:
        raise InvalidRequest.of(field, "must not hold a user or a password")
    host = parts.hostname.lower()
    if hosts and host not in hosts and (port is None or f"{host}:{port}" not in hosts):
        raise InvalidRequest.of(
            field, f"{host} is not one of the return hosts that are registered for this account"
        )
    return url
