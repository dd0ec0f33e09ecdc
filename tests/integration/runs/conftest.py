"""A caching job over a Parquet file, run as a run's process runs it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import LOOPBACK
from tidewell.cache import CacheAddress, drop_cached_table
from tidewell.cache.plan import Receipt
from tidewell.runs.caching import CachingRun
from tidewell.runs.log import RunLog
from tidewell.runs.messages import CachingTask, LogLine, Message

_ATTEMPTS = count(1)


@dataclass
class FileJob:
    """A job whose source is one file; `run` writes the file's new rows first."""

    database: CacheDatabase
    folder: Path
    job_id: UUID = field(default_factory=uuid4)
    log: list[str] = field(default_factory=list)
    file: str = "orders.parquet"
    driver: str = ""
    """Another than that of the file."""
    source: dict[str, str] = field(default_factory=dict)
    seen: Callable[[Message], None] = lambda _: None
    """Told each message of a run."""

    def run(self, rows: pa.Table | None = None, **params: Any) -> Receipt:
        if rows is not None:
            pq.write_table(rows, self.folder / "orders.parquet")
        task = CachingTask(
            run_id=uuid4(),
            job_id=self.job_id,
            attempt=next(_ATTEMPTS),
            driver=self.driver or ("SQLite" if self._is_database else "Files"),
            source=self._values | self.source,
            cache=asdict(self._address),
            secrets=(),
            connection_name="Shop",
            source_schema="main" if self._is_database else "Files",
            source_table="orders",
            cache_schema="Shop",
            cache_table="orders",
            file_roots=(str(self.folder),),
            egress=LOOPBACK,
            **params,
        )
        return CachingRun(task, self._take, RunLog(self._take, 1, ())).execute()

    def forget(self) -> None:
        """Begin again as another job, in an empty cache."""
        drop_cached_table(self._address, self.job_id)
        self.job_id = uuid4()

    @property
    def _is_database(self) -> bool:
        return self.file.endswith(".db")

    @property
    def _values(self) -> dict[str, str]:
        path = str(self.folder / self.file)
        if self._is_database:
            return {"Data Source": path}
        return {"URI": path, "Format": "Auto", "IncludeColumnHeaders": "True"}

    @property
    def _address(self) -> CacheAddress:
        one = self.database
        return CacheAddress(
            one.host, one.port, one.user, one.database, one.password, egress=LOOPBACK
        )

    def rows(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.url) as connection:
            return connection.execute('SELECT * FROM "Shop".orders ORDER BY 1').fetchall()

    def _take(self, message: Message) -> None:
        self.seen(message)
        if isinstance(message, LogLine):
            self.log.append(message.message)


@pytest.fixture
def job(cache_database: CacheDatabase, tmp_path: Path) -> FileJob:
    """A job that has not run yet."""
    return FileJob(cache_database, tmp_path)
