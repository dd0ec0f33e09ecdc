"""A load brings the cached table to the source's rows, writes only what differs, or nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.cache.conftest import CachedTable
from tidewell.cache import drop_cached_table
from tidewell.cache import test_address as try_address
from tidewell.cache.plan import CacheColumn, LoadPlan, Place
from tidewell.cache.preview import preview
from tidewell.errors import (
    CacheConflict,
    CacheRefused,
    CacheUnavailable,
    FencedOut,
    SourceBroken,
    ValueDoesNotFit,
)


def orders(*rows: tuple[int, str | None]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.int64()),
            "name": pa.array([row[1] for row in rows], pa.string()),
        }
    )


MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC)
PLAIN = MOMENT.replace(tzinfo=None)
CASES = {
    "boolean": (pa.bool_(), True, "boolean", True),
    "int8": (pa.int8(), -128, "smallint", -128),
    "uint8": (pa.uint8(), 255, "smallint", 255),
    "int16": (pa.int16(), -32768, "smallint", -32768),
    "uint16": (pa.uint16(), 65535, "integer", 65535),
    "int32": (pa.int32(), -(2**31), "integer", -(2**31)),
    "uint32": (pa.uint32(), 2**32 - 1, "bigint", 2**32 - 1),
    "int64": (pa.int64(), -(2**63), "bigint", -(2**63)),
    "uint64": (pa.uint64(), 2**64 - 1, "numeric(20,0)", Decimal(2**64 - 1)),
    "float16": (pa.float16(), 1.5, "real", 1.5),
    "float32": (pa.float32(), 0.1, "real", 0.1),
    "float64": (pa.float64(), float("-inf"), "double precision", float("-inf")),
    "decimal": (pa.decimal128(38, 10), Decimal("-1.0000000001"), "numeric(38,10)", None),
    "wide": (pa.decimal256(60, 20), Decimal(10**39), "numeric(60,20)", Decimal(10**39)),
    "negative scale": (pa.decimal128(5, -2), Decimal("12300"), "numeric(7,0)", None),
    "any numeric": (
        pa.opaque(pa.string(), "numeric", "PostgreSQL"),
        "3.14159265358979323846264338327950288419716939937510",
        "numeric",
        Decimal("3.14159265358979323846264338327950288419716939937510"),
    ),
    "text": (pa.string(), "Zürich 🌊 \t'\"\\", "text", None),
    "large text": (pa.large_string(), "x" * 100_000, "text", None),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), "red", "text", None),
    "binary": (pa.binary(), b"\0\xff", "bytea", None),
    "fixed binary": (pa.binary(3), b"\0\1\2", "bytea", None),
    "uuid": (pa.uuid(), UUID(int=7).bytes, "uuid", UUID(int=7)),
    "json": (pa.json_(), '{"a": [1, null]}', "jsonb", {"a": [1, None]}),
    "date": (pa.date32(), date(1, 1, 1), "date", None),
    "date64": (pa.date64(), date(9999, 12, 31), "date", None),
    "time": (pa.time64("us"), time(23, 59, 59, 999_999), "time without time zone", None),
    "time s": (pa.time32("s"), time(1, 2, 3), "time without time zone", None),
    "zoned": (pa.timestamp("us", "UTC"), MOMENT, "timestamp with time zone", MOMENT),
    "other zone": (pa.timestamp("ms", "Europe/Zurich"), MOMENT.replace(microsecond=0),
                   "timestamp with time zone", MOMENT.replace(microsecond=0)),
    "plain": (pa.timestamp("us"), PLAIN, "timestamp without time zone", PLAIN),
    "seconds": (pa.timestamp("s"), PLAIN.replace(microsecond=0),
                "timestamp without time zone", PLAIN.replace(microsecond=0)),
    "duration": (pa.duration("us"), timedelta(days=400, microseconds=7), "interval", None),
    "list": (pa.list_(pa.int32()), [1, None, 3], "jsonb", None),
    "struct": (pa.struct({"a": pa.int32(), "b": pa.date32()}),
               {"a": 1, "b": date(2020, 1, 2)}, "jsonb", {"a": 1, "b": "2020-01-02"}),
    "nothing": (pa.null(), None, "text", None),
}  # fmt: skip


def _array(kind: pa.DataType, values: list[object]) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_float16(kind):
        return pa.array(values, pa.float32()).cast(kind)
    return pa.array(values, kind)


EVERY_TYPE = pa.table(
    {name: _array(kind, [value, None]) for name, (kind, value, _, _) in CASES.items()}
)


def test_every_type_goes_in_and_comes_out(table: CachedTable) -> None:
    table.load(EVERY_TYPE)

    assert table.types() == {name: declared for name, (_, _, declared, _) in CASES.items()}
    first, second = sorted(table.rows(), key=lambda row: row[0] is None)
    for (name, (_, value, _, cached)), found in zip(CASES.items(), first, strict=True):
        wanted = value if cached is None else cached
        assert found == (pytest.approx(wanted) if name == "float32" else wanted), name
    assert set(second) == {None}


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
rows_by_key = st.dictionaries(st.integers(0, 12), st.none() | names, max_size=12)


@settings(max_examples=25)
@given(versions=st.lists(rows_by_key, min_size=2, max_size=4))
def test_a_refresh_by_key_makes_the_table_equal_and_counts_the_true_difference(
    table: CachedTable, versions: list[dict[int, str | None]]
) -> None:
    table.job_id, table.place = uuid4(), Place("by key", uuid4().hex)
    before: dict[int, str | None] = {}
    for version in versions:
        receipt = table.load(orders(*version.items()), key=("id",))

        assert dict(table.rows()) == version
        assert receipt.inserted == len(version.keys() - before.keys())
        assert receipt.deleted == len(before.keys() - version.keys())
        common = version.keys() & before.keys()
        assert receipt.updated == sum(version[key] != before[key] for key in common)
        before = version


@settings(max_examples=25)
@given(
    versions=st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.none() | names), max_size=12),
        min_size=2,
        max_size=4,
    )
)
def test_a_refresh_without_a_key_is_exact_also_for_equal_rows(
    table: CachedTable, versions: list[list[tuple[int, str | None]]]
) -> None:
    table.job_id, table.place = uuid4(), Place("no key", uuid4().hex)
    before: Counter[tuple[int, str | None]] = Counter()
    for version in versions:
        receipt = table.load(orders(*version))

        after = Counter(version)
        assert Counter(table.rows()) == after
        assert receipt.inserted == (after - before).total()
        assert receipt.deleted == (before - after).total()
        before = after


@settings(max_examples=25)
@given(first=rows_by_key, increment=rows_by_key, fresh=st.integers(0, 10))
def test_an_increment_adds_and_changes_and_deletes_nothing(
    table: CachedTable,
    first: dict[int, str | None],
    increment: dict[int, str | None],
    fresh: int,
) -> None:
    table.job_id, table.place = uuid4(), Place("increment", uuid4().hex)
    table.load(orders(*first.items()), key=("id",), watermark="1")

    receipt = table.load(orders(*increment.items()), key=("id",), mode="incremental", fresh=fresh)

    assert dict(table.rows()) == first | increment
    assert receipt.deleted == 0
    assert receipt.inserted == len(increment.keys() - first.keys())
    common = first.keys() & increment.keys()
    assert receipt.updated == sum(first[key] != increment[key] for key in common)


@pytest.mark.parametrize("fresh", [0, 3])
def test_an_increment_fires_triggers_for_what_it_does_only(table: CachedTable, fresh: int) -> None:
    table.load(orders((1, "a"), (2, "b")), key=("id",))
    place = f'"{table.place.schema}"."{table.place.table}"'
    table.execute("CREATE TABLE fired (what text)")
    table.execute(
        "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO public.fired VALUES (TG_OP); RETURN NEW; END'"
    )
    table.execute(
        f"CREATE TRIGGER fires BEFORE INSERT OR UPDATE ON {place} "
        "FOR EACH ROW EXECUTE FUNCTION fire()"
    )
    rows = orders((1, "a"), (2, "c"), (3, "d"))
    receipt = table.load(rows, key=("id",), mode="incremental", fresh=fresh)
    assert (receipt.inserted, receipt.updated) == (1, 1)
    with psycopg.connect(table.database.url) as connection:
        fired = connection.execute("SELECT what FROM fired ORDER BY what").fetchall()
    assert fired == [("INSERT",), ("UPDATE",)]


def test_the_watermark_stands_with_the_rows(table: CachedTable) -> None:
    assert not table.standing().exists
    table.load(orders((1, "a")), key=("id",), watermark="2024-01-01", time_column="id")
    table.load(orders((1, "b")), key=("id",), watermark="7", time_column="id", mode="incremental")

    standing = table.standing()

    assert (standing.watermark, standing.time_column, standing.key) == ("7", "id", ("id",))
    assert (standing.exists, standing.loads_since_full) == (True, 1)


def test_a_run_that_has_committed_is_not_done_again(table: CachedTable) -> None:
    run_id = uuid4()
    receipt = table.load(orders((1, "a")), run_id=run_id)
    with table.target(run_id=run_id) as target:
        assert target.standing().committed == receipt


def test_an_older_attempt_cannot_take_over(table: CachedTable) -> None:
    with table.target(attempt=1_000_001) as newer:
        newer.standing()
    with table.target(attempt=1_000_000) as older, pytest.raises(FencedOut):
        older.standing()


def test_a_newer_attempt_ends_an_older_one_in_the_middle_of_its_load(table: CachedTable) -> None:
    plan_rows = orders((1, "old"))

    def batches() -> Iterator[pa.RecordBatch]:
        yield from plan_rows.to_batches()
        table.load(orders((2, "new")))
        yield from plan_rows.to_batches()

    columns = tuple(CacheColumn(one.name, one.type) for one in plan_rows.schema)
    with table.target() as older:
        older.standing()
        with pytest.raises(FencedOut):
            older.load(
                LoadPlan("full", columns),
                batches(),
                watermark=lambda: None,
                progress=lambda *_: None,
            )
    assert table.rows() == [(2, "new")]


def test_a_source_that_breaks_leaves_the_table_as_it_was(table: CachedTable) -> None:
    table.load(orders((1, "a")), key=("id",), watermark="1")

    def batches() -> Iterator[pa.RecordBatch]:
        yield from orders((1, "changed"), (2, "new")).to_batches()
        raise SourceBroken("the second page is broken")

    columns = (CacheColumn("id", pa.int64()), CacheColumn("name", pa.string()))
    with table.target() as target:
        target.standing()
        with pytest.raises(SourceBroken, match="second page"):
            target.load(
                LoadPlan("full", columns, ("id",)),
                batches(),
                watermark=lambda: "2",
                progress=lambda *_: None,
            )
    assert table.rows() == [(1, "a")]
    assert table.standing().watermark == "1"


def test_what_people_built_on_the_table_stays(table: CachedTable) -> None:
    table.load(orders((1, "a"), (2, "b")), key=("id",))
    table.execute("""
        CREATE VIEW public.names AS SELECT name FROM "My shop".orders;
        CREATE INDEX by_name ON "My shop".orders (name);
        COMMENT ON TABLE "My shop".orders IS 'ours';
        GRANT SELECT ON "My shop".orders TO PUBLIC;
        CREATE TABLE public.note (id bigint REFERENCES "My shop".orders);
        INSERT INTO public.note VALUES (1);
    """)

    table.load(orders((1, "A"), (3, "c")), key=("id",))

    with psycopg.connect(table.database.url) as connection:
        found = connection.execute("SELECT name FROM public.names ORDER BY 1").fetchall()
        kept = connection.execute("""
            SELECT obj_description('"My shop".orders'::regclass),
                   to_regclass('"My shop".by_name') IS NOT NULL,
                   has_table_privilege('pg_read_all_settings', '"My shop".orders', 'SELECT')
        """).fetchone()
    assert found == [("A",), ("c",)]
    assert kept == ("ours", True, True)


def test_a_refresh_that_changes_nothing_writes_nothing(table: CachedTable) -> None:
    rows = orders(*((number, f"name {number}") for number in range(5000)))
    table.load(rows, key=("id",))
    places = table.rows("id, ctid, xmin")

    receipt = table.load(rows, key=("id",))

    assert receipt.rows_affected == 0
    assert receipt.rows_read == receipt.rows_staged == 5000
    assert table.rows("id, ctid, xmin") == places


def test_a_string_that_is_too_long_is_cut_and_counted_or_fails_the_run(table: CachedTable) -> None:
    rows = orders((1, "ééééé"), (2, "ok"))
    with pytest.raises(ValueDoesNotFit, match=r"name has a string of 5 characters.*id = 1"):
        table.load(rows, key=("id",), lengths={"name": 3})

    receipt = table.load(rows, key=("id",), lengths={"name": 3}, cut=True)

    assert dict(table.rows()) == {1: "ééé", 2: "ok"}
    assert receipt.strings_cut == 1
    assert table.types()["name"] == "character varying(3)"


def test_nul_characters_are_replaced_and_counted(table: CachedTable) -> None:
    rows = pa.table(
        {
            "id": [1, 2],
            "text": ["a\0b\0", None],
            "json": pa.ExtensionArray.from_storage(
                pa.json_(), pa.array(['{"k\\u0000": "\\\\u0000"}', '["\\u0000"]'])
            ),
        }
    )
    receipt = table.load(rows)

    assert sorted(table.rows()) == [
        (1, "a�b�", {"k�": "\\u0000"}),
        (2, None, ["�"]),
    ]
    assert receipt.nul_bytes_replaced == 4
    assert any("NUL" in note for note in receipt.notes)


def test_a_key_that_comes_twice_keeps_the_newest_row_where_age_is_known(table: CachedTable) -> None:
    rows = pa.table({"id": [1, 1, 2], "at": [5, 9, 1], "v": ["old", "new", "x"]})
    with pytest.raises(ValueDoesNotFit, match="more than once"):
        table.load(rows, key=("id",))

    for _ in range(2):
        receipt = table.load(rows, key=("id",), time_column="at")
        assert sorted(table.rows()) == [(1, 9, "new"), (2, 1, "x")]
        assert any("more than once" in note for note in receipt.notes)
    assert receipt.rows_affected == 0


def test_a_row_without_a_key_fails_the_run(table: CachedTable) -> None:
    rows = pa.table({"id": pa.array([1, None], pa.int64())})
    with pytest.raises(ValueDoesNotFit, match="no value in the merge key"):
        table.load(rows, key=("id",))
    table.load(pa.table({"id": pa.array([1], pa.int64())}), key=("id",))
    with pytest.raises(ValueDoesNotFit, match="no value in the merge key"):
        table.load(rows, key=("id",))


def test_another_key_can_be_chosen_later(table: CachedTable) -> None:
    rows = pa.table({"a": [1, 2], "b": [1, 1]})
    table.load(rows, key=("a",))
    table.load(pa.table({"a": [1, 1], "b": [1, 2]}), key=("b",))
    receipt = table.load(pa.table({"a": [1, 3], "b": [1, 2]}), key=("b",))
    assert sorted(table.rows()) == [(1, 1), (3, 2)]
    assert receipt.updated == 1


def test_a_table_of_somebody_else_is_not_touched(table: CachedTable) -> None:
    table.execute('CREATE SCHEMA "My shop"; CREATE TABLE "My shop".orders (mine integer)')
    with pytest.raises(CacheConflict, match="did not make"):
        table.load(orders((1, "a")))
    assert table.types() == {"mine": "integer"}


def test_the_table_of_another_job_is_not_touched(table: CachedTable) -> None:
    table.load(orders((1, "a")))
    other = CachedTable(table.database)
    with pytest.raises(CacheConflict, match=str(table.job_id)):
        other.load(orders((2, "b")))
    assert table.rows() == [(1, "a")]


def test_dropping_leaves_nothing_behind(table: CachedTable) -> None:
    table.load(orders((1, "a")))
    table.execute('CREATE VIEW public.ids AS SELECT id FROM "My shop".orders')

    drop_cached_table(table.address, table.job_id)
    drop_cached_table(table.address, table.job_id)

    with psycopg.connect(table.database.url) as connection:
        assert connection.execute(
            "SELECT to_regnamespace('\"My shop\"'), (SELECT count(*) FROM tidewell.cached_table)"
        ).fetchone() == (None, 0)


def test_any_name_works(table: CachedTable) -> None:
    table.place = Place('a "b" ;--', "select")
    rows = pa.table({name: [1] for name in ['x"y', "User", "user", "ctid", "é" * 40, "select", ""]})
    table.load(rows)
    table.load(rows)
    assert table.rows() == [(1,) * 7]
    assert max(len(name.encode()) for name in table.types()) <= 63


def test_a_name_may_look_like_a_parameter(table: CachedTable) -> None:
    table.place = Place("100% shop", "a%(own)s")
    rows = pa.table({name: [1] for name in ["%s", "50 %", "%%", "%(limit)s"]})
    table.load(rows, version="v")
    assert table.holds("v")
    shown = preview(table.address, table.place, 10)
    assert (shown.columns, shown.rows) == (tuple(rows.column_names), (("1",) * 4,))
    assert table.load(rows.slice(1)).deleted == 1


def test_a_month_is_not_thirty_days(table: CachedTable) -> None:
    def rows(months: int, days: int) -> pa.Table:
        spans = pa.array([pa.MonthDayNano([months, days, 0])], pa.month_day_nano_interval())
        return pa.table({"id": [1], "span": spans})

    table.load(rows(0, 30), key=("id",))
    for mode in ("full", "incremental"):
        for months, days in ((1, 0), (0, 30)):
            receipt = table.load(rows(months, days), mode=mode, key=("id",))
            assert receipt.updated == 1
            assert table.rows("span::text") == [("1 mon" if months else "30 days",)]


def test_a_wrong_password_and_a_dead_host_are_told_apart(table: CachedTable) -> None:
    with pytest.raises(CacheRefused, match="password"):
        try_address(replace(table.address, password="wrong"), 5)
    with pytest.raises(CacheRefused, match="no database"):
        try_address(replace(table.address, database="nowhere"), 5)
    with pytest.raises(CacheUnavailable, match="refused the connection"):
        try_address(replace(table.address, port=1), 5)
    with pytest.raises(CacheUnavailable, match="not found"):
        try_address(replace(table.address, host="nowhere.invalid"), 5)
    try_address(table.address, 5)
