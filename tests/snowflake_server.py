"""A Snowflake for the tests: the SQL API as Snowflake's reference describes it, over DuckDB.

What the driver uses of it and no more: statements that run asynchronously, their state, the
partitions of their rows, their end by `cancel`, and the three ways to sign in. A statement is read
by sqlglot as Snowflake's SQL and answered by DuckDB, so that it has to be right.
"""

import base64
import gzip
import hashlib
import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import duckdb
import jwt
import sqlglot
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from tests.product import key_pair
from tidewell.state.statements import statements

ACCOUNT, USER, DATABASE, WAREHOUSE = "MYORG-SHOP", "READER", "SHOP", "SMALL"
TOKEN, OAUTH_TOKEN = "a-programmatic-access-token", "an-oauth-access-token"
PARTITION_BYTES = 10 * 2**20
_SQL = statements("tests", "snowflake_server.sql")
_NAME = r'"((?:[^"]|"")+)"'
_KEY_QUESTION = re.compile(rf"SHOW PRIMARY KEYS IN TABLE {_NAME}\.{_NAME}", re.DOTALL)
_KEY_COLUMNS = (
    *("created_on", "database_name", "schema_name", "table_name", "column_name", "key_sequence"),
    *("constraint_name", "rely", "comment"),
)


class Refused(Exception):
    """A statement that fails: Snowflake's code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Running:
    """A statement, until its end and after."""

    ended: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    failed: Refused | None = None
    columns: list[str] = field(default_factory=list)
    partitions: list[list[list[str | None]]] = field(default_factory=lambda: [[]])


@dataclass
class Snowflake:
    """A running service. `busy` requests are answered 429 first; a statement over `held` hangs.

    `lost` submissions are carried out, and their answers lost.
    """

    url: str = ""
    private_key: str = ""
    public_key: bytes = b""
    duck: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: dict[str, list[str]] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    busy: int = 0
    lost: int = 0
    held: threading.Event = field(default_factory=threading.Event)
    ended_by_cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def values(self) -> dict[str, str]:
        """A connection of the user whose key is known."""
        return {
            "URL": self.url,
            "Database": DATABASE,
            "Account": ACCOUNT,
            "User": USER,
            "PrivateKey": self.private_key,
        }

    def run(self, statement: str, rows: Any = None) -> list[Any]:
        """A statement of DuckDB's."""
        with self.lock:
            if rows:
                self.duck.executemany(statement, rows)
                return []
            return self.duck.execute(statement).fetchall()

    def submit(self, body: Any, options: dict[str, str]) -> str:
        """Begin a statement, once for each request's number; returns its handle."""
        request = options["requestId"]
        if options.get("retry") == "true" and request in self.requests:
            return self.requests[request]
        assert options["async"] == "true"
        handle = str(uuid4())
        self.running[handle] = Running()
        self.requests[request] = handle
        threading.Thread(target=self._execute, args=(handle, body), daemon=True).start()
        return handle

    def _execute(self, handle: str, body: Any) -> None:
        one = self.running[handle]
        try:
            if body.get("database") != DATABASE:
                raise Refused("390201", "The requested database does not exist or not authorized.")
            if body.get("warehouse", WAREHOUSE) != WAREHOUSE:
                raise Refused("000606", "No active warehouse selected in the current session.")
            texts = [one["value"] for _, one in sorted(body.get("bindings", {}).items())]
            if '"held"' in body["statement"] and "SHOW" not in body["statement"]:
                self.held.set()
                if one.cancelled.wait(60):
                    self.ended_by_cancel.set()
                    raise Refused("000604", "SQL execution canceled")
            one.columns, rows = self._answer(body["statement"], texts)
            one.partitions = _partitions(rows)
        except Refused as refused:
            one.failed = refused
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            one.failed = Refused("002003", f"SQL compilation error: {error}")
        except (duckdb.Error, sqlglot.errors.SqlglotError) as error:
            one.failed = Refused("001003", f"SQL compilation error: {error}")
        one.ended.set()

    def _answer(self, statement: str, texts: list[str]) -> tuple[list[str], list[Any]]:
        if asked := _KEY_QUESTION.fullmatch(statement.partition("\n")[2] or statement):
            schema, table = (name.replace('""', '"') for name in asked.groups())
            with self.lock:
                there = self.duck.execute(
                    "SELECT count(*) FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?",
                    [schema, table],
                ).fetchall()
            if not there[0][0]:
                raise Refused("002043", "Object does not exist, or operation cannot be performed.")
            parts = enumerate(self.keys.get(table, []), 1)
            rows = [
                ("now", DATABASE, schema, table, name, n, "PK", "false", "") for n, name in parts
            ]
            return list(_KEY_COLUMNS), rows[::-1]
        described = re.sub(r"\binformation_schema\.", "described.", statement)
        (translated,) = sqlglot.transpile(described, read="snowflake", write="duckdb")
        with self.lock:
            answer = self.duck.execute(translated, texts or None)
            return [column[0] for column in answer.description or ()], answer.fetchall()


