"""Secrets at rest: authenticated encryption, with a key id, bound to the row that holds them.

A sealed text is `tw1.<key id>.<base64url of nonce and ciphertext>` (AES-256-GCM). The row's id is
associated data: a sealed text that is copied to another row does not open there.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
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
    """Seals the secrets of rows with the newest of its keys, and opens them with any of them.

    `reread` gives the keys anew: another process may have rotated them.
    """

    def __init__(
        self, keys: Sequence[bytes], reread: Callable[[], Sequence[bytes]] | None = None
    ) -> None:
        self._reread = reread
        self._set(keys)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The box of TIDEWELL_SECRET_KEY, or of the key kept in TIDEWELL_HOME, made if missing."""

        def read() -> list[bytes]:
            given = settings.secret_key.get_secret_value()
            texts = given.split(",") if given else _kept(_path(settings))
            return [_key_of(text.strip()) for text in texts]

        return cls(read(), read)

    @property
    def key_id(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._ciphers))

    def derived(self, purpose: bytes) -> bytes:
        """A key for something else, which tells nothing of this one."""
        derivation = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=b"tidewell " + purpose)
        return derivation.derive(self._newest)

    def seal(self, secret: str, row: UUID) -> str:
        """Encrypt a secret for a row."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self.key_id].encrypt(nonce, secret.encode(), row.bytes)
        return f"{_VERSION}.{self.key_id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, row: UUID) -> str:
        """Decrypt a row's secret. Raises TidewellError: another key, another row, or altered."""
        with suppress(ValueError, binascii.Error, InvalidTag):
            version, key_id, text = sealed.split(".")
            cipher = self._cipher(key_id)
            if version == _VERSION and cipher is not None:
                data = base64.urlsafe_b64decode(text)
                return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], row.bytes).decode()
        raise TidewellError(
            "A stored credential cannot be decrypted: TIDEWELL_SECRET_KEY (or secret.key in "
            "TIDEWELL_HOME) is not the key that it was stored with."
        )

    def _set(self, keys: Sequence[bytes]) -> None:
        self._newest = keys[0]
        self._ciphers = {_id_of(key): AESGCM(key) for key in keys}

    def _cipher(self, key_id: str) -> AESGCM | None:
        if key_id not in self._ciphers and self._reread is not None:
            self._set(self._reread())
        return self._ciphers.get(key_id)


def add_key(settings: Settings) -> None:
    """Put a new key before the one that is kept in TIDEWELL_HOME, which still opens what it sealed.

    Keys before that one are forgotten: nothing is sealed with them any more. Does nothing with
    TIDEWELL_SECRET_KEY, whose keys are the operator's.
    """
    if settings.secret_key.get_secret_value():
        return
    path = _path(settings)
    before = _kept(path)[:1]
    fresh = _written(path, [_new_key(), *before])
    fresh.replace(path)


def _id_of(key: bytes) -> str:
    return hashlib.sha256(b"tidewell key id" + key).hexdigest()[:8]


def _path(settings: Settings) -> Path:
    return settings.home / "secret.key"


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


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


def _kept(path: Path) -> list[str]:
    """The keys in the file, the newest first; it is made on the first time, for its owner only."""
    try:
        if not path.exists():
            fresh = _written(path, [_new_key()])
            with suppress(FileExistsError):
                os.link(fresh, path)  # complete at once, or not at all, whoever comes first
            fresh.unlink()
        return path.read_text().split()
    except OSError as error:
        raise TidewellError(
            f"The secret key cannot be kept in {path} ({error.strerror}): set TIDEWELL_HOME to a "
            "folder that this user may write to, or give TIDEWELL_SECRET_KEY."
        ) from error


def _written(path: Path, keys: Sequence[str]) -> Path:
    """A file beside the path that holds the keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(keys) + "\n")
    return fresh
