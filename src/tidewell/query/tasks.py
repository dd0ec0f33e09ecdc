"""What an account's queries are run over: its connections, copies and cache, with their secrets."""

from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from tidewell.connections import cache as cache_connections
from tidewell.connections.sealing import SealingBox
from tidewell.query.messages import QueryTask
from tidewell.settings import Settings
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.query", "queries.sql")


async def over_account(
    connection: Connection,
    sealing: SealingBox,
    settings: Settings,
    account_id: UUID,
    connection_ids: Collection[UUID] | None,
    task: QueryTask,
) -> QueryTask:
    """A task with all that its account's statements may name, narrowed to some connections."""
    where = {
        "account_id": account_id,
        "connection_ids": None if connection_ids is None else list(connection_ids),
    }
    rows = await (await connection.execute(_SQL["connections"], where)).fetchall()
    copies = await (await connection.execute(_SQL["copies"], where)).fetchall()
    cache = await (await connection.execute(_SQL["cache"], {"account_id": account_id})).fetchone()
    return replace(
        task,
        connections=tuple(_connection(row, sealing) for row in rows),
        copies=tuple(_copy(row) for row in copies),
        cache=_address(cache, sealing, settings) if cache else None,
        file_roots=tuple(str(root) for root in settings.file_roots()),
        egress=settings.egress_allow,
        manifests=str(settings.manifests.resolve()) if settings.manifests else "",
        memory=settings.query_memory,
        most_rows=settings.query_max_rows,
    )


def _connection(row: dict[str, Any], sealing: SealingBox) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "name": row["name"],
        "driver": row["driver"],
        "text": sealing.open(row["sealed"], row["id"]),
    }


def _copy(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "connection_id": str(row["connection_id"]),
        "schema": row["source_schema"],
        "table": row["source_table"],
        "cache_schema": row["cache_schema"],
        "cache_table": row["cache_table"],
        "refreshed_at": row["refreshed_at"].isoformat(),
    }


def _address(row: dict[str, Any], sealing: SealingBox, settings: Settings) -> dict[str, Any]:
    text = sealing.open(row["sealed"], row["id"])
    return asdict(cache_connections.address(text, settings.egress_allow))
