"""An OData service that answers as a test tells it to, also wrongly."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

EDMX = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Odd" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Thing"><Key><PropertyRef Name="ID"/></Key>
<Property Name="ID" Type="Edm.Int32" Nullable="false"/>{properties}
</EntityType>
<EntityContainer Name="C"><EntitySet Name="Things" EntityType="Odd.Thing"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""

EDMX_V2 = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">
<edmx:DataServices xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"
  m:DataServiceVersion="2.0">
<Schema Namespace="Odd" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
<EntityType Name="Thing"><Key><PropertyRef Name="ID"/></Key>
<Property Name="ID" Type="Edm.Int32" Nullable="false"/>{properties}
</EntityType>
<EntityContainer Name="C" m:IsDefaultEntityContainer="true">
<EntitySet Name="Things" EntityType="Odd.Thing"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str = ""


@dataclass(frozen=True)
class Answer:
    """What it gets."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class OddService(ThreadingHTTPServer):
    """Keeps what was asked for; `things` answers requests for the entity set."""

    daemon_threads = True

    def __init__(self, things: Callable[[Request], Answer], metadata: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.things = things
        self.metadata = metadata
        self.metadata_answer: Answer | None = None
        self.asked: list[Request] = []
        self.token: Callable[[Request], Answer] = lambda _: Answer(status=404)

    @property
    def url(self) -> str:
        """The service root."""
        return f"http://127.0.0.1:{self.server_address[1]}/odd"


class _Handler(BaseHTTPRequestHandler):
    server: OddService

    def do_GET(self) -> None:
        request = self._request()
        self.server.asked.append(request)
        address = urlsplit(self.path)
        if address.path.endswith("$metadata"):
            self._send(self.server.metadata_answer or Answer(self.server.metadata.encode()))
        elif address.path.endswith("Things"):
            self._send(self.server.things(request))
        else:
            self._send(Answer({"value": []}))

    def do_POST(self) -> None:
        """Only tokens are posted for."""
        self._send(self.server.token(self._request()))

    def _request(self) -> Request:
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0"))).decode()
        return Request(address.path, dict(parse_qsl(address.query)), headers, body)

    def _send(self, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        try:
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(body))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def odd_service(
    things: Callable[[Request], Answer],
    properties: str = '<Property Name="name" Type="Edm.String"/>',
    version: Literal["V2", "V4"] = "V4",
) -> Iterator[OddService]:
    """Run the service until the block ends."""
    edmx = EDMX if version == "V4" else EDMX_V2
    running = OddService(things, edmx.format(properties=properties))
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.shutdown()
        thread.join()
        running.server_close()
