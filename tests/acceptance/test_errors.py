"""Errors as contract §2 has them: one shape, the right status, and what a client may do next."""

import json
import socket
from collections.abc import Iterator
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.openapi_document import DOCUMENT, Operation, operations
from tests.product import Customer, make_customer, make_vendor, ok, process
from tests.running_product import Product, free_port, wait_until_ready
from tidewell.state.embedded import EmbeddedServer

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def code(answer: httpx.Response, status: int) -> str:
    """The code of an error that has the contract's shape and this status."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert set(error) <= {"code", "message", "details", "requestId"}
    assert error["message"]
    assert error["requestId"] == answer.headers["X-Request-Id"]
    return str(error["code"])


def test_every_answer_has_a_request_id_and_a_sane_one_is_taken_over(client: httpx.Client) -> None:
    for path in ("/api/job/list", "/healthz", "/openapi.json", "/docs", "/nowhere", "/oem/nowhere"):
        assert client.get(path).headers["X-Request-Id"], path
    mine = client.get("/api/job/list", headers={"X-Request-Id": "trace-0123456789"})
    assert mine.headers["X-Request-Id"] == "trace-0123456789"
    for odd in ("short", "with spaces in it", "x" * 65, "<script>alert(1)</script>"):
        answer = client.get("/api/job/list", headers={"X-Request-Id": odd})
        assert answer.headers["X-Request-Id"] != odd


def test_another_method_is_405_and_names_all_that_the_path_takes(client: httpx.Client) -> None:
    by_path: dict[str, list[Operation]] = {}
    for operation in operations(DOCUMENT):
        by_path.setdefault(operation.path, []).append(operation)
    for path, taken in by_path.items():
        allowed = {operation.method for operation in taken}
        for method in METHODS:
            if method not in allowed:
                answer = client.request(method, taken[0].concrete_path())
                assert code(answer, 405) == "METHOD_NOT_ALLOWED", path
                assert set(answer.headers["Allow"].split(", ")) == allowed, path


def test_paths_that_are_not_there(client: httpx.Client) -> None:
    for path in ("/", "/api", "/api/jobs", "/api/job/list/", "/API/job/list", "//api/job/list"):
        assert code(client.get(path), 404) == "NOT_FOUND"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_bodies_of_another_kind_and_too_large_ones(client: httpx.Client, method: str) -> None:
    path = "/api/job/create" if method == "POST" else f"/api/job/{uuid4()}/update"
    for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x", "x"):
        answer = client.request(method, path, content=b"{}", headers={"Content-Type": kind})
        assert code(answer, 415) == "UNSUPPORTED_MEDIA_TYPE"
    for kind in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"):
        answer = client.request(method, path, content=b"[]", headers={"Content-Type": kind})
        assert code(answer, 400) == "INVALID_REQUEST"
    too_large = b'{"jobType": "' + b"x" * (1 << 20) + b'"}'
    assert code(client.request(method, path, content=too_large), 413) == "PAYLOAD_TOO_LARGE"

    def in_parts() -> Iterator[bytes]:
        for start in range(0, len(too_large), 65_536):
            yield too_large[start : start + 65_536]

    assert code(client.request(method, path, content=in_parts()), 413) == "PAYLOAD_TOO_LARGE"
    fits = json.dumps({"jobType": "x" * ((1 << 20) - 20)}).encode()
    assert code(client.request(method, path, content=fits), 400) == "INVALID_REQUEST"


def test_who_calls_is_asked_before_what_is_sent(product: Product) -> None:
    with httpx.Client(base_url=product.base_url) as nobody:
        for operation in operations(DOCUMENT):
            if operation.is_closed:
                answer = nobody.request(operation.method, operation.concrete_path())
                assert code(answer, 401) == "UNAUTHENTICATED", operation.id
                assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_call_too_many_is_told_when_to_come_back(
    product: Product, customer: Customer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bounded")
    settings = product.settings | {"TIDEWELL_REQUESTS_PER_MINUTE": "5"}
    port, log = free_port(), folder / "serve.log"
    arguments = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
    with process(*arguments, settings=settings, log=log):
        base_url = f"http://127.0.0.1:{port}"
        wait_until_ready(base_url, log)
        bounded = Customer(base_url, customer.vendor, customer.account_id)
        with bounded.client() as client, bounded.client_of(sub=None) as parent:
            for _ in range(5):
                ok(client.get("/api/job/list"))
            refused = client.get("/api/job/list")
            assert code(refused, 429) == "TOO_MANY_REQUESTS"
            assert 1 <= int(refused.headers["Retry-After"]) <= 12
            # Others are not held up, nor is the process's own health.
            ok(parent.get("/api/poweredby/sources/list"))
            ok(client.get("/readyz"))


def test_without_the_state_database_a_call_is_503_and_says_when_to_come_back(
    server: EmbeddedServer, product: Product, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    settings = product.settings | {"TIDEWELL_DATABASE_URL": server.url(name)}
    port, log = free_port(), folder / "serve.log"
    arguments = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
    with process(*arguments, settings=settings, log=log):
        base_url = f"http://127.0.0.1:{port}"
        wait_until_ready(base_url, log)
        with make_customer(base_url, make_vendor(folder, settings)).client() as client:
            ok(client.get("/api/job/list"))
            with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            for path in ("/api/job/list", "/readyz"):
                answer = client.get(path)
                assert code(answer, 503) == "UNAVAILABLE"
                assert int(answer.headers["Retry-After"]) > 0
            ok(client.get("/healthz"))


def test_what_is_no_http_breaks_nothing(product: Product) -> None:
    place = ("127.0.0.1", int(product.base_url.rpartition(":")[2]))
    for junk in (b"\x16\x03\x01\x02\x00", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\nHost: \0\r\n\r\n"):
        with socket.create_connection(place, timeout=10) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert httpx.get(f"{product.base_url}/healthz").is_success
