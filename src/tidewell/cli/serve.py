"""`tidewell serve`, `worker` and `ticker`: the long-running processes."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from tidewell import logs, tracing
from tidewell.cli.node import Node, background, open_node, until_signal
from tidewell.lean import keep_pandas_out
from tidewell.settings import Settings
from tidewell.state.opened import allow_own_server, state_url
from tidewell.state.schema import upgrade

log = structlog.get_logger()


def set_up_logs(settings: Settings) -> None:
    """Log as the operator wants it; to a person at a terminal in colour."""
    logs.set_up(settings.log, pretty=sys.stderr.isatty())


def run(
    settings: Settings,
    *,
    host: str | None = None,
    port: int = 0,
    worker: bool = True,
    ticker: bool = True,
    beside: Callable[[Node, str], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Run one process until SIGINT or SIGTERM; without `host` there is no API.

    `beside` runs when the API answers, and may go on for as long as the process does.
    """
    keep_pandas_out()
    tracing.set_up()
    with state_url(settings) as url:
        settings = allow_own_server(settings, url)
        upgrade(url)
        asyncio.run(_run(settings, url, host, port, worker, ticker, beside))


async def _run(
    settings: Settings,
    url: str,
    host: str | None,
    port: int,
    worker: bool,
    ticker: bool,
    beside: Callable[[Node, str], Coroutine[Any, Any, None]] | None,
) -> None:
    stopping = asyncio.create_task(until_signal())
    await asyncio.sleep(0)  # the handlers stand before anything is started that has to be ended
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(open_node(settings, url))
        await stack.enter_async_context(background(node, worker=worker, ticker=ticker))
        address = ""
        if host is not None:
            from tidewell.cli.http import http  # noqa: PLC0415 - most of a node; a worker has none

            address = await stack.enter_async_context(http(node, host, port))
        log.info("started", address=address, worker=worker, ticker=ticker)
        if beside is not None:
            aside = asyncio.create_task(beside(node, address))
            done, _ = await asyncio.wait([aside, stopping], return_when=asyncio.FIRST_COMPLETED)
            if aside in done:
                aside.result()
            else:
                aside.cancel()
                await asyncio.gather(aside, return_exceptions=True)
        await stopping
        log.info("stopping")
    log.info("stopped")
