"""The example of docs/write-a-driver.md, built and installed as a package of somebody else's."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest

from tidewell.sources import registry
from tidewell.sources.conformance import (
    TEXTS,
    BigTable,
    Blocked,
    CredentialsConformance,
    DriverConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.protocol import Driver, ReadRequest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "tests" / "example_driver"
PAGE = 1000
TOKEN = "a-right-token"
FIRST = datetime(2024, 2, 29, 23, 59, 59, 999_998)  # noqa: DTZ001 - a column without a zone

TYPED = Expected(
    "JSON",
    "typed",
    columns={
        "flag": pa.bool_(),
        "whole": pa.int64(),
        "float": pa.float64(),
        "day": pa.date32(),
        "at": pa.timestamp("us"),
        "word": pa.string(),
    },
    rows=[
        dict.fromkeys(("flag", "whole", "float", "day", "at", "word")),
        {
            "flag": True,
            "whole": -(2**63),
            "float": 0.1,
            "day": date(1900, 1, 1),
            "at": FIRST,
            "word": "é",
        },
        {
            "flag": False,
            "whole": 2**63 - 1,
            "float": -1e-300,
            "day": date(9999, 12, 31),
            "at": FIRST + timedelta(microseconds=1),
            "word": "",
        },
    ],
    moves_forward=("at",),
)
TEXT_ROWS = Expected("JSON", "texts", {"text": pa.string()}, [{"text": text} for text in TEXTS])
EMPTY = Expected("JSON", "empty", {"id": pa.int64()}, [])
WIDE = Expected(
    "JSON",
    "wide",
    columns={f"c{n}": pa.int64() for n in range(150)},
    rows=[{f"c{n}": n * row for n in range(150)} for row in range(2)],
)
ODD = Expected("JSON", 'select "ö" & [x]; %', {"a b": pa.int64(), '"`': pa.string()}, [
    {"a b": 1, '"`': "x"}
])  # fmt: skip
PAGED = Expected(
    "JSON",
    "paged",
    columns={"id": pa.int64(), "changed": pa.timestamp("us")},
    rows=[{"id": n, "changed": FIRST + timedelta(microseconds=n // 300)} for n in range(2500)],
    moves_forward=("changed",),
)
BIG_ROWS = 2_100
TABLES = {one.name: one for one in (TYPED, TEXT_ROWS, EMPTY, WIDE, ODD, PAGED)}


class Pages(ThreadingHTTPServer):
    """The service that the example reads."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.held = threading.Event()
        self.going = threading.Event()
        self.going.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.send_error(401)
            return
        if address.path == "/tables":
            self._send({name: _types(table) for name, table in TABLES.items()} | {
                "big": {"text": "string"}
            })  # fmt: skip
            return
        asked = parse_qs(address.query)
        name, offset = asked["table"][0], int(asked["offset"][0])
        if offset and not self.server.going.is_set():
            self.server.held.set()
            self.server.going.wait(60)
        if name == "big":
            self._send([{"text": "x" * 50_000}] * (20 if offset < BIG_ROWS else 0))
        else:
            self._send(TABLES[name].rows[offset : offset + PAGE])

    def _send(self, answer: Any) -> None:
        body = json.dumps(answer, default=lambda value: value.isoformat()).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _types(table: Expected) -> dict[str, str]:
    return {name: str(kind).partition("[day")[0] for name, kind in table.columns.items()}


@pytest.fixture(scope="module")
def service() -> Iterator[Pages]:
    running = Pages()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example's wheel in a folder that Python looks for packages in."""
    folder = tmp_path_factory.mktemp("site")
    uv = str(Path(sys.executable).with_name("uv"))
    given = ["--python", sys.executable, "--target", str(folder), str(EXAMPLE)]
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *given]
    subprocess.run(install, check=True, capture_output=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        registry.forget()
        yield folder
    registry.forget()


class TestExample(DriverConformance, HostConformance, CredentialsConformance):
    memory_bound = 48 * 2**20

    @pytest.fixture
    def driver(self, installed: Path) -> Driver:
        return registry.driver("jsonpages")

    @pytest.fixture
    def values(self, service: Pages) -> Mapping[str, str]:
        return {"URL": service.url, "Token": TOKEN}

    @pytest.fixture
    def typed(self) -> Expected:
        return TYPED

    @pytest.fixture
    def texts(self) -> Expected:
        return TEXT_ROWS

    @pytest.fixture
    def empty(self) -> Expected:
        return EMPTY

    @pytest.fixture
    def wide(self) -> Expected:
        return WIDE

    @pytest.fixture
    def oddly_named(self) -> Expected:
        return ODD

    @pytest.fixture
    def paged(self) -> Expected:
        return PAGED

    @pytest.fixture
    def big(self) -> BigTable:
        return BigTable("JSON", "big", BIG_ROWS)

    @pytest.fixture
    def blocked(self, values: Mapping[str, str], service: Pages) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            service.held.clear()
            service.going.clear()

            def wait() -> None:
                assert service.held.wait(30)

            try:
                yield Blocked(values, ReadRequest("JSON", "paged"), wait)
            finally:
                service.going.set()

        return hanging()

    @pytest.fixture
    def elsewhere(self) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {"URL": f"http://{host}:{port}", "Timeout": "1"}

    @pytest.fixture
    def guarded(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return values

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        return [{"Token": "a-wrong-token"}]


def test_the_document_shows_the_example_as_it_is() -> None:
    document = (ROOT / "docs" / "write-a-driver.md").read_text()
    for file in ("tidewell_json_pages.py", "pyproject.toml"):
        assert (EXAMPLE / file).read_text() in document, f"{file} has changed"


def test_an_installed_driver_is_listed_beside_ours(installed: Path) -> None:
    assert "JSONPages" in registry.names()
    assert "OData" in registry.names()
