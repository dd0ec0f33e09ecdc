"""Sends what has been written: signed, at least once, again and again for some days.

Any number of nodes may send: a delivery is leased while it is tried. Its receiver may see it twice
(the id stays the same), and never misses it while it answers within the last try.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import standardwebhooks
import structlog

from tidewell import __version__
from tidewell.clock import Clock
from tidewell.connections.sealing import SealingBox
from tidewell.egress import EgressRefused, EgressRules, HostNotFound
from tidewell.errors import Unavailable
from tidewell.sources.pinned import PinnedTransport
from tidewell.state.database import Database
from tidewell.state.statements import statements
from tidewell.webhooks.events import announce_late

_SQL = statements("tidewell.webhooks", "queries.sql")
_PERIOD_SECONDS = 1.0
_LATE_PERIOD_SECONDS = 15.0
_BATCH = 20
_TIMEOUT_SECONDS = 15.0
_LEASE = timedelta(seconds=60)
# The waits that Standard Webhooks proposes: some seconds at first, three days in all.
_WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)

log = structlog.get_logger()


@dataclass(frozen=True)
class Attempt:
    """What came of one try: the status that was answered, or why nothing was."""

    status: int | None
    error: str | None

    @property
    def worked(self) -> bool:
        """Whether the receiver has taken it."""
        return self.error is None


async def send_due(
    database: Database, sealing: SealingBox, rules: EgressRules, clock: Clock
) -> int:
    """Try everything whose time has come, once; returns how many deliveries that were."""
    now = clock()
    async with database.transaction() as connection:
        cursor = await connection.execute(
            _SQL["due_deliveries"], {"now": now, "lease": now + _LEASE, "limit": _BATCH}
        )
        rows = await cursor.fetchall()
    await asyncio.gather(*(_send(database, sealing, rules, clock, row) for row in rows))
    return len(rows)


async def keep_sending(
    database: Database, sealing: SealingBox, rules: EgressRules, clock: Clock
) -> None:
    """Send until cancelled; while the database is away, try again each second."""
    looked = float("-inf")
    loop = asyncio.get_running_loop()
    while True:
        try:
            if loop.time() - looked > _LATE_PERIOD_SECONDS:
                looked = loop.time()
                async with database.transaction() as connection:
                    await announce_late(connection, clock(), _BATCH)
            while await send_due(database, sealing, rules, clock) == _BATCH:
                pass
        except Unavailable as error:
            log.warning("send_failed", reason=error.message)
        await asyncio.sleep(_PERIOD_SECONDS)


async def _send(
    database: Database,
    sealing: SealingBox,
    rules: EgressRules,
    clock: Clock,
    row: dict[str, Any],
) -> None:
    secret = sealing.open(row["sealed"], row["webhook_id"])
    attempt = await asyncio.to_thread(_post, row, secret, rules, clock())
    now = clock()
    following = None if attempt.worked else _next(row["attempts"], now)
    async with database.transaction() as connection:
        await connection.execute(
            _SQL["note_delivery"],
            {
                "account_id": row["account_id"],
                "id": row["id"],
                "status": attempt.status,
                "error": attempt.error,
                "next": following,
                "delivered_at": now if attempt.worked else None,
            },
        )


def _post(row: dict[str, Any], secret: str, rules: EgressRules, now: datetime) -> Attempt:
    body: str = row["payload"]
    key = str(row["id"])
    headers = {
        "content-type": "application/json",
        "user-agent": f"Tidewell/{__version__}",
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign(key, now, body),
    }
    try:
        with (
            httpx.Client(transport=PinnedTransport(rules), timeout=_TIMEOUT_SECONDS) as client,
            # What a receiver says beyond its status is of no interest, so its body is not read.
            client.stream("POST", row["url"], content=body, headers=headers) as answer,
        ):
            status = answer.status_code
    except (EgressRefused, HostNotFound) as error:
        return Attempt(None, error.message)
    except httpx.HTTPError as error:
        return Attempt(None, f"{type(error).__name__}: {error}"[:500])
    if 200 <= status < 300:
        return Attempt(status, None)
    return Attempt(status, f"The receiver answered {status}.")


def _next(attempts: int, now: datetime) -> datetime | None:
    """The time of the next try, somewhat scattered; None when the last one has been."""
    if attempts > len(_WAITS):
        return None
    return now + _WAITS[attempts - 1] * random.uniform(1, 1.2)  # noqa: S311 - no secret
