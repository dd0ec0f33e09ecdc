"""A real Chromium, and what every page is in it: quiet, accessible, no wider than the screen."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "e2e"
_AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
_PATIENCE_MS = 30_000
expect.set_options(timeout=_PATIENCE_MS)

# What a browser writes by itself when a page answers with an error status, as refusals do.
_EXPECTED = "Failed to load resource"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    sandbox = [] if os.getuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Screen:
    """One person's browser: a page, and what its console complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def looks_right(self, name: str) -> None:
        """Keep a screenshot; axe-core finds nothing, and nothing is wider than the screen."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{name} is {wide} px wider than the screen"
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_AXE.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert found["violations"] == [], _told(found["violations"])

    def keep(self, name: str) -> None:
        """Keep a screenshot of a page in which no script may run, axe-core's neither."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


@contextmanager
def screen(
    browser: Browser,
    *,
    width: int = 1024,
    height: int = 900,
    scheme: Literal["light", "dark"] = "light",
    javascript: bool = True,
) -> Iterator[Screen]:
    """A fresh browser profile; at its end its console has complained of nothing."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        java_script_enabled=javascript,
        reduced_motion="reduce",
    )
    context.set_default_timeout(_PATIENCE_MS)
    opened = Screen(context.new_page())

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _EXPECTED not in message.text:
            opened.complaints.append(message.text)

    context.on("console", listen)
    context.on("weberror", lambda error: opened.complaints.append(str(error.error)))
    try:
        yield opened
        assert opened.complaints == []
    finally:
        context.close()


def _told(violations: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']][:5]}"
        for one in violations
    )
