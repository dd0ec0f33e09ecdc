"""Whatever somebody does to a cached table is seen, though only its rows' transactions are looked
at; and what changes nothing is not taken for a change."""

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import CachedTable
from tidewell.cache import drop_cached_table

TABLE = '"My shop".orders'


def rows(*names: str) -> pa.Table:
    return pa.table({"id": pa.array(range(len(names)), pa.int64()), "name": list(names)})


def more(count: int) -> pa.Table:
    return rows(*(f"name {number}" for number in range(count)))


CHANGES = {
    "a value": "UPDATE {t} SET name = 'other' WHERE id = 1",
    "the same value again": "UPDATE {t} SET name = name WHERE id = 1",
    "a row more": "INSERT INTO {t} VALUES (99, 'x')",
    "a row less": "DELETE FROM {t} WHERE id = 1",
    "a row for another": "DELETE FROM {t} WHERE id = 1; INSERT INTO {t} VALUES (99, 'x')",
    "a row for another, in a savepoint": "BEGIN; SAVEPOINT a; DELETE FROM {t} WHERE id = 1; "
    "SAVEPOINT b; INSERT INTO {t} VALUES (99, 'x'); RELEASE b; COMMIT",
    "no row": "TRUNCATE {t}",
    "all rows anew": "CREATE TEMP TABLE kept AS TABLE {t}; TRUNCATE {t}; "
    "INSERT INTO {t} TABLE kept",
    "frozen rows": "UPDATE {t} SET name = 'other' WHERE id = 1; VACUUM (FREEZE) {t}",
    "rows of a type": "ALTER TABLE {t} ALTER name TYPE text USING name || 'x'",
    "another type, not written": "ALTER TABLE {t} ALTER name TYPE varchar",
    "another column of the name": "ALTER TABLE {t} DROP name; ALTER TABLE {t} ADD name text "
    "DEFAULT 'x'",
    "names that change places": "ALTER TABLE {t} RENAME name TO n; "
    "ALTER TABLE {t} RENAME id TO name; ALTER TABLE {t} RENAME n TO id",
    "one more column": "ALTER TABLE {t} ADD more int",
    "another table": 'ALTER TABLE {t} RENAME TO old; CREATE TABLE {t} AS TABLE "My shop".old',
    "another table's file": "VACUUM FULL {t}",
    "rows of a child": "DELETE FROM {t} WHERE id = 1; CREATE TABLE child () INHERITS ({t}); "
    "INSERT INTO child VALUES (99, 'x')",
    "a key": "ALTER TABLE {t} DROP CONSTRAINT orders_pkey",
    "a trigger": "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL;"
    "END'; CREATE TRIGGER t BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION f()",
    "a rule": "CREATE RULE r AS ON INSERT TO {t} DO INSTEAD NOTHING",
    "rows that are hidden": "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY; "
    "ALTER TABLE {t} FORCE ROW LEVEL SECURITY; CREATE POLICY p ON {t} USING (true)",
    "a reference to itself": "ALTER TABLE {t} ADD up bigint REFERENCES {t} ON DELETE SET NULL",
}

NO_CHANGES = {
    "locked rows": "SELECT * FROM {t} FOR UPDATE",
    "rows that were not committed": "BEGIN; INSERT INTO {t} VALUES (99, 'x'); DELETE FROM {t} "
    "WHERE id = 1; ROLLBACK",
    "frozen": "VACUUM (FREEZE) {t}",
    "statistics": "ANALYZE {t}",
    "a view": "CREATE VIEW seen AS TABLE {t}",
    "grants and comments": "GRANT SELECT ON {t} TO PUBLIC; COMMENT ON TABLE {t} IS 'ours'",
}


def apply(table: CachedTable, statements: str) -> None:
    """As its owner does, each statement in a transaction of its own unless it begins one."""
    with psycopg.connect(table.database.url, autocommit=True) as connection:
        for statement in statements.split("; "):
            connection.execute(statement.format(t=TABLE).encode())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("loads", [1, 2])
def test_a_change_is_seen(table: CachedTable, change: str, loads: int) -> None:
    for number in range(loads):
        table.load(rows("ada", "bob", f"eve {number}"), key=("id",), version="v")
    assert table.holds("v")
    apply(table, CHANGES[change])
    assert not table.holds("v")


