"""A node: what one process of Tidewell runs, put together."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from tidewell import clock, scratch
from tidewell.connections.sealing import SealingBox
from tidewell.discovery.asking import Discovery
from tidewell.egress import EgressRules
from tidewell.query.processes import QueryProcesses
from tidewell.runs.queue import Queue
from tidewell.runs.retention import keep_forgetting
from tidewell.runs.settling import Settling
from tidewell.runs.sweeper import keep_sweeping
from tidewell.runs.ticker import keep_ticking
from tidewell.runs.worker import keep_working
from tidewell.settings import Settings
from tidewell.sources import registry
from tidewell.state.database import Database
from tidewell.state.opened import pooler_url
from tidewell.webhooks.sender import keep_sending

_SPARE_CONNECTIONS = 8

log = structlog.get_logger()


@dataclass(frozen=True)
class Node:
    """The open parts that the API and the background duties share."""

    settings: Settings
    database: Database
    queue: Queue
    sealing: SealingBox
    queries: QueryProcesses
    discovery: Discovery

    @property
    def egress(self) -> EgressRules:
        """Which addresses may be reached for customers."""
        return EgressRules.parse(self.settings.egress_allow)


@asynccontextmanager
async def open_node(settings: Settings, url: str) -> AsyncIterator[Node]:
    """Connect to the state database at `url` and unlock the secrets."""
    registry.use_manifests(settings.manifests.resolve() if settings.manifests else None)
    sealing = SealingBox.from_settings(settings)
    database = Database(
        url,
        pooler_url=pooler_url(settings),
        max_size=settings.run_concurrency + _SPARE_CONNECTIONS,
    )
    async with database:
        queue = Queue(database, settings.account_concurrency)
        await queue.open()
        queries = QueryProcesses(
            at_once=settings.query_concurrency,
            for_one_account=settings.query_account_concurrency,
        )
        discovery = Discovery(settings)
        try:
            yield Node(settings, database, queue, sealing, queries, discovery)
        finally:
            await discovery.close()
            await queries.close()
            await queue.close()


@asynccontextmanager
async def background(node: Node, *, worker: bool, ticker: bool) -> AsyncIterator[None]:
    """Run the duties of a node until the block ends."""
    scratch.sweep()
    duties: dict[str, Coroutine[Any, Any, None]] = {}
    if ticker:
        settling = Settling(node.database, node.sealing, node.settings)
        duties["ticker"] = keep_ticking(node.database, node.queue, clock.now)
        duties["sweeper"] = keep_sweeping(node.database, node.queue, settling.settle, clock.now)
        duties["retention"] = keep_forgetting(node.database, node.settings, clock.now)
        duties["sender"] = keep_sending(node.database, node.sealing, node.egress, clock.now)
    if worker:
        duties["worker"] = keep_working(
            node.database, node.queue, node.sealing, node.settings, clock.now
        )
    tasks = [asyncio.create_task(duty, name=name) for name, duty in duties.items()]
    for task in tasks:
        task.add_done_callback(_tell)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell(task: "asyncio.Task[None]") -> None:
    """A duty never ends by itself: when one does, the process must not look healthy."""
    if task.cancelled():
        return
    log.critical("duty_ended", duty=task.get_name(), exc_info=task.exception())
    signal.raise_signal(signal.SIGTERM)


async def until_signal() -> None:
    """Wait for SIGINT or SIGTERM."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    with contextlib.suppress(asyncio.CancelledError):
        await ended.wait()
