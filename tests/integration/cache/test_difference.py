"""A full refresh finds by hashes what is not the same, and sends only that."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from time import monotonic, sleep
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.cache.conftest import CachedTable
from tests.integration.cache.test_digest import KINDS
from tidewell.cache import difference, drop_cached_table
from tidewell.cache.pairing import Found, Pairing
from tidewell.cache.plan import CacheColumn, LoadPlan
from tidewell.errors import CacheConflict, Stopped, ValueDoesNotFit

HASHED = {name: one for name, one in KINDS.items() if name not in ("jsonb", "exact")}
values = st.fixed_dictionaries({name: st.none() | one for name, (_, one) in HASHED.items()})
version = st.dictionaries(st.integers(0, 9), values, max_size=9)


def as_table(rows: list[Mapping[str, Any]], **more: list[int]) -> pa.Table:
    """Rows of every hashed kind, and columns of integers."""
    columns: dict[str, pa.Array] = {name: pa.array(one, pa.int64()) for name, one in more.items()}
    for name, (kind, _) in HASHED.items():
        extension = isinstance(kind, pa.BaseExtensionType)
        plain = pa.array([row[name] for row in rows], kind.storage_type if extension else kind)
        columns[name] = pa.ExtensionArray.from_storage(kind, plain) if extension else plain
    return pa.table(columns)


def multiset(rows: pa.Table) -> Counter[str]:
    """The rows as PostgreSQL will tell them apart: NaN equals NaN, zero has no sign."""
    return Counter(str(row).replace("-0.0", "0.0") for row in rows.to_pylist())


@settings(max_examples=15)
@given(one=version, two=version)
def test_any_version_becomes_any_other_by_key(
    table: CachedTable, one: dict[int, dict[str, Any]], two: dict[int, dict[str, Any]]
) -> None:
    drop_cached_table(table.address, table.job_id)
    table.load(as_table(list(one.values()), id=list(one)), key=("id",))
    receipt = table.load(as_table(list(two.values()), id=list(two)), key=("id",))
    same = {key for key in one.keys() & two.keys() if alike(one[key], two[key])}
    assert receipt.inserted == len(two.keys() - one.keys())
    assert receipt.deleted == len(one.keys() - two.keys())
    assert receipt.updated == len(one.keys() & two.keys()) - len(same)
    assert receipt.rows_read == receipt.rows_staged == len(two)
    again = table.load(as_table(list(two.values()), id=list(two)), key=("id",))
    assert (again.rows_affected, again.digest) == (0, receipt.digest)
    assert len(table.rows()) == len(two)


@settings(max_examples=15)
@given(one=st.lists(values, max_size=6), two=st.lists(values, max_size=6), data=st.data())
def test_any_version_becomes_any_other_without_a_key(
    table: CachedTable, one: list[dict[str, Any]], two: list[dict[str, Any]], data: st.DataObject
) -> None:
    # Some rows stay, and some come more than once.
    two = two + (data.draw(st.lists(st.sampled_from(one), max_size=6)) if one else [])
    drop_cached_table(table.address, table.job_id)
    table.load(as_table(one))
    receipt = table.load(as_table(two))
    before, after = multiset(as_table(one)), multiset(as_table(two))
    assert receipt.inserted - receipt.deleted == len(two) - len(one)
    assert receipt.inserted == sum((after - before).values())
    assert table.load(as_table(two)).rows_affected == 0
    assert len(table.rows()) == len(two)


def alike(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return multiset(as_table([one])) == multiset(as_table([two]))


def numbers(count: int, changed: Mapping[int, int] | None = None) -> pa.Table:
    """Rows with a value each, which is its number unless it is changed."""
    shown = [(changed or {}).get(one, one) for one in range(count)]
    return pa.table({"id": range(count), "value": pa.array(shown, pa.int64())})


def test_what_is_the_same_does_not_travel(table: CachedTable) -> None:
    first = table.load(numbers(50_000), key=("id",))
    same = table.load(numbers(50_000), key=("id",))
    assert (same.rows_read, same.rows_staged, same.bytes_copied) == (50_000, 50_000, 0)
    few = table.load(numbers(50_000, {7: -7, 40_000: 0}), key=("id",))
    assert (few.inserted, few.updated, few.deleted) == (0, 2, 0)
    assert 0 < few.bytes_copied < first.bytes_copied / 100
    assert Counter(table.rows()) == Counter(
        tuple(row.values()) for row in numbers(50_000, {7: -7, 40_000: 0}).to_pylist()
    )


@pytest.mark.parametrize("key", [("id",), ()])
def test_what_somebody_did_to_the_copy_is_put_right(
    table: CachedTable, key: tuple[str, ...]
) -> None:
    rows = numbers(5_000)
    table.load(rows, key=key)
    table.execute('DELETE FROM "My shop".orders WHERE id % 1000 = 3')
    table.execute('UPDATE "My shop".orders SET value = 0 WHERE id = 77')
    table.execute('INSERT INTO "My shop".orders VALUES (90000, 1), (90001, 2)')
    table.load(rows, key=key)
    assert sorted(table.rows()) == [(one, one) for one in range(5_000)]


NOTHINGS = {
    "boolean": [False],
    "smallint": [0, -3],
    "integer": [0, -3],
    "bigint": [0, -3],
    "real": [0.0],
    "double": [0.0],
    "numeric": [Decimal(0)],
    "text": ["", "0"],
    "bytea": [b""],
    "date": [date(2000, 1, 1), date(1970, 1, 1)],
    "time": [time(0)],
    "timestamp": [datetime(1970, 1, 1), datetime(2000, 1, 1)],  # noqa: DTZ001 - without a zone
    "timestamptz": [datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)],
    "interval": [timedelta(0)],
    "uuid": [bytes(16)],
}


@pytest.mark.parametrize("key", [("id",), ()])
@pytest.mark.parametrize("name", HASHED)
def test_a_value_that_is_nearly_nothing_is_not_null(
    table: CachedTable, name: str, key: tuple[str, ...]
) -> None:
    for value in NOTHINGS[name]:
        empty = [dict.fromkeys(HASHED)]
        full = [dict.fromkeys(HASHED) | {name: value}]
        for rows in (empty, full, empty):
            table.load(as_table(rows, id=[1]), key=key)
            [(there,)] = table.rows(f'"{name}" IS NOT NULL')
            assert there == (rows is full), value
            assert table.load(as_table(rows, id=[1]), key=key).rows_affected == 0


def test_two_columns_that_change_alike_do_not_hide_each_other(table: CachedTable) -> None:
    def rows(sign: int, power: int) -> pa.Table:
        amounts = [Decimal(sign * one * power) for one in range(1, 200)]
        kind = pa.decimal128(18, 2)
        return pa.table(
            {
                "id": range(1, 200),
                "net": pa.array(amounts, kind),
                "gross": pa.array(amounts, kind),
                "ticks": pa.array([sign * one << 32 for one in range(1, 200)], pa.int64()),
            }
        )

    table.load(rows(1, 1), key=("id",))
    assert table.load(rows(-1, 1), key=("id",)).updated == 199
    assert table.load(rows(-1, 10_000), key=("id",)).updated == 199


def test_times_of_any_century_are_told_apart(table: CachedTable) -> None:
    def rows(microsecond: int) -> pa.Table:
        moments = [
            datetime(year, 1, 1, microsecond=microsecond, tzinfo=UTC)
            for year in (1, 1799, 1800, 1970, 2199, 2200, 9999)
        ]
        plain = [one.replace(tzinfo=None) for one in moments]
        return pa.table(
            {
                "id": range(7),
                "at": pa.array(moments, pa.timestamp("us", "UTC")),
                "local": pa.array(plain, pa.timestamp("us")),
            }
        )

    table.load(rows(1), key=("id",))
    assert table.load(rows(1), key=("id",)).rows_affected == 0
    assert table.load(rows(2), key=("id",)).updated == 7


def test_nobody_waits_while_the_source_is_read(table: CachedTable) -> None:
    rows = numbers(1_000)
    table.load(rows, key=("id",))

    def slowly() -> Iterator[pa.RecordBatch]:
        yield from rows.to_batches()
        # The look at the table takes some milliseconds; then nothing of ours holds it.
        deadline = monotonic() + 30
        while True:
            try:
                with psycopg.connect(table.database.url) as connection:
                    connection.execute("SET lock_timeout = '50ms'")
                    connection.execute('ALTER TABLE "My shop".orders ALTER value SET DEFAULT 1')
                return
            except psycopg.errors.LockNotAvailable:
                assert monotonic() < deadline

    assert load(table, rows, slowly()) == 0


def test_a_long_read_looks_at_the_copy_again(
    table: CachedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = numbers(1_000)
    table.load(rows, key=("id",))
    monkeypatch.setattr(difference, "_STALE", 0)

    def meanwhile() -> Iterator[pa.RecordBatch]:
        yield from rows.to_batches()
        table.execute('DELETE FROM "My shop".orders WHERE id < 10')

    assert load(table, rows, meanwhile()) == 10
    assert len(table.rows()) == 1_000


@pytest.mark.parametrize("is_seen_first", [True, False])
@pytest.mark.parametrize("change", ["ALTER value TYPE text", "RENAME value TO price"])
def test_a_table_that_was_changed_meanwhile_is_not_written(
    table: CachedTable, monkeypatch: pytest.MonkeyPatch, change: str, is_seen_first: bool
) -> None:
    """Whether its rows were looked at before the change or after it."""
    table.load(numbers(100), key=("id",))
    changed, looked = threading.Event(), threading.Event()
    look = difference.Difference._look

    def ordered(self: difference.Difference) -> float:
        assert is_seen_first or changed.wait(10)
        took = look(self)
        looked.set()
        return took

    monkeypatch.setattr(difference.Difference, "_look", ordered)

    def meanwhile() -> Iterator[pa.RecordBatch]:
        yield from numbers(100, {5: 6}).to_batches()
        assert not is_seen_first or looked.wait(10)
        table.execute(f'ALTER TABLE "My shop".orders {change}')
        changed.set()

    with pytest.raises(CacheConflict, match="run it again"):
        load(table, numbers(1), meanwhile())
    column = "price" if "price" in change else "value"
    assert "5" in [str(value) for (value,) in table.rows(column)]


@pytest.mark.parametrize("key", [("id",), ()])
def test_a_table_of_which_most_has_changed(table: CachedTable, key: tuple[str, ...]) -> None:
    table.load(numbers(30_000), key=key)
    changed = numbers(30_001, {one: -one - 1 for one in range(30_000)})
    receipt = table.load(changed, key=key)
    assert receipt.updated == (30_000 if key else 0)
    assert (receipt.inserted, receipt.deleted) == ((1, 0) if key else (30_001, 30_000))
    assert receipt.rows_read == receipt.rows_staged == 30_001
    assert sorted(table.rows()) == sorted((row["id"], row["value"]) for row in changed.to_pylist())
    assert table.load(changed, key=key).rows_affected == 0


def test_keys_that_come_twice_are_told_whatever_else_is_the_same(table: CachedTable) -> None:
    table.load(numbers(1_000), key=("id",))
    twice = pa.concat_tables([numbers(1_000), pa.table({"id": [7], "value": [8]})])
    with pytest.raises(ValueDoesNotFit, match="more than once"):
        table.load(twice, key=("id",))
    missing = pa.concat_tables(
        [numbers(1_000), pa.table({"id": pa.array([None], pa.int64()), "value": [8]})]
    )
    with pytest.raises(ValueDoesNotFit, match="no value in the merge key"):
        table.load(missing, key=("id",))
    assert len(table.rows()) == 1_000


def test_rows_that_others_point_to_stay_the_same_rows(table: CachedTable) -> None:
    table.load(numbers(1_000), key=("id",))
    table.execute('CREATE TABLE notes (id bigint REFERENCES "My shop".orders, text text)')
    table.execute("INSERT INTO notes VALUES (7, 'seven'), (8, 'eight')")
    receipt = table.load(numbers(999, {7: 70}), key=("id",))
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (0, 1, 1)
    assert (7, 70) in table.rows()
    table.execute("DROP TABLE notes")


def test_what_others_keep_beside_our_columns_stays(table: CachedTable) -> None:
    table.load(numbers(1_000), key=("id",))
    table.execute('ALTER TABLE "My shop".orders ADD remark text')
    table.execute("""UPDATE "My shop".orders SET remark = 'mine' WHERE id = 7""")
    assert table.load(numbers(1_000, {7: 70}), key=("id",)).updated == 1
    assert (7, 70, "mine") in table.rows("id, value, remark")


def test_triggers_of_others_are_told_of_an_update(table: CachedTable) -> None:
    table.load(numbers(1_000), key=("id",))
    table.execute("CREATE TABLE told (what text)")
    table.execute(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO public.told VALUES (TG_OP); RETURN NULL; END $$"
    )
    table.execute(
        "CREATE TRIGGER telling AFTER INSERT OR UPDATE OR DELETE "
        'ON "My shop".orders FOR EACH ROW EXECUTE FUNCTION tell()'
    )
    table.load(numbers(1_000, {7: 70}), key=("id",))
    with psycopg.connect(table.database.url) as connection:
        told = connection.execute("SELECT what FROM told").fetchall()
    assert told == [("UPDATE",)]
    table.execute("DROP TABLE told")
    table.execute("DROP FUNCTION tell CASCADE")


OWNERS_OWN = {
    "a rule": "CREATE TABLE gone (id bigint); CREATE RULE keeping AS ON DELETE TO {t} "
    "DO ALSO INSERT INTO public.gone VALUES (old.id)",
    "a trigger before": "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN RETURN CASE WHEN old.id = 8 THEN NULL ELSE old END; END'; "
    "CREATE TRIGGER keeping BEFORE DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION keep()",
    "a child": "CREATE TABLE child () INHERITS ({t}); INSERT INTO child VALUES (5000, 1)",
}


@pytest.mark.parametrize("own", OWNERS_OWN)
def test_an_owner_has_a_say_in_what_is_written(table: CachedTable, own: str) -> None:
    table.load(numbers(1_000), key=("id",))
    table.execute(OWNERS_OWN[own].format(t='"My shop".orders'))
    rows = numbers(990, {7: 70}).to_pylist()
    del rows[8]
    kept = [(8, 8)] if own == "a trigger before" else []
    for _ in range(2):
        table.load(pa.Table.from_pylist(rows), key=("id",))
        assert sorted(table.rows()) == sorted([*(tuple(row.values()) for row in rows), *kept])


def test_numbers_that_an_owner_gives_to_rows_stay_with_them(table: CachedTable) -> None:
    table.load(numbers(1_000), key=("id",))
    table.execute('ALTER TABLE "My shop".orders ADD nth bigint GENERATED ALWAYS AS IDENTITY')
    before = dict(table.rows("id, nth"))
    assert table.load(numbers(1_000, {7: 70}), key=("id",)).updated == 1
    assert dict(table.rows("id, nth")) == before


def test_a_row_that_somebody_changes_at_the_last_moment(
    table: CachedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.load(numbers(1_000), key=("id",))
    pair = Pairing.found

    def meanwhile(pairing: Pairing) -> Found:
        found = pair(pairing)
        table.execute('UPDATE "My shop".orders SET value = 0 WHERE id = 7')
        return found

    monkeypatch.setattr(Pairing, "found", meanwhile)
    with pytest.raises(CacheConflict, match="run it again"):
        table.load(numbers(1_000, {7: 70}), key=("id",))
    monkeypatch.undo()
    assert table.load(numbers(1_000, {7: 70}), key=("id",)).updated == 1


def test_a_stop_while_the_copy_is_looked_at(table: CachedTable) -> None:
    table.load(numbers(100), key=("id",))
    with (
        table.target() as target,
        psycopg.connect(table.database.url) as blocker,
    ):
        target.standing()
        blocker.execute('LOCK TABLE "My shop".orders')

        def stop() -> None:
            sleep(0.5)
            target.cancel()

        stopping = threading.Thread(target=stop)
        stopping.start()
        with pytest.raises(Stopped):
            target.load(
                plan(numbers(100)),
                numbers(100).to_batches(),
                watermark=lambda: None,
                progress=lambda *_: None,
            )
        stopping.join()


def plan(rows: pa.Table) -> LoadPlan:
    columns = tuple(CacheColumn(one.name, one.type) for one in rows.schema)
    return LoadPlan("full", columns, ("id",), origin="the test")


def load(table: CachedTable, rows: pa.Table, batches: Iterator[pa.RecordBatch]) -> int:
    """Load what comes from a generator; the rows written."""
    with table.target() as target:
        target.standing()
        return target.load(
            plan(rows), batches, watermark=lambda: None, progress=lambda *_: None
        ).rows_affected
