"""The HTTP side of an OData service: requests, retries, bounds, and errors in plain words."""

import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import httpx
import orjson

from tidewell import __version__, clock
from tidewell.errors import (
    SourceBroken,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    Stopped,
)
from tidewell.given import whole_number
from tidewell.sources.odata.login import login
from tidewell.sources.pinned import PinnedTransport, network_error
from tidewell.sources.protocol import Environment

LARGEST_ANSWER_BYTES = 256 * 2**20
"""Of one answer, unpacked: what a page of any service in its right mind stays far below."""

_ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 300.0
_SHOWN_BYTES = 4096
_CONNECT_SECONDS = 10.0
_SAFE = "$(),:'/"


class AnswerTooLarge(SourceBroken):
    """The service's answer is too large; give a smaller PageSize."""


class Client:
    """A service at its root. `cancel` may be called from another thread."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._root, self._query = _root(values["URL"])
        self._trace = environment.trace
        self._timeout = positive(values, "Timeout")
        self._stopping = threading.Event()
        self._custom = _custom_headers(values.get("CustomHeaders", ""))
        self._login = login(values)
        self._transport = PinnedTransport(environment.egress)
        self._client = httpx.Client(
            headers={"User-Agent": f"Tidewell/{__version__}"},
            timeout=httpx.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout)),
            follow_redirects=False,
            transport=self._transport,
        )

    def url(self, path: str, options: Mapping[str, str] | None = None) -> str:
        """The address of a resource with its query options."""
        pairs = [f"{name}={quote(value, safe=_SAFE)}" for name, value in (options or {}).items()]
        query = "&".join([*([self._query] if self._query else []), *pairs])
        return f"{self._root}{quote(path, safe='$')}" + (f"?{query}" if query else "")

    def next_url(self, url: str, context: str, link: str) -> str:
        """Where the next page is, which `url` answered with.

        A next link is relative to the context URL, else to the request's (OData JSON Format 4.01,
        4.5.1). It always goes to this service's own host, whatever it names: credentials are sent
        nowhere else, and services behind a proxy often name their inner host.
        """
        found = urlsplit(urljoin(urljoin(url, context), link))
        ours = urlsplit(self._root)
        if (found.scheme, found.netloc) != (ours.scheme, ours.netloc):
            self._trace(2, f"The next page's link names {found.netloc}; asked at {ours.netloc}.")
        return urlunsplit((ours.scheme, ours.netloc, found.path, found.query, ""))

    def get(self, url: str, headers: Mapping[str, str], *, patient: bool = True) -> bytes:
        """GET, when `patient` again where the service is busy or the network fails for a moment."""
        wait = _FIRST_WAIT_SECONDS
        attempt = 1
        while True:
            try:
                return self._asked(url, headers)
            except SourceUnavailable as error:
                asked_to_wait = error.retry_after or 0.0
                if not patient or attempt >= _ATTEMPTS or asked_to_wait > _LONGEST_WAIT_SECONDS:
                    raise
                pause = max(asked_to_wait, wait)
                self._trace(1, f"{error.message} Asking again in {pause:.1f} s.")
                if self._stopping.wait(pause):
                    raise Stopped from error
                wait *= 4
                attempt += 1

    def cancel(self) -> None:
        """End what is going on; it raises Stopped."""
        self._stopping.set()
        self._transport.cut()

    def close(self) -> None:
        """Close the connections."""
        self.cancel()
        self._client.close()

    def _asked(self, url: str, headers: Mapping[str, str]) -> bytes:
        started = time.monotonic()
        if self._stopping.is_set():
            raise Stopped
        try:
            answer, content = self._signed(url, headers, started)
            if answer.status_code == 401 and self._login.renew():
                answer, content = self._signed(url, headers, started)
        except (httpx.TransportError, httpx.DecodingError, SourceUnavailable) as error:
            if self._stopping.is_set():
                raise Stopped from error
            if isinstance(error, SourceUnavailable):
                raise
            if isinstance(error, httpx.DecodingError):
                raise SourceBroken("The service's answer cannot be unpacked.") from error
            raise network_error(error, urlsplit(url).netloc) from error
        milliseconds = (time.monotonic() - started) * 1000
        self._trace(2, f"GET {url} {answer.status_code} in {milliseconds:.0f} ms")
        shown = {n: v for n, v in answer.headers.items() if n.lower() != "set-cookie"}
        self._trace(3, f"{shown}\n{content[:_SHOWN_BYTES].decode(errors='replace')}")
        _check(answer, content)
        return content

    def _signed(
        self, url: str, headers: Mapping[str, str], started: float
    ) -> tuple[httpx.Response, bytes]:
        # Custom headers, which may be secrets, are the service's and not its login's.
        signed = httpx.Headers(self._custom)
        signed.update(headers)
        signed.update(self._login.headers(self._client))
        with self._client.stream("GET", url, headers=signed) as answer:
            return answer, self._content(answer, started)

    def _content(self, answer: httpx.Response, started: float) -> bytes:
        """The unpacked body, within the bounds of size and time."""
        pieces = []
        size = 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > LARGEST_ANSWER_BYTES:
                raise AnswerTooLarge(
                    f"An answer of {answer.url.host} is over {LARGEST_ANSWER_BYTES >> 20} MiB: "
                    "give a smaller PageSize."
                )
            if time.monotonic() - started > self._timeout:
                raise SourceUnavailable(
                    f"{answer.url.host} does not end its answer within {self._timeout} s: give a "
                    "smaller PageSize or a longer Timeout."
                )
            pieces.append(piece)
        return b"".join(pieces)


def _check(answer: httpx.Response, content: bytes) -> None:
    """Raise what an answer's status means."""
    status = answer.status_code
    if answer.is_success:
        return
    host = urlsplit(str(answer.url)).netloc
    if status == 401:
        said = _reason(answer, content)
        raise SourceRefused(f"{host} does not accept the credentials (401): {said}")
    if status == 403:
        raise SourceRefused(f"{host} does not allow this user to read it (403).")
    if status in (404, 410):
        raise SourceNotFound(
            f"{host} has nothing at {answer.url.path} ({status}): check URL, which is the "
            "service's root."
        )
    if status in (408, 429) or status >= 500:
        raise SourceUnavailable(
            f"{host} is busy or broken ({status}): {_reason(answer, content)}",
            retry_after=_seconds(answer.headers.get("retry-after", "")),
        )
    if answer.is_redirect:
        raise SourceBroken(
            f"{host} sends us on to {answer.headers.get('location', '')[:200]}: if that is "
            "right, give it as URL."
        )
    raise SourceBroken(f"{host} refuses the request ({status}): {_reason(answer, content)}")


