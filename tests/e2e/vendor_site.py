"""A vendor's own web site, real and small: a page to come back to, and one that frames a form."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/frame":
            form = parse_qs(parts.query)["form"][0].replace("&", "&amp;")
            text = f'<title>Vendor</title><iframe src="{form}" width="900" height="1200"></iframe>'
        else:
            text = "<title>Vendor</title><h1>Welcome back</h1>"
        body = f'<!doctype html><html lang="en"><link rel="icon" href="data:,">{text}'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def vendor_site() -> Iterator[str]:
    """Its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()
