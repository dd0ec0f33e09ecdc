"""Request bodies: JSON as RFC 8259 has it, without NaN, infinities and lone surrogates.

Python's own parser lets those in, and nothing behind it could store or send them.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute


class _StrictRequest(Request):
    async def json(self) -> Any:
        """The body. Raises orjson.JSONDecodeError, which is a json.JSONDecodeError."""
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    """A route whose body is parsed strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, over a request that parses strictly."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
