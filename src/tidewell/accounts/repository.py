"""All queries on parents, their keys and their sub-accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
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
    await add_key(connection, parent_id, pem, kid, now)
    return parent_id


async def parent(connection: Connection, parent_id: UUID) -> dict[str, Any]:
    """A parent account. Raises NotFound."""
    cursor = await connection.execute(_SQL["parent"], {"parent_id": parent_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"There is no parent account {parent_id}.")
    return row


async def list_parents(connection: Connection) -> list[dict[str, Any]]:
    """All parent accounts, oldest first, with the number of their sub-accounts."""
    cursor = await connection.execute(_SQL["list_parents"])
    return await cursor.fetchall()


async def set_hosts(
    connection: Connection,
    parent_id: UUID,
    return_hosts: Sequence[str],
    frame_origins: Sequence[str],
) -> None:
    """Replace where customers may be sent back to and who may frame our pages."""
    cursor = await connection.execute(
        _SQL["set_hosts"],
        {
            "parent_id": parent_id,
            "return_hosts": list(return_hosts),
            "frame_origins": list(frame_origins),
        },
    )
    if await cursor.fetchone() is None:
        raise NotFound(f"There is no parent account {parent_id}.")


async def add_key(
    connection: Connection, parent_id: UUID, pem: str, kid: str, now: datetime
) -> UUID:
    """Another public key of a parent.

    Raises:
        NotFound: there is no such parent.
        Conflict: a key of this kid is in use, or there are too many.
    """
    cursor = await connection.execute(_SQL["count_keys"], {"parent_id": parent_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"There is no parent account {parent_id}.")
    if row["keys"] >= _MOST_KEYS:
        raise Conflict(f"{_MOST_KEYS} keys are in use already: revoke one first.")
    key_id = uuid4()
    values = {"id": key_id, "parent_id": parent_id, "kid": kid, "pem": pem, "now": now}
    try:
        await connection.execute(_SQL["insert_key"], values)
    except psycopg.errors.UniqueViolation as error:
        raise Conflict(f"A key with the kid {kid} is in use already.") from error
    return key_id


async def revoke_key(connection: Connection, parent_id: UUID, kid: str, now: datetime) -> UUID:
    """End the use of a key, at once. Raises NotFound."""
    cursor = await connection.execute(
        _SQL["revoke_key"], {"parent_id": parent_id, "kid": kid, "now": now}
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"The account {parent_id} has no key with the kid {kid} in use.")
    return UUID(str(row["id"]))


async def list_keys(connection: Connection, parent_id: UUID) -> list[dict[str, Any]]:
    """The keys of a parent, revoked ones too."""
    cursor = await connection.execute(_SQL["list_keys"], {"parent_id": parent_id})
    return await cursor.fetchall()


async def keys_of_parent(
    connection: Connection, parent_id: UUID, kid: str | None
) -> list[PublicKey] | None:
    """The parent's keys of a `kid`, or all without one; None where there are none."""
    cursor = await connection.execute(
        _SQL["keys_of_parent"], {"parent_id": parent_id, "kid": kid, "limit": _MOST_KEYS}
    )
    rows = await cursor.fetchall()
    return [PublicKey(row["kid"], row["pem"]) for row in rows if row["pem"]] or None


async def create_account(
    connection: Connection,
    account_id: UUID,
    parent_id: UUID,
    name: str,
    external_id: str | None,
    now: datetime,
) -> dict[str, Any]:
    """A new sub-account.

    Raises:
        NotFound: there is no such parent.
        Conflict: another sub-account of the parent has this external id.
    """
    values = {
        "id": account_id,
        "parent_id": parent_id,
        "name": name,
        "external_id": external_id,
        "now": now,
    }
    try:
        cursor = await connection.execute(_SQL["insert_account"], values)
    except psycopg.errors.UniqueViolation as error:
        raise _taken(external_id) from error
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"There is no parent account {parent_id}.")
    return row


async def update_account(
    connection: Connection, account_id: UUID, parent_id: UUID, changes: dict[str, str | None]
) -> dict[str, Any]:
    """New values of `name` and `external_id`, where given. Raises NotFound, Conflict."""
    values = {
        "account_id": account_id,
        "parent_id": parent_id,
        "set_name": "name" in changes,
        "name": changes.get("name"),
        "set_external_id": "external_id" in changes,
        "external_id": changes.get("external_id"),
    }
    try:
        cursor = await connection.execute(_SQL["update_account"], values)
    except psycopg.errors.UniqueViolation as error:
        raise _taken(changes.get("external_id")) from error
    row = await cursor.fetchone()
    if row is None:
        raise NotFound.of("sub-account")
    return row


async def list_accounts(connection: Connection, parent_id: UUID) -> list[dict[str, Any]]:
    """The parent's sub-accounts, oldest first."""
    cursor = await connection.execute(_SQL["list_accounts"], {"parent_id": parent_id})
    return await cursor.fetchall()


async def find_account(
    connection: Connection, parent_id: UUID, id_or_external_id: str
) -> dict[str, Any]:
    """A sub-account of the parent. Raises NotFound."""
    missing = NotFound.of("sub-account")
    if "\0" in id_or_external_id:
        raise missing
    try:
        account_id = UUID(id_or_external_id)
    except ValueError:
        account_id = None
    cursor = await connection.execute(
        _SQL["find_account"],
        {"parent_id": parent_id, "id": account_id, "external_id": id_or_external_id},
    )
    row = await cursor.fetchone()
    if row is None:
        raise missing
    return row


async def lock_account(connection: Connection, account_id: UUID, parent_id: UUID) -> dict[str, Any]:
    """The account's row, held until the transaction ends. Raises NotFound."""
    cursor = await connection.execute(
        _SQL["lock_account"], {"account_id": account_id, "parent_id": parent_id}
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound.of("sub-account")
    return row


async def delete_account(connection: Connection, account_id: UUID, parent_id: UUID) -> None:
    """Forget a sub-account with everything that belongs to it."""
    await connection.execute(
        _SQL["delete_account"], {"account_id": account_id, "parent_id": parent_id}
    )


async def account(connection: Connection, account_id: UUID) -> dict[str, Any]:
    """A sub-account, with its vendor's name and frame origins. Raises NotFound."""
    cursor = await connection.execute(_SQL["account"], {"account_id": account_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"There is no sub-account {account_id}.")
    return row


async def is_account_of(connection: Connection, account_id: UUID, parent_id: UUID) -> bool:
    """Whether a sub-account belongs to a parent."""
    cursor = await connection.execute(
        _SQL["is_account_of"], {"account_id": account_id, "parent_id": parent_id}
    )
    return await cursor.fetchone() is not None


def _taken(external_id: str | None) -> Conflict:
    return Conflict(f"A sub-account with the external id {external_id} exists already.")


async def some_parents(connection: Connection, limit: int) -> list[UUID]:
    """Ids of a few vendors: for an operator's own command."""
    cursor = await connection.execute(_SQL["some_parents"], {"limit": limit})
    return [row["id"] for row in await cursor.fetchall()]


async def some_accounts(
    connection: Connection, account_id: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """The account of an id, or any few, with their parents: for an operator's own command."""
    cursor = await connection.execute(_SQL["some_accounts"], {"id": account_id, "limit": limit})
    return await cursor.fetchall()
