"""What an account's queries are run over: its connections, copies and cache, with their secrets."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from tidewell.connections import cache as cache_connections
from tidewell.connections import strings
from tidewell.connections.sealing import SealingBox
from tidewell.errors import InvalidRequest
from tidewell.query.messages import QueryTask
from tidewell.settings import Settings
from tidewell.sources import registry
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
        account=str(account_id),
        connections=tuple(_connection(row, sealing) for row in rows),
        copies=tuple(_copy(row) for row in copies),
        cache=_address(cache, sealing, settings) if cache else None,
        file_roots=tuple(str(root) for root in settings.file_roots()),
        egress=settings.egress_allow,
        manifests=str(settings.manifests.resolve()) if settings.manifests else "",
        memory=settings.query_memory,
        most_rows=settings.query_max_rows,
    )


def secrets_of(task: QueryTask) -> tuple[str, ...]:
    """What no line of the log may show: the secret values of every connection, and the cache's."""
    found = [task.cache["password"]] if task.cache and task.cache["password"] else []
    for one in task.connections:
        with suppress(InvalidRequest):  # its driver is gone; the statement says so if it is asked
            keys = registry.driver(one["driver"]).keys
            values = strings.parse(one["text"], keys)
            found += [values[key.name] for key in keys if key.secret and values.get(key.name)]
    return tuple(found)


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
