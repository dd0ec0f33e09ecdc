"""All queries on parents, their keys and their sub-accounts."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import psycopg.errors

from tidewell.errors import Conflict, NotFound
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.accounts", "queries.sql")
_MOST_KEYS = 10


@dataclass(frozen=True)
class PublicKey:
    """A key that tokens of a parent may be signed with, and the id that their headers give."""

    kid: str
    pem: str


async def create_parent(
    connection: Connection, parent_id: UUID, name: str, pem: str, now: datetime, kid: str
) -> UUID:
    """A new parent account with its first public key (checked by `keys.check_public_key`)."""
    await connection.execute(_SQL["insert_parent"], {"id": parent_id, "name": name, "now": now})
    await connection.execute(
        _SQL["insert_key"],
        {"id": uuid4(), "parent_id": parent_id, "kid": kid, "pem": pem, "now": now},
    )
    return parent_id


async def create_account(
    connection: Connection,
    account_id: UUID,
    parent_id: UUID,
    name: str,
    external_id: str | None,
    now: datetime,
) -> UUID:
    """A new sub-account.

    Raises:
        NotFound: there is no such parent.
        Conflict: another sub-account of the parent has this external id.
    """
    try:
        cursor = await connection.execute(
            _SQL["insert_account"],
            {
                "id": account_id,
                "parent_id": parent_id,
                "name": name,
                "external_id": external_id,
                "now": now,
            },
        )
    except psycopg.errors.UniqueViolation as error:
        raise Conflict(
            f"A sub-account with the external id {external_id} exists already."
        ) from error
    if await cursor.fetchone() is None:
        raise NotFound(f"There is no parent account {parent_id}.")
    return account_id


async def keys_of_parent(
    connection: Connection, parent_id: UUID, kid: str | None
) -> list[PublicKey] | None:
    """The parent's keys of a `kid`, or all without one; None where there are none."""
    cursor = await connection.execute(
        _SQL["keys_of_parent"], {"parent_id": parent_id, "kid": kid, "limit": _MOST_KEYS}
    )
    rows = await cursor.fetchall()
    return [PublicKey(row["kid"], row["pem"]) for row in rows if row["pem"]] or None


async def is_account_of(connection: Connection, account_id: UUID, parent_id: UUID) -> bool:
    """Whether a sub-account belongs to a parent."""
    cursor = await connection.execute(
        _SQL["is_account_of"], {"account_id": account_id, "parent_id": parent_id}
    )
    return await cursor.fetchone() is not None
