"""What a file holds, as a short text: the digest of its bytes, or what its server vouches for."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from tidewell.errors import SourceUnavailable, Stopped

_PART_BYTES = 4 * 2**20
_AT_ONCE = 2
_STRONG = re.compile(r'"[^"\s]+"')
_SETTLED = timedelta(seconds=60)
"""RFC 9110, 8.8.2.2: so long after a change its time is taken to be of that change alone."""

Stamp = tuple[int, ...]
VersionOf = Callable[[Mapping[str, str]], str | None]
"""What a server vouches for by the headers of an answer; None: nothing."""


class Digests:
    """Digests of the bytes of files that others may write to meanwhile.

    `owned`: nobody but writers of a file changes anything about it, as its owner.
    """

    def __init__(self, is_stopped: Callable[[], bool], *, owned: bool = True) -> None:
        self._is_stopped = is_stopped
        self._owned = owned
        self._stamps: dict[Path, Stamp | None] = {}

    def of(self, path: Path) -> str | None:
        """The size of a file and the SHA-256 over those of its parts; `absent` where it is none.

        None where it was written since it was first asked for here, even if the same stands there
        again: what was read meanwhile may be something else. Raises SourceUnavailable where it
        cannot be read, and Stopped.
        """
        before = self._stamps.setdefault(path, self._stamp(path))
        told = "absent" if before is None else self._digest(path)
        return told if self._stamp(path) == before else None

    def _digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        try:
            with path.open("rb", buffering=0) as file, ThreadPoolExecutor(_AT_ONCE) as pool:
                size = os.fstat(file.fileno()).st_size

                def of_part(start: int) -> bytes:
                    if self._is_stopped():
                        raise Stopped
                    return hashlib.sha256(os.pread(file.fileno(), _PART_BYTES, start)).digest()

                for part in pool.map(of_part, range(0, size, _PART_BYTES)):
                    digest.update(part)
        except OSError as error:
            raise SourceUnavailable(f"{path.name} cannot be read.") from error
        return f"sha256 {size} {digest.hexdigest()}"

    def _stamp(self, path: Path) -> Stamp | None:
        """What moves when a file is written, whatever is written; None where there is no file."""
        try:
            told = path.stat()
        except OSError:
            return None
        changed = told.st_ctime_ns if self._owned else 0
        return (told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, changed)


def tag_of(headers: Mapping[str, str]) -> str | None:
    """A strong entity tag (RFC 9110, 8.8.3) and the size; None where there is none."""
    tag = headers.get("etag", "")
    return f"etag {tag} {headers.get('content-length')}" if _STRONG.fullmatch(tag) else None


def settled_tag_of(headers: Mapping[str, str]) -> str | None:
    """The same of a server that may make the tag of the size and the second of the last change:
    it is not taken while another change could fall into the same second."""
    if "last-modified" in headers:
        try:
            changed = parsedate_to_datetime(headers["last-modified"])
            if parsedate_to_datetime(headers["date"]) - changed < _SETTLED:
                return None
        except (KeyError, ValueError, TypeError):
            return None
    return tag_of(headers)
