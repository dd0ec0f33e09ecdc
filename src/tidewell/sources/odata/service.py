"""The HTTP side of an OData service: requests, retries, pages, and errors in plain words."""

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import httpx
import orjson

from tidewell import __version__
from tidewell.errors import (
    SourceBroken,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    Stopped,
)
from tidewell.sources.pinned import PinnedTransport, network_error
from tidewell.sources.protocol import Environment

_ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 60.0
_SHOWN_BYTES = 4096
_CONNECT_SECONDS = 10.0
_JSON = "application/json;odata.metadata=minimal;IEEE754Compatible=true"


@dataclass(frozen=True)
class Page:
    """One page of an entity set: its rows as JSON objects, and where the next one is."""

    rows: list[dict[str, Any]]
    next_url: str | None
    content: bytes

    def digit_by_digit(self) -> list[dict[str, Any]]:
        """The rows once more, with fractions as they are written: a service that writes decimals
        as numbers, although strings were asked for, would lose digits in binary floats."""
        rows: list[dict[str, Any]] = json.loads(self.content, parse_float=_Digits)["value"]
        return rows


class Service:
    """A service at its root. `cancel` may be called from another thread."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._root, self._query = _root(values["URL"])
        self._trace = environment.trace
        self._page_size = _positive(values, "PageSize")
        self._stopping = threading.Event()
        self._transport = PinnedTransport(environment.egress)
        self._client = httpx.Client(
            headers={
                "User-Agent": f"Tidewell/{__version__}",
                "OData-MaxVersion": "4.01",
                **_custom_headers(values.get("CustomHeaders", "")),
                **_authorization(values),
            },
            timeout=httpx.Timeout(_positive(values, "Timeout"), connect=_CONNECT_SECONDS),
            follow_redirects=False,
            transport=self._transport,
        )

    def metadata(self) -> bytes:
        """The service's $metadata document."""
        return self._get(self._url("$metadata"), {"Accept": "application/xml"}).content

    def document(self) -> None:
        """Ask for the service document, which proves that the credentials are accepted."""
        self._get(self._url(""), {"Accept": _JSON})

    def pages(self, entity_set: str, options: Mapping[str, str]) -> Iterator[Page]:
        """The pages of an entity set. While one is worked on, the next is on its way."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="odata-page") as ahead:
            seen = {first := self._url(quote(entity_set), options)}
            coming = ahead.submit(self._page, first)
            while True:
                page = coming.result()
                following = page.next_url
                if following is not None:
                    if following in seen:
                        raise SourceBroken("The service's pages go round in a circle.")
                    seen.add(following)
                    coming = ahead.submit(self._page, following)
                yield page
                if following is None:
                    return

    def cancel(self) -> None:
        """End what is going on; it raises Stopped."""
        self._stopping.set()
        self._transport.cut()

    def close(self) -> None:
        """Close the connections."""
        self._stopping.set()
        self._transport.cut()
        self._client.close()

    def _page(self, url: str) -> Page:
        headers = {"Accept": _JSON, "Prefer": f"odata.maxpagesize={self._page_size}"}
        answer = self._get(url, headers, attempts=_ATTEMPTS)
        body = _decoded(answer)
        rows = body.get("value") if isinstance(body, dict) else None
        if not isinstance(rows, list):
            raise SourceBroken("The service's answer has no list of rows ('value').")
        link = body.get("@odata.nextLink") or body.get("@nextLink")
        context = body.get("@odata.context") or body.get("@context") or ""
        following = self._next(url, context, link) if link else None
        return Page(rows, following, answer.content)

    def _next(self, url: str, context: str, link: str) -> str:
        """A next link is relative to the context URL, else to the request's (OData JSON Format
        4.01, 4.5.1). It always goes to this service's own host, whatever it names: credentials
        are sent nowhere else, and services behind a proxy often name their inner host."""
        found = urlsplit(urljoin(urljoin(url, context), link))
        ours = urlsplit(self._root)
        if (found.scheme, found.netloc) != (ours.scheme, ours.netloc):
            self._trace(2, f"The next page's link names {found.netloc}; asked at {ours.netloc}.")
        return urlunsplit((ours.scheme, ours.netloc, found.path, found.query, ""))

    def _url(self, path: str, options: Mapping[str, str] | None = None) -> str:
        pairs = [f"{name}={quote(value, safe=_SAFE)}" for name, value in (options or {}).items()]
        query = "&".join([*([self._query] if self._query else []), *pairs])
        return f"{self._root}{path}" + (f"?{query}" if query else "")

    def _get(self, url: str, headers: Mapping[str, str], *, attempts: int = 1) -> httpx.Response:
        """GET, again where the service is busy or the network fails for a moment."""
        wait = _FIRST_WAIT_SECONDS
        attempt = 1
        while True:
            try:
                return self._checked(self._asked(url, headers))
            except SourceUnavailable as error:
                if attempt >= attempts:
                    raise
                pause = min(max(error.retry_after or wait, wait), _LONGEST_WAIT_SECONDS)
                self._trace(1, f"{error.message} Asking again in {pause:.1f} s.")
                if self._stopping.wait(pause):
                    raise Stopped from error
                wait *= 4
                attempt += 1

    def _asked(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        started = time.monotonic()
        try:
            if self._stopping.is_set():
                raise Stopped
            answer = self._client.get(url, headers=headers)
        except httpx.TransportError as error:
            if self._stopping.is_set():
                raise Stopped from error
            raise network_error(error, urlsplit(url).netloc) from error
        milliseconds = (time.monotonic() - started) * 1000
        self._trace(2, f"GET {url} {answer.status_code} in {milliseconds:.0f} ms")
        shown = {n: v for n, v in answer.headers.items() if n.lower() != "set-cookie"}
        self._trace(3, f"{shown}\n{answer.content[:_SHOWN_BYTES].decode(errors='replace')}")
        return answer

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        status = answer.status_code
        if answer.is_success:
            return answer
        host = urlsplit(str(answer.url)).netloc
        if status == 401:
            raise SourceRefused(f"{host} does not accept the credentials (401): {_reason(answer)}")
        if status == 403:
            raise SourceRefused(f"{host} does not allow this user to read it (403).")
        if status in (404, 410):
            raise SourceNotFound(
                f"{host} has nothing at {answer.url.path} ({status}): check URL, which is the "
                "service's root."
            )
        if status in (408, 429) or status >= 500:
            raise SourceUnavailable(
                f"{host} is busy or broken ({status}): {_reason(answer)}",
                retry_after=_seconds(answer.headers.get("retry-after", "")),
            )
        if answer.is_redirect:
            raise SourceBroken(
                f"{host} sends us on to {answer.headers.get('location', '')[:200]}: if that is "
                "right, give it as URL."
            )
        raise SourceBroken(f"{host} refuses the request ({status}): {_reason(answer)}")


_SAFE = "$(),:'/"


def _root(url: str) -> tuple[str, str]:
    """The service's root with a slash at its end, and the options that its URL carries."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceRefused("URL must be the service's root, as https://host/odata/v4/sales.")
    if parts.username or parts.password:
        raise SourceRefused("URL must not hold credentials: use AuthScheme, User and Password.")
    path = parts.path.rstrip("/").removesuffix("/$metadata") + "/"
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), parts.query


