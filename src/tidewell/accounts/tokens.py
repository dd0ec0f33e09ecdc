"""Tokens: who calls (contract §1; RFC 7519, RFC 8725).

RS256 only. The token names its parent (`iss`); only that parent's registered keys count, and what
the header says of other keys (`jwk`, `jku`, `x5u`) is never looked at.
"""

import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tidewell.accounts.repository import PublicKey
from tidewell.errors import Forbidden, InvalidRequest, Unauthenticated

ALGORITHM = "RS256"
TOKEN_TYPE = "powered-by"  # noqa: S105 - a claim's value
LEEWAY = timedelta(seconds=60)
LONGEST = timedelta(hours=24)
_LONGEST_TOKEN = 16_384

FindKeys = Callable[[UUID, str | None], Awaitable[Sequence[PublicKey] | None]]


@dataclass(frozen=True)
class Claims:
    """What a valid token says. `connection_ids` narrows it to these connections."""

    parent_id: UUID
    account_id: UUID | None
    connection_ids: frozenset[UUID] | None


async def verify(token: str, find_keys: FindKeys, now: datetime) -> Claims:
    """Check a token and read it. Raises Unauthenticated with the reason."""
    if len(token) > _LONGEST_TOKEN:
        raise Unauthenticated("The token is too long.")
    try:
        header = jwt.get_unverified_header(token)
        unverified = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise Unauthenticated("The token is not a JWT.") from None
    if header.get("alg") != ALGORITHM:
        raise Unauthenticated(f"The token must be signed with {ALGORITHM}.")
    kid = header.get("kid")
    if isinstance(kid, str) and "\0" in kid:
        raise Unauthenticated("The token's kid holds a NUL character.")  # PostgreSQL takes none
    parent_id = _issuer(unverified.get("iss"))
    keys = await find_keys(parent_id, kid if isinstance(kid, str) else None)
    if keys is None:
        raise Unauthenticated("The token's iss is no known account, or has no key of this kid.")
    claims = _signed_claims(token, keys)
    _check_times(claims, now)
    if claims.get("tokenType") != TOKEN_TYPE:
        raise Unauthenticated(f"The token's tokenType must be {TOKEN_TYPE}.")
    return Claims(
        parent_id,
        _account_id(claims.get("sub")),
        _connection_ids(claims.get("connection_ids")),
    )


def sign(
    private_key: bytes,
    *,
    parent_id: UUID,
    account_id: UUID | None,
    seconds: int,
    now: datetime,
    kid: str | None = None,
) -> str:
    """A token as a vendor's program makes it. Raises InvalidRequest when the key cannot sign."""
    claims: dict[str, Any] = {
        "tokenType": TOKEN_TYPE,
        "iat": now,
        "exp": now + timedelta(seconds=seconds),
        "iss": str(parent_id),
    }
    if account_id is not None:
        claims["sub"] = str(account_id)
    headers = {"kid": kid} if kid else None
    return jwt.encode(claims, _private_key(private_key), algorithm=ALGORITHM, headers=headers)


def _private_key(pem: bytes) -> rsa.RSAPrivateKey:
    key: PrivateKeyTypes | None = None
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidRequest.of(
            "key", "is not an RSA private key in PEM form, or a passphrase protects it"
        )
    return key


def _signed_claims(token: str, keys: Sequence[PublicKey]) -> dict[str, Any]:
    """The claims, if one of the keys has signed them. Times are checked apart, on our clock."""
    for key in keys:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.pem,
                algorithms=[ALGORITHM],
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                    "verify_sub": False,
                },
            )
        except jwt.InvalidTokenError:
            continue
        return claims
    raise Unauthenticated("The token's signature does not match any registered key of its iss.")


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    moment, leeway = now.timestamp(), LEEWAY.total_seconds()
    issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
    if expires + leeway < moment:
        raise Unauthenticated("The token has expired: make a new one.")
    if issued - leeway > moment:
        raise Unauthenticated("The token's iat is in the future: check the clocks.")
    if "nbf" in claims and _seconds(claims, "nbf") - leeway > moment:
        raise Unauthenticated("The token is not valid yet (nbf).")
    if expires - issued > LONGEST.total_seconds():
        raise Unauthenticated("The token lives longer than 24 hours: set a nearer exp.")


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise Unauthenticated(f"The token needs {name}, in seconds since 1970.")
    return value


def _issuer(value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise Unauthenticated("The token's iss is not the id of an account.") from None


def _account_id(value: object) -> UUID | None:
    if value in (None, ""):
        return None
    try:
        return UUID(str(value))
    except ValueError:
        raise Forbidden("The token's sub is not a sub-account of its iss.") from None


def _connection_ids(value: object) -> frozenset[UUID] | None:
    if value is None:
        return None
    try:
        listed = json.loads(value) if isinstance(value, str) else value
        if isinstance(listed, list):
            return frozenset(UUID(str(item)) for item in listed)
    except ValueError:
        pass
    raise Unauthenticated("The token's connection_ids must be a JSON array of connection ids.")
