"""An OData service that changes rows between its pages, while a run takes long to read them."""

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import LOOPBACK
from tests.odd_service import Answer, Request, odd_service
from tidewell.cache import CacheAddress
from tidewell.connections import strings
from tidewell.runs import watermark
from tidewell.runs.caching import CachingRun
from tidewell.runs.log import RunLog
from tidewell.runs.messages import CachingTask
from tidewell.sources import registry

PROPERTIES = (
    '<Property Name="at" Type="Edm.DateTimeOffset" Precision="6" Nullable="false"/>'
    '<Property Name="name" Type="Edm.String"/>'
)
_ATTEMPTS = count(1)


class World:
    """Two rows, a page each; while a client waits for the second page, both are changed."""

    def __init__(self) -> None:
        self.rows = {1: ("old", datetime.now(UTC)), 2: ("old", datetime.now(UTC))}
        self.bounds: list[str] = []

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


def run(url: str, cache: CacheDatabase, job_id: UUID) -> str:
    address = CacheAddress(
        cache.host, cache.port, cache.user, cache.database, cache.password, egress=LOOPBACK
    )
    task = CachingTask(
        run_id=uuid4(),
        job_id=job_id,
        attempt=next(_ATTEMPTS),
        driver="OData",
        source=strings.parse(f"URL={url}", registry.driver("OData").keys),
        cache=asdict(address),
        secrets=(),
        connection_name="World",
        source_schema="OData",
        source_table="Things",
        cache_schema="World",
        cache_table="things",
        time_column="at",
        egress=LOOPBACK,
    )
    return CachingRun(task, lambda _: None, RunLog(lambda _: None, 1, ())).execute().mode


def test_a_row_that_changes_after_its_page_comes_with_the_next_increment(
    cache_database: CacheDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two seconds are to this what two minutes are to the true overlap.
    monkeypatch.setattr(watermark, "OVERLAP", timedelta(seconds=1))
    world, job_id = World(), uuid4()
    with odd_service(world.page, PROPERTIES) as service:
        assert run(service.url, cache_database, job_id) == "full"
        assert run(service.url, cache_database, job_id) == "incremental"
    with psycopg.connect(cache_database.url) as connection:
        rows = connection.execute('SELECT "ID", name FROM "World".things ORDER BY 1').fetchall()
    assert rows == [(1, "new"), (2, "new")]
