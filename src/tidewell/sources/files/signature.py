"""AWS Signature Version 4 for requests without a body (the AWS General Reference's own words:
"Create a signed AWS API request")."""

import hashlib
import hmac
from collections.abc import Generator
from urllib.parse import parse_qsl, quote

import httpx

from tidewell import clock

_EMPTY = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


class SignatureV4(httpx.Auth):
    """Signs with an access key. The path of a request has to be encoded as it is sent."""

    def __init__(self, key_id: str, secret: str, session: str, region: str, service: str) -> None:
        self._key_id = key_id
        self._secret = secret
        self._session = session
        self._region = region
        self._service = service

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the signature's headers."""
        now = clock.now()
        moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        request.headers["x-amz-date"] = moment
        request.headers["x-amz-content-sha256"] = _EMPTY
        if self._session:
            request.headers["x-amz-security-token"] = self._session
        signed = sorted(n for n in request.headers if n == "host" or n.startswith("x-amz-"))
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        pairs = sorted(
            (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
            for name, value in parse_qsl(query, keep_blank_values=True)
        )
        canonical = "\n".join(
            [
                request.method,
                path,
                "&".join(f"{name}={value}" for name, value in pairs),
                *(f"{name}:{request.headers[name].strip()}" for name in signed),
                "",
                ";".join(signed),
                _EMPTY,
            ]
        )
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join([_ALGORITHM, moment, scope, digest])
        key = f"AWS4{self._secret}".encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        request.headers["Authorization"] = (
            f"{_ALGORITHM} Credential={self._key_id}/{scope}, SignedHeaders={';'.join(signed)}, "
            f"Signature={signature}"
        )
        yield request
