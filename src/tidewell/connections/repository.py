"""All queries on connections to sources; every one takes the account."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg.errors

from tidewell.errors import Conflict, NotFound
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.connections", "queries.sql")


@dataclass(frozen=True)
class ConnectionSettings:
    """What a client sets of a connection; the connection string is sealed."""

    name: str
    driver: str
    sealed: str
    external_id: str | None


async def insert(
    connection: Connection,
    account_id: UUID,
    connection_id: UUID,
    settings: ConnectionSettings,
    now: datetime,
) -> dict[str, Any]:
    """Store a new connection. Raises Conflict when the name is taken."""
    return await _write(connection, "insert_connection", account_id, connection_id, settings, now)


async def update(
    connection: Connection,
    account_id: UUID,
    connection_id: UUID,
    settings: ConnectionSettings,
    now: datetime,
    *,
    another_source: bool,
) -> dict[str, Any]:
    """Replace a connection's values; from another source its jobs start with a full load.

    Raises NotFound; Conflict when the name is taken.
    """
    row = await _write(connection, "update_connection", account_id, connection_id, settings, now)
    if another_source:
        await connection.execute(
            _SQL["reload_jobs_of_connection"],
            {"account_id": account_id, "connection_id": connection_id},
        )
    return row


async def one(
    connection: Connection,
    account_id: UUID,
    connection_id: UUID,
    allowed: Collection[UUID] | None = None,
) -> dict[str, Any]:
    """A connection of the account, if it is one of the allowed ones. Raises NotFound."""
    cursor = await connection.execute(
        _SQL["connection"], {"account_id": account_id, "id": connection_id}
    )
    row = await cursor.fetchone()
    if row is None or (allowed is not None and connection_id not in allowed):
        raise NotFound.of("connection")
    return row


async def lock(connection: Connection, account_id: UUID, connection_id: UUID) -> dict[str, Any]:
    """The connection's own row, held until the transaction ends. Raises NotFound."""
    cursor = await connection.execute(
        _SQL["lock_connection"], {"account_id": account_id, "id": connection_id}
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound.of("connection")
    return row


async def delete(connection: Connection, account_id: UUID, connection_id: UUID) -> None:
    """Forget a connection that no job uses."""
    await connection.execute(
        _SQL["delete_connection"], {"account_id": account_id, "id": connection_id}
    )


async def listed(
    connection: Connection,
    account_id: UUID,
    allowed: Collection[UUID] | None = None,
    driver: str | None = None,
    external_id: str | None = None,
) -> list[dict[str, Any]]:
    """The account's connections, oldest first, perhaps only some."""
    cursor = await connection.execute(
        _SQL["connections"],
        {
            "account_id": account_id,
            "ids": None if allowed is None else list(allowed),
            "driver": driver or None,
            "external_id": external_id or None,
        },
    )
    return await cursor.fetchall()


async def note_test(
    connection: Connection,
    account_id: UUID,
    connection_id: UUID,
    error: str | None,
    modified_at: datetime | None,
) -> None:
    """Note what a test of a connection gave, as it stood since a time; no error: it worked.

    Where it has other values by now, the test says nothing about them.
    """
    await connection.execute(
        _SQL["note_test"],
        {
            "account_id": account_id,
            "id": connection_id,
            "worked": error is None,
            "error": error,
            "modified_at": modified_at,
        },
    )


async def _write(
    connection: Connection,
    statement: str,
    account_id: UUID,
    connection_id: UUID,
    settings: ConnectionSettings,
    now: datetime,
) -> dict[str, Any]:
    try:
        cursor = await connection.execute(
            _SQL[statement],
            {
                "id": connection_id,
                "account_id": account_id,
                "name": settings.name,
                "driver": settings.driver,
                "sealed": settings.sealed,
                "external_id": settings.external_id,
                "now": now,
            },
        )
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name == "connection_external_id":
            raise Conflict(
                f"This account has a connection with the externalId {settings.external_id} already."
            ) from error
        raise Conflict(
            f"This account has a connection named {settings.name} already (names have no case)."
        ) from error
    row = await cursor.fetchone()
    if row is None:
        raise NotFound.of("connection")
    return row
