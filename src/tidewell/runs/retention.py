"""How long history is kept, and the duty that forgets the rest.

Each kind has a setting, and is deleted in transactions of some thousand rows: none holds its locks
for long, and the next vacuum gives the space to new rows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import structlog

from tidewell.accounts import audit
from tidewell.clock import Clock
from tidewell.errors import Unavailable
from tidewell.query import log as query_log
from tidewell.settings import Settings
from tidewell.state.database import Connection, Database
from tidewell.state.statements import statements
from tidewell.webhooks import repository as webhooks

_PERIOD_SECONDS = 600.0
_BATCH = 5000
_SQL = statements("tidewell.runs", "retention.sql")

log = structlog.get_logger()

Forget = Callable[[Connection, datetime, int], Awaitable[int]]
"""Deletes at most so many rows from before a time; returns how many."""


async def forget(
    database: Database, settings: Settings, now: datetime, batch: int = _BATCH
) -> Mapping[str, int]:
    """Forget what is older than its retention; returns how many rows of each kind."""
    kinds: dict[str, tuple[Forget, int]] = {
        "queue": (_forget_queue, 0),
        "log_lines": (_forget_log, settings.keep_log_days),
        "runs": (_forget_runs, settings.keep_run_days),
        "queries": (query_log.forget, settings.keep_query_days),
        "deliveries": (webhooks.forget_deliveries, settings.keep_delivery_days),
        "audit_events": (audit.forget, settings.keep_audit_days),
    }
    total = dict.fromkeys(kinds, 0)
    for kind, (forget_some, days) in kinds.items():
        found = batch
        while found == batch:
            async with database.transaction() as connection:
                found = await forget_some(connection, now - timedelta(days=days), batch)
            total[kind] += found
    return total


async def keep_forgetting(database: Database, settings: Settings, clock: Clock) -> None:
    """Forget at intervals until cancelled; while the database is away, later."""
    while True:
        try:
            found = await forget(database, settings, clock())
            if any(found.values()):
                log.info("history_forgotten", **found)
        except Unavailable as error:
            log.warning("forgetting_failed", reason=error.message)
        await asyncio.sleep(_PERIOD_SECONDS)


async def _forget_queue(connection: Connection, _before: datetime, limit: int) -> int:
    return (await connection.execute(_SQL["forget_queue_rows"], {"limit": limit})).rowcount


async def _forget_log(connection: Connection, before: datetime, limit: int) -> int:
    values = {"before": before, "limit": limit}
    return (await connection.execute(_SQL["forget_log"], values)).rowcount


async def _forget_runs(connection: Connection, before: datetime, limit: int) -> int:
    values = {"before": before, "limit": limit}
    return (await connection.execute(_SQL["forget_runs"], values)).rowcount
