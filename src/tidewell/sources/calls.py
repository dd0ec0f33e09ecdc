"""Calls of a vendor's HTTP API: to judged addresses only, tried again, and ended at once."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from tidewell import __version__
from tidewell.errors import SourceError, SourceRefused, SourceUnavailable, Stopped
from tidewell.given import whole_number
from tidewell.sources.pinned import PinnedTransport, network_error
from tidewell.sources.protocol import Environment

T = TypeVar("T")

BUSY = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses of a service that is busy or broken: another try may be answered."""
_ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_CONNECT_SECONDS = 10.0
_LONGEST_TIMEOUT = 86_400


class Calls:
    """The way to one API. `cancel` may be called from another thread; `timeout` is in seconds."""

    def __init__(self, root: str, timeout: float, environment: Environment) -> None:
        self._host = urlsplit(root).netloc
        self._trace = environment.trace
        self._stopping = threading.Event()
        self._transport = PinnedTransport(environment.egress)
        self._client = httpx.Client(
            headers={"User-Agent": f"Tidewell/{__version__}", "Accept": "application/json"},
            timeout=httpx.Timeout(timeout, connect=min(_LONGEST_CONNECT_SECONDS, timeout)),
            follow_redirects=False,
            transport=self._transport,
        )

    def send(self, method: str, url: str, **request: Any) -> httpx.Response:
        """Send one request. Raises SourceUnavailable, SourceRefused, Stopped."""
        self.check()
        started = time.monotonic()
        try:
            answer = self._client.request(method, url, **request)
        except (httpx.TransportError, SourceError) as error:
            if self._stopping.is_set():
                raise Stopped from error
            if isinstance(error, SourceError):
                raise
            raise network_error(error, self._host) from error
        milliseconds = (time.monotonic() - started) * 1000
        self._trace(2, f"{method} {url} {answer.status_code} in {milliseconds:.0f} ms")
        return answer

    def tried(self, call: Callable[[], T]) -> T:
        """A call, made again while its SourceUnavailable names a `retry_after`."""
        wait = _FIRST_WAIT_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return call()
            except SourceUnavailable as error:
                if attempt == _ATTEMPTS or error.retry_after is None:
                    raise
                pause = max(wait, error.retry_after)
                self._trace(1, f"{error.message} Asking again in {pause:.1f} s.")
                self.sleep(pause)
                wait *= 4
        raise SourceUnavailable

    def sleep(self, seconds: float) -> None:
        """Wait. Raises Stopped as soon as it is cancelled."""
        self._stopping.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raises Stopped where it has been cancelled."""
        if self._stopping.is_set():
            raise Stopped

    def cancel(self) -> None:
        """End what is going on, and allow nothing else; it raises Stopped."""
        self._stopping.set()
        self._transport.cut()

    def close(self) -> None:
        """Close the connections."""
        self.cancel()
        self._client.close()


def busy(vendor: str, answer: httpx.Response, said: str) -> SourceUnavailable:
    """The error of a service that is busy or broken, with the seconds that it asks to wait."""
    text = answer.headers.get("retry-after", "")
    wait = float(text) if text.isascii() and text.isdigit() else 0.0
    return SourceUnavailable(
        f"{vendor} is busy or broken ({answer.status_code}): {said}", retry_after=wait
    )


def checked_root(
    url: str, environment: Environment, vendor: str, own: Callable[[str], bool]
) -> str:
    """The root of an API that credentials may be sent to: the vendor's `own` host, or one that the
    operator lists. Raises SourceRefused."""
    root = url.strip().rstrip("/")
    parts = urlsplit(root)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.username:
        raise SourceRefused("URL must be the API's root, as https://host.")
    if own(host) and parts.scheme == "https":
        return root
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not environment.egress.lists(host, port):
        # Credentials open a whole account: they are not sent wherever a connection says.
        raise SourceRefused(
            f"{host} is no host of {vendor}'s; the operator can allow it with "
            "TIDEWELL_EGRESS_ALLOW."
        )
    return root


def seconds(values: Mapping[str, str]) -> int:
    """The Timeout of a connection. Raises SourceRefused."""
    number = whole_number(values["Timeout"], 1, _LONGEST_TIMEOUT)
    if number is None:
        raise SourceRefused(f"Timeout must be a number from 1 to {_LONGEST_TIMEOUT}.")
    return number
