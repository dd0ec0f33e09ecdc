"""The session of a run that ended well serves the next run of its process, and nobody else."""

from collections.abc import Iterator
from time import sleep
from typing import Any
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import CachedTable
from tidewell.cache import sessions, settle_attempt
from tidewell.cache.plan import CacheColumn, Fence, LoadPlan, Place
from tidewell.cache.sessions import SESSIONS
from tidewell.cache.target import CacheTarget

ROWS = pa.table({"id": [1, 2], "name": ["Ada", None]})
_OURS = """
SELECT pid, application_name FROM pg_stat_activity
 WHERE usename = current_user AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_SETTINGS = """
SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> 'application_name'
"""


@pytest.fixture(autouse=True)
def _keeping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(SESSIONS, "keeps", True)
    yield
    if SESSIONS._kept:
        SESSIONS._kept[1].close()
        SESSIONS._kept = None


def opened(table: CachedTable, name: str = "orders") -> CacheTarget:
    """The target of a run of a job of its own."""
    fence = Fence(uuid4(), uuid4(), 1)
    return CacheTarget.connect(table.address, fence, Place("shop", name), trace=lambda *_: None)


def load(target: CacheTarget) -> None:
    target.standing()
    columns = tuple(CacheColumn(one.name, one.type) for one in ROWS.schema)
    target.load(
        LoadPlan("full", columns, ("id",)),
        ROWS.to_batches(),
        watermark=lambda: None,
        progress=lambda *_: None,
    )


def ran(table: CachedTable, name: str = "orders", *, whole: bool = True) -> int:
    """The server's process in which a run has loaded."""
    target = opened(table, name)
    load(target)
    pid = target.backend_pid
    target.close(whole=whole)
    return pid


def there(table: CachedTable) -> list[tuple[Any, ...]]:
    with psycopg.connect(table.database.url) as connection:
        return connection.execute(_OURS).fetchall()


def test_the_next_run_takes_over_the_session(table: CachedTable) -> None:
    first = ran(table, "one")
    assert there(table) == [(first, "tidewell idle")]
    assert {ran(table, "two"), ran(table, "three")} == {first}
    target = opened(table, "four")
    [(pid, name)] = there(table)
    assert pid == first
    assert name.startswith("tidewell job ")
    target.close()


def test_a_session_that_is_taken_over_is_as_a_new_one(table: CachedTable) -> None:
    def settings(target: CacheTarget) -> list[tuple[Any, ...]]:
        found = sorted(target._connection.execute(_SETTINGS).fetchall())
        target._connection.commit()
        return found

    target = opened(table, "one")
    new = settings(target)
    load(target)
    target.close(whole=True)
    target = opened(table, "two")
    kept = [one for one in settings(target) if one != ("idle_session_timeout", "0")]
    assert kept == [one for one in new if one != ("idle_session_timeout", "0")]
    assert target._connection.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'")
    assert target._connection.autocommit is False
    target.close()


def test_nobody_waits_for_a_session_that_nobody_needs(
    table: CachedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_IDLE_SECONDS", 1)
    first = ran(table, "one")
    sleep(2)
    assert there(table) == []
    assert ran(table, "two") != first


def test_a_session_is_not_taken_over_after_what_went_wrong(table: CachedTable) -> None:
    first = ran(table, "one", whole=False)
    assert there(table) == []
    target = opened(table, "two")
    load(target)
    assert target.backend_pid != first
    target.cancel()
    target.close(whole=True)
    assert there(table) == []


def test_a_session_has_an_end(table: CachedTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_MOST_RUNS", 3)
    pids = [ran(table, str(number)) for number in range(7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_another_cache_has_a_session_of_its_own(
    table: CachedTable, another_cache: CacheDatabase
) -> None:
    first = ran(table)
    other = CachedTable(another_cache)
    assert ran(other) != first
    assert there(table) == []
    assert len(there(other)) == 1


def test_who_cancels_too_late_ends_nothing(table: CachedTable) -> None:
    late = opened(table, "one")
    load(late)
    late.close(whole=True)
    target = opened(table, "two")
    late.cancel()
    load(target)
    target.close()


def test_whoever_ends_an_attempt_leaves_the_session_alone(table: CachedTable) -> None:
    fence = Fence(uuid4(), uuid4(), 1)
    target = CacheTarget.connect(
        table.address, fence, Place("shop", "orders"), trace=lambda *_: None
    )
    load(target)
    first = target.backend_pid
    target.close(whole=True)
    assert settle_attempt(table.address, fence) is not None
    assert ran(table, "other") == first
