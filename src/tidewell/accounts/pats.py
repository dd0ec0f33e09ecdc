"""Personal access tokens: what desktop clients send as the password of HTTP Basic (contract §7).

A token has 256 random bits, so its SHA-256 can stand in the database: guessing is hopeless and
there is nothing to slow down (NIST SP 800-63B §5.1.1.2 asks that of secrets that people choose).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tidewell.errors import NotFound, Unauthenticated
from tidewell.state.database import Connection
from tidewell.state.statements import statements

PREFIX = "twpat_"
"""How a token begins, so that scanners of leaked secrets know it."""
_SQL = statements("tidewell.accounts", "pats.sql")


@dataclass(frozen=True)
class Holder:
    """Whose a token is."""

    parent_id: UUID
    account_id: UUID
    name: str


async def create(
    connection: Connection,
    account_id: UUID,
    token_id: UUID,
    name: str,
    now: datetime,
    expires_at: datetime,
) -> str:
    """Make a token; it is shown this once. Raises NotFound when there is no such sub-account."""
    token = PREFIX + secrets.token_urlsafe(32)
    cursor = await connection.execute(
        _SQL["insert_pat"],
        {
            "id": token_id,
            "account_id": account_id,
            "name": name,
            "hash": _hash(token),
            "now": now,
            "expires_at": expires_at,
        },
    )
    if await cursor.fetchone() is None:
        raise NotFound(f"There is no sub-account {account_id}.")
    return token


async def listed(connection: Connection, account_id: UUID) -> list[dict[str, Any]]:
    """The tokens of an account, oldest first, without the tokens themselves."""
    cursor = await connection.execute(_SQL["list_pats"], {"account_id": account_id})
    return await cursor.fetchall()


async def revoke(connection: Connection, account_id: UUID, token_id: UUID, now: datetime) -> str:
    """Let a token open nothing any more; returns its name. Raises NotFound."""
    cursor = await connection.execute(
        _SQL["revoke_pat"], {"account_id": account_id, "id": token_id, "now": now}
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"The account {account_id} has no token {token_id} in use.")
    return str(row["name"])


async def holder(connection: Connection, user: str, token: str, now: datetime) -> Holder:
    """Whose token this is. Raises Unauthenticated, for every reason with the same words."""
    wrong = Unauthenticated("The user or the personal access token is not valid, or it expired.")
    try:
        account_id = UUID(user.strip())
    except ValueError:
        raise wrong from None
    cursor = await connection.execute(
        _SQL["holder"], {"account_id": account_id, "hash": _hash(token), "now": now}
    )
    row = await cursor.fetchone()
    if row is None:
        raise wrong
    return Holder(row["parent_id"], row["account_id"], row["name"])


async def parent_of(connection: Connection, account_id: UUID) -> UUID:
    """The vendor of a sub-account. Raises NotFound."""
    cursor = await connection.execute(_SQL["parent_of"], {"account_id": account_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"There is no sub-account {account_id}.")
    parent_id: UUID = row["parent_id"]
    return parent_id


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
