"""Traces: a call, the run that it queues and what the run does are one, over all processes."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.acceptance.conftest import caching
from tests.conftest import CacheDatabase
from tests.product import Customer, make_customer, make_vendor, ok, process, wait_for_end
from tests.running_product import Product, free_port, wait_until_ready

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_CALLER = "00f067aa0ba902b7"


@contextmanager
def collector() -> Iterator[tuple[str, list[Span]]]:
    """A real receiver of OTLP over HTTP: its address, and the spans that have come."""
    spans: list[Span] = []

    class Collecting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            spans.extend(
                span
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collecting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def traced(product: Product, tmp_path: Path) -> Iterator[tuple[Customer, list[Span]]]:
    """A customer of a node that sends its traces."""
    with collector() as (endpoint, spans):
        settings = product.settings | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        port, log = free_port(), tmp_path / "serve.log"
        with process("serve", "--port", str(port), "--no-ticker", settings=settings, log=log):
            wait_until_ready(f"http://127.0.0.1:{port}", log)
            yield make_customer(f"http://127.0.0.1:{port}", make_vendor(tmp_path, settings)), spans


def test_a_call_and_its_run_are_one_trace(
    product: Product,
    traced: tuple[Customer, list[Span]],
    cache_database: CacheDatabase,
    folder: Path,
) -> None:
    customer, spans = traced
    with customer.client() as client:
        text = cache_database.connection_string
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
        body = {"name": "Office", "driver": "Files", "connectionString": f"URI={folder}"}
        office = ok(client.post("/api/connections", json=body))["connection"]["id"]
        headers = {"traceparent": f"00-{_TRACE}-{_CALLER}-01"}
        # The other node of these tests may take the run as well: it makes no spans.
        wanted = {"POST /api/job/create", "run", "execute", "load cache", "read source"}
        deadline = time.monotonic() + 120
        while not wanted <= {span.name for span in of_trace(spans)}:
            assert time.monotonic() < deadline, of_trace(spans)
            job = ok(
                client.post(
                    "/api/job/create", json=caching(office, sourceTable="people"), headers=headers
                )
            )["jobs"][0]
            wait_for_end(client, job["id"])
            ok(client.delete(f"/api/job/{job['id']}/delete"))
            time.sleep(1)

    found = of_trace(spans)
    by_id = {span.span_id: span for span in found}
    for child, parent in (
        ("run", "POST /api/job/create"),
        ("execute", "run"),
        ("load cache", "execute"),
        ("read source", "load cache"),
    ):
        for span in (one for one in found if one.name == child):
            assert parent in above(span, by_id)
    assert {span.parent_span_id.hex() for span in found if span.name == "POST /api/job/create"} == {
        _CALLER
    }
    assert "people" not in str(spans)
    assert cache_database.password not in str(spans)


def of_trace(spans: list[Span]) -> list[Span]:
    """The spans of the caller's own trace."""
    return [span for span in list(spans) if span.trace_id.hex() == _TRACE]


def above(span: Span, by_id: dict[bytes, Span]) -> set[str]:
    """The names of all spans that a span is part of."""
    names = set()
    while span.parent_span_id in by_id:
        span = by_id[span.parent_span_id]
        names.add(span.name)
    return names
