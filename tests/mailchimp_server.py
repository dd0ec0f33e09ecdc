"""MailChimp's API over generated data: it pages, filters, checks the key and counts connections.

Which lists there are, and of what shape their items are, comes from the published description of
the API; `data` replaces what a test wants to decide. As the real one, it answers ten requests of a
key at a time and gives 429 to the eleventh.
"""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.prism import description

KEY = "0123456789abcdef0123456789abcdef-us21"
TOKEN = "an-oauth-access-token-of-an-account"
FIRST = datetime(2024, 2, 29, 23, 50, tzinfo=UTC)
MOST_AT_A_TIME = 10
_GENERATED = 3
_MISSING = object()

Item = dict[str, Any]


class MailChimp:
    """The service's state: `data` by path, and what was asked of it.

    `busy_answers` are given before others; `block_at` and `break_at` are parts of an address whose
    answer never comes, or breaks off; `names` replaces the name that a list has in its answer;
    no page has more than `most_items`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.data: dict[str, list[Item]] = {}
        self.requests: list[str] = []
        self.at_a_time = 0
        self.most_at_a_time = 0
        self.busy_answers = 0
        self.blocked = threading.Event()
        self.go_on = threading.Event()
        self.block_at: str | None = None
        self.break_at: str | None = None
        self.names: dict[str, str] = {}
        self.most_items = 1000
        self._lock = threading.Lock()
        self._described = description()
        self._lists = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$"), one)
            for path, operations in self._described["paths"].items()
            if (one := self._list_of(operations.get("get"))) is not None
        ]

    def items(self, path: str) -> tuple[str, list[Item]] | None:
        """The name of a list and its items; None where the description has no such list."""
        for pattern, (name, schema) in self._lists:
            if pattern.match(f"/{path}"):
                if path not in self.data:
                    self.data[path] = [self._made(schema, n, "") for n in range(_GENERATED)]
                return self.names.get(path, name), self.data[path]
        return None

    def entered(self) -> bool:
        """Whether one more request may be answered now."""
        with self._lock:
            self.at_a_time += 1
            self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
            return self.at_a_time <= MOST_AT_A_TIME

    def left(self) -> None:
        """A request is answered."""
        with self._lock:
            self.at_a_time -= 1

    def _list_of(self, operation: Any) -> tuple[str, Any] | None:
        answer = ((operation or {}).get("responses") or {}).get("200") or {}
        properties = self._resolved(answer.get("schema") or {}).get("properties") or {}
        if "total_items" not in properties and len(properties) > 3:
            return None
        for name, one in properties.items():
            resolved = self._resolved(one)
            if resolved.get("type") == "array" and name != "_links":
                return name, self._resolved(resolved["items"])
        return None

    def _resolved(self, schema: Any) -> Any:
        while isinstance(schema, dict) and "$ref" in schema:
            found: Any = self._described
            for part in schema["$ref"].split("/")[1:]:
                found = found[part]
            schema = found
        return schema

    def _made(self, schema: Any, number: int, name: str) -> Any:
        """A value as a schema asks for it, another one for each number."""
        schema = self._resolved(schema)
        if schema.get("enum"):
            return schema["enum"][number % len(schema["enum"])]
        match schema.get("type"):
            case "string" if schema.get("format") == "date-time":
                return (FIRST + timedelta(hours=number)).isoformat()
            case "string":
                return f"{name or 'text'} {number}" if name != "id" else f"id{number}"
            case "integer":
                return number
            case "number":
                return number + 0.5
            case "boolean":
                return number % 2 == 0
            case "array":
                return [self._made(schema.get("items") or {}, number, name)]
            case _:
                properties = schema.get("properties") or {}
                return {
                    inner: self._made(one, number, inner) for inner, one in properties.items()
                } | ({"_links": []} if "_links" in properties else {})


@contextmanager
def mailchimp() -> Iterator[MailChimp]:
    """Run the service on a free port of this machine."""
    service = MailChimp()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            allowed = service.entered()
            try:
                self._answer(allowed)
            finally:
                service.left()

        def _answer(self, allowed: bool) -> None:
            service.requests.append(self.path)
            if not self._is_signed_in():
                self._problem(401, "API Key Invalid", "Your API key may be invalid.")
                return
            if not allowed or service.busy_answers > 0:
                service.busy_answers -= 1
                self._problem(429, "Too Many Requests", "You have exceeded the limit.", "1")
                return
            parts = urlsplit(self.path)
            path = parts.path.removeprefix("/3.0/").rstrip("/")
            options = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if service.block_at and service.block_at in self.path:
                service.blocked.set()
                service.go_on.wait(60)
            if service.break_at and service.break_at in self.path:
                self._write(200, b'{"half": [')
                return
            found = service.items(path)
            if found is None:
                self._problem(404, "Resource Not Found", "The resource could not be found.")
                return
            self._write(200, json.dumps(_page(*found, options, service.most_items)).encode())

        def _is_signed_in(self) -> bool:
            given = self.headers.get("Authorization", "")
            if given == f"Bearer {TOKEN}":
                return True
            if not given.startswith("Basic "):
                return False
            return base64.b64decode(given[6:]).decode().partition(":")[2] == KEY

        def _problem(self, status: int, title: str, detail: str, wait: str = "") -> None:
            body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
            self._write(status, json.dumps(body).encode(), wait)

        def _write(self, status: int, body: bytes, wait: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            if wait:
                self.send_header("Retry-After", wait)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *arguments: Any) -> None:
            pass  # a client that goes away in the middle of an answer is part of the tests

    with Server(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}/3.0"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.go_on.set()
            server.shutdown()
            thread.join()


def _page(name: str, items: list[Item], options: dict[str, str], most: int) -> dict[str, Any]:
    """`count` items (10 where none is asked for, `most` at most) from `offset` on."""
    kept = [item for item in items if all(_holds(item, n, v) for n, v in options.items())]
    offset = int(options.get("offset", "0"))
    count = min(int(options.get("count", "10")), most)
    only = {one.partition(".")[2] for one in options.get("fields", "").split(",")} - {""}
    without = {one.partition(".")[2] for one in options.get("exclude_fields", "").split(",")}
    page = [
        {k: v for k, v in item.items() if (not only or k in only) and k not in without}
        for item in kept[offset : offset + count]
    ]
    return {name: page, "total_items": len(kept)}


def _holds(item: Item, option: str, value: str) -> bool:
    """`since_…` and `before_…` are about the moment itself; neither includes it."""
    direction, _, field = option.partition("_")
    held = item.get(field, _MISSING)
    if direction not in ("since", "before") or held is _MISSING:
        return True
    if not held:
        return False
    moment, bound = datetime.fromisoformat(held), datetime.fromisoformat(value)
    return moment > bound if direction == "since" else moment < bound
