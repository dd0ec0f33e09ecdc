"""Around every request: an id, a limit on the body, a line in the log, and no error that leaks."""

import asyncio
import re
import time
from contextlib import suppress
from uuid import uuid4

import orjson
import structlog
from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidewell import tracing
from tidewell.api.errors import error_body
from tidewell.errors import PayloadTooLarge, TidewellError
from tidewell.metrics import REQUEST_SECONDS

LARGEST_BODY = 1 << 20
_MOST_DRAINED = 32 << 20
_DRAIN_SECONDS = 5
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_PAGES = "/oem/"
_WITH_BODY = {"POST", "PUT", "PATCH"}
_NAMED = ("job_id", "run_id", "connection_id", "webhook_id")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

log = structlog.get_logger()


class Around:
    """The outermost layer; inside it nothing can fail without an answer in the right shape."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        exchange = _Exchange(receive, send, request_id, waits="expect" in headers)
        began = time.perf_counter()
        try:
            refusal = _refusal(scope, headers)
            if refusal is None:
                await self._traced(scope, headers, exchange)
            else:
                await exchange.refuse(*refusal)
        except PayloadTooLarge as error:
            await exchange.refuse(413, error.code, error.message)
        except Exception as error:
            log.exception("request_broke", kind=type(error).__name__)
            await exchange.refuse(500, TidewellError.code, TidewellError().message)
        finally:
            seconds = time.perf_counter() - began
            labels = (_method(scope), _route(scope), exchange.status)
            REQUEST_SECONDS.labels(*labels).observe(seconds)
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=exchange.status,
                ms=round(seconds * 1000, 1),
                **_ids(scope),
            )

    async def _traced(self, scope: Scope, headers: Headers, exchange: "_Exchange") -> None:
        parent = {"traceparent": headers.get("traceparent", "")}
        method = _method(scope)
        with tracing.span(method, parent=parent, kind=SpanKind.SERVER) as made:
            try:
                await self._app(scope, exchange.receive, exchange.send)
            finally:
                made.update_name(f"{method} {_route(scope)}")
                made.set_attribute("http.response.status_code", exchange.status)


class _Exchange:
    """One request's messages: counts what comes, and marks what goes."""

    def __init__(self, receive: Receive, send: Send, request_id: str, *, waits: bool) -> None:
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._waits = waits
        self._received = 0
        self.status = 0

    async def receive(self) -> Message:
        """The next part of the request. Raises PayloadTooLarge past the limit."""
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > LARGEST_BODY:
            raise PayloadTooLarge
        return message

    async def send(self, message: Message) -> None:
        """The next part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message["headers"])
            headers["x-request-id"] = self._request_id
            headers["x-content-type-options"] = "nosniff"
            headers.setdefault("cache-control", "no-store")
        await self._send(message)

    async def _drain(self) -> None:
        """Take in what a client is still sending, within bounds.

        One that is answered and cut off in the middle of its body sees a broken connection, and
        never reads why.
        """
        if self._waits:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._received <= _MOST_DRAINED:
                    message = await self._receive()
                    self._received += len(message.get("body", b""))
                    if not message.get("more_body"):
                        return

    async def refuse(self, status: int, code: str, message: str) -> None:
        """Answer with an error, unless an answer has begun."""
        if self.status:
            return
        if status == 413:
            await self._drain()
        body = orjson.dumps(error_body(code, message, self._request_id))
        await self.send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", str(len(body)).encode()),
                    # What is left of the request's body is not read.
                    (b"connection", b"close"),
                ],
            }
        )
        await self._send({"type": "http.response.body", "body": body})


def _route(scope: Scope) -> str:
    """The path with its parameters unfilled; none where there is no such path."""
    return getattr(scope.get("route"), "path", "none")


def _method(scope: Scope) -> str:
    """The method as a label: what a client invents is not one."""
    return scope["method"] if scope["method"] in _METHODS else "other"


def _refusal(scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
    """Why a request is refused before anything looks at it."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > LARGEST_BODY:
        return 413, PayloadTooLarge.code, PayloadTooLarge().message
    has_body = length not in ("", "0") or "transfer-encoding" in headers
    if scope["method"] in _WITH_BODY and has_body:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["path"].startswith(_PAGES):
            if kind != "application/x-www-form-urlencoded":
                return 415, "UNSUPPORTED_MEDIA_TYPE", "Send the form as a browser does."
        elif kind and kind != "application/json" and not kind.endswith("+json"):
            return 415, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json."
    return None


def _ids(scope: Scope) -> dict[str, str]:
    """The ids of what a request is about, as its path names them."""
    given = scope.get("path_params", {})
    return {name: str(given[name]) for name in _NAMED if name in given}