def _authorization(values: Mapping[str, str]) -> dict[str, str]:
    match values["AuthScheme"]:
        case "Basic":
            pair = f"{values.get('User', '')}:{values.get('Password', '')}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        case "Bearer":
            return {"Authorization": f"Bearer {values.get('Token', '')}"}
        case _:
            return {}


def _custom_headers(text: str) -> dict[str, str]:
    headers = {}
    for line in text.replace("\\r\\n", "\n").replace("\\n", "\n").splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise SourceRefused("CustomHeaders: each line has to be Name: value.")
        if line.strip():
            headers[name.strip()] = value.strip()
    return headers


def _positive(values: Mapping[str, str], name: str) -> int:
    text = values[name]
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise SourceRefused(f"{name} must be a whole number from 1 to 1000000.")
    return int(text)


def _decoded(answer: httpx.Response) -> Any:
    try:
        return orjson.loads(answer.content)
    except ValueError as error:
        raise SourceBroken("The service's answer is not JSON.") from error


class _Digits(float):
    """A number of JSON that still knows how it was written, for columns that are exact."""

    __slots__ = ("written",)

    def __new__(cls, text: str) -> "_Digits":
        """A float of the text."""
        made = super().__new__(cls, text)
        made.written = text
        return made

    written: str

    def __str__(self) -> str:
        return self.written


def _reason(answer: httpx.Response) -> str:
    """What the service itself says (OData JSON Format 4.01, 21)."""
    try:
        said = orjson.loads(answer.content)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = answer.reason_phrase
    return str(said)[:300]


def _seconds(text: str) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3); a date is not looked at."""
    return float(text) if text.isdigit() else None
