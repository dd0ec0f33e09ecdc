"""An OData service that stops in the middle of its pages until a test lets it go on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.odd_service import Answer, Request, odd_service

PAGES = 10
ROWS_A_PAGE = 500


@dataclass
class SlowSource:
    """Pages of `Things`; after the first half of them it waits, unless it was let go."""

    url: str = ""
    rows: int = PAGES * ROWS_A_PAGE
    _going: threading.Event = field(default_factory=threading.Event)
    _waiting: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        """From now on, stop in the middle."""
        self._waiting.clear()
        self._going.clear()

    def let_go(self) -> None:
        """Go on to the end."""
        self._going.set()

    def wait_until_read(self) -> None:
        """Return when a client waits in the middle."""
        assert self._waiting.wait(30), "nobody reads"

    def page(self, request: Request) -> Answer:
        """One page, perhaps later."""
        page = int(request.query.get("$skiptoken", "0"))
        if page == PAGES // 2:
            self._waiting.set()
            self._going.wait(60)
        first = page * ROWS_A_PAGE
        rows = [{"ID": n, "name": f"n{n}"} for n in range(first, first + ROWS_A_PAGE)]
        if page + 1 == PAGES:
            return Answer({"value": rows})
        return Answer({"value": rows, "@odata.nextLink": f"Things?$skiptoken={page + 1}"})


@contextmanager
def slow_source() -> Iterator[SlowSource]:
    """Run the service until the block ends."""
    slow = SlowSource()
    with odd_service(slow.page) as running:
        slow.url = running.url
        try:
            yield slow
        finally:
            slow.let_go()
