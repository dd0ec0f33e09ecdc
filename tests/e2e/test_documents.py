"""The documents as a site: built without a warning, and whole without the rest of the world."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import screen

ROOT = Path(__file__).parents[2]


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does: a warning would end it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where it is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe|source|link)[^>]+(?:src|href)=[\"']?(https?:)?//[^ >]+"
    )
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    assert [page.name for page in pages if loads.search(page.read_text())] == []
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?://|@import", sheet.read_text()), sheet.name


@pytest.mark.parametrize(("name", "diagrams"), [("index", 1), ("concepts", 3), ("run-life", 1)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_diagrams_are_drawn_without_the_net(
    browser: Browser, address: str, name: str, diagrams: int, scheme: str
) -> None:
    with screen(browser, scheme="dark" if scheme == "dark" else "light") as person:
        asked: list[str] = []
        person.page.on("request", lambda request: asked.append(request.url))
        person.page.goto(f"{address}/{name}.html")
        drawn = person.page.locator("div.mermaid")
        expect(drawn).to_have_count(diagrams)
        for number in range(diagrams):
            # Material draws into a closed shadow root: what is seen of it is its size.
            box = drawn.nth(number).bounding_box()
            assert box
            assert box["height"] > 80
        person.keep(f"documents-{name}-{scheme}")
        assert asked
        assert [url for url in asked if not url.startswith(address)] == []


@pytest.mark.parametrize("width", [320, 1440])
@pytest.mark.parametrize("name", ["tutorial", "move-from-cdata", "reference/drivers"])
def test_pages_fit_the_screen(browser: Browser, address: str, name: str, width: int) -> None:
    with screen(browser, width=width) as person:
        person.page.goto(f"{address}/{name}.html")
        wide = person.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0
        person.keep(f"documents-{name.replace('/', '-')}-{width}")


def test_the_search_finds_a_setting(browser: Browser, address: str) -> None:
    with screen(browser) as person:
        person.page.goto(f"{address}/index.html")
        search = person.page.get_by_role("textbox", name="Search")
        search.click()
        search.press_sequentially("TIDEWELL_EGRESS_ALLOW")
        expect(person.page.locator(".md-search-result__item").first).to_contain_text("EGRESS")
