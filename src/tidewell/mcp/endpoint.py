"""Where the MCP server is reached: `/mcp`, for whoever has a token of a sub-account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tidewell.api.callers import AccountCaller
from tidewell.mcp.tools import make_server

PATH = "/mcp"


class _Handover(Response):
    """An answer that the MCP server gives itself."""

    def __init__(self, manager: StreamableHTTPSessionManager) -> None:
        super().__init__()
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the MCP server read the request and answer it."""
        await self._manager.handle_request(scope, receive, send)


@asynccontextmanager
async def serve_mcp(app: FastAPI) -> AsyncIterator[None]:
    """Serve MCP beside the API while the block lasts.

    Without sessions: any node answers any request, and each one is checked like a call of the API.
    """
    server = make_server(app)
    # The SDK makes its manager together with an application of its own, which nobody serves.
    server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        # A page that a browser was led to has no token, whatever host it names.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    manager: Any = server.session_manager

    async def mcp(caller: AccountCaller) -> Response:
        return _Handover(manager)

    app.add_api_route(
        PATH, mcp, methods=["GET", "POST", "DELETE"], include_in_schema=False, response_model=None
    )
    async with manager.run():
        yield
