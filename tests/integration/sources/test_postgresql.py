"""The PostgreSQL driver: every value arrives as it is, and nothing is read that need not be."""

import select
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from datetime import time as clock_time
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.conftest import CacheDatabase, new_cache_database
from tests.relay import relay
from tidewell.egress import EgressRules
from tidewell.errors import (
    SourceBroken,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    Stopped,
)
from tidewell.sources.postgresql import DRIVER
from tidewell.sources.postgresql.copy import CopyDecoder, plain, text
from tidewell.sources.postgresql.copying import copied_rows, from_libpq
from tidewell.sources.postgresql.source import PostgreSQLSource
from tidewell.sources.protocol import Comparison, Environment, ReadRequest, WritableSource
from tidewell.sources.server import ServerAddress

SESSIONS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'tidewell'
"""
ALLOWED = Environment(egress=EgressRules.parse("127.0.0.0/8"))


def opened(database: CacheDatabase, **changes: str) -> PostgreSQLSource:
    defaults = {key.name: key.default for key in DRIVER.keys if key.default}
    return DRIVER.open(defaults | database.values | changes, ALLOWED)


@pytest.fixture
def database(cache_database: CacheDatabase) -> Iterator[psycopg.Connection[Any]]:
    """The customer's database."""
    with psycopg.connect(cache_database.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def source(
    cache_database: CacheDatabase, database: psycopg.Connection[Any]
) -> Iterator[PostgreSQLSource]:
    """A source over it."""
    with opened(cache_database) as source:
        yield source


def rows(source: PostgreSQLSource, table: str, **request: Any) -> list[dict[str, Any]]:
    reading = source.read(ReadRequest("public", table, **request))
    assert reading.residual == ()
    return [row for batch in reading.batches for row in batch.to_pylist()]


def test_every_type_arrives_as_it_is(
    source: PostgreSQLSource, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        """
        CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE TYPE point3 AS (x int, y int, z text);
        CREATE DOMAIN short AS varchar(5) CHECK (value <> 'no');
        CREATE TABLE t (
            b boolean, i2 smallint, i4 integer, i8 bigint, o oid, f4 real, f8 double precision,
            n numeric, n10 numeric(10,2), n38 numeric(38,20), n50 numeric(50,10), m money,
            t text, v varchar(7), c char(4), d short, by bytea, day date, at timestamp(3),
            atz timestamptz, tm time, tmz timetz, iv interval, u uuid, j json, jb jsonb,
            a int[], a2 text[][], e mood, p point3, ip inet, bits bit varying(9), r int4range
        );
        INSERT INTO t VALUES (
            true, -32768, 2147483647, -9223372036854775808, 4294967295, 1.5, 1e300,
            12345678901234567890123456789012345678901234567890.5, -12345678.90,
            -123456789012345678.12345678901234567890, 1234567890123456789012345678901234567890.5,
            '12.34', 'Grüße 東京', 'seven77', 'ab', 'short', '\\x00ff', '1944-03-15',
            '2026-01-31 10:00:00.123', '9999-12-31 23:59:59.999999+00', '23:59:59.999999',
            '10:00+02', '1 mon 2 days 03:04:05.000006', '00000000-0000-4000-8000-000000000001',
            '{"a" : 1}', '{"b": [1, null]}', '{1,NULL,3}', '{{a,b},{c,d}}', 'happy', '(1,2,"x y")',
            '10.0.0.1/24', '10101', '[1,5)'
        );
        INSERT INTO t (i4) VALUES (NULL);
        """
    )
    full, empty = rows(source, "t")

    assert full == {
        "b": True,
        "i2": -32768,
        "i4": 2147483647,
        "i8": -9223372036854775808,
        "o": 4294967295,
        "f4": 1.5,
        "f8": 1e300,
        "n": "12345678901234567890123456789012345678901234567890.5",
        "n10": Decimal("-12345678.90"),
        "n38": Decimal("-123456789012345678.12345678901234567890"),
        "n50": "1234567890123456789012345678901234567890.5000000000",
        "m": Decimal("12.34"),
        "t": "Grüße 東京",
        "v": "seven77",
        "c": "ab  ",
        "d": "short",
        "by": b"\x00\xff",
        "day": date(1944, 3, 15),
        "at": datetime(2026, 1, 31, 10, 0, 0, 123000),  # noqa: DTZ001 (it has no zone)
        "atz": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        "tm": clock_time(23, 59, 59, 999999),
        "tmz": "10:00:00+02",
        "iv": "1 mon 2 days 03:04:05.000006",
        "u": UUID("00000000-0000-4000-8000-000000000001"),
        "j": '{"a" : 1}',
        "jb": '{"b": [1, null]}',
        "a": "[1,null,3]",
        "a2": '[["a","b"],["c","d"]]',
        "e": "happy",
        "p": '{"x":1,"y":2,"z":"x y"}',
        "ip": "10.0.0.1/24",
        "bits": "10101",
        "r": "[1,5)",
    }
    assert set(empty.values()) == {None}
    lengths = {c.name: c.length for c in source.columns("public", "t") if c.length}
    assert lengths == {"v": 7, "c": 4, "d": 5}


def exact(units: int, scale: int) -> Decimal:
    digits = tuple(int(digit) for digit in str(abs(units)))
    return Decimal((int(units < 0), digits, -scale))


@pytest.fixture(scope="module")
def numbers(server: Any) -> Iterator[tuple[Any, CacheDatabase]]:
    """A database for one property."""
    with new_cache_database(server) as made:
        yield server, made


@settings(max_examples=30)
@given(
    st.sampled_from(
        [(1, 0), (9, 4), (10, 2), (18, 2), (18, 18), (19, 3), (24, 5), (38, 0), (38, 37)]
    ),
    st.lists(st.none() | st.integers(-(10**38) + 1, 10**38 - 1), min_size=1, max_size=30),
)
def test_every_exact_number_arrives_digit_by_digit(
    numbers: tuple[Any, CacheDatabase], size: tuple[int, int], units: list[int | None]
) -> None:
    precision, scale = size
    bound = 10**precision
    values = [
        None if n is None else exact(n % bound if n > 0 else -(-n % bound), scale) for n in units
    ]
    with psycopg.connect(numbers[1].url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute(f"CREATE TABLE t (i int, n numeric({precision},{scale}))")
        connection.cursor().executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(values)))
    with opened(numbers[1]) as source:
        found = [row["n"] for row in rows(source, "t", order=("i",))]
    assert [None if v is None else v.as_tuple() for v in found] == [
        None if v is None else v.as_tuple() for v in values
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "infinity"),
        ("timestamp", "-infinity"),
        ("timestamptz", "infinity"),
        ("numeric(5,2)", "NaN"),
    ],
)
def test_what_no_other_system_has_is_said_and_not_lost(
    source: PostgreSQLSource, database: psycopg.Connection[Any], kind: str, value: str
) -> None:
    database.execute(f"CREATE TABLE t AS SELECT '{value}'::{kind} AS odd")
    with pytest.raises(SourceBroken, match=r"column odd holds .*NULLIF"):
        rows(source, "t")


