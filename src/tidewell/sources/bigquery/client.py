"""The HTTP side of BigQuery: signing in, calls, and errors in plain words."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import orjson

from tidewell import clock
from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused
from tidewell.sources.calls import BUSY, Calls, busy, checked_root, seconds
from tidewell.sources.protocol import Environment

_ROOT = "https://bigquery.googleapis.com"
_TOKENS = "https://oauth2.googleapis.com/token"
_SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SPARE_SECONDS = 60


class Client:
    """The API as one account sees it. `cancel` may be called from another thread."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        root = values.get("URL", "").strip()
        self._root = checked_root(root, environment, "BigQuery", lambda _: False) if root else _ROOT
        # Never what a key's own token_uri says.
        self._tokens = f"{self._root}/token" if root else _TOKENS
        self._key = _key(values) if values["AuthScheme"] == "OAuthJWT" else None
        self._token = values.get("OAuthAccessToken", "")
        if self._key is None and not self._token:
            raise SourceRefused("OAuthAccessToken is needed for AuthScheme=OAuth.")
        self._expires = 0.0
        self._calls = Calls(self._root, seconds(values), environment)

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
        self._calls.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    def _call(
        self, method: str, path: tuple[str, ...], options: dict[str, str], body: Any
    ) -> dict[str, Any]:
        url = f"{self._root}/bigquery/v2/" + "/".join(quote(part, safe="") for part in path)

        def once() -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {self._access_token()}"}
            return _content(
                self._calls.send(method, url, params=options or None, json=body, headers=headers)
            )

        return self._calls.tried(once)

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
        answer = self._calls.send("POST", self._tokens, data=form)
        if answer.status_code in (400, 401, 403):
            raise SourceRefused("Google does not accept the service account's key.")
        found = _content(answer)
        self._token = str(found.get("access_token", ""))
        self._expires = time.monotonic() + float(found.get("expires_in", 0)) - _SPARE_SECONDS
        return self._token


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
    if status in BUSY or status == 403:
        raise busy("BigQuery", answer, said)
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
