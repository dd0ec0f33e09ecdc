"""A proxy before a server, as vendors have them: some keep streams back or break them off."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class HttpProxy:
    """Passes requests on; what it does to streams of events is set by the test."""

    def __init__(self) -> None:
        self.url = ""
        self.keeps_back = False
        """Whether a stream is passed on in one piece, when it has ended."""
        self.breaks = 0
        """How many streams to break off after their first piece that has an event."""
        self.asked: list[str] = []
        """The paths that were asked for."""

    def is_at_end(self, piece: bytes) -> bool:
        """Whether the stream is to break off after this piece."""
        if self.breaks and b"event:" in piece:
            self.breaks -= 1
            return True
        return False


@contextmanager
def http_proxy(target: str) -> Iterator[HttpProxy]:
    """Run a proxy before `target` until the block ends."""
    proxy = HttpProxy()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            proxy.asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {
                name: value for name, value in self.headers.items() if name.lower() != "host"
            }
            with (
                httpx.Client(base_url=target, timeout=60) as client,
                client.stream(self.command, self.path, content=body, headers=headers) as answer,
            ):
                is_stream = "event-stream" in answer.headers.get("content-type", "")
                whole = b"" if is_stream and not proxy.keeps_back else answer.read()
                self.send_response(answer.status_code)
                for name in ("content-type", "x-request-id"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.end_headers()  # HTTP/1.0: the end of the connection is the end of the body
                self.wfile.write(whole)
                if is_stream and not proxy.keeps_back:
                    for piece in answer.iter_raw():
                        self.wfile.write(piece)
                        self.wfile.flush()
                        if proxy.is_at_end(piece):
                            return

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
