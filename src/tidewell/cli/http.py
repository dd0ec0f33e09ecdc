"""The API of a node over HTTP."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from tidewell import pages
from tidewell.api.app import create_app
from tidewell.cli.node import Node
from tidewell.errors import TidewellError
from tidewell.mcp import serve_mcp
from tidewell.sources import registry

_GRACE_SECONDS = 5
# Longer than clients and proxies commonly keep an idle connection (60 s), so that they close it:
# a request sent into one that this side is closing would be lost.
_KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process has other things to end as well."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # uvicorn leaves it untyped
        yield


@asynccontextmanager
async def http(node: Node, host: str, port: int) -> AsyncIterator[str]:
    """Serve the API and give its address. Raises TidewellError when the port is taken."""
    app = create_app(node)
    app.include_router(pages.router)
    # Before anything of the MCP server stands, which would wrap the error of a port that is taken.
    listener = listen(host, port)
    try:
        async with serve_mcp(app), _served(app, host, listener) as address:
            warming = asyncio.create_task(_warm_up(node))
            try:
                yield address
            finally:
                warming.cancel()
                await asyncio.wait([warming])
    finally:
        listener.close()


async def _warm_up(node: Node) -> None:
    """Do what the first call would wait for."""
    await asyncio.to_thread(registry.look_around)
    await node.discovery.warm_up()


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
