"""How to sign in to a service: what each AuthScheme sends."""

import base64
import time
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import httpx
import orjson

from tidewell.errors import SourceRefused, SourceUnavailable

_NEEDED = {
    "Basic": ("User",),
    "Bearer": ("Token",),
    "APIKey": ("Token", "APIKeyHeader"),
    "OAuthClient": ("OAuthClientId", "OAuthClientSecret", "OAuthAccessTokenURL"),
}
_LARGEST_TOKEN_BYTES = 1 << 20
_RENEWED_SECONDS_BEFORE = 30.0
_LIFETIME_SECONDS = 300.0
"""Of a token that does not tell its own."""


class Login:
    """Signs requests with headers that stay the same."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def headers(self, client: httpx.Client) -> Mapping[str, str]:
        """What to send along; may ask for it first. Raises SourceError, httpx.TransportError."""
        return self._headers

    def renew(self) -> bool:
        """Whether a request that was refused may be tried again, with new credentials."""
        return False


def login(values: Mapping[str, str]) -> Login:
    """What signs each request. Raises SourceRefused where a value is missing."""
    scheme = values["AuthScheme"]
    missing = [name for name in _NEEDED.get(scheme, ()) if not values.get(name)]
    if missing:
        raise SourceRefused(f"AuthScheme {scheme} needs {' and '.join(missing)}.")
    match scheme:
        case "Basic":
            return Login({"Authorization": _basic(values["User"], values.get("Password", ""))})
        case "Bearer":
            return Login({"Authorization": f"Bearer {values['Token']}"})
        case "APIKey":
            return Login({values["APIKeyHeader"]: values["Token"]})
        case "OAuthClient":
            return ClientCredentials(
                values["OAuthAccessTokenURL"],
                values["OAuthClientId"],
                values["OAuthClientSecret"],
                values.get("OAuthScope", ""),
            )
        case _:
            return Login({})


class ClientCredentials(Login):
    """Tokens of an authorization server for a client of its own (RFC 6749, 4.4).

    A token is renewed before it ends, and once when the service no longer takes it. The client's
    secret goes in a Basic header, which every server has to take (2.3.1), else in the body.
    """

    def __init__(self, url: str, client_id: str, secret: str, scope: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise SourceRefused("OAuthAccessTokenURL must be an address, as https://host/token.")
        super().__init__({})
        self._url = url
        self._client_id = client_id
        self._secret = secret
        self._scope = scope
        self._ends = 0.0
        self._is_fresh = False

    def headers(self, client: httpx.Client) -> Mapping[str, str]:
        """The token that holds."""
        self._is_fresh = time.monotonic() >= self._ends
        if self._is_fresh:
            token, self._ends = self._token(client)
            self._headers = {"Authorization": f"Bearer {token}"}
        return self._headers

    def renew(self) -> bool:
        """A token that was just made is not made again."""
        self._ends = 0.0
        return not self._is_fresh

    def _token(self, client: httpx.Client) -> tuple[str, float]:
        """A token, and the moment of the monotonic clock at which it is to be renewed."""
        status, body = self._answer(client, in_body=False)
        if status in (400, 401) and body.get("error") == "invalid_client":
            status, body = self._answer(client, in_body=True)
        host = urlsplit(self._url).netloc
        if status in (408, 429) or status >= 500:
            raise SourceUnavailable(f"{host} gives no token now ({status}).")
        token = body.get("access_token")
        if status >= 300 or not isinstance(token, str) or not token:
            said = str(body.get("error_description") or body.get("error") or "no access_token")
            for secret in (self._secret, quote(self._secret, safe="")):
                said = said.replace(secret, "********")
            raise SourceRefused(
                f"{host} gives no token ({status}): {said[:200]}. Check OAuthClientId, "
                "OAuthClientSecret and OAuthAccessTokenURL."
            )
        try:
            lifetime = float(str(body.get("expires_in", _LIFETIME_SECONDS)))
        except ValueError:
            lifetime = _LIFETIME_SECONDS
        return token, time.monotonic() + max(0.0, lifetime - _RENEWED_SECONDS_BEFORE)

    def _answer(self, client: httpx.Client, *, in_body: bool) -> tuple[int, dict[str, object]]:
        request = self._request(in_body=in_body)
        with client.stream(
            "POST", request.url, content=request.content, headers=request.headers
        ) as answer:
            return answer.status_code, _body(answer)

    def _request(self, *, in_body: bool) -> httpx.Request:
        form = {"grant_type": "client_credentials"}
        if self._scope:
            form["scope"] = self._scope
        headers = {"Accept": "application/json"}
        if in_body:
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        else:
            pair = (quote(one, safe="") for one in (self._client_id, self._secret))
            headers["Authorization"] = _basic(*pair)
        return httpx.Request("POST", self._url, data=form, headers=headers)


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _body(answer: httpx.Response) -> dict[str, object]:
    """The JSON object of a token's answer; empty where it is none."""
    content = bytearray()
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > _LARGEST_TOKEN_BYTES:
            return {}
    try:
        body = orjson.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
