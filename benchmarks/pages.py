"""An OData service over generated rows: its pages are made beforehand, so that it costs nothing."""

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import orjson

PAGE_ROWS = 10_000
_METADATA = b"""<?xml version="1.0"?><edmx:Edmx Version="4.0"
xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="B" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Row"><Key><PropertyRef Name="id"/></Key>
<Property Name="id" Type="Edm.Int64" Nullable="false"/><Property Name="customer" Type="Edm.Int32"/>
<Property Name="pieces" Type="Edm.Int16"/><Property Name="price" Type="Edm.Double"/>
<Property Name="ratio" Type="Edm.Single"/><Property Name="name" Type="Edm.String"/>
<Property Name="city" Type="Edm.String"/><Property Name="note" Type="Edm.String"/>
<Property Name="active" Type="Edm.Boolean"/><Property Name="day" Type="Edm.Date"/>
<Property Name="created" Type="Edm.DateTimeOffset"/>
<Property Name="amount" Type="Edm.Decimal" Precision="18" Scale="2"/>
</EntityType><EntityContainer Name="C"><EntitySet Name="rows" EntityType="B.Row"/>
</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""


def pages_of(parquet: Path, rows: int) -> list[bytes]:
    """The rows of a file as pages of an entity set; 64-bit numbers and decimals are strings."""
    found = duckdb.connect().execute(
        "SELECT id::VARCHAR AS id, customer, pieces, price, ratio, name, city, note, active, "
        "day::VARCHAR AS day, strftime(created AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') "
        "AS created, amount::VARCHAR AS amount FROM read_parquet($path) LIMIT $rows",
        {"path": str(parquet), "rows": rows},
    )
    pages = []
    reader = found.to_arrow_table().to_batches(max_chunksize=PAGE_ROWS)
    for number, batch in enumerate(reader):
        page: dict[str, Any] = {"@odata.context": "$metadata#rows", "value": batch.to_pylist()}
        if number + 1 < len(reader):
            page["@odata.nextLink"] = f"rows?page={number + 1}"
        pages.append(orjson.dumps(page))
    return pages


def _serve(pages: Sequence[bytes], told: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "metadata" in self.path:
                body, kind = _METADATA, "application/xml"
            else:
                _, _, number = self.path.partition("page=")
                body, kind = pages[int(number or 0)], "application/json"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.send(server.server_port)
    server.serve_forever()


@contextmanager
def service(pages: Sequence[bytes]) -> Iterator[str]:
    """The root of the service, in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(pages, theirs))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/"
    finally:
        process.terminate()
        process.join()
