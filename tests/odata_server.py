"""The real OData server of the tests: SAP CAP (tests/odata) on a free port."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).with_name("odata")
_START_SECONDS = 60
_LISTENS = re.compile(r"server listening on \{ url: 'http://[^:]+:(\d+)' \}")


@dataclass(frozen=True)
class ODataServer:
    """A running server; `url` is the root of its open service."""

    url: str
    closed_url: str
    conformance_url: str
    rows: int

    @property
    def conformance_v2_url(self) -> str:
        """The same tables over OData 2."""
        return self.conformance_url.replace("/v4/", "/v2/")

    def count(self, entity_set: str) -> int:
        """The server's own `$count`."""
        return int(httpx.get(f"{self.url}/{entity_set}/$count").text)

    def rows_of(self, entity_set: str) -> list[dict[str, Any]]:
        """Every row as the server answers it, read in this test's own way: by $skip and $top."""
        rows: list[dict[str, Any]] = []
        with httpx.Client(timeout=60) as client:
            while True:
                options = f"$orderby=ID&$skip={len(rows)}&$top=1000"
                answer = client.get(f"{self.url}/{entity_set}?{options}")
                answer.raise_for_status()
                page = answer.json()["value"]
                if not page:
                    return rows
                rows += page

    def change(self, entity: str, values: dict[str, Any]) -> None:
        """PATCH an entity; the server sets its modifiedAt."""
        httpx.patch(f"{self.url}/{entity}", json=values).raise_for_status()

    def insert(self, entity_set: str, values: dict[str, Any]) -> None:
        """POST an entity."""
        httpx.post(f"{self.url}/{entity_set}", json=values).raise_for_status()

    def delete(self, entity: str) -> None:
        """DELETE an entity."""
        httpx.delete(f"{self.url}/{entity}").raise_for_status()


@contextmanager
def odata_server(
    rows: int, log: Path, conformance: Mapping[str, Any] | None = None
) -> Iterator[ODataServer]:
    """Run the server with so many orders, and rows by entity for its service `conformance`; it is
    ended for certain."""
    binaries = Path(sys.executable).parent
    environment = os.environ | {
        "ROWS": str(rows),
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
        "NODE_ENV": "test",
    }
    if conformance is not None:
        written = log.with_suffix(".json")
        written.write_text(json.dumps(conformance))
        environment["CONFORMANCE"] = str(written)
    with log.open("wb") as output:
        running = subprocess.Popen(
            [
                str(binaries / "node"),
                "node_modules/@sap/cds/bin/serve.js",
                "--port",
                "0",
            ],
            cwd=FOLDER,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            port = _port(running, log)
            root = f"http://127.0.0.1:{port}/odata/v4"
            yield ODataServer(f"{root}/shop", f"{root}/closed", f"{root}/conformance", rows)
        finally:
            # `node` is a program of the wheel that starts the true one: both have to go.
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def _port(running: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        found = _LISTENS.search(log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.1)
    raise AssertionError(f"the OData server does not start:\n{log.read_text()}")
