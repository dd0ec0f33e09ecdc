"""Remote files, fetched once into a folder that is gone afterwards.

DuckDB could read HTTP and S3 by itself, but over sockets of its own: it would look a name up again
after the egress rules have judged it (docs/decisions/0007-remote-files-are-fetched.md). So files
come over our own transport, which connects to the judged address, redirects included, and DuckDB
stays shut off from every network.
"""

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from tidewell import __version__, scratch
from tidewell.errors import SourceNotFound, SourceRefused, SourceUnavailable, Stopped
from tidewell.given import whole_number
from tidewell.sources.files.store import LocalCopy
from tidewell.sources.files.version import VersionOf
from tidewell.sources.pinned import PinnedTransport, network_error
from tidewell.sources.protocol import Environment

MOST_BYTES = 64 * 2**30
"""Of all files that one source fetches."""

_LEFT_FREE_BYTES = 2**30
_PIECE_BYTES = 2**20
_LONGEST_ANSWER_BYTES = 64 * 2**20
_CONNECT_SECONDS = 10.0
_ATTEMPTS = 3
_MOST_REDIRECTS = 5
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_ENDINGS = {"gzip": ".gz", "x-gzip": ".gz", "zstd": ".zst"}
"""How DuckDB knows by its name how a file is packed."""

Sign = Callable[[httpx.Request], None]
Explain = Callable[[int, bytes], str]


