"""A web server with a few files, which may hold them back or send a client elsewhere."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"


class FileServer(ThreadingHTTPServer):
    """Keeps what was asked for; a text in `files` is an address to go on to.

    `tags`: each file has a strong entity tag.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes | str], *, held: bool, tags: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tags = tags
        self.modified = MODIFIED
        self.files = files
        self.asked: list[str] = []
        self.busy = 0
        self.to_head = 200
        """What it answers to HEAD."""
        self.encoding = ""
        """How it says that its files are packed."""
        self._asked = threading.Event()
        self._going = threading.Event()
        if not held:
            self._going.set()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait_until_asked(self) -> None:
        """Return when a client waits for the second half of a file."""
        assert self._asked.wait(30), "nobody asks"

    def pause(self) -> None:
        """In the middle of a file."""
        self._asked.set()
        self._going.wait(60)

    def let_go(self) -> None:
        """Go on to the end."""
        self._going.set()


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_HEAD(self) -> None:
        """As GET, without the file."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """A file, in two halves."""
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        found = self.server.files.get(self.path)
        if self.server.busy:
            self.server.busy -= 1
            self._head(503, {})
        elif self.command == "HEAD" and self.server.to_head != HTTPStatus.OK:
            self._head(self.server.to_head, {})
        elif found is None:
            self._head(404, {})
        elif isinstance(found, str):
            self._head(302, {"Location": found})
        else:
            headers = {"Content-Length": str(len(found)), "Last-Modified": self.server.modified}
            if self.server.encoding:
                headers["Content-Encoding"] = self.server.encoding
            if self.server.tags:
                headers["ETag"] = f'"{hashlib.sha256(found).hexdigest()}"'
            self._head(200, headers)
            if with_body:
                self._body(found)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": "0"} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, content: bytes) -> None:
        try:
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.wfile.flush()
            self.server.pause()
            self.wfile.write(content[half:])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def file_server(
    files: Mapping[str, bytes | str], *, held: bool = False, tags: bool = False
) -> Iterator[FileServer]:
    """Run it until the block ends."""
    server = FileServer(files, held=held, tags=tags)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.let_go()
        server.shutdown()
        thread.join()
        server.server_close()
