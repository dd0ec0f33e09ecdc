"""A newcomer's way: the commands of the README, of the tutorial, and of pages that go on from it.

They are run as they stand.

A fresh folder and a home of its own. Two things are other than on the page: the port, which has to
be free here, and the public OData service, for which a real one of this machine stands.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.odata_server import ODataServer, odata_server
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PUBLIC = "https://services.odata.org"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SECONDS = 240


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ODataServer]:
    """A real OData server that has the public one's customers, too."""
    with odata_server(1, tmp_path_factory.mktemp("odata") / "odata.log") as running:
        yield running


@pytest.fixture
def home() -> Iterator[Path]:
    """A newcomer's home: short, because the system bounds paths, and open to PostgreSQL's user."""
    folder = Path(tempfile.mkdtemp(prefix="newcomer-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def blocks(page: str) -> list[str]:
    """The commands of a page, block by block."""
    return _BLOCK.findall((ROOT / page).read_text())


def environment(home: Path) -> dict[str, str]:
    """What a newcomer has in the environment: nothing of Tidewell's."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return kept | {"HOME": str(home), "NO_COLOR": "1", "COLUMNS": "100", "TERM": "dumb"}


def follow(page: str, commands: str, home: Path, service: ODataServer) -> str:
    """Run the commands of a page in one shell, as somebody who pastes them; what they print."""
    assert "8080" in commands
    assert PUBLIC in commands
    commands = commands.replace("8080", str(free_port()))
    commands = commands.replace(PUBLIC, service.url.partition("/odata/")[0])
    # What the operator has to allow for a source that stands on this very machine.
    allowed = "export TIDEWELL_EGRESS_ALLOW=127.0.0.1\n"
    ending = "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", ending + allowed + commands],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{page}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_tutorial(home: Path, service: ODataServer) -> None:
    said = follow("the tutorial", "\n".join(blocks("docs/tutorial.md")), home, service)

    assert "3 rows read" in said
    assert "6 rows read" in said
    assert re.search(r"^2 +BERGS +240\.0 +2026-01-06", said, re.MULTILINE)
    jobs = re.findall(r"^\w{8} +(\w+) +(?:Caching|ScheduledQuery) +(\w+) ", said, re.MULTILINE)
    assert jobs == [("orders", "ok"), ("Customers", "ok"), ("totals", "ok")]
    assert "✗" not in said
    assert '"totals"' in said  # over HTTP
    assert "Alfreds Futterkiste" in said, said
    assert (home / "tide" / "vendor.pem").stat().st_mode & 0o777 == 0o600


def test_the_pages_that_go_on_from_the_tutorial(home: Path, service: ODataServer) -> None:
    """Queries, links to the pages, keys, tokens and upgrades, after six steps of the tutorial."""
    begun = blocks("docs/tutorial.md")[:7]
    assert "Shop OData" in begun[-1]
    pages = {page: blocks(f"docs/{page}.md") for page in ("query", "pages", "keys")}
    assert {page: len(found) for page, found in pages.items()} == {
        "query": 2,
        "pages": 2,
        "keys": 3,
    }
    commands = [*begun, *(command for found in pages.values() for command in found)]
    # What the page of upgrades has in its text.
    commands += ["tidewell db upgrade", "tidewell db version", "tidewell secrets rotate"]
    commands += ["tidewell signing-key rotate", "tidewell doctor"]

    said = follow("the pages", "\n".join(commands), home, service)

    assert "Alfreds Futterkiste" in said, said  # it is in Germany
    assert "Berglunds" not in said
    assert '["Office","Files","orders"' in said.replace(" ", "")
    assert "/oem/user/jobs?token=" in said  # the link to the Jobs pages
    assert '"kid": "2026"' in said
    assert "Anna's spreadsheet" in said
    assert "twpat_" in said
    assert re.search(r'"resealed": [1-9]', said)
    assert "✗" not in said


def test_the_first_vendor_of_a_production_server(home: Path) -> None:
    [commands] = [one for one in blocks("docs/production.md") if "account create" in one]
    commands = f"cd {home}\nexport PATH={BIN}:$PATH TIDEWELL_HOME={home}/state\n{commands}"
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"frameOrigins": ["https://app.example.com"]' in done.stdout
    assert "✓ vendors: 1, each with a public key" in done.stdout
    assert "! workers: 0 alive" in done.stdout  # none was started
    assert "✗" not in done.stdout


def test_the_readme(home: Path, service: ODataServer) -> None:
    _two, *rest = blocks("README.md")
    said = follow("the README", "\n".join(rest), home, service)

    jobs = re.findall(r"^\w{8} +(\w+) +(?:Caching|ScheduledQuery) +(\w+) ", said, re.MULTILINE)
    assert jobs == [("orders", "ok"), ("Customers", "ok"), ("totals", "ok")]
    assert "Alfreds Futterkiste" in said, said


def test_the_demo_of_the_readme(home: Path) -> None:
    commands = blocks("README.md")[0]
    assert [line.split("#")[0].strip() for line in commands.splitlines()] == [
        "make run",
        "make test",
    ]
    settings = {"TIDEWELL_HOME": str(home / "demo"), "PORT": str(free_port())}
    with running("make run", environment(home) | settings, home / "demo.log") as log:
        deadline = time.monotonic() + _SECONDS
        while "Serving until Ctrl-C." not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        said = log.read_text()
    assert "336,776 rows read" in said
    assert said.count("\ncurl ") >= 9


@contextmanager
def running(command: str, settings: dict[str, str], log: Path) -> Iterator[Path]:
    """A command in the repository's own folder, until Ctrl-C."""
    with log.open("w") as output:
        started = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=ROOT,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield log
            os.killpg(started.pid, signal.SIGINT)
            started.wait(30)
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()
