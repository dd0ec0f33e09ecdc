"""Where most rows differ, a new table takes the place of the cached one, and nobody notices."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg.conninfo import make_conninfo

from tests.integration.cache.conftest import CachedTable
from tests.integration.cache.test_readers import Reader
from tidewell.cache import drop_cached_table, load
from tidewell.cache.plan import CacheColumn, LoadPlan
from tidewell.errors import CacheUnavailable
from tidewell.state.embedded import EmbeddedServer
from tidewell.state.statements import statements

ROWS = 400
BUILT = statements("tests.integration.cache", "built.sql")
_NUMBER = """SELECT '"My shop".orders'::regclass::oid::bigint"""
_COMMENT = """COMMENT ON COLUMN "My shop".orders.name IS 'as the customer calls it'"""
_TABLE_COMMENT = """SELECT obj_description('"My shop".orders'::regclass, 'pg_class')"""
_UPDATE = """UPDATE "My shop".orders SET name = 'x' WHERE id = 20"""
GUARD = """
    CREATE FUNCTION public.guard() RETURNS event_trigger LANGUAGE plpgsql
        AS 'BEGIN RAISE EXCEPTION ''nothing is dropped here''; END';
    CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('DROP TABLE')
        EXECUTE FUNCTION public.guard()
"""
_COUNT = 'SELECT count(*), sum(version) FROM "My shop".orders'


@pytest.fixture(autouse=True)
def small_tables_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_ANEW_ROWS", 0)


def version_of(number: int, count: int = ROWS) -> pa.Table:
    """Every version has other values in each row, and ten rows of other keys."""
    ids = [*range(10 * number, 10 * number + 10), *range(10_000, 10_000 + count - 10)]
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "version": pa.array([number] * count, pa.int32()),
            "name": [f"{number} of {one}" for one in ids],
            "at": pa.array([number * 1_000_000 + one for one in ids], pa.timestamp("us")),
        }
    )


def number_of(table: CachedTable) -> int:
    """The table's own number: another table has another."""
    [(found,)] = ask(table, _NUMBER)
    return int(found)