@pytest.mark.parametrize("harmless", NO_CHANGES)
def test_what_changes_nothing_is_no_change(table: CachedTable, harmless: str) -> None:
    table.load(rows("ada", "bob"), key=("id",), version="v")
    apply(table, NO_CHANGES[harmless])
    assert table.holds("v")
    assert not table.holds("w")


WAYS = {
    "first": [(more(40), ("id",))],
    "first, without a key": [(more(40), ())],
    "nothing new": [(more(40), ("id",)), (more(40), ("id",))],
    "some rows": [(more(40), ("id",)), (pa.concat_tables([more(38), more(45).slice(42)]), ("id",))],
    "some rows, without a key": [(more(40), ()), (more(45).slice(2), ())],
    "all rows": [(rows(*"abcdefgh"), ("id",)), (rows(*"hgfedcba"), ("id",))],
    "another key": [(more(40), ()), (more(40), ("id",))],
    "another column": [(more(40).select(["id"]), ("id",)), (more(40), ("id",))],
    "no row": [(more(40), ("id",)), (more(0), ("id",))],
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_a_full_load_is_proved(table: CachedTable, way: str) -> None:
    for number, (version, key) in enumerate(WAYS[way]):
        table.load(version, key=key, version=f"v{number}")
    assert table.holds(f"v{number}")
    apply(table, "INSERT INTO {t} VALUES (99)")
    assert not table.holds(f"v{number}")


def test_rows_of_which_nothing_is_known_are_not_proved(table: CachedTable) -> None:
    table.load(rows("ada"), key=("id",), version="v")
    table.load(rows("ada", "bob"), key=("id",), mode="incremental", version="w")
    assert not table.holds("v")
    assert not table.holds("w")
    table.load(rows("ada", "bob"), key=("id",))
    assert not table.holds("v"), "what was not told a version has none"


@pytest.mark.parametrize("savepoint", ["SELECT 1", "SAVEPOINT a"])
def test_what_was_at_work_during_a_load_is_seen_later(table: CachedTable, savepoint: str) -> None:
    table.load(rows("ada", "bob"), key=("id",), version="v")
    with psycopg.connect(table.database.url) as other:
        for statement in ("CREATE TABLE begun ()", savepoint, "INSERT INTO {t} VALUES (99, 'x')"):
            other.execute(statement.format(t=TABLE).encode())
        table.load(rows("ada", "bob"), key=("id",), version="w")
        assert table.holds("w")
    assert not table.holds("w")


def test_numbers_of_transactions_that_come_round_prove_nothing(table: CachedTable) -> None:
    table.load(rows("ada"), key=("id",), version="v")
    apply(table, "UPDATE tidewell.source_version SET since = since - 2147483648")
    assert not table.holds("v")
    apply(table, "UPDATE tidewell.source_version SET since = since + 2147483648")
    assert table.holds("v")
    apply(table, "UPDATE tidewell.source_version SET since = since + 1000000")
    assert not table.holds("v"), "as of a server that was restored"


def test_a_cache_of_an_earlier_release_learns_it(table: CachedTable) -> None:
    table.load(rows("ada"), key=("id",))
    apply(table, "DROP TABLE tidewell.source_version")
    table.load(rows("ada"), key=("id",), version="v")
    assert table.holds("v")
    drop_cached_table(table.address, table.job_id)
    with psycopg.connect(table.database.url) as connection:
        assert connection.execute("TABLE tidewell.source_version").fetchall() == []


@settings(max_examples=15)
@given(st.lists(st.sampled_from(sorted({**CHANGES, **NO_CHANGES})), max_size=3))
def test_any_order_of_changes_is_seen(cache_database: CacheDatabase, order: list[str]) -> None:
    table = CachedTable(cache_database)
    table.load(rows("ada", "bob"), key=("id",), version="v")
    done, half_done = set(), False
    try:
        for one in order:
            statements = (CHANGES | NO_CHANGES)[one]
            # Two changes need not fit one another: what was done stays.
            try:
                apply(table, statements)
                done.add(one)
            except psycopg.Error:
                half_done |= "; " in statements
        if done & CHANGES.keys():
            assert not table.holds("v")
        elif not half_done:
            assert table.holds("v")
    finally:
        apply(table, "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public")
        drop_cached_table(table.address, table.job_id)
        # What was made there beside has the names that the next table and its key would get.
        apply(table, 'DROP SCHEMA IF EXISTS "My shop" CASCADE')
