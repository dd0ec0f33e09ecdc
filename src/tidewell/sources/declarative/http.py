"""Every HTTP request that the CDK makes for a source: judged, pinned, bounded, tried again, told.

The CDK and the parts of a connector make their own `requests` sessions, in many places (streams,
tokens, logins, components in Python). So the hook is where all of them pass: `get_adapter` of the
session, which is asked for each request and each redirect. While a source is `active` in a thread,
its sessions get this source's adapter, whatever else was mounted, and nothing of the machine's own
environment (proxies, .netrc).
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from tidewell import clock
from tidewell.egress import EgressRefused, EgressRules, HostNotFound
from tidewell.errors import SourceBroken, SourceRefused, SourceUnavailable, Stopped
from tidewell.sources.protocol import Trace

ATTEMPTS = 4
LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes, decompressed. A page is held in memory while its records are built into columns."""
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_SHOWN_BYTES = 4096
_CHUNK_BYTES = 256 * 1024
_BUSY = frozenset({408, 429, 500, 502, 503, 504})

_active: ContextVar["Http | None"] = ContextVar("tidewell_declarative_http", default=None)


def active() -> "Http | None":
    """The HTTP side of the source that works in this thread."""
    return _active.get()


class Http:
    """The requests of one open source. `cancel` may be called from another thread.

    `own_statuses` are the error statuses that the manifest itself says what to do with; they are
    handed to it at once, and not tried again here. `headers` go with each request to the host of
    `headers_for`, never less safely than that address says, and to no other host that an answer
    sends us to. No header that `private` names goes to another host either, whoever set it.
    """

    def __init__(
        self,
        rules: EgressRules,
        trace: Trace,
        masked: Callable[[str], str],
        *,
        own_statuses: frozenset[int] = frozenset(),
        timeout: float,
        connections: int,
        headers: Mapping[str, str] | None = None,
        headers_for: str = "",
        private: Iterable[str] = (),
    ) -> None:
        _hook()
        self._headers = dict(headers or {})
        self._headers_for = urlsplit(headers_for)
        self._private = tuple(private)
        self.attempts = 1
        self.trace = trace
        self.masked = masked
        self._own_statuses = own_statuses
        self._timeout = (min(_CONNECT_SECONDS, timeout), timeout)
        self._stopping = threading.Event()
        self._open: WeakSet[Any] = WeakSet()
        self._last = threading.local()
        self._slots = threading.BoundedSemaphore(connections)
        self.adapter = _Adapter(self, rules, connections)

    @contextmanager
    def active(self) -> Iterator[None]:
        """The requests of this thread are this source's while the context lasts."""
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    @property
    def stopping(self) -> threading.Event:
        """Set once the source is cancelled or closed."""
        return self._stopping

    @property
    def last_answer(self) -> "requests.Response | None":
        """The last answer that this thread got."""
        return getattr(self._last, "answer", None)

    @property
    def received(self) -> int:
        """Bytes of answers that this thread got since it last said `handed_over`."""
        return int(getattr(self._last, "received", 0))

    def handed_over(self) -> None:
        """What this thread received is no longer its burden."""
        self._last.received = 0

    def cancel(self) -> None:
        """End what is going on, also a request that waits for its answer; it raises Stopped."""
        self._stopping.set()
        for connection in list(self._open):
            with suppress(OSError, AttributeError, ValueError):
                # Past TLS's own shutdown, which would wait for the other side.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connections."""
        self._stopping.set()
        self.adapter.close()

    def opened(self, connection: Any) -> None:
        """Remember a connection, so that `cancel` finds it."""
        self._open.add(connection)

    def send(
        self, request: requests.PreparedRequest, once: Callable[[], requests.Response]
    ) -> requests.Response:
        """Send a request, again where the service is busy or the network fails for a moment.

        Raises SourceUnavailable, SourceRefused (egress rules), SourceBroken (too large), Stopped.
        """
        wait = _FIRST_WAIT_SECONDS
        if self._headers_for.netloc:
            self._sign(request)
        for attempt in range(1, self.attempts + 1):
            with self._slots:
                outcome = self._once(request, once)
            if isinstance(outcome, requests.Response):
                self._last.answer = outcome
                return outcome
            if attempt == self.attempts or request.method not in ("GET", "HEAD", "POST"):
                raise outcome
            pause = min(max(outcome.retry_after or wait, wait), _LONGEST_WAIT_SECONDS)
            self.trace(1, self.masked(f"{outcome.message} Asking again in {pause:.1f} s."))
            if self._stopping.wait(pause):
                raise Stopped
            wait *= 4
        raise SourceUnavailable

    def _sign(self, request: requests.PreparedRequest) -> None:
        """Add the headers, or take away what a redirect copied from the request before."""
        address = urlsplit(request.url or "")
        if address.netloc.lower() != self._headers_for.netloc.lower():
            copied = [n for n, value in self._headers.items() if request.headers.get(n) == value]
            for name in (*copied, *self._private):
                request.headers.pop(name, None)
            return
        if (address.scheme, self._headers_for.scheme) == ("http", "https"):
            # What writes the link, or redirects, stands behind a proxy that does TLS for it.
            request.url = urlunsplit(address._replace(scheme="https"))
        request.headers.update(self._headers)

    def _once(
        self, request: requests.PreparedRequest, once: Callable[[], requests.Response]
    ) -> "requests.Response | SourceUnavailable":
        """One attempt: an answer, or the reason to try again."""
        if self._stopping.is_set():
            raise Stopped
        host = urlsplit(request.url or "").netloc.rpartition("@")[2]
        started = time.monotonic()
        try:
            answer = once()
        except (requests.RequestException, OSError) as error:
            if self._stopping.is_set():
                raise Stopped from error
            return _network_error(error, host)
        except EgressRefused as error:
            raise SourceRefused(error.message) from None
        except HostNotFound as error:
            return SourceUnavailable(error.message)
        self._tell(request, answer, time.monotonic() - started)
        if answer.status_code in _BUSY and answer.status_code not in self._own_statuses:
            return SourceUnavailable(
                self.masked(f"{host} is busy or broken ({answer.status_code}): {reason(answer)}"),
                retry_after=_retry_after(answer.headers.get("retry-after", "")),
            )
        return answer

    def whole(self, answer: requests.Response) -> requests.Response:
        """Read an answer to its end, within its bound."""
        parts, size = [], 0
        for part in answer.iter_content(_CHUNK_BYTES):
            if self._stopping.is_set():
                raise Stopped
            size += len(part)
            if size > LARGEST_ANSWER:
                answer.close()
                raise SourceBroken(
                    f"{urlsplit(answer.url).netloc} gave an answer of more than "
                    f"{LARGEST_ANSWER // 1024 // 1024} MiB; ask for smaller pages."
                )
            parts.append(part)
        self._last.received = self.received + size
        answer._content = b"".join(parts)
        answer._content_consumed = True
        return answer

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds for the connection and for each part of an answer."""
        return self._timeout

    def _tell(
        self, request: requests.PreparedRequest, answer: requests.Response, seconds: float
    ) -> None:
        self.trace(
            2,
            self.masked(
                f"{request.method} {request.url} {answer.status_code} in {seconds * 1000:.0f} ms"
            ),
        )
        shown = {n: v for n, v in answer.headers.items() if n.lower() != "set-cookie"}
        body = (answer.content if answer._content_consumed else b"")[:_SHOWN_BYTES]
        self.trace(3, self.masked(f"{shown}\n{body.decode(errors='replace')}"))


class _Adapter(HTTPAdapter):  # type: ignore[misc] # requests has no types
    """Connects to judged addresses, each name resolved once for each connection."""

    def __init__(self, http: Http, rules: EgressRules, connections: int) -> None:
        super().__init__(pool_connections=10, pool_maxsize=connections)
        self._http = http
        self.poolmanager.pool_classes_by_scheme = _pools(http, rules)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, never over a proxy."""
        trusted = verify is True and (
            os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
        )
        plain = super().send

        def once() -> requests.Response:
            answer = plain(
                request,
                stream=True,
                timeout=timeout or self._http.timeout,
                verify=trusted or verify,
                cert=cert,
            )
            return answer if stream else self._http.whole(answer)

        return self._http.send(request, once)