def _partitions(rows: list[Any]) -> list[list[list[str | None]]]:
    """The first one is small, as Snowflake's is."""
    found: list[list[list[str | None]]] = [[]]
    size, most = 0, PARTITION_BYTES // 10
    for row in rows:
        cells = [_wire(value) for value in row]
        if size >= most:
            found.append([])
            size, most = 0, PARTITION_BYTES
        found[-1].append(cells)
        size += sum(len(cell or "") for cell in cells)
    return found


def _wire(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case float():
            return "NaN" if math.isnan(value) else repr(value)
        case _:
            return str(value)


def _content(one: Running, partition: int) -> dict[str, Any]:
    data = {"data": one.partitions[partition]}
    if partition:
        return data
    described = {
        "numRows": sum(len(rows) for rows in one.partitions),
        "format": "jsonv2",
        "rowType": [{"name": name, "type": "text"} for name in one.columns],
        "partitionInfo": [{"rowCount": len(rows)} for rows in one.partitions],
    }
    return {"resultSetMetaData": described, "code": "090001", **data}


def _is_let_in(service: Snowflake, kind: str | None, token: str) -> bool:
    if kind == "PROGRAMMATIC_ACCESS_TOKEN":
        return token == TOKEN
    if kind == "OAUTH":
        return token == OAUTH_TOKEN
    try:
        claims = jwt.decode(token, service.public_key, algorithms=["RS256"])
    except jwt.PyJWTError:
        return False
    public = load_pem_public_key(service.public_key)
    told = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    print_of_key = base64.b64encode(hashlib.sha256(told).digest()).decode()
    return (
        kind == "KEYPAIR_JWT"
        and claims["sub"] == f"{ACCOUNT}.{USER}"
        and claims["iss"] == f"{ACCOUNT}.{USER}.SHA256:{print_of_key}"
        and claims["exp"] - claims["iat"] <= 3600
    )


@contextmanager
def snowflake() -> Iterator[Snowflake]:
    """A service with an empty database, until the block ends."""
    private, public = key_pair()
    service = Snowflake(private_key=private.decode(), public_key=public)
    service.run("SET TimeZone = 'UTC'")
    service.run(_SQL["make"])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def _answer(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            kind = self.headers.get("X-Snowflake-Authorization-Token-Type")
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if not _is_let_in(service, kind, token):
                self._write(401, {"code": "390144", "message": "JWT token is invalid."})
                return
            if service.busy:
                service.busy -= 1
                self._write(429, {"code": "390505", "message": "later"}, {"Retry-After": "0"})
                return
            options = dict(parse_qsl(parts.query))
            match parts.path.split("/"):
                case ["", "api", "v2", "statements"]:
                    handle = service.submit(json.loads(body), options)
                    if service.lost:
                        service.lost -= 1
                        self._write(503, {"message": "lost"}, {"Retry-After": "0"})
                        return
                    self._write(202, {"code": "333334", "statementHandle": handle})
                case ["", "api", "v2", "statements", handle]:
                    self._state(service.running[handle], int(options.get("partition", "0")))
                case ["", "api", "v2", "statements", handle, "cancel"]:
                    service.running[handle].cancelled.set()
                    self._write(200, {"message": "statement was canceled"})
                case _:
                    self._write(404, {"message": "Not Found"})

        def _state(self, one: Running, partition: int) -> None:
            if not one.ended.is_set():
                self._write(202, {"code": "333334", "message": "in progress"})
            elif one.failed:
                self._write(422, {"code": one.failed.code, "message": str(one.failed)})
            else:
                self._write(200, _content(one, partition), zipped=partition > 0)

        def _write(
            self,
            status: int,
            body: Any,
            headers: dict[str, str] | None = None,
            *,
            zipped: bool = False,
        ) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if zipped:
                content = gzip.compress(content, 1)
                self.send_header("Content-Encoding", "gzip")
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
        for one in service.running.values():
            one.cancelled.set()
        server.shutdown()
        server.server_close()
        thread.join()
        service.duck.close()