def _root(url: str) -> tuple[str, str]:
    """The service's root with a slash at its end, and the options that its URL carries."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceRefused("URL must be the service's root, as https://host/odata/v4/sales.")
    if parts.username or parts.password:
        raise SourceRefused("URL must not hold credentials: use AuthScheme, User and Password.")
    path = parts.path.rstrip("/").removesuffix("/$metadata") + "/"
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), parts.query


def _custom_headers(text: str) -> dict[str, str]:
    headers = {}
    for line in text.replace("\\r\\n", "\n").replace("\\n", "\n").splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise SourceRefused("CustomHeaders: each line has to be Name: value.")
        if line.strip():
            headers[name.strip()] = value.strip()
    return headers


def positive(values: Mapping[str, str], name: str) -> int:
    number = whole_number(values[name], 1, 1_000_000)
    if number is None:
        raise SourceRefused(f"{name} must be a whole number from 1 to 1000000.")
    return number


def _reason(answer: httpx.Response, content: bytes) -> str:
    """What the service itself says (OData JSON Format 4.01, 21; a V2 message is an object)."""
    try:
        said = orjson.loads(content)["error"]["message"]
        said = said["value"] if isinstance(said, dict) else said
    except (ValueError, KeyError, TypeError):
        said = answer.reason_phrase
    return str(said)[:300]


def _seconds(text: str) -> float | None:
    """Retry-After in seconds: a number, or a date (RFC 9110, 10.2.3)."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - clock.now()).total_seconds())
    except (TypeError, ValueError):
        return None
