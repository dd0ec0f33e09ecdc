"""Sends what has been written: signed, at least once, again and again for some days.

Any number of nodes may send: a delivery is leased while it is tried. Its receiver may see it twice
(the id stays the same), and never misses it while it answers within the last try.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import standardwebhooks
import structlog

from tidewell import __version__
from tidewell.clock import Clock
from tidewell.connections.sealing import SealingBox
from tidewell.egress import EgressRules
from tidewell.errors import TidewellError, Unavailable
from tidewell.sources.pinned import PinnedTransport
from tidewell.state.database import Database
from tidewell.state.statements import statements
from tidewell.webhooks.events import announce_late

_SQL = statements("tidewell.webhooks", "queries.sql")
_PERIOD_SECONDS = 1.0
_LATE_PERIOD_SECONDS = 15.0
_BATCH = 20
_MOST_OF_AN_ACCOUNT = 4
"""At a time: the receivers of one account hold up no other one."""
_TIMEOUT_SECONDS = 15.0
_END_SECONDS = 20.0
"""After these an attempt is over, also when a byte of the answer comes now and then."""
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


async def keep_sending(
    database: Database, sealing: SealingBox, rules: EgressRules, clock: Clock
) -> None:
    """Send until cancelled; while the database is away, try again each second."""
    looked = float("-inf")
    loop = asyncio.get_running_loop()
    sending: dict[asyncio.Task[None], UUID] = {}
    # Threads of its own: a receiver that keeps them all waiting keeps nobody else waiting.
    threads = ThreadPoolExecutor(_BATCH, thread_name_prefix="webhook")
    try:
        while True:
            try:
                if loop.time() - looked > _LATE_PERIOD_SECONDS:
                    looked = loop.time()
                    async with database.transaction() as connection:
                        await announce_late(connection, clock(), _BATCH)
                if len(sending) < _BATCH:
                    for row in await _due(database, clock(), sending.values()):
                        one = _send(database, sealing, rules, clock, row, threads)
                        sending[asyncio.create_task(one)] = row["account_id"]
            except Unavailable as error:
                log.warning("send_failed", reason=error.message)
            if not sending:
                await asyncio.sleep(_PERIOD_SECONDS)
                continue
            over, _ = await asyncio.wait(
                sending, timeout=_PERIOD_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for task in over:
                del sending[task]
    finally:
        # What is on its way is sent again when its lease is over.
        threads.shutdown(wait=False, cancel_futures=True)


async def _due(database: Database, now: datetime, sending: Iterable[UUID]) -> list[dict[str, Any]]:
    """Take what is due, of accounts of which not too many are on their way."""
    busy = Counter(sending)
    async with database.transaction() as connection:
        cursor = await connection.execute(
            _SQL["due_deliveries"],
            {
                "now": now,
                "lease": now + _LEASE,
                "limit": _BATCH - busy.total(),
                "most": _MOST_OF_AN_ACCOUNT,
                "busy": [account for account, n in busy.items() if n >= _MOST_OF_AN_ACCOUNT],
            },
        )
        return await cursor.fetchall()


async def _send(
    database: Database,
    sealing: SealingBox,
    rules: EgressRules,
    clock: Clock,
    row: dict[str, Any],
    threads: ThreadPoolExecutor,
) -> None:
    try:
        secret = sealing.open(row["sealed"], row["webhook_id"])
        loop = asyncio.get_running_loop()
        attempt = await loop.run_in_executor(threads, _post, row, secret, rules, clock())
    except Exception as error:
        log.exception("delivery_failed", delivery=str(row["id"]))
        attempt = Attempt(None, f"An error inside Tidewell ({type(error).__name__}).")
    now = clock()
    following = None if attempt.worked else _next(row["attempts"], now)
    try:
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
    except Unavailable as error:
        # It is sent once more when its lease is over.
        log.warning("delivery_not_noted", delivery=str(row["id"]), reason=error.message)


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
    transport = PinnedTransport(rules)
    end = threading.Timer(_END_SECONDS, transport.cut)
    end.start()
    try:
        with (
            httpx.Client(transport=transport, timeout=_TIMEOUT_SECONDS) as client,
            # What a receiver says beyond its status is of no interest, so its body is not read.
            client.stream("POST", row["url"], content=body, headers=headers) as answer,
        ):
            status = answer.status_code
    except TidewellError as error:
        return Attempt(None, error.message)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Attempt(None, f"{type(error).__name__}: {error}"[:500])
    finally:
        end.cancel()
    if 200 <= status < 300:
        return Attempt(status, None)
    return Attempt(status, f"The receiver answered {status}.")


def _next(attempts: int, now: datetime) -> datetime | None:
    """The time of the next try, somewhat scattered; None when the last one has been."""
    if attempts > len(_WAITS):
        return None
    return now + _WAITS[attempts - 1] * random.uniform(1, 1.2)  # noqa: S311 - no secret
