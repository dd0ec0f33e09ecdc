"""Two first loads at a time: one makes the schema of a connection, the other finds it made."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pyarrow as pa

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import CachedTable
from tidewell.cache.plan import CacheColumn, LoadPlan, Place


def test_two_first_loads_into_one_new_schema(cache_database: CacheDatabase) -> None:
    first = CachedTable(cache_database, Place("Office", "people"))
    second = CachedTable(cache_database, Place("Office", "orders"))
    rows = pa.table({"id": pa.array([1, 2], pa.int64())})
    # The bookkeeping is there already: only the schema is what both want to make.
    CachedTable(cache_database, Place("Elsewhere", "x")).load(rows, key=("id",))
    made, go_on = threading.Event(), threading.Event()

    def held() -> Iterator[pa.RecordBatch]:
        made.set()
        assert go_on.wait(30)
        yield from rows.to_batches()

    def load_first() -> None:
        plan = LoadPlan("full", (CacheColumn("id", pa.int64()),), ("id",), None, False, "the test")
        with first.target() as target:
            target.standing()
            target.load(plan, held(), watermark=lambda: None, progress=lambda *_: None)

    failures: list[BaseException] = []

    def load_second() -> None:
        try:
            second.load(rows, key=("id",))
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    loading = [threading.Thread(target=load_first), threading.Thread(target=load_second)]
    loading[0].start()
    assert made.wait(30)
    loading[1].start()
    wait_for_lock(cache_database)
    go_on.set()
    for one in loading:
        one.join(30)

    assert failures == []
    assert first.rows() == second.rows() == [(1,), (2,)]


def test_the_bytes_of_a_small_load_are_counted(cache_database: CacheDatabase) -> None:
    rows = pa.table({"id": pa.array([1, 2], pa.int64())})
    receipt = CachedTable(cache_database, Place("Office", "people")).load(rows, key=("id",))
    # Two rows of one bigint in binary COPY: 2 + 4 + 8 bytes each, and the trailer of 2.
    assert receipt.bytes_copied == 2 * 14 + 2


def wait_for_lock(database: CacheDatabase) -> None:
    """Return when some session waits for another one's lock."""
    deadline = time.monotonic() + 30
    with psycopg.connect(database.url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            if connection.execute(query).fetchall()[0][0]:
                return
            time.sleep(0.05)
    raise AssertionError("nobody waits")