def test_columns_filters_order_and_limit_are_the_servers_work(
    source: PostgreSQLSource, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        '''CREATE TABLE t (id int PRIMARY KEY, "it's ""odd""" text, at timestamptz);
        INSERT INTO t SELECT i, 'v' || i, '2026-01-01Z'::timestamptz + i * interval '1 second'
          FROM generate_series(1, 100) i'''
    )
    found = rows(
        source,
        "t",
        columns=('it\'s "odd"',),
        where=(Comparison("at", ">=", "2026-01-01T00:01:00Z"), Comparison("id", "<", "90")),
        order=("at",),
        limit=2,
    )
    assert found == [{'it\'s "odd"': "v60"}, {'it\'s "odd"': "v61"}]
    with pytest.raises(SourceNotFound, match="no column 'ad'"):
        rows(source, "t", columns=("ad",))


def test_the_catalogue(source: PostgreSQLSource, database: psycopg.Connection[Any]) -> None:
    database.execute(
        """
        CREATE SCHEMA "Sales & more";
        CREATE TABLE "Sales & more"."Orders" (
            note text, b int, a int NOT NULL, updated_at timestamptz NOT NULL, created_at timestamp,
            due timestamp, dropped int, PRIMARY KEY (a, b));
        ALTER TABLE "Sales & more"."Orders" DROP COLUMN dropped;
        CREATE INDEX ON "Sales & more"."Orders" (created_at);
        COMMENT ON TABLE "Sales & more"."Orders" IS 'What was ordered';
        COMMENT ON COLUMN "Sales & more"."Orders".note IS 'By hand';
        CREATE VIEW "Sales & more".open AS SELECT a, updated_at FROM "Sales & more"."Orders";
        CREATE TABLE parts (i int) PARTITION BY RANGE (i);
        CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (9);
        """
    )
    assert source.schemas() == ["public", "Sales & more"]
    assert [(t.name, t.kind, t.remarks) for t in source.tables("Sales & more")] == [
        ("Orders", "table", "What was ordered"),
        ("open", "view", ""),
    ]
    assert [t.name for t in source.tables("public")] == ["parts"]
    columns = {c.name: c for c in source.columns("Sales & more", "Orders")}
    assert list(columns) == ["note", "b", "a", "updated_at", "created_at", "due"]
    assert {n: c.key_position for n, c in columns.items() if c.key_position is not None} == {
        "a": 0,
        "b": 1,
    }
    assert [n for n, c in columns.items() if c.moves_forward] == ["updated_at"]
    assert columns["note"].remarks == "By hand"
    assert not columns["updated_at"].nullable
    with pytest.raises(SourceNotFound, match="near names: Orders"):
        source.columns("Sales & more", "Order")
    with pytest.raises(SourceNotFound, match="no schema 'Sales'"):
        source.tables("Sales")


