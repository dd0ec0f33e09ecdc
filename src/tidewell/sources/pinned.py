"""HTTP to addresses that the egress rules allow, each name resolved once."""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx

from tidewell.egress import EgressRefused, EgressRules, HostNotFound
from tidewell.errors import SourceRefused, SourceUnavailable

_OPENED = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class PinnedTransport(httpx.HTTPTransport):
    """Connects to the judged address; TLS and the Host header still go by the name.

    `cut` may be called from another thread: closing a socket wakes nobody who waits for its bytes,
    shutting it down does.
    """

    def __init__(self, rules: EgressRules) -> None:
        super().__init__()
        self._rules = rules
        self._addresses: dict[tuple[str, int], str] = {}
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises SourceUnavailable, SourceRefused, httpx.TransportError."""
        if self._is_cut:
            raise httpx.ReadError("The connection was cut.", request=request)
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        key = (url.host, port)
        if key not in self._addresses:
            try:
                self._addresses[key] = self._rules.resolve(*key)
            except HostNotFound as error:
                raise SourceUnavailable(f"{error.message} Check the address.") from None
            except EgressRefused as error:
                raise SourceRefused(error.message) from None
        return super().handle_request(
            httpx.Request(
                request.method,
                url.copy_with(host=self._addresses[key]),
                headers=request.headers,
                stream=request.stream,
                extensions={
                    **request.extensions,
                    "sni_hostname": url.host,
                    "trace": self._remember,
                },
            )
        )

    def cut(self) -> None:
        """End every request that is going on, and allow no other: they raise TransportErrors."""
        with self._lock:
            self._is_cut = True
            for one in self._sockets:
                _shut(one)

    def _remember(self, event: str, info: Mapping[str, Any]) -> None:
        """Keep each socket that a request opens (HTTP Core's extension `trace`)."""
        if event in _OPENED:
            opened = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._sockets = {one for one in self._sockets if one.fileno() != -1} | {opened}
                if self._is_cut:
                    _shut(opened)


def network_error(error: httpx.TransportError, host: str) -> SourceUnavailable:
    """What is wrong with the way to a host, in plain words."""
    text = str(error)
    if isinstance(error, httpx.TimeoutException):
        return SourceUnavailable(f"{host} does not answer in time.")
    if "refused" in text:
        return SourceUnavailable(f"{host} refused the connection: check the address.")
    if "CERTIFICATE" in text or "SSL" in text:
        return SourceUnavailable(f"TLS with {host} fails: {text[:200]}")
    return SourceUnavailable(
        f"The connection to {host} failed: {text[:200] or type(error).__name__}"
    )


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        # The socket below: to say goodbye in TLS would wait for the other side.
        socket.socket.shutdown(one, socket.SHUT_RDWR)
