"""A BigQuery for the tests: the REST API as Google's reference describes it, over DuckDB.

What the driver uses of it and no more: lists of datasets and tables, a table's schema, queries
whose rows come by pages, access tokens for service accounts. A query is read by sqlglot as
BigQuery's SQL and answered by DuckDB, so that it has to be right.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit
from uuid import uuid4

import duckdb
import jwt
import sqlglot
from sqlglot import exp

from tests.product import key_pair

PROJECT = "shop-project"
PAGE_BYTES = 10 * 2**20
"""Of a page of rows, at most (REST reference, jobs.getQueryResults, maxResults)."""
TOKEN = "an-access-token-of-bigquery"
AUDIENCE = "https://oauth2.googleapis.com/token"
_NAMES = {
    "BIGINT": "INTEGER",
    "INTEGER": "INTEGER",
    "DOUBLE": "FLOAT",
    "VARCHAR": "STRING",
    "BLOB": "BYTES",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}


@dataclass
class BigQuery:
    """A running service. `busy` requests are answered 429 first; a query of `held` hangs."""

    url: str = ""
    private_key: str = ""
    public_key: bytes = b""
    duck: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    lock: threading.Lock = field(default_factory=threading.Lock)
    jobs: dict[str, list[Any]] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    busy: int = 0
    held: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def certificate(self) -> str:
        """The key file of a service account."""
        account = {"client_email": "reader@shop", "private_key": self.private_key}
        return json.dumps(
            {"type": "service_account", "token_uri": "https://evil.invalid"} | account
        )

    def run(self, statement: str, rows: Any = None) -> list[Any]:
        """A statement of DuckDB's."""
        with self.lock:
            if rows:
                self.duck.executemany(statement, rows)
                return []
            return self.duck.execute(statement).fetchall()

    def answer(self, path: list[str], options: dict[str, str], body: Any) -> tuple[int, Any]:
        """The answer to a call below /bigquery/v2/projects/PROJECT."""
        match path:
            case ["datasets"]:
                return _page("datasets", options, [{"datasetReference": {"datasetId": "main"}}])
            case ["datasets", "main", "tables"]:
                names = [row[0] for row in self.run("SHOW TABLES")]
                tables = [{"tableReference": {"tableId": name}, "type": "TABLE"} for name in names]
                return _page("tables", options, tables)
            case ["datasets", "main", "tables", table]:
                return self._table(table)
            case ["queries"]:
                job = uuid4().hex
                self.jobs[job] = self._asked(body["query"])
                return 200, self._rows(job, 0, int(body["maxResults"]))
            case ["queries", job]:
                begin = int(options["pageToken"])
                return 200, self._rows(job, begin, int(options["maxResults"]))
        return 404, {"error": {"message": f"Not found: {path}"}}

    def _asked(self, query: str) -> list[Any]:
        if "`held`" in query:
            self.held.set()
            self.go_on.wait(60)
        tree = sqlglot.parse_one(query, read="bigquery")
        for one in list(tree.find_all(exp.JSONFormat)):
            if one.args.get("to_json") is None:
                # Of NULL it makes the text null (GoogleSQL reference, TO_JSON_STRING).
                one.replace(exp.func("COALESCE", one.copy(), exp.Literal.string("null")))
        statement = tree.sql("duckdb")
        statement = statement.replace(" AS DECIMAL)", " AS DECIMAL(38, 9))")
        return self.run(statement)

    def _rows(self, job: str, begin: int, size: int) -> dict[str, Any]:
        rows, found, bytes_left = self.jobs[job], [], PAGE_BYTES
        while begin < len(rows) and len(found) < size and bytes_left > 0:
            cells = [_wire(value) for value in rows[begin]]
            bytes_left -= sum(len(str(cell)) for cell in cells)
            found.append({"f": [{"v": cell} for cell in cells]})
            begin += 1
        more = {"pageToken": str(begin)} if begin < len(rows) else {}
        return {
            "jobComplete": True,
            "jobReference": {"projectId": PROJECT, "jobId": job, "location": "US"},
            "rows": found,
        } | more

    def _table(self, table: str) -> tuple[int, Any]:
        with self.lock:
            found = self.duck.execute(
                "SELECT column_name, data_type, is_nullable, numeric_precision, numeric_scale "
                "FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
                [table],
            ).fetchall()
        if not found:
            return 404, {"error": {"message": f"Not found: Table {table}"}}
        fields = [_field(*row) for row in found]
        key = {"tableConstraints": {"primaryKey": {"columns": self.keys.get(table, [])}}}
        return 200, {"schema": {"fields": fields}} | key


def _field(
    name: str, kind: str, nullable: bool, precision: int | None, scale: int | None
) -> dict[str, Any]:
    if kind.endswith("[]"):
        return {"name": name, "type": "STRING", "mode": "REPEATED"}
    mode = "NULLABLE" if nullable else "REQUIRED"
    if kind.startswith("DECIMAL"):
        digits = {"precision": str(precision), "scale": str(scale)}
        return {"name": name, "type": "NUMERIC", "mode": mode} | digits
    return {"name": name, "type": _NAMES[kind], "mode": mode}


def _page(items: str, options: dict[str, str], found: list[Any]) -> tuple[int, Any]:
    """Lists come by pages of three."""
    begin = int(options.get("pageToken", "0"))
    more = {"nextPageToken": str(begin + 3)} if begin + 3 < len(found) else {}
    return 200, {items: found[begin : begin + 3]} | more


def _wire(value: Any) -> Any:
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return base64.b64encode(value).decode()
        case datetime() if value.tzinfo:
            since = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            return str((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return repr(value)


@contextmanager
def bigquery() -> Iterator[BigQuery]:
    """A service with an empty dataset `main`, until the block ends."""
    private, public = key_pair()
    service = BigQuery(private_key=private.decode(), public_key=public)
    service.run("SET TimeZone = 'UTC'")
    service.run(f"ATTACH ':memory:' AS \"{PROJECT}\"")
    service.run(f'USE "{PROJECT}"')

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes | None) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/token":
                self._write(*_token(service, body or b""))
                return
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._write(401, {"error": {"message": "Invalid Credentials"}})
                return
            if service.busy:
                service.busy -= 1
                self._write(429, {"error": {"message": "later"}}, {"Retry-After": "0"})
                return
            names = [unquote(part) for part in parts.path.split("/")[1:]]
            assert names[:4] == ["bigquery", "v2", "projects", PROJECT]
            options = dict(parse_qsl(parts.query))
            try:
                answer = service.answer(names[4:], options, json.loads(body) if body else None)
            except (duckdb.Error, sqlglot.errors.SqlglotError) as error:
                answer = (400, {"error": {"message": str(error)}})
            self._write(*answer)

        def _write(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        service.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
        service.duck.close()


def _token(service: BigQuery, body: bytes) -> tuple[int, Any]:
    """RFC 7523, 2.1."""
    form = parse_qs(body.decode())
    try:
        claims = jwt.decode(
            form["assertion"][0], service.public_key, algorithms=["RS256"], audience=AUDIENCE
        )
    except (jwt.PyJWTError, KeyError):
        return 400, {"error": "invalid_grant"}
    if claims["iss"] != "reader@shop":
        return 400, {"error": "invalid_grant"}
    return 200, {"access_token": TOKEN, "expires_in": 3600}
