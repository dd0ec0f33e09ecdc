"""Who signs in to Snowflake: the headers of each request (SQL API, Authenticating)."""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from tidewell import clock
from tidewell.errors import SourceRefused

Headers = dict[str, str]
_LIFETIME_SECONDS = 3600
"""Snowflake takes none that lives longer."""
_SPARE_SECONDS = 300


def login(values: Mapping[str, str], root: str) -> Callable[[], Headers]:
    """Gives the headers that sign a request in. Raises SourceRefused for what cannot be."""
    match values["AuthScheme"]:
        case "PAT":
            return _token(values, "AccessToken", "PROGRAMMATIC_ACCESS_TOKEN")
        case "OAuth":
            return _token(values, "OAuthAccessToken", "OAUTH")
    return KeyPair(values, root)


class KeyPair:
    """A token signed by the user's private key, made anew before it ends."""

    def __init__(self, values: Mapping[str, str], root: str) -> None:
        if not values.get("User"):
            raise SourceRefused("User is needed for AuthScheme=PrivateKey.")
        self._key = _private_key(values)
        account = values.get("Account") or (urlsplit(root).hostname or "").partition(".")[0]
        # Of a locator with its region, only the locator counts.
        account = account.partition(".")[0].upper()
        self._subject = f"{account}.{values['User'].upper()}"
        public = self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        print_of_key = base64.b64encode(hashlib.sha256(public).digest()).decode()
        self._issuer = f"{self._subject}.SHA256:{print_of_key}"
        self._headers: Headers = {}
        self._expires = 0.0

    def __call__(self) -> Headers:
        """The headers of a request."""
        if time.monotonic() >= self._expires:
            now = int(clock.now().timestamp())
            claims = {
                "iss": self._issuer,
                "sub": self._subject,
                "iat": now,
                "exp": now + _LIFETIME_SECONDS,
            }
            self._headers = _signed_in(jwt.encode(claims, self._key, "RS256"), "KEYPAIR_JWT")
            self._expires = time.monotonic() + _LIFETIME_SECONDS - _SPARE_SECONDS
        return self._headers


def _token(values: Mapping[str, str], name: str, kind: str) -> Callable[[], Headers]:
    token = values.get(name, "").strip()
    if not token:
        raise SourceRefused(f"{name} is needed for AuthScheme={values['AuthScheme']}.")
    if not token.isascii() or not token.isprintable():
        raise SourceRefused(f"{name} holds characters that no token has.")
    headers = _signed_in(token, kind)
    return lambda: headers


def _signed_in(token: str, kind: str) -> Headers:
    return {"Authorization": f"Bearer {token}", "X-Snowflake-Authorization-Token-Type": kind}


def _private_key(values: Mapping[str, str]) -> RSAPrivateKey:
    password = values.get("PrivateKeyPassword") or None
    try:
        key = load_pem_private_key(
            # A form or a connection string may have made one line of it.
            values.get("PrivateKey", "").replace("\\n", "\n").encode(),
            password.encode() if password else None,
        )
    except TypeError:
        # Encrypted without a password, or the other way around.
        raise SourceRefused(
            "PrivateKey needs its PrivateKeyPassword."
            if password is None
            else "PrivateKey is not encrypted: leave PrivateKeyPassword empty."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SourceRefused(
            "PrivateKey must be an RSA key in PEM, and PrivateKeyPassword what encrypts it."
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise SourceRefused("PrivateKey must be an RSA key: Snowflake takes no other.")
    return key
