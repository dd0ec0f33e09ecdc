"""A source's columns change between two runs: the table follows, or the run says what to do."""

from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

from tests.integration.cache.conftest import CachedTable
from tidewell.cache.plan import CacheColumn, TypeChange
from tidewell.errors import CacheConflict


def test_new_dropped_and_widened_columns_are_followed_and_told(table: CachedTable) -> None:
    first = pa.table({"id": pa.array([1], pa.int16()), "gone": ["x"], "n": pa.array([1.5])})
    table.load(first, key=("id",))
    second = pa.table(
        {
            "id": pa.array([1, 70_000], pa.int32()),
            "n": pa.array([2.5, None]),
            "new": [True, None],
        }
    )

    receipt = table.load(second, key=("id",))

    assert table.types() == {
        "id": "integer",
        "gone": "text",
        "n": "double precision",
        "new": "boolean",
    }
    assert sorted(table.rows("id, gone, n, new")) == [
        (1, None, 2.5, True),
        (70_000, None, None, None),
    ]
    told = " ".join(receipt.notes)
    assert "New column new (boolean)" in told
    assert "id was widened from smallint to integer" in told
    assert "no longer has gone" in told


@pytest.mark.parametrize(
    ("before", "after", "declared", "values"),
    [
        (pa.int16(), pa.int64(), "bigint", [1, 2**40]),
        (pa.int32(), pa.float64(), "double precision", [1, 2.5]),
        (pa.float32(), pa.float64(), "double precision", [1.5, 2.5]),
        (pa.decimal128(5, 2), pa.decimal128(9, 4), "numeric(9,4)", [Decimal("1.25"), Decimal("3")]),
        (pa.int64(), pa.decimal128(12, 2), "numeric(21,2)", [1, Decimal("3.25")]),
        # A narrower type of the source is no reason to forget what is cached.
        (pa.int64(), pa.int16(), "bigint", [2**40, 2]),
    ],
    ids=str,
)
def test_a_wider_type_keeps_every_value(
    table: CachedTable,
    before: pa.DataType,
    after: pa.DataType,
    declared: str,
    values: list[object],
) -> None:
    table.load(pa.table({"id": [1], "v": pa.array(values[:1], before)}), key=("id",))
    table.load(
        pa.table({"id": [2], "v": pa.array(values[1:], after)}), key=("id",), mode="incremental"
    )
    assert table.types()["v"] == declared
    assert sorted(table.rows()) == [(1, values[0]), (2, values[1])]


def test_a_longer_declared_length_is_followed(table: CachedTable) -> None:
    table.load(pa.table({"s": ["ab"]}), lengths={"s": 2})
    table.load(pa.table({"s": ["abc"]}), lengths={"s": 3})
    assert (table.types(), table.rows()) == ({"s": "character varying(3)"}, [("abc",)])
    table.load(pa.table({"s": ["abcd"]}))
    assert (table.types(), table.rows()) == ({"s": "text"}, [("abcd",)])


def test_a_column_without_values_takes_on_any_type(table: CachedTable) -> None:
    table.load(pa.table({"id": [1], "v": pa.nulls(1)}), key=("id",))
    table.load(pa.table({"id": [1], "v": [5]}), key=("id",))
    assert (table.types()["v"], table.rows()) == ("bigint", [(1, 5)])
    table.load(pa.table({"id": [1], "v": pa.nulls(1)}), key=("id",))
    assert (table.types()["v"], table.rows()) == ("bigint", [(1, None)])


def test_another_change_of_type_is_found_before_anything_is_read(table: CachedTable) -> None:
    table.load(pa.table({"id": [1], "v": [5]}), key=("id",))
    columns = (CacheColumn("id", pa.int64()), CacheColumn("v", pa.string()))
    with table.target() as target:
        target.standing()
        assert target.type_changes(columns) == (TypeChange("v", "bigint", "text"),)
    with pytest.raises(CacheConflict, match="v"):
        table.load(pa.table({"id": [1], "v": ["five"]}), key=("id",))
    assert table.rows() == [(1, 5)]


def test_a_rebuild_takes_the_new_types_and_keeps_the_table(table: CachedTable) -> None:
    table.load(pa.table({"id": [1, 2], "v": [5, 6], "w": ["a", "b"]}), key=("id",))
    table.execute('CREATE VIEW public.w AS SELECT id, w FROM "My shop".orders')

    receipt = table.load(
        pa.table({"id": [1, 3], "v": ["five", "x"], "w": ["a", "c"]}), key=("id",), rebuild=True
    )

    assert sorted(table.rows()) == [(1, "five", "a"), (3, "x", "c")]
    assert any("v is text now, was bigint" in note for note in receipt.notes)
    with psycopg.connect(table.database.url) as connection:
        assert connection.execute("SELECT id FROM public.w ORDER BY 1").fetchall() == [(1,), (3,)]


def test_a_rebuild_of_the_key_makes_the_key_again(table: CachedTable) -> None:
    table.load(pa.table({"id": [1, 2]}), key=("id",))
    table.load(pa.table({"id": ["a", "b"]}), key=("id",), rebuild=True)
    receipt = table.load(pa.table({"id": ["a", "c"]}), key=("id",))
    assert sorted(table.rows()) == [("a",), ("c",)]
    assert (receipt.inserted, receipt.deleted) == (1, 1)


def test_a_view_in_the_way_is_named_and_everything_stays(table: CachedTable) -> None:
    table.load(pa.table({"id": pa.array([1], pa.int16()), "n": [1]}), key=("id",))
    table.execute("""
        CREATE VIEW public.ids AS SELECT id FROM "My shop".orders;
        CREATE MATERIALIZED VIEW public.sums AS SELECT sum(n) FROM "My shop".orders;
    """)
    wider = pa.table({"id": pa.array([70_000], pa.int32()), "n": [1], "new": [1]})
    with pytest.raises(CacheConflict, match="ids"):
        table.load(wider, key=("id",))
    other = pa.table({"id": pa.array([1], pa.int16()), "n": ["x"]})
    with pytest.raises(CacheConflict, match="sums"):
        table.load(other, key=("id",), rebuild=True)
    assert table.rows() == [(1, 1)]
    assert table.types() == {"id": "smallint", "n": "bigint"}


def test_a_foreign_key_on_a_key_that_has_to_change_is_named(table: CachedTable) -> None:
    table.load(pa.table({"id": [1]}), key=("id",))
    table.execute('CREATE TABLE public.note (id bigint REFERENCES "My shop".orders)')
    with pytest.raises(CacheConflict, match="note_id_fkey"):
        table.load(pa.table({"id": ["a"]}), key=("id",), rebuild=True)
    assert table.types() == {"id": "bigint"}
