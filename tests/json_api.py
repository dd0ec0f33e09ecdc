"""A JSON API of tables: pages by number, `since`, three ways to sign in, and faults on demand."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Row = Mapping[str, Any]
SIGN_INS = {
    "Authorization": (
        "Basic " + base64.b64encode(b"alice:wonder;land=1").decode(),
        "Bearer a-token-of-the-api",
        "Bearer token-of-client-7",
    ),
    "X-API-Key": ("1e5_and-more",),
}


@dataclass(frozen=True)
class Answer:
    """What a client gets."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class JSONAPI:
    """`tables` by name; `answers` are functions by path, for what is special."""

    url: str = ""
    tables: dict[str, Sequence[Row]] = field(default_factory=dict)
    answers: dict[str, Callable[[dict[str, str]], Answer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    blocked: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def block(self, query: dict[str, str]) -> Answer:
        """Hang in the third page, until the test ends."""
        if query.get("page") == "3":
            self.blocked.set()
            self.go_on.wait(60)
        first = 500 * int(query.get("page", "1"))
        return Answer([{"ID": first + n} for n in range(500)])

    def answer(self, path: str, query: dict[str, str], headers: Mapping[str, str]) -> Answer:
        """The answer to a request."""
        if path in self.answers:
            return self.answers[path](query)
        if path.startswith("/closed"):
            if not any(headers.get(name) in said for name, said in SIGN_INS.items()):
                return Answer({"error": {"message": "Who are you?"}}, 401)
            path = path.removeprefix("/closed")
        rows = self.tables.get(unquote(path).strip("/"))
        if rows is None:
            return Answer({"message": f"nothing at {path}"}, 404)
        since = query.get("since")
        if since:
            rows = [row for row in rows if str(row["changed"]) > since]
        size, page = int(query.get("size", "500")), int(query.get("page", "1"))
        return Answer(rows[(page - 1) * size : page * size])


@contextmanager
def json_api(
    tables: Mapping[str, Sequence[Row]], tls: ssl.SSLContext | None = None
) -> Iterator[JSONAPI]:
    """Run the API on a free port of this machine; with `tls` as `localhost`."""
    api = JSONAPI(tables=dict(tables))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = dict(parse_qsl(address.query))
            api.asked.append((address.path, query, dict(self.headers.items())))
            self._write(api.answer(address.path, query, self.headers))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            sent = json.loads(body) if body.startswith("{") else dict(parse_qsl(body))
            known = sent.get("client_secret") == "secret of client 7"
            token = {"access_token": "token-of-client-7", "expires_in": 3600}
            self._write(Answer(token) if known else Answer({"error": "invalid_client"}, 401))

        def _write(self, answer: Answer) -> None:
            body = answer.body
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
            try:
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                for name, value in ({"Content-Length": str(len(body))} | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            api.url = f"https://localhost:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield api
        finally:
            api.go_on.set()
            server.shutdown()
            thread.join()


def slowly(seconds: float, answer: Answer) -> Callable[[dict[str, str]], Answer]:
    """An answer that takes its time."""

    def wait(_: dict[str, str]) -> Answer:
        time.sleep(seconds)
        return answer

    return wait
