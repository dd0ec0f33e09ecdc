"""The browser of these tests, and links to the hosted pages as a vendor's program gets them."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import Screen, chromium, screen
from tests.product import ok

BACK = "https://vendor.example/back?step=2"
CACHE_LINK = "/api/job/cacheConnection/formLink"

MakeLink = Callable[..., str]


# For this package only: while it is open, its own event loop runs in this thread.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, once for all of these tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def person(browser: Browser) -> Iterator[Screen]:
    """A person at a usual screen."""
    with screen(browser) as opened:
        yield opened


@pytest.fixture
def link(client: httpx.Client) -> MakeLink:
    """Asks for a link as the vendor's program does."""

    def make(path: str = CACHE_LINK, **body: Any) -> str:
        return str(ok(client.post(path, json={"redirectURL": BACK} | body))["redirectURL"])

    return make
