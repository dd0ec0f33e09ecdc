"""What a load leaves besides rows: comments, statistics, indexes; what it deletes by key."""

from uuid import uuid4

import psycopg
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.cache.conftest import CachedTable
from tidewell.cache.plan import CacheColumn, LoadPlan, Place


def asked(table: CachedTable, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(table.database.url) as connection:
        return connection.execute(question).fetchall()


def test_comments_say_where_a_table_comes_from_and_when(table: CachedTable) -> None:
    question = """
        SELECT obj_description('"My shop".orders'::regclass),
               col_description('"My shop".orders'::regclass, 1)"""
    table.load(pa.table({"id": [1]}), key=("id",))
    [(first, column)] = asked(table, question)
    table.load(pa.table({"id": [1]}), key=("id",))
    [(unchanged, _)] = asked(table, question)
    table.load(pa.table({"id": [2]}), key=("id",))
    [(changed, _)] = asked(table, question)

    assert str(first).startswith(f"Tidewell keeps this copy of the test (job {table.job_id})")
    assert f"[the test, column id; job {table.job_id}]" in str(column)
    assert first == unchanged != changed


def test_the_key_the_time_column_and_the_statistics_are_ready(table: CachedTable) -> None:
    rows = pa.table({"id": range(1000), "at": range(1000)})
    for _ in range(2):
        table.load(rows, key=("id",), time_column="at")

    indexes = asked(
        table, "SELECT indexdef FROM pg_indexes WHERE tablename = 'orders' ORDER BY indexdef"
    )
    [(rows_known,)] = asked(table, "SELECT reltuples FROM pg_class WHERE relname = 'orders'")
    assert [str(one).rpartition(" USING ")[2] for (one,) in indexes] == ["btree (at)", "btree (id)"]
    assert rows_known == 1000

    table.load(pa.table({"id": range(1500), "at": range(1500)}), key=("id",), time_column="at")
    [(rows_known,)] = asked(table, "SELECT reltuples FROM pg_class WHERE relname = 'orders'")
    assert rows_known == 1500


def histogram(table: CachedTable) -> tuple[object, ...]:
    """Of a column: the bounds that the planner knows, and when it was looked at."""
    bounds = """
        SELECT array_length(histogram_bounds::text::int[], 1), n_distinct FROM pg_stats
         WHERE tablename = 'orders' AND attname = 'id'"""
    return asked(table, bounds)[0]


def test_the_usual_statistics_follow_the_commit(table: CachedTable) -> None:
    rows = pa.table({"id": range(5000)})
    table.load(rows, key=("id",))
    assert histogram(table) == (11, -1)

    for changed in (pa.table({"id": range(6000)}), pa.table({"id": range(1, 7000)})):
        table.load(changed, key=("id",), upkeep=True)
        assert histogram(table) == (101, -1)

    table.execute('SET default_statistics_target = 7; ANALYZE "My shop".orders')
    table.load(changed, key=("id",), upkeep=True)
    assert histogram(table) == (8, -1)  # nothing was written: nothing is looked at


def test_a_small_table_has_the_usual_statistics_at_once(table: CachedTable) -> None:
    table.load(pa.table({"id": range(1000)}), key=("id",))
    assert histogram(table) == (101, -1)

    table.execute('SET default_statistics_target = 7; ANALYZE "My shop".orders')
    table.load(pa.table({"id": range(1, 1500)}), key=("id",))
    assert histogram(table) == (101, -1)


def test_whoever_has_locked_the_table_goes_before_its_statistics(table: CachedTable) -> None:
    with psycopg.connect(table.database.url) as other, table.target() as target:
        target.standing()
        columns = (CacheColumn("id", pa.int64()),)
        target.load(
            LoadPlan("full", columns, ("id",)),
            pa.table({"id": range(5000)}).to_batches(),
            watermark=lambda: None,
            progress=lambda *_: None,
        )
        other.execute('LOCK TABLE "My shop".orders')
        target.upkeep()
        other.commit()
        assert histogram(table) == (11, -1)
        target.upkeep()
        assert histogram(table) == (101, -1)


@settings(max_examples=15)
@given(
    cached=st.sets(st.integers(0, 9)),
    increment=st.sets(st.integers(0, 9)),
    left=st.sets(st.integers(0, 9)),
)
def test_delete_detection_compares_keys_only(
    table: CachedTable, cached: set[int], increment: set[int], left: set[int]
) -> None:
    table.job_id, table.place, table.log = uuid4(), Place("keys", uuid4().hex), []
    left = left | increment
    table.load(_keyed(cached, "old"), key=("id", "part"))

    receipt = table.load(
        _keyed(increment, "new"),
        key=("id", "part"),
        mode="incremental",
        keys=_keyed(left, "any").select(["id", "part"]),
    )

    old = (cached & left) - increment
    assert {(row[0], row[2]) for row in table.rows()} == {
        *((one, "new") for one in increment),
        *((one, "old") for one in old),
    }
    assert receipt.deleted == len(cached - left)


def _keyed(ids: set[int], value: str) -> pa.Table:
    ordered = sorted(ids)
    return pa.table(
        {
            "id": pa.array(ordered, pa.int64()),
            "part": pa.array(["p"] * len(ordered), pa.string()),
            "v": pa.array([value] * len(ordered), pa.string()),
        }
    )
