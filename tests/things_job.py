"""A caching job over the `Things` of an OData service, run as a run's process runs it."""

from dataclasses import asdict
from itertools import count
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import LOOPBACK
from tidewell.cache import CacheAddress
from tidewell.cache.plan import Receipt
from tidewell.connections import strings
from tidewell.runs.caching import CachingRun
from tidewell.runs.log import RunLog
from tidewell.runs.messages import CachingTask
from tidewell.sources import registry

_ATTEMPTS = count(1)


class ThingsJob:
    """A job of its own for each; without a time column it refreshes the whole table."""

    def __init__(self, url: str, cache: CacheDatabase, time_column: str) -> None:
        self._url = url
        self._cache = cache
        self._time_column = time_column
        self._job_id = uuid4()

    def run(self, *, reload: bool = False) -> Receipt:
        one = self._cache
        address = CacheAddress(
            one.host, one.port, one.user, one.database, one.password, egress=LOOPBACK
        )
        task = CachingTask(
            run_id=uuid4(),
            job_id=self._job_id,
            attempt=next(_ATTEMPTS),
            driver="OData",
            source=strings.parse(f"URL={self._url}", registry.driver("OData").keys),
            cache=asdict(address),
            secrets=(),
            connection_name="World",
            source_schema="OData",
            source_table="Things",
            cache_schema="World",
            cache_table=f"t{self._job_id.hex}",
            time_column=self._time_column,
            reload=reload,
            egress=LOOPBACK,
        )
        return CachingRun(task, _ignore, RunLog(_ignore, 1, ())).execute()

    def rows(self) -> list[tuple[Any, ...]]:
        """Key, time and name of each cached row."""
        with psycopg.connect(self._cache.url) as connection:
            place = sql.Identifier("World", f"t{self._job_id.hex}")
            query = sql.SQL('SELECT "ID", at, name FROM {} ORDER BY 1').format(place)
            return connection.execute(query).fetchall()


def _ignore(_: object) -> None:
    """What the run says is not looked at."""