def test_a_key_that_may_not_be_read_whole_is_none(
    cache_database: CacheDatabase,
    database: psycopg.Connection[Any],
    another_cache: CacheDatabase,
) -> None:
    reader = another_cache.user
    database.execute("CREATE TABLE t (a int, b int, c int, PRIMARY KEY (a, b))")
    database.execute(f"GRANT SELECT (a, c) ON t TO {reader}")
    with opened(cache_database, User=reader, Password=another_cache.password) as source:
        columns = source.columns("public", "t")
    database.execute("DROP TABLE t")
    assert [(one.name, one.key_position) for one in columns] == [("a", None), ("c", None)]


def test_all_readings_are_of_one_moment(
    source: PostgreSQLSource, database: psycopg.Connection[Any]
) -> None:
    database.execute("CREATE TABLE t AS SELECT i FROM generate_series(1, 100000) i")
    reading = source.read(ReadRequest("public", "t"))
    first = next(iter(reading.batches))
    database.execute("DELETE FROM t")
    # While the first reading is under way, on a connection of its own:
    assert len(rows(source, "t")) == 100_000
    assert first.num_rows + sum(b.num_rows for b in reading.batches) == 100_000


def test_a_table_whose_name_looks_like_a_parameter_is_read_and_cut(
    source: PostgreSQLSource, database: psycopg.Connection[Any]
) -> None:
    database.execute('CREATE TABLE "100% %(x)s" ("%s" int PRIMARY KEY)')
    database.execute('INSERT INTO "100% %(x)s" SELECT generate_series(1, 4000)')
    database.execute("ANALYZE")
    database.commit()
    asked = source.read(ReadRequest("public", "100% %(x)s", where=(Comparison("%s", ">", "3999"),)))
    assert [row for batch in asked.batches for row in batch.to_pylist()] == [{"%s": 4000}]
    found = source.split("public", "100% %(x)s", "%s", 4, 100)
    assert found is not None
    assert len(found.bounds) == 3


