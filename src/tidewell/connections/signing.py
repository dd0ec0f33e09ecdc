"""Our own signing keys: made when first needed, rotated, published as a JWK set (RFC 7517)."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tidewell.connections.sealing import SealingBox
from tidewell.state.database import Connection
from tidewell.state.statements import statements

ALGORITHM = "RS256"
_KEY_BITS = 2048
_STILL_ACCEPTED = timedelta(hours=1)
_SQL = statements("tidewell.connections", "signing.sql")


@dataclass(frozen=True)
class SigningKey:
    """One of our keys; its id is the `kid` of what it signs. The private key stays sealed."""

    id: UUID
    public_pem: str
    sealed: str


async def accepted(connection: Connection, now: datetime) -> list[SigningKey]:
    """The keys whose signatures count, the one that signs first; perhaps none yet."""
    cursor = await connection.execute(_SQL["signing_keys"], {"since": now - _STILL_ACCEPTED})
    rows = await cursor.fetchall()
    return [SigningKey(row["id"], row["public_pem"], row["sealed"]) for row in rows]


async def current(connection: Connection, sealing: SealingBox, now: datetime) -> SigningKey:
    """The key that signs; made when there is none yet."""
    if keys := await accepted(connection, now):
        return keys[0]
    await connection.execute(_SQL["hold_signing_keys"])
    if keys := await accepted(connection, now):
        return keys[0]
    return await _make(connection, sealing, now)


async def rotate(connection: Connection, sealing: SealingBox, now: datetime) -> SigningKey:
    """Sign with a new key from now on; the old ones are accepted for an hour more."""
    await connection.execute(_SQL["hold_signing_keys"])
    await connection.execute(_SQL["retire_signing_keys"], {"now": now})
    return await _make(connection, sealing, now)


def sign(key: SigningKey, sealing: SealingBox, claims: dict[str, Any]) -> str:
    """A JWT of the claims."""
    private = sealing.open(key.sealed, key.id)
    return jwt.encode(claims, private, algorithm=ALGORITHM, headers={"kid": str(key.id)})


def key_set(keys: list[SigningKey]) -> dict[str, Any]:
    """The public keys as `/.well-known/jwks.json` answers them."""
    return {"keys": [_jwk(key) for key in keys]}


def _jwk(key: SigningKey) -> dict[str, Any]:
    public = serialization.load_pem_public_key(key.public_pem.encode())
    if not isinstance(public, rsa.RSAPublicKey):
        raise TypeError("a signing key of ours is always RSA")
    made: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
    numbers = {name: made[name] for name in ("kty", "n", "e")}
    return numbers | {"kid": str(key.id), "use": "sig", "alg": ALGORITHM}


async def _make(connection: Connection, sealing: SealingBox, now: datetime) -> SigningKey:
    private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public_pem = (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    key_id = uuid4()
    key = SigningKey(key_id, public_pem, sealing.seal(pem, key_id))
    await connection.execute(
        _SQL["insert_signing_key"],
        {"id": key.id, "sealed": key.sealed, "public_pem": public_pem, "now": now},
    )
    return key
