"""A cached table to load in tests, and what stands in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from tests.conftest import CacheDatabase
from tidewell.cache import CacheAddress
from tidewell.cache.plan import CacheColumn, Fence, LoadPlan, Mode, Place, Receipt, Standing
from tidewell.cache.target import CacheTarget

_ATTEMPTS = count(1)
LOOPBACK = "127.0.0.0/8"


@dataclass
class CachedTable:
    """Loads one table the way a run does, and looks at it the way its owner does."""

    database: CacheDatabase
    place: Place = field(default_factory=lambda: Place("My shop", "orders"))
    job_id: UUID = field(default_factory=uuid4)
    log: list[str] = field(default_factory=list)

    @property
    def address(self) -> CacheAddress:
        one = self.database
        return CacheAddress(
            one.host, one.port, one.user, one.database, one.password, egress=LOOPBACK
        )

    @contextmanager
    def target(
        self, *, attempt: int | None = None, run_id: UUID | None = None
    ) -> Iterator[CacheTarget]:
        fence = Fence(self.job_id, run_id or uuid4(), attempt or next(_ATTEMPTS))
        opened = CacheTarget.connect(
            self.address, fence, self.place, trace=lambda level, text: self.log.append(text)
        )
        try:
            yield opened
        finally:
            opened.close()

    def load(
        self,
        rows: pa.Table,
        *,
        mode: Mode = "full",
        key: tuple[str, ...] = (),
        lengths: dict[str, int] | None = None,
        cut: bool = False,
        watermark: str | None = None,
        time_column: str | None = None,
        run_id: UUID | None = None,
        keys: pa.Table | None = None,
        rebuild: bool = False,
        upkeep: bool = False,
        version: str | None = None,
        fresh: int = 0,
    ) -> Receipt:
        columns = tuple(
            CacheColumn(one.name, one.type, length=(lengths or {}).get(one.name))
            for one in rows.schema
        )
        plan = LoadPlan(mode, columns, key, time_column, cut, "the test", rebuild)
        with self.target(run_id=run_id) as target:
            target.standing()
            receipt = target.load(
                plan,
                rows.to_batches(),
                keys=None if keys is None else keys.to_batches,
                watermark=lambda: watermark,
                version=lambda: version,
                fresh=lambda: fresh,
                progress=lambda *_: None,
            )
        if upkeep:
            target.upkeep()
        return receipt

    def holds(self, version: str) -> bool:
        """Whether it is proved to hold a version of the source, as a full load has left it."""
        with self.target() as target:
            target.standing()
            return target.unchanged(lambda: version) is not None

    def standing(self) -> Standing:
        with self.target() as target:
            return target.standing()

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.database.url) as connection:
            connection.execute(statement)

    def rows(self, columns: str = "*") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.url, options="-c timezone=UTC") as connection:
            table = sql.Identifier(self.place.schema, self.place.table)
            return connection.execute(
                sql.SQL("SELECT {} FROM {}").format(sql.SQL(columns), table)
            ).fetchall()

    def types(self) -> dict[str, str]:
        with psycopg.connect(self.database.url) as connection:
            return dict(
                connection.execute(
                    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                    "WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass "
                    "AND attnum > 0 AND NOT attisdropped",
                    (self.place.schema, self.place.table),
                ).fetchall()
            )


@pytest.fixture
def table(cache_database: CacheDatabase) -> CachedTable:
    """A place in a fresh cache where nothing stands yet."""
    return CachedTable(cache_database)
