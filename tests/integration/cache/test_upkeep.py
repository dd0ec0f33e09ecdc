"""What a load leaves besides rows: comments, statistics, indexes; what it deletes by key."""

from uuid import uuid4

import psycopg
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.cache.conftest import CachedTable
from tidewell.cache.plan import Place


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