def _pools(http: Http, rules: EgressRules) -> dict[str, type]:
    class Pinned(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, super()._new_conn)

    class PinnedTLS(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, super()._new_conn)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Pinned

    class PoolTLS(HTTPSConnectionPool):
        ConnectionCls = PinnedTLS

    def _connected(connection: Any, connect: Callable[[], socket.socket]) -> socket.socket:
        """Connect to the judged address; the Host header and TLS still go by the name."""
        name = connection._dns_host
        connection._dns_host = rules.resolve(name.strip("[]").rstrip("."), connection.port)
        http.opened(connection)
        try:
            return connect()
        finally:
            connection._dns_host = name

    return {"http": Pool, "https": PoolTLS}


@cache
def _hook() -> None:
    """Let every session of this process ask for the active source's adapter first."""
    plain_adapter = requests.Session.get_adapter
    plain_init = requests.Session.__init__

    def get_adapter(self: requests.Session, url: str) -> Any:
        http = _active.get()
        if http is None or not url.lower().startswith(("http://", "https://")):
            return plain_adapter(self, url)
        return http.adapter

    def init(self: requests.Session, *arguments: Any, **named: Any) -> None:
        plain_init(self, *arguments, **named)
        if _active.get() is not None:
            self.trust_env = False

    requests.Session.get_adapter = get_adapter
    requests.Session.__init__ = init


def reason(answer: requests.Response) -> str:
    """What a service itself says about an error, short."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    for name in ("detail", "message", "error_description", "error", "title", "msg", "errors"):
        while isinstance(said, dict) and isinstance(said.get(name), dict):
            said = said[name]
        if isinstance(said, dict) and said.get(name):
            return " ".join(str(said[name]).split())[:300]
    return str(answer.reason or "no reason given")[:300]


def _network_error(error: Exception, host: str) -> SourceUnavailable:
    text = str(error)
    if isinstance(error, requests.ReadTimeout | requests.ConnectTimeout) or "timed out" in text:
        return SourceUnavailable(f"{host} does not answer in time.")
    if "refused" in text:
        return SourceUnavailable(f"{host} refused the connection: check the address.")
    if "CERTIFICATE" in text or "SSL" in text:
        return SourceUnavailable(f"TLS with {host} fails; check the address and its certificate.")
    return SourceUnavailable(f"The connection to {host} failed ({type(error).__name__}).")


def _retry_after(text: str) -> float | None:
    """Retry-After in seconds, or until a date (RFC 9110, 10.2.3)."""
    if text.isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - clock.now()).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