def test_statements_and_rows_are_written_whole(
    source: PostgreSQLSource, database: psycopg.Connection[Any]
) -> None:
    assert isinstance(source, WritableSource)
    database.execute(
        "CREATE TABLE t (i int PRIMARY KEY, s text, b bytea, n numeric, u uuid, j jsonb,"
        " z timestamptz)"
    )
    batch = pa.RecordBatch.from_pydict(
        {
            "s": ["", None, 'a "b",\n\\c'],
            "i": [1, 2, 3],
            "b": [b"\0\xff", None, b""],
            "n": [Decimal("1.50"), None, Decimal("-2.00")],
            "u": pa.array([UUID(int=1), None, UUID(int=2)], pa.uuid()),
            "j": [{"a": [1]}, None, {"a": []}],
            "z": pa.array([0, None, 1], pa.timestamp("us", "UTC")),
        }
    )

    def reader() -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])

    assert source.insert("public", "t", batch.schema.names, reader()) == 3
    found = database.execute("SELECT s, i, b, n, u, j, z FROM t ORDER BY i").fetchall()
    assert found[0] == (
        "",
        1,
        b"\0\xff",
        Decimal("1.50"),
        UUID(int=1),
        {"a": [1]},
        datetime(1970, 1, 1, tzinfo=UTC),
    )
    assert found[1] == (None, 2, None, None, None, None, None)
    assert found[2][0] == 'a "b",\n\\c'
    with pytest.raises(SourceRefused, match="duplicate key"):
        source.insert("public", "t", batch.schema.names, reader())
    assert source.execute("UPDATE t SET s = 'x' WHERE i > 1") == 2
    with pytest.raises(SourceRefused, match="multiple commands"):
        source.execute("DELETE FROM t; DELETE FROM t")
    assert database.execute("SELECT count(*) FROM t").fetchone() == (3,)


def stopped_after(source: PostgreSQLSource, seconds: float, work: Any) -> float:
    """Cancel from another thread; returns how long the work still took."""
    at: list[float] = []

    def cancel() -> None:
        at.append(time.monotonic())
        source.cancel()

    timer = threading.Timer(seconds, cancel)
    timer.start()
    with pytest.raises(Stopped):
        work()
    timer.join()
    return time.monotonic() - at[0]


def test_a_read_that_is_blocked_ends_at_once(
    source: PostgreSQLSource, database: psycopg.Connection[Any]
) -> None:
    database.execute("CREATE TABLE t (i int); CREATE VIEW slow AS SELECT pg_sleep(60)::text FROM t")
    database.execute("INSERT INTO t VALUES (1)")
    assert stopped_after(source, 0.5, lambda: rows(source, "slow")) < 5
    with pytest.raises(Stopped):
        source.schemas()


def test_a_read_that_nobody_goes_on_with_ends_when_its_source_is_closed(
    cache_database: CacheDatabase, database: psycopg.Connection[Any]
) -> None:
    """Also while somebody still has hold of it, as an error's traceback does."""
    database.execute(
        "CREATE TABLE t AS SELECT n, repeat('x', 100) FROM generate_series(1, 500000) n"
    )
    with opened(cache_database) as source:
        batches = source.read(ReadRequest("public", "t")).batches
        batches.read_next_batch()
    deadline = time.monotonic() + 10
    while database.execute(SESSIONS).fetchone() != (0,):
        assert time.monotonic() < deadline, "the server still waits for a reader"
        time.sleep(0.05)
    del batches


def test_a_statement_that_is_blocked_ends_and_changes_nothing(
    source: PostgreSQLSource, database: psycopg.Connection[Any], cache_database: CacheDatabase
) -> None:
    database.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
    with psycopg.connect(cache_database.url) as other:
        other.execute("LOCK TABLE t")
        assert stopped_after(source, 0.5, lambda: source.execute("DELETE FROM t")) < 5
    assert database.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_locked_table_is_waited_for_no_longer_than_timeout(
    cache_database: CacheDatabase, database: psycopg.Connection[Any]
) -> None:
    database.execute("CREATE TABLE t (i int)")
    with (
        psycopg.connect(cache_database.url) as other,
        opened(cache_database, Timeout="1") as source,
    ):
        other.execute("LOCK TABLE t")
        with pytest.raises(SourceUnavailable, match="stayed locked"):
            rows(source, "t")