class Spool:
    """Fetches over HTTP. `cancel` may be called from another thread."""

    def __init__(
        self, values: Mapping[str, str], environment: Environment, version_of: VersionOf
    ) -> None:
        self._version_of = version_of
        self._trace = environment.trace
        self._stopping = threading.Event()
        self._transport = PinnedTransport(environment.egress)
        timeout = _seconds(values)
        self._client = httpx.Client(
            headers={"User-Agent": f"Tidewell/{__version__}", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
            transport=self._transport,
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
        )
        self._taken = 0
        self._copies: dict[str, LocalCopy] = {}

    @cached_property
    def folder(self) -> Path:
        """Where the files are."""
        return Path(self._temporary.name).resolve()

    @cached_property
    def _temporary(self) -> TemporaryDirectory[str]:
        return TemporaryDirectory(prefix="files-", dir=scratch.folder())

    def fetch(self, url: str, name: str, sign: httpx.Auth | None = None) -> LocalCopy:
        """A file's copy; fetched at the first time. Raises SourceErrors."""
        if url not in self._copies:
            for attempt in self._attempts():
                with attempt:
                    self._copies[url] = self._fetched(url, name, sign)
        return self._copies[url]

    def fetched(self, url: str) -> LocalCopy | None:
        """A file's copy, if it was fetched."""
        return self._copies.get(url)

    def version(self, url: str) -> str | None:
        """What the server vouches for without giving the file. Raises SourceErrors."""
        with self._answer("HEAD", url, None) as answer:
            return self._version_of(answer.headers)

    def ask(self, url: str, sign: httpx.Auth | None = None, *, method: str = "GET") -> bytes:
        """A short answer. Raises SourceErrors."""
        for attempt in self._attempts():
            with attempt, self._answer(method, url, sign) as answer:
                content = bytearray()
                for piece in answer.iter_bytes():
                    content += piece
                    if len(content) > _LONGEST_ANSWER_BYTES:
                        raise SourceUnavailable(f"{answer.url.host} answers without end.")
                return bytes(content)
        raise AssertionError("tenacity gives an attempt or raises")

    def reach(self, url: str) -> None:
        """Prove that the server gives a file. Raises SourceErrors.

        Some do not answer HEAD, and an address that is signed for GET allows nothing else.
        """
        try:
            self.ask(url, method="HEAD")
        except SourceRefused:
            with self._answer("GET", url, None, {"Range": "bytes=0-0"}):
                pass

    def cancel(self) -> None:
        """End what is going on; it raises Stopped."""
        self._stopping.set()
        self._transport.cut()

    def close(self) -> None:
        """Close the connections and forget the files."""
        self.cancel()
        self._client.close()
        if "_temporary" in self.__dict__:
            self._temporary.cleanup()

    def _attempts(self) -> Retrying:
        """Tries again, a moment later, what is worth it."""
        return Retrying(
            reraise=True,
            stop=stop_after_attempt(_ATTEMPTS),
            retry=retry_if_exception_type(_Busy),
            wait=wait_exponential(0.5, max=10),
            sleep=self._pause,
        )

    def _pause(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _fetched(self, url: str, name: str, sign: httpx.Auth | None) -> LocalCopy:
        started = time.monotonic()
        with self._answer("GET", url, sign) as answer:
            packed = answer.headers.get("content-encoding", "").strip().lower()
            path = self.folder / f"{len(self._copies)}-{_local_name(name, packed)}"
            self._check_room(int(answer.headers.get("content-length") or 0))
            size = 0
            with path.open("wb") as file:
                for piece in answer.iter_raw(_PIECE_BYTES):
                    size += len(piece)
                    self._taken += len(piece)
                    if size % (64 * _PIECE_BYTES) < len(piece):
                        self._check_room(0)
                    file.write(piece)
        seconds = time.monotonic() - started
        self._trace(1, f"Fetched {name}: {size} bytes in {seconds:.1f} s.")
        changed = _moment(answer.headers.get("last-modified", ""))
        return LocalCopy(path, changed, self._version_of(answer.headers))

    def _check_room(self, coming: int) -> None:
        if self._taken + coming > MOST_BYTES:
            raise SourceRefused(f"The files are over {MOST_BYTES >> 30} GiB: name fewer of them.")
        if shutil.disk_usage(self.folder).free - coming < _LEFT_FREE_BYTES:
            raise SourceUnavailable("There is no room on this server to fetch the files into.")

    @contextmanager
    def _answer(
        self,
        method: str,
        url: str,
        sign: httpx.Auth | None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        host = urlsplit(url).netloc
        if self._stopping.is_set():
            raise Stopped
        try:
            with self._client.stream(method, url, auth=sign, headers=headers) as answer:
                status = answer.status_code
                self._trace(2, f"{method} {url.partition('?')[0]} {status}")
                _check(answer, host)
                yield answer
        except httpx.TooManyRedirects as error:
            raise SourceNotFound(f"{host} sends us round in a circle.") from error
        except (httpx.TransportError, SourceUnavailable) as error:
            if self._stopping.is_set():
                raise Stopped from error
            if isinstance(error, SourceUnavailable):
                raise
            raise network_error(error, host) from error


class _Busy(SourceUnavailable):
    """The store is busy: it will answer in a moment."""


def _check(answer: httpx.Response, host: str) -> None:
    status = answer.status_code
    if answer.is_success:
        return
    if status in (401, 403):
        raise SourceRefused(f"{host} does not allow this to be read ({status}): {_said(answer)}")
    if status in (404, 410):
        raise SourceNotFound(f"{host} has nothing at {answer.url.path} ({status}): check URI.")
    if status in (408, 429) or (status >= 500 and status != httpx.codes.NOT_IMPLEMENTED):
        raise _Busy(f"{host} is busy or broken ({status}).")
    raise SourceRefused(f"{host} refuses the request ({status}): {_said(answer)}")


def _local_name(name: str, packed: str) -> str:
    """A name that every file system takes, with the ending that tells how the file is packed:
    a server may store it so and tell that by Content-Encoding alone."""
    ending = _ENDINGS.get(packed, "")
    if name.lower().endswith(tuple(_ENDINGS.values())):
        ending = ""
    return _UNSAFE.sub("_", name)[-100:] + ending


def _said(answer: httpx.Response) -> str:
    """The first words of an error's body, where it is text."""
    piece = next(answer.iter_bytes(2048), b"")
    return " ".join(piece.decode(errors="replace").split())[:300] or answer.reason_phrase


def _moment(text: str) -> datetime | None:
    """An HTTP date (RFC 9110, 5.6.7)."""
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _seconds(values: Mapping[str, str]) -> float:
    seconds = whole_number(values["Timeout"], 1, 86_400)
    if seconds is None:
        raise SourceRefused("Timeout must be a whole number of seconds from 1 to 86400.")
    return float(seconds)
