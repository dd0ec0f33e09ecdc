"""A first load in key ranges: the table is the one that a single process would have made."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from uuid import uuid4

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.conftest import CacheDatabase
from tests.integration.cache.conftest import CachedTable
from tidewell.cache import drop_cached_table, settle_attempt
from tidewell.cache.plan import CacheColumn, Fence, LoadPlan, Place, Receipt
from tidewell.cache.rangeload import RangeLoad
from tidewell.cache.ranges import Loaded
from tidewell.cache.target import CacheTarget
from tidewell.errors import CacheError, CacheRefused, FencedOut, ValueDoesNotFit
from tidewell.state.embedded import EmbeddedServer

CATALOGUE = (
    """SELECT c.relname, n.nspname, c.relkind, c.relpersistence, c.relowner::regrole::text,
              c.reloptions, c.relreplident, c.relrowsecurity, c.reltuples, am.amname, t.typname,
              a.typname, c.reltablespace
         FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_am am ON am.oid = c.relam
         LEFT JOIN pg_type t ON t.oid = c.reltype
         LEFT JOIN pg_type a ON a.oid = t.typarray
        WHERE n.nspname = 'My shop' ORDER BY 1""",
    """SELECT g.grantee::regrole::text, g.grantor::regrole::text, g.privilege_type, g.is_grantable
         FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace,
              aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g
        WHERE n.nspname = 'My shop' AND c.relkind = 'r' ORDER BY 1, 2, 3, 4""",
    """SELECT attname, attnum, format_type(atttypid, atttypmod), attnotnull, atthasdef, attidentity,
              attstorage, attcollation, attcompression, attislocal, attinhcount, attacl,
              coalesce(attstattarget, -1), col_description(attrelid, attnum)
         FROM pg_attribute WHERE attrelid = '"My shop".orders'::regclass ORDER BY attnum""",
    """SELECT conname, contype, pg_get_constraintdef(oid)
         FROM pg_constraint WHERE conrelid = '"My shop".orders'::regclass ORDER BY 1""",
    """SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisprimary, indisvalid
         FROM pg_index WHERE indrelid = '"My shop".orders'::regclass ORDER BY 1""",
    """SELECT regexp_replace(obj_description('"My shop".orders'::regclass), 'last.*|job [^)]*', '',
                             'g')""",
    """SELECT attname, null_frac FROM pg_stats WHERE schemaname = 'My shop' ORDER BY 1""",
    """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'tidewell' ORDER BY 2""",
)


def in_ranges(
    table: CachedTable,
    parts: Sequence[pa.Table],
    *,
    key: tuple[str, ...] = ("id",),
    time_column: str | None = None,
    fence: Fence | None = None,
    cut: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
) -> Receipt:
    """Load the parts of a table as processes would, each in a session of its own."""
    columns = tuple(
        CacheColumn(one.name, one.type, remarks=f"All of {one.name}.") for one in parts[0].schema
    )
    plan = LoadPlan("full", columns, key, time_column, cut, "the test")
    fence = fence or Fence(table.job_id, uuid4(), 1)

    def trace(level: int, text: str) -> None:
        table.log.append(text)

    def fill() -> list[Loaded]:
        found = []
        for part in parts:
            load = RangeLoad.connect(table.address, fence, trace=trace)
            try:
                found.append(load.run(plan, part.to_batches(), lambda *_: None))
            finally:
                load.close()
        meanwhile()
        return found

    target = CacheTarget.connect(table.address, fence, table.place, trace=trace)
    try:
        target.standing()
        assert target.may_load_in_ranges()
        return target.load_in_ranges(plan, fill, watermark=lambda: None, progress=lambda *_: None)
    finally:
        target.close()


def hidden(table: CachedTable) -> list[str]:
    with psycopg.connect(table.database.url) as connection:
        return [
            name
            for (name,) in connection.execute(
                "SELECT relname FROM pg_class WHERE relname LIKE 'load%'"
            )
        ]


def exists(table: CachedTable) -> bool:
    with psycopg.connect(table.database.url) as connection:
        row = connection.execute("SELECT to_regclass('\"My shop\".orders')").fetchone()
    return bool(row and row[0])


def whole(rows: pa.Table) -> list[tuple[object, ...]]:
    return sorted(map(tuple, (one.values() for one in rows.to_pylist())), key=repr)


def moments(texts: Sequence[str | None]) -> pa.Array:
    return pa.array(texts, pa.string()).cast(pa.timestamp("us"))


ODD = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "name": ["a", None, "x" * 2000, "ü\0"],
        "at": moments(["2024-01-01", None, "1492-08-03", "2025-01-01"]),
        "free": pa.ExtensionArray.from_storage(
            pa.opaque(pa.string(), "numeric", "PostgreSQL"), pa.array(["1.50", "NaN", None, "-3"])
        ),
        "for": pa.ExtensionArray.from_storage(
            pa.opaque(pa.string(), "interval", "PostgreSQL"),
            pa.array(["1 day", None, "2 mons", "00:00:01"]),
        ),
        "data": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None, "[]", "2"])),
    }
)


def catalogue(table: CachedTable) -> list[list[tuple[object, ...]]]:
    with psycopg.connect(table.database.url) as connection:
        return [connection.execute(question).fetchall() for question in CATALOGUE]


@pytest.fixture
def reader(server: EmbeddedServer, cache_database: CacheDatabase) -> Iterator[str]:
    """A role that the customer gives privileges to."""
    name = "reader_" + cache_database.user
    with psycopg.connect(server.url(cache_database.database), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        yield name
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.mark.parametrize("granted", [False, True], ids=["plain", "default privileges"])
def test_the_table_is_the_same_as_one_process_makes(
    table: CachedTable, reader: str, granted: bool
) -> None:
    if granted:
        # The schema `tidewell` gives what the table's own does not, and the other way round.
        table.load(ODD.select(["id"]))
        drop_cached_table(table.address, table.job_id)
        table.execute(
            f"""
            CREATE SCHEMA "My shop";
            ALTER DEFAULT PRIVILEGES GRANT REFERENCES ON TABLES TO {reader};
            ALTER DEFAULT PRIVILEGES IN SCHEMA "My shop"
                GRANT SELECT ON TABLES TO {reader} WITH GRANT OPTION;
            ALTER DEFAULT PRIVILEGES IN SCHEMA "My shop" GRANT INSERT ON TABLES TO PUBLIC;
            ALTER DEFAULT PRIVILEGES IN SCHEMA tidewell GRANT DELETE ON TABLES TO {reader};
            ALTER DEFAULT PRIVILEGES IN SCHEMA tidewell GRANT SELECT ON TABLES TO PUBLIC;
            """
        )
    found = []
    for ranges in (False, True):
        if ranges:
            receipt = in_ranges(table, [ODD.slice(0, 2), ODD.slice(2)], time_column="at")
        else:
            columns = tuple(
                CacheColumn(one.name, one.type, remarks=f"All of {one.name}.") for one in ODD.schema
            )
            with table.target() as target:
                target.standing()
                receipt = target.load(
                    LoadPlan("full", columns, ("id",), "at", origin="the test"),
                    ODD.to_batches(),
                    watermark=lambda: None,
                    progress=lambda *_: None,
                )
        rows = [(repr(row),) for row in sorted(table.rows())]  # NaN is not equal to itself
        found.append([*catalogue(table), rows, replace(receipt, bytes_copied=0)])
        drop_cached_table(table.address, table.job_id)
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert ours == theirs
    assert (reader in str(found[1])) is granted


@settings(max_examples=15)
@given(
    keys=st.sets(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=60),
    bounds=st.sets(st.integers(-(2**63), 2**63 - 1), max_size=6),
    seed=st.randoms(use_true_random=False),
)
def test_any_bounds_give_all_rows_once(
    table: CachedTable, keys: set[int], bounds: set[int], seed: object
) -> None:
    ids = sorted(keys)
    texts = ["", None, "kurz", "日本", "y" * 1025]
    times = [None, "0001-01-01", "2024-02-29 01:02:03.000004", "9999-01-01"]
    rows = pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "text": pa.array([texts[one % 5] for one in ids], pa.string()),
            "at": moments([times[one // 5 % 4] for one in ids]),
        }
    )
    edges = [None, *sorted(bounds), None]
    parts = []
    for lower, upper in pairwise(edges):
        part = rows
        if lower is not None:
            part = part.filter(pc.greater_equal(part["id"], lower))
        if upper is not None:
            part = part.filter(pc.less(part["id"], upper))
        parts.append(part)
    found = []
    for load in (lambda: table.load(rows, key=("id",)), lambda: in_ranges(table, parts)):
        receipt = load()
        found.append(replace(receipt, bytes_copied=0))
        assert whole(rows) == sorted(table.rows(), key=repr)
        drop_cached_table(table.address, table.job_id)
        table.job_id = uuid4()
    assert found[1] == found[0]


def test_what_is_cut_and_replaced_adds_up(table: CachedTable) -> None:
    rows = pa.table({"id": [1, 2, 3], "name": ["a\0", "b\0\0", "c"]})
    receipt = in_ranges(table, [rows.slice(0, 1), rows.slice(1)])
    assert receipt.nul_bytes_replaced == 3
    assert receipt.notes == ("3 NUL characters were replaced by U+FFFD: PostgreSQL holds none.",)


def test_of_rows_with_one_key_the_newest_is_kept(table: CachedTable) -> None:
    rows = pa.table({"id": [1, 2, 2, 3], "at": pa.array([1, 1, 2, 1], pa.int64())})
    receipt = in_ranges(table, [rows.slice(0, 1), rows.slice(1)], time_column="at")
    assert receipt.inserted == 3
    assert sorted(table.rows()) == [(1, 1), (2, 2), (3, 1)]
    another = CachedTable(table.database, Place("My shop", "others"))
    with pytest.raises(ValueDoesNotFit, match="come more than once"):
        in_ranges(another, [rows])
    assert hidden(table) == []


def test_nobody_sees_the_table_before_it_is_whole(table: CachedTable) -> None:
    seen = []
    in_ranges(table, [ODD.slice(0, 2), ODD.slice(2)], meanwhile=lambda: seen.append(exists(table)))
    assert seen == [False]
    assert exists(table)
    assert hidden(table) == []


def test_what_stands_there_is_proved(table: CachedTable) -> None:
    def lose() -> None:
        [name] = hidden(table)
        with psycopg.connect(table.database.url) as connection:
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE id = 3").format(sql.Identifier("tidewell", name))
            )

    with pytest.raises(CacheError, match="is not what was read"):
        in_ranges(table, [ODD.slice(0, 2), ODD.slice(2)], meanwhile=lose)
    assert not exists(table)
    assert hidden(table) == []


def leave(table: CachedTable, attempt: int) -> None:
    """A load that dies without a word: what it has made is left."""
    fence = Fence(table.job_id, uuid4(), attempt)
    target = CacheTarget.connect(table.address, fence, table.place, trace=lambda *_: None)
    target.standing()
    table.execute(f"CREATE TABLE tidewell.load_{table.job_id.hex}_{attempt} (id bigint)")
    target.close()


def test_the_next_attempt_drops_what_is_left(table: CachedTable) -> None:
    leave(table, 3)
    assert len(hidden(table)) == 1
    in_ranges(table, [ODD], fence=Fence(table.job_id, uuid4(), 4))
    assert hidden(table) == []


def test_an_attempt_leaves_the_tables_of_newer_ones_and_of_other_jobs(table: CachedTable) -> None:
    other = CachedTable(table.database, Place("My shop", "others"))
    leave(other, 1)
    leave(table, 7)
    settle_attempt(table.address, Fence(table.job_id, uuid4(), 6))
    assert len(hidden(table)) == 2
    settle_attempt(table.address, Fence(table.job_id, uuid4(), 7))
    assert hidden(table) == [f"load_{other.job_id.hex}_1"]


def test_a_job_that_is_deleted_leaves_nothing(table: CachedTable) -> None:
    leave(table, 5)
    drop_cached_table(table.address, table.job_id)
    assert hidden(table) == []


def test_a_left_table_that_somebody_looks_at_does_not_hold_up_the_job(table: CachedTable) -> None:
    leave(table, 3)
    with psycopg.connect(table.database.url) as connection:
        connection.execute(f"SELECT FROM tidewell.load_{table.job_id.hex}_3")
        in_ranges(table, [ODD], fence=Fence(table.job_id, uuid4(), 4))
        assert hidden(table) == [f"load_{table.job_id.hex}_3"]
    assert exists(table)
    drop_cached_table(table.address, table.job_id)
    assert hidden(table) == []


def test_an_older_attempt_puts_nothing_in_place(table: CachedTable) -> None:
    def overtaken() -> None:
        settle_attempt(table.address, Fence(table.job_id, uuid4(), 2), take_over=True)

    with pytest.raises((CacheError, FencedOut)):
        in_ranges(table, [ODD], meanwhile=overtaken)
    assert not exists(table)
    assert hidden(table) == []


def test_a_user_without_schemas_of_its_own_needs_two(
    server: EmbeddedServer, cache_database: CacheDatabase
) -> None:
    role = "poor_" + cache_database.user
    poor = CachedTable(replace(cache_database, user=role, password="p"), Place("My shop", "orders"))
    with psycopg.connect(server.url(cache_database.database), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p'")
        try:
            connection.execute(f"CREATE SCHEMA tidewell AUTHORIZATION {role}")
            connection.execute(f'CREATE SCHEMA "My shop" AUTHORIZATION {role}')
            in_ranges(poor, [ODD.slice(0, 2), ODD.slice(2)])
            assert len(poor.rows()) == 4
            drop_cached_table(poor.address, poor.job_id)
            connection.execute('DROP SCHEMA "My shop"')
            read: list[bool] = []
            with pytest.raises(CacheRefused, match="may not make the schema My shop"):
                in_ranges(poor, [ODD], meanwhile=lambda: read.append(True))
            assert read == []
            connection.execute("ALTER SCHEMA tidewell OWNER TO CURRENT_USER")
            connection.execute(f"GRANT USAGE ON SCHEMA tidewell TO {role}")
            with poor.target() as target:
                target.standing()
                assert not target.may_load_in_ranges()
        finally:
            connection.execute(f"DROP OWNED BY {role} CASCADE")
            connection.execute(f"DROP ROLE {role}")