def test_a_server_that_falls_silent_is_given_up_after_timeout(
    cache_database: CacheDatabase, database: psycopg.Connection[Any]
) -> None:
    database.execute("CREATE TABLE long AS SELECT repeat('x', 10000) FROM generate_series(1, 9000)")
    values = cache_database.values
    with relay(values["Server"], int(values["Port"])) as way:
        changes = {"Server": "127.0.0.1", "Port": str(way.port), "Timeout": "1"}
        with opened(cache_database, **changes) as source:
            batches = iter(source.read(ReadRequest("public", "long")).batches)
            next(batches)
            way.hold()
            with pytest.raises(SourceUnavailable, match="nothing for 1 s"):
                list(batches)
    with relay(values["Server"], int(values["Port"])) as way:
        changes = {"Server": "127.0.0.1", "Port": str(way.port), "Timeout": "1"}
        with opened(cache_database, **changes) as source:
            source.schemas()
            way.hold()
            with pytest.raises(SourceUnavailable, match="does not answer within"):
                source.tables("public")


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 8192, 8193, 20_000])
def test_rows_that_come_over_libpq_are_those_of_the_socket(
    cache_database: CacheDatabase, count: int
) -> None:
    """Over TLS the bytes are libpq's alone; both ways have to find the same rows in them."""
    address = ServerAddress.of({"Timeout": "5"} | cache_database.values)
    statement = sql.SQL(
        "COPY (SELECT i, repeat('x', i % 300) FROM generate_series(1, {}) i) "
        "TO STDOUT (FORMAT binary)"
    ).format(sql.Literal(count))
    decoder = CopyDecoder(
        pa.schema([("i", pa.int32()), ("x", pa.string())]), [plain(">i4", pa.int32()), text]
    )
    with psycopg.connect(cache_database.url) as one, psycopg.connect(cache_database.url) as other:
        found = [decoder.batch(*rows) for rows in copied_rows(one, statement, address)]
        raw = other.pgconn
        raw.send_query(statement.as_bytes(other))

        def wait() -> None:
            select.select([raw.socket], [], [])
            raw.consume_input()

        while raw.is_busy():
            wait()
        raw.get_result()
        same = [decoder.batch(*rows) for rows in from_libpq(raw, wait)]
        while raw.get_result() is not None:
            pass
        one.pgconn.finish()
    expected = [{"i": n, "x": "x" * (n % 300)} for n in range(1, count + 1)]
    assert [row for batch in found for row in batch.to_pylist()] == expected
    assert [row for batch in same for row in batch.to_pylist()] == expected


def test_rows_with_and_without_values_are_told_apart(
    source: PostgreSQLSource, database: psycopg.Connection[Any]
) -> None:
    """Every pattern of NULLs in columns of fixed width, with a text of another length behind."""
    database.execute(
        "CREATE TABLE patterns AS SELECT i, "
        "CASE WHEN i & 1 = 0 THEN i::smallint END AS a, "
        "CASE WHEN i & 2 = 0 THEN i::bigint END AS b, "
        "CASE WHEN i & 4 = 0 THEN md5(i::text)::uuid END AS c, "
        "CASE WHEN i & 8 = 0 THEN repeat('t', i) END AS d, "
        "CASE WHEN i & 16 = 0 THEN i % 3 = 0 END AS e, "
        "CASE WHEN i & 32 = 0 THEN i / 7.0 END::numeric(12, 4) AS f FROM generate_series(0, 999) i"
    )
    expected = database.execute("SELECT * FROM patterns ORDER BY i").fetchall()
    found = sorted(rows(source, "patterns"), key=lambda row: row["i"])
    assert [tuple(row.values()) for row in found] == expected


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"Password": "wrong"}, SourceRefused, "does not accept the user or the password"),
        ({"Database": "nowhere"}, SourceRefused, "no such database|no database"),
        ({"Port": "1"}, SourceUnavailable, "refused the connection"),
        ({"Server": "nowhere.invalid"}, SourceUnavailable, "not found. Check Server"),
        ({"Server": "10.0.0.1"}, SourceRefused, "TIDEWELL_EGRESS_ALLOW"),
        ({"SSLMode": "require"}, SourceRefused, "TLS"),
        ({"Server": "/tmp"}, SourceRefused, "one host name"),  # noqa: S108
        ({"SSLServerCert": "/etc/passwd"}, SourceRefused, "in PEM"),
        ({"Timeout": "soon"}, SourceRefused, "Timeout must be a number"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(
    cache_database: CacheDatabase, changes: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words), opened(cache_database, **changes) as source:
        source.test()
