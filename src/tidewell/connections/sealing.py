"""Secrets at rest: authenticated encryption, with a key id, bound to the row that holds them.

A sealed text is `tw1.<key id>.<base64url of nonce and ciphertext>` (AES-256-GCM). The row's id is
associated data: a sealed text that is copied to another row does not open there.
"""

import base64
import binascii
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tidewell.errors import TidewellError
from tidewell.settings import Settings

_VERSION = "tw1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_SHORTEST_SECRET = 16


class SealingBox:
    """Seals and opens the secrets of rows with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key_id = hashlib.sha256(b"tidewell key id" + key).hexdigest()[:8]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The box of TIDEWELL_SECRET_KEY, or of the key kept in TIDEWELL_HOME, made if missing."""
        given = settings.secret_key.get_secret_value()
        return cls(_key_of(given or _kept(settings.home / "secret.key")))

    def seal(self, secret: str, row: UUID) -> str:
        """Encrypt a secret for a row."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), row.bytes)
        return f"{_VERSION}.{self._key_id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, row: UUID) -> str:
        """Decrypt a row's secret. Raises TidewellError: another key, another row, or altered."""
        with suppress(ValueError, binascii.Error, InvalidTag):
            version, key_id, text = sealed.split(".")
            if version == _VERSION and key_id == self._key_id:
                data = base64.urlsafe_b64decode(text)
                nonce, cipher = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
                return self._cipher.decrypt(nonce, cipher, row.bytes).decode()
        raise TidewellError(
            "A stored credential cannot be decrypted: TIDEWELL_SECRET_KEY (or secret.key in "
            "TIDEWELL_HOME) is not the key that it was stored with."
        )


def _key_of(text: str) -> bytes:
    """32 bytes in hex or base64 as they are; any other long text through HKDF-SHA-256."""
    for decode in (bytes.fromhex, _base64):
        with suppress(ValueError, binascii.Error):
            if len(key := decode(text)) == _KEY_BYTES:
                return key
    if len(text) < _SHORTEST_SECRET:
        raise TidewellError(
            f"TIDEWELL_SECRET_KEY is too short: give at least {_SHORTEST_SECRET} characters, best "
            "the output of `openssl rand -base64 32`."
        )
    derivation = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=b"tidewell secrets at rest")
    return derivation.derive(text.encode())


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _kept(path: Path) -> str:
    """The key file's text; the file is made on the first time, for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode())
    with suppress(FileExistsError):
        os.link(fresh, path)  # complete at once, or not at all, whoever comes first
    fresh.unlink()
    return path.read_text().strip()
