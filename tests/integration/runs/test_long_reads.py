"""An OData service that changes rows between its pages, while a run takes long to read them."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import CacheDatabase
from tests.odd_service import Answer, Request, odd_service
from tests.things_job import ThingsJob
from tidewell.runs import watermark

PROPERTIES = (
    '<Property Name="at" Type="Edm.DateTimeOffset" Precision="6" Nullable="false"/>'
    '<Property Name="name" Type="Edm.String"/>'
)


class World:
    """Two rows, a page each; while a client waits for the second page, both are changed."""

    def __init__(self) -> None:
        self.rows = {1: ("old", datetime.now(UTC)), 2: ("old", datetime.now(UTC))}

    def page(self, request: Request) -> Answer:
        """What the client asks for, of the rows as they are now."""
        if "$skiptoken" in request.query:
            self._change(1)
            time.sleep(2)
            self._change(2)
            return Answer({"value": [self._row(2)]})
        if "$filter" in request.query:
            since = datetime.fromisoformat(request.query["$filter"].split(" ge ")[1].strip("()"))
            found = [self._row(key) for key, (_, at) in self.rows.items() if at >= since]
            return Answer({"value": found})
        return Answer({"value": [self._row(1)], "@odata.nextLink": "Things?$skiptoken=1"})

    def _change(self, key: int) -> None:
        self.rows[key] = ("new", datetime.now(UTC))

    def _row(self, key: int) -> dict[str, object]:
        name, at = self.rows[key]
        return {"ID": key, "name": name, "at": at.isoformat()}


def test_a_row_that_changes_after_its_page_comes_with_the_next_increment(
    cache_database: CacheDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two seconds are to this what two minutes are to the true overlap.
    monkeypatch.setattr(watermark, "OVERLAP", timedelta(seconds=1))
    world = World()
    with odd_service(world.page, PROPERTIES) as service:
        job = ThingsJob(service.url, cache_database, "at")
        assert job.run().mode == "full"
        assert job.run().mode == "incremental"
    assert [(key, name) for key, _, name in job.rows()] == [(1, "new"), (2, "new")]
