"""`tidewell serve` and `tidewell worker`: the long-running processes."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from tidewell import logs, tracing
from tidewell.cli.node import Node, background, open_node, until_signal
from tidewell.errors import TidewellError
from tidewell.lean import keep_pandas_out
from tidewell.settings import Settings
from tidewell.sources.warming import warm_up
from tidewell.state.opened import allow_own_server, state_url
from tidewell.state.schema import upgrade

_GRACE_SECONDS = 5
# Longer than clients and proxies commonly keep an idle connection (60 s), so that they close it:
# a request sent into one that this side is closing would be lost.
_KEEP_ALIVE_SECONDS = 75

log = structlog.get_logger()


def set_up_logs(settings: Settings) -> None:
    """Log as the operator wants it; to a person at a terminal in colour."""
    logs.set_up(settings.log, pretty=sys.stderr.isatty())


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process has other things to end as well."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # uvicorn leaves it untyped
        yield


@asynccontextmanager
async def http(node: Node, host: str, port: int) -> AsyncIterator[str]:
    """Serve the API and give its address. Raises TidewellError when the port is taken."""
    # Imported here: a worker serves no API, and starts a second earlier without it.
    from tidewell import pages  # noqa: PLC0415
    from tidewell.api.app import create_app  # noqa: PLC0415
    from tidewell.mcp import serve_mcp  # noqa: PLC0415

    app = create_app(node)
    app.include_router(pages.router)
    # Before anything of the MCP server stands, which would wrap the error of a port that is taken.
    listener = listen(host, port)
    try:
        async with serve_mcp(app), _served(app, host, listener) as address:
            warming = asyncio.create_task(asyncio.to_thread(warm_up))
            yield address
            await warming
    finally:
        listener.close()


@asynccontextmanager
async def _served(app: FastAPI, host: str, listener: socket.socket) -> AsyncIterator[str]:
    config = uvicorn.Config(
        app,
        host=host,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        while not server.started:
            if serving.done():
                serving.result()
                raise TidewellError("The HTTP server ended while it was starting.")
            await asyncio.sleep(0.01)
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    It names its protocol, and so do the connections that it accepts: only on those does asyncio
    set TCP_NODELAY. Without it an answer's body waits for the acknowledgement of its head, some
    40 ms where the client delays that.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise TidewellError(
            f"Cannot listen on {host}:{port} ({error.strerror}): end what uses it, or choose "
            "another with --port."
        ) from error
    return listener


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
