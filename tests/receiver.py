"""A receiver of webhooks: a real HTTP server that keeps what it is sent."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def event(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """What has come, and what is answered: the statuses in turn, the last one for good."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    received: list[Received] = field(default_factory=list)

    def wait_for(self, *events: str, seconds: float = 60) -> list[Received]:
        """What has come, when these types of events have. Fails after some seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if set(events) <= {one.event["type"] for one in self.received}:
                return list(self.received)
            time.sleep(0.1)
        raise AssertionError(f"{events} have not come: {self.received}")


@contextmanager
def receiver(*, drips: bool = False) -> Iterator[Receiver]:
    """A running receiver. `drips`: it never comes to the end of an answer."""
    state = Receiver()

    class Answering(BaseHTTPRequestHandler):
        _begun = False

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length", 0))
            body = self.rfile.read(size).decode()
            names = {name.lower(): value for name, value in self.headers.items()}
            state.received.append(Received(self.path, names, body))
            with suppress(OSError):
                while drips:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n" if not self._begun else b"x: y\r\n")
                    self._begun = True
                    time.sleep(1)
            status = state.statuses.pop(0) if len(state.statuses) > 1 else state.statuses[0]
            self.send_response(status)
            if status == 307:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
