"""Where the MCP server is reached: `/mcp`, for whoever has a token of a sub-account."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tidewell.api.callers import AccountCaller

PATH = "/mcp"


class _Handover(Response):
    """An answer that the MCP server gives itself."""

    def __init__(self, manager: Any) -> None:
        super().__init__()
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the MCP server read the request and answer it."""
        await self._manager.handle_request(scope, receive, send)


@asynccontextmanager
async def serve_mcp(app: FastAPI) -> AsyncIterator[None]:
    """Serve MCP beside the API while the block lasts, from the first request on.

    To read the SDK is a fourth of the time in which a node starts, and a tenth of its memory; many
    nodes are never asked.
    """
    asked = asyncio.Event()
    ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        await asked.wait()
        try:
            tools: Any = await asyncio.to_thread(import_module, "tidewell.mcp.tools")
            manager = tools.make_manager(app)
            # What has begun it has to end it: not the request, nor the block.
            async with manager.run():
                ready.set_result(manager)
                await asyncio.Event().wait()
        except Exception as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    async def mcp(caller: AccountCaller) -> Response:
        asked.set()
        return _Handover(await asyncio.shield(ready))

    app.add_api_route(
        PATH, mcp, methods=["GET", "POST", "DELETE"], include_in_schema=False, response_model=None
    )
    running = asyncio.create_task(run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
