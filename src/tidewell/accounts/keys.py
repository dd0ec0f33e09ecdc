"""The public keys that a vendor registers, and new pairs for vendors who have none."""

import base64
import hashlib

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tidewell.errors import InvalidRequest

_SHORTEST_KEY_BITS = 2048


def new_key_pair() -> tuple[bytes, str]:
    """A new RSA key: its private half (PEM, not encrypted) and its public one."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=_SHORTEST_KEY_BITS)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem, public.decode()


def check_public_key(pem: str) -> tuple[str, str]:
    """A public key that may be registered, as it will be stored, and its own `kid`.

    The kid is the key's thumbprint (RFC 7638), for the vendor who gives no other.
    Raises InvalidRequest when it is no RSA public key, or too short a one.
    """
    field = "publicKey"
    if "PRIVATE KEY" in pem:
        raise InvalidRequest.of(field, "this is a private key: keep it, and give the public one")
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidRequest.of(field, "is not a public key in PEM form") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _SHORTEST_KEY_BITS:
        raise InvalidRequest.of(field, f"must be an RSA key of {_SHORTEST_KEY_BITS} bits or more")
    stored = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return stored.decode(), _thumbprint(key)


def _thumbprint(key: rsa.RSAPublicKey) -> str:
    numbers = key.public_numbers()
    members = {"e": _base64(numbers.e), "kty": "RSA", "n": _base64(numbers.n)}
    digest = hashlib.sha256(orjson.dumps(members, option=orjson.OPT_SORT_KEYS)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _base64(number: int) -> str:
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
