"""An OData service that stops in the middle of its pages until a test lets it go on."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

METADATA = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Slow" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Thing"><Key><PropertyRef Name="ID"/></Key>
<Property Name="ID" Type="Edm.Int32" Nullable="false"/><Property Name="name" Type="Edm.String"/>
</EntityType>
<EntityContainer Name="C"><EntitySet Name="Things" EntityType="Slow.Thing"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""
PAGES = 10
ROWS_A_PAGE = 500


class SlowSource(ThreadingHTTPServer):
    """Pages of `Things`; after the first half of them it waits, unless it was let go."""

    daemon_threads = True
    rows = PAGES * ROWS_A_PAGE

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.going = threading.Event()
        self.waiting = threading.Event()

    @property
    def url(self) -> str:
        """The service root."""
        return f"http://127.0.0.1:{self.server_address[1]}/slow"

    def hold(self) -> None:
        """From now on, stop in the middle."""
        self.waiting.clear()
        self.going.clear()

    def let_go(self) -> None:
        """Go on to the end."""
        self.going.set()

    def wait_until_read(self) -> None:
        """Return when a client waits in the middle."""
        assert self.waiting.wait(30), "nobody reads"


class _Pages(BaseHTTPRequestHandler):
    server: SlowSource

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path.endswith("$metadata"):
            self._answer(METADATA.encode(), "application/xml")
            return
        if not address.path.endswith("Things"):
            self._answer(b'{"value": []}', "application/json")
            return
        page = int(parse_qs(address.query).get("$skiptoken", ["0"])[0])
        if page == PAGES // 2:
            self.server.waiting.set()
            self.server.going.wait(60)
        first = page * ROWS_A_PAGE
        body = {"value": [{"ID": n, "name": f"n{n}"} for n in range(first, first + ROWS_A_PAGE)]}
        if page + 1 < PAGES:
            body["@odata.nextLink"] = f"Things?$skiptoken={page + 1}"  # type: ignore[assignment]
        self._answer(json.dumps(body).encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        try:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def slow_source() -> Iterator[SlowSource]:
    """Run the service until the block ends."""
    running = SlowSource()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.let_go()
        running.shutdown()
        thread.join()
        running.server_close()
