"""The HTTP side of BigQuery: signing in, calls, retries, and errors in plain words."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import jwt
import orjson

from tidewell import __version__, clock
from tidewell.errors import (
    SourceBroken,
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    Stopped,
)
from tidewell.sources.pinned import PinnedTransport, network_error
from tidewell.sources.protocol import Environment

_ROOT = "https://bigquery.googleapis.com"
_TOKENS = "https://oauth2.googleapis.com/token"
_SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 0.5
_SPARE_SECONDS = 60
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


class Client:
    """The API as one account sees it. `cancel` may be called from another thread."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        root = values.get("URL", "").strip().rstrip("/")
        if root:
            parts = urlsplit(root)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
                raise SourceRefused("URL must be the API's root, as https://host.")
            if not environment.egress.lists(parts.hostname, port):
                # A key opens a whole project: it is not sent wherever a connection says.
                raise SourceRefused(
                    f"{parts.hostname} is no host of BigQuery's; the operator can allow it with "
                    "TIDEWELL_EGRESS_ALLOW."
                )
        self._root = root or _ROOT
        # Never what a key's own token_uri says.
        self._tokens = f"{root}/token" if root else _TOKENS
        self._key = _key(values) if values["AuthScheme"] == "OAuthJWT" else None
        self._token = values.get("OAuthAccessToken", "")
        if self._key is None and not self._token:
            raise SourceRefused("OAuthAccessToken is needed for AuthScheme=OAuth.")
        self._expires = 0.0
        self._trace = environment.trace
        self._timeout = _seconds(values)
        self._stopping = threading.Event()
        self._transport = PinnedTransport(environment.egress)
        self._client = httpx.Client(
            headers={"User-Agent": f"Tidewell/{__version__}"},
            timeout=httpx.Timeout(self._timeout, connect=min(10.0, self._timeout)),
            follow_redirects=False,
            transport=self._transport,
        )

    def get(self, *path: str, **options: str) -> Any:
        """GET a resource below `/bigquery/v2`. Raises a SourceError."""
        return self._call("GET", path, options, None)

    def post(self, *path: str, body: Mapping[str, Any]) -> Any:
        """POST to a resource below `/bigquery/v2`. Raises a SourceError."""
        return self._call("POST", path, {}, body)

    def listed(self, items: str, *path: str) -> Iterator[Any]:
        """All items of a list, page by page."""
        token = ""
        while True:
            page = self.get(*path, **({"pageToken": token} if token else {}))
            yield from page.get(items, ())
            token = page.get("nextPageToken", "")
            if not token:
                return

    def cancel(self) -> None:
        """End what is going on; it raises Stopped."""
        self._stopping.set()
        self._transport.cut()

    def close(self) -> None:
        """Close the connections."""
        self.cancel()
        self._client.close()

    def _call(
        self, method: str, path: tuple[str, ...], options: dict[str, str], body: Any
    ) -> dict[str, Any]:
        url = f"{self._root}/bigquery/v2/" + "/".join(quote(part, safe="") for part in path)
        wait = _FIRST_WAIT_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._once(method, url, options, body)
            except SourceUnavailable as error:
                pause = max(wait, error.retry_after or 0.0)
                if attempt == _ATTEMPTS or error.retry_after is None:
                    raise
                self._trace(1, f"{error.message} Asking again in {pause:.1f} s.")
                if self._stopping.wait(pause):
                    raise Stopped from error
                wait *= 4
        raise SourceUnavailable

    def _once(self, method: str, url: str, options: dict[str, str], body: Any) -> dict[str, Any]:
        started = time.monotonic()
        headers = {"Authorization": f"Bearer {self._access_token()}"}
        answer = self._sent(
            lambda: self._client.request(
                method, url, params=options or None, json=body, headers=headers
            )
        )
        milliseconds = (time.monotonic() - started) * 1000
        self._trace(2, f"{method} {url} {answer.status_code} in {milliseconds:.0f} ms")
        return _content(answer)

    def _access_token(self) -> str:
        if self._key is None or time.monotonic() < self._expires:
            return self._token
        now = int(clock.now().timestamp())
        claims = {
            "iss": self._key["client_email"],
            "scope": _SCOPE,
            "aud": _TOKENS,
            "iat": now,
            "exp": now + 3600,
        }
        try:
            assertion = jwt.encode(claims, self._key["private_key"], algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise SourceRefused("OAuthJWTCert holds no private key that can sign.") from None
        form = {"grant_type": _GRANT, "assertion": assertion}
        answer = self._sent(lambda: self._client.post(self._tokens, data=form))
        if answer.status_code in (400, 401, 403):
            raise SourceRefused("Google does not accept the service account's key.")
        found = _content(answer)
        self._token = str(found.get("access_token", ""))
        self._expires = time.monotonic() + float(found.get("expires_in", 0)) - _SPARE_SECONDS
        return self._token

    def _sent(self, send: Any) -> httpx.Response:
        if self._stopping.is_set():
            raise Stopped
        try:
            answer: httpx.Response = send()
        except (httpx.TransportError, SourceError) as error:
            if self._stopping.is_set():
                raise Stopped from error
            if isinstance(error, SourceError):
                raise
            raise network_error(error, urlsplit(self._root).netloc) from error
        return answer


def _content(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.content)
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict):
        return body
    status = answer.status_code
    error = body.get("error") if isinstance(body, dict) else None
    said = str(error.get("message") if isinstance(error, dict) else answer.reason_phrase)[:300]
    if status == 401:
        raise SourceRefused("BigQuery does not accept the credentials (401).")
    if status == 403 and "rateLimitExceeded" not in answer.text:
        raise SourceRefused(f"BigQuery does not allow it (403): {said}")
    if status == 404:
        raise SourceNotFound(f"BigQuery reports: {said}")
    if status in _BUSY or status == 403:
        text = answer.headers.get("retry-after", "")
        wait = float(text) if text.isascii() and text.isdigit() else 0.0
        raise SourceUnavailable(f"BigQuery is busy or broken ({status}): {said}", retry_after=wait)
    raise SourceBroken(f"BigQuery refuses the request ({status}): {said}")


def _key(values: Mapping[str, str]) -> dict[str, str]:
    """A service account's key; other kinds of credentials name programs, files and addresses."""
    try:
        found = json.loads(values.get("OAuthJWTCert", ""))
        if found["type"] == "service_account" and found["client_email"] and found["private_key"]:
            return {name: str(found[name]) for name in ("client_email", "private_key")}
    except (ValueError, KeyError, TypeError):
        pass
    raise SourceRefused("OAuthJWTCert must be the JSON of a service account's key.")


def _seconds(values: Mapping[str, str]) -> int:
    text = values["Timeout"]
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 86_400):
        raise SourceRefused("Timeout must be a number from 1 to 86400.")
    return int(text)