def ask(table: CachedTable, question: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(table.database.url) as connection:
        return connection.execute(question.encode()).fetchall()


def load_anew(
    table: CachedTable,
    watermark: Callable[[], None] = lambda: None,
    committing: Callable[[], None] = lambda: None,
) -> None:
    """Load the second version. `watermark` is asked when all is written, before the new table takes
    the place; `committing` is called when it has."""
    rows = version_of(2)
    columns = tuple(CacheColumn(one.name, one.type) for one in rows.schema)
    with table.target() as target:
        target.standing()
        target.load(
            LoadPlan("full", columns, ("id",), origin="the test"),
            rows.to_batches(),
            watermark=watermark,
            progress=lambda *_: None,
            committing=committing,
        )
        target.upkeep()


def left(table: CachedTable) -> list[tuple[Any, ...]]:
    return ask(table, "SELECT relname FROM pg_class WHERE relname ~ '^load_'")


@pytest.mark.parametrize("key", [("id",), ()])
def test_a_new_table_is_the_same_but_for_its_rows(table: CachedTable, key: tuple[str, ...]) -> None:
    table.execute('CREATE SCHEMA "My shop"')
    table.execute('ALTER DEFAULT PRIVILEGES IN SCHEMA "My shop" GRANT SELECT ON TABLES TO PUBLIC')
    table.load(version_of(1), key=key, time_column="at")
    table.execute('REVOKE SELECT ON "My shop".orders FROM PUBLIC')
    table.execute('GRANT INSERT ON "My shop".orders TO PUBLIC')
    table.execute(_COMMENT)
    before, number = ask(table, BUILT["shape"]), number_of(table)

    receipt = table.load(version_of(2), key=key, time_column="at", upkeep=True)

    assert number_of(table) != number
    assert ask(table, BUILT["shape"]) == before
    assert sorted(table.rows()) == sorted(tuple(row.values()) for row in version_of(2).to_pylist())
    counts = (10, ROWS - 10, 10) if key else (ROWS, 0, ROWS)
    assert (receipt.inserted, receipt.updated, receipt.deleted) == counts
    assert (receipt.rows_read, receipt.rows_staged) == (ROWS, ROWS)
    assert left(table) == []
    again = table.load(version_of(2), key=key, time_column="at")
    assert (again.rows_affected, again.digest) == (0, receipt.digest)


def test_a_comment_of_people_stays(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    table.execute("""COMMENT ON TABLE "My shop".orders IS 'Ours.' """)
    number = number_of(table)
    table.load(version_of(2), key=("id",))
    assert number_of(table) != number
    assert ask(table, _TABLE_COMMENT) == [("Ours.",)]


def test_columns_stay_in_their_order(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    other = version_of(2).select(["name", "at", "id", "version"])
    table.load(other, key=("id",))
    assert number_of(table) != number
    assert list(table.types()) == ["id", "version", "name", "at"]
    assert sorted(table.rows()) == sorted(tuple(row.values()) for row in version_of(2).to_pylist())


@pytest.mark.parametrize("built", sorted(BUILT.keys() - {"shape"}))
def test_what_people_have_built_on_a_table_keeps_it(table: CachedTable, built: str) -> None:
    table.load(version_of(1), key=("id",))
    table.execute(
        "CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN NULL; END'"
    )
    table.execute(BUILT[built])
    before, number = ask(table, BUILT["shape"]), number_of(table)
    table.load(version_of(2), key=("id",))
    assert number_of(table) == number
    assert ask(table, BUILT["shape"]) == before
    assert sorted(row[:4] for row in table.rows()) == sorted(
        tuple(row.values()) for row in version_of(2).to_pylist()
    )


@pytest.mark.parametrize("of", ["ALL TABLES", 'TABLES IN SCHEMA "My shop"'])
def test_a_publication_of_more_tables_keeps_it(
    table: CachedTable, server: EmbeddedServer, of: str
) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    with psycopg.connect(server.url(table.database.database)) as connection:
        connection.execute(f"CREATE PUBLICATION one FOR {of}".encode())
    table.load(version_of(2), key=("id",))
    assert number_of(table) == number


def test_a_slot_that_nobody_reads_now_keeps_it(table: CachedTable, server: EmbeddedServer) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    with psycopg.connect(server.url(table.database.database), autocommit=True) as connection:
        connection.execute("SELECT pg_create_physical_replication_slot('tidewell_test')")
        try:
            table.load(version_of(2), key=("id",))
        finally:
            connection.execute("SELECT pg_drop_replication_slot('tidewell_test')")
    assert number_of(table) == number
    table.load(version_of(3), key=("id",))
    assert number_of(table) != number


def test_a_vacuum_at_work_keeps_it(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    with psycopg.connect(table.database.url) as other:
        other.execute('LOCK TABLE "My shop".orders IN SHARE UPDATE EXCLUSIVE MODE')
        ending = threading.Timer(5.0, other.rollback)  # the comment waits for it
        ending.start()
        table.load(version_of(2), key=("id",))
        ending.join()
    assert number_of(table) == number


def test_a_server_that_does_not_tell_of_its_log_keeps_it(
    table: CachedTable, server: EmbeddedServer
) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    with psycopg.connect(server.url(table.database.database)) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC")
    table.load(version_of(2), key=("id",))
    assert number_of(table) == number


def test_who_may_drop_no_table_keeps_it(table: CachedTable, server: EmbeddedServer) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    with psycopg.connect(server.url(table.database.database)) as connection:
        connection.execute(GUARD)
    table.load(version_of(2), key=("id",))
    table.load(version_of(3), key=("id",))
    assert number_of(table) == number


def test_what_cannot_be_dropped_stops_nobody(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    with psycopg.connect(table.database.url) as other:
        # It takes no lock of the table, and is not seen before it is committed.
        other.execute(BUILT["a_function_of_its_rows"])
        table.load(version_of(2), key=("id",))
    table.load(version_of(3), key=("id",), upkeep=True)
    table.standing()
    assert sorted(row[1] for row in table.rows()) == [3] * ROWS
    drop_cached_table(table.address, table.job_id)
    assert left(table) == []


def test_readers_do_not_wait_for_a_load_that_falls_silent(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    silent = threading.Event()

    def fall_silent() -> None:
        silent.set()
        time.sleep(3)

    refused: list[CacheUnavailable] = []

    def loads() -> None:
        with pytest.raises(CacheUnavailable) as error:
            load_anew(table, committing=fall_silent)
        refused.append(error.value)

    loading = threading.Thread(target=loads)
    loading.start()
    assert silent.wait(20)
    assert {row[1] for row in table.rows()} == {1}
    assert loading.is_alive()
    loading.join()
    assert len(refused) == 1
    table.load(version_of(2), key=("id",))
    assert {row[1] for row in table.rows()} == {2}


def test_a_comment_of_the_last_moment_stays(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    comment = """COMMENT ON TABLE "My shop".orders IS 'Ours.'"""
    load_anew(table, watermark=lambda: table.execute(comment))
    assert ask(table, _TABLE_COMMENT) == [("Ours.",)]


def test_a_standby_keeps_it(table: CachedTable, server: EmbeddedServer) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    with psycopg.connect(make_conninfo(server.url(), replication="true")):
        table.load(version_of(2), key=("id",))
    assert number_of(table) == number


def test_what_a_new_table_has_too_does_not_keep_it(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    table.execute('CREATE TABLE public.other AS SELECT * FROM "My shop".orders')
    table.execute('GRANT ALL ON "My shop".orders TO pg_monitor WITH GRANT OPTION')
    table.execute('ALTER INDEX "My shop".orders_pkey RENAME TO "the key"')
    table.execute(_COMMENT)
    table.execute('ANALYZE "My shop".orders')
    before, number = ask(table, BUILT["shape"]), number_of(table)
    table.load(version_of(2), key=("id",))
    assert number_of(table) != number
    assert ask(table, BUILT["shape"]) == before


def test_readers_of_a_table_do_not_notice(table: CachedTable) -> None:
    table.load(version_of(0), key=("id",))
    table.execute('GRANT USAGE ON SCHEMA "My shop" TO PUBLIC')
    table.execute('GRANT SELECT ON "My shop".orders TO PUBLIC')
    question = 'SELECT version, count(*) FROM "My shop".orders GROUP BY version'
    readers = [Reader(table.database.url, question) for _ in range(2)]
    for reader in readers:
        reader.start()
    numbers = set()
    for number in range(1, 31):
        table.load(version_of(number), key=("id",), upkeep=True)
        numbers.add(number_of(table))
    for reader in readers:
        reader.ended.set()
        reader.join()
        print(f"{reader.reads} reads, the longest {reader.longest * 1000:.0f} ms")
    assert [reader.wrong for reader in readers] == [[], []]
    assert all(reader.reads > 30 for reader in readers)
    assert len(numbers) > 25
    assert left(table) == []


def test_a_reader_who_does_not_end_keeps_the_table(
    table: CachedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidewell.cache.anew._TRIES", 2)
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    with psycopg.connect(table.database.url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute(_COUNT).fetchone()
        receipt = table.load(version_of(2), key=("id",), upkeep=True)
        assert reader.execute(_COUNT).fetchone() == before
    assert number_of(table) == number
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (10, ROWS - 10, 10)
    assert receipt.rows_staged == ROWS
    assert sorted(table.rows()) == sorted(tuple(row.values()) for row in version_of(2).to_pylist())
    assert left(table) == []


def test_a_snapshot_of_before_shows_all_of_the_new_table(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    with psycopg.connect(table.database.url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM pg_class")
        number = number_of(table)
        table.load(version_of(2), key=("id",))
        assert number_of(table) != number
        assert reader.execute(_COUNT).fetchone() == (ROWS, 2 * ROWS)
        by_key = 'SELECT version FROM "My shop".orders WHERE id = 25'
        reader.execute("SET LOCAL enable_seqscan = off")
        assert reader.execute(by_key).fetchall() == [(2,)]


def test_a_reader_who_ends_is_waited_for(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    with psycopg.connect(table.database.url) as reader:
        reader.execute(_COUNT)
        ending = threading.Timer(1.0, reader.rollback)
        ending.start()
        table.load(version_of(2), key=("id",))
        ending.join()
    assert number_of(table) != number


def test_what_is_built_at_the_last_moment_keeps_the_table(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    number = number_of(table)
    load_anew(table, watermark=lambda: table.execute(BUILT["a_view"]))
    assert number_of(table) == number
    assert len(ask(table, "SELECT * FROM public.one")) == ROWS
    assert left(table) == []


def test_what_it_leaves_is_dropped_by_the_next_run(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",))
    table.load(version_of(2), key=("id",))  # without the upkeep: the run was killed after its end
    assert len(left(table)) == 2  # with its key
    table.standing()
    assert left(table) == []
    table.load(version_of(3), key=("id",))
    drop_cached_table(table.address, table.job_id)
    assert left(table) == []


def test_a_table_that_kept_its_place_is_known_to_be_unchanged(
    table: CachedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidewell.cache.anew._TRIES", 2)
    table.load(version_of(1), key=("id",))
    with psycopg.connect(table.database.url) as reader:
        reader.execute(_COUNT)
        table.load(version_of(2), key=("id",), version="two")
    assert table.holds("two")


def test_a_table_anew_is_known_to_be_unchanged(table: CachedTable) -> None:
    table.load(version_of(1), key=("id",), version="one")
    number = number_of(table)
    table.load(version_of(2), key=("id",), version="two", upkeep=True)
    assert number_of(table) != number
    assert table.holds("two")
    table.execute(_UPDATE)
    assert not table.holds("two")
