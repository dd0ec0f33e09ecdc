"""The SQLite driver: dynamic typing loses nothing, and no other file is opened."""

import operator
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused, Stopped
from tidewell.sources.protocol import Comparison, Environment, Operator, ReadRequest, WritableSource
from tidewell.sources.residual import apply_residual
from tidewell.sources.sqlite import DRIVER
from tidewell.sources.sqlite.source import SQLiteSource

OPERATORS: dict[Operator, Any] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "shop #1.db"


@pytest.fixture
def database(file: Path) -> Iterator[sqlite3.Connection]:
    file.parent.mkdir()
    connection = sqlite3.connect(file, isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def source(file: Path, database: sqlite3.Connection) -> Iterator[SQLiteSource]:
    with opened(file, file.parent) as source:
        yield source


def opened(file: Path, *roots: Path) -> SQLiteSource:
    environment = Environment(file_roots=tuple(root.resolve() for root in roots))
    return DRIVER.open({"Data Source": str(file)}, environment)


def rows(source: SQLiteSource, table: str, **request: Any) -> list[dict[str, Any]]:
    reading = source.read(ReadRequest("main", table, **request))
    return [
        row
        for batch in reading.batches
        for row in apply_residual(batch, reading.residual).to_pylist()
    ]


def types(source: SQLiteSource, table: str) -> dict[str, str]:
    return {column.name: str(column.type) for column in source.columns("main", table)}


def test_values_that_keep_to_their_declaration(
    source: SQLiteSource, database: sqlite3.Connection
) -> None:
    database.executescript(
        """CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, r REAL, price DECIMAL(10,2), ok BOOLEAN,
            s VARCHAR(10), b BLOB, day DATE, at DATETIME, z TIMESTAMP, whole NUMERIC, bare);
        INSERT INTO t VALUES (9223372036854775807, -5, 1.5, 12.34, 1, 'Grüße', x'00ff',
            '2026-01-31', '2026-01-31 10:00:00.125', '2026-01-31T10:00:00+00:00', 7, 'text');
        INSERT INTO t (id) VALUES (2);"""
    )
    assert rows(source, "t", order=("n",))[1] == {
        "id": 9223372036854775807,
        "n": -5,
        "r": 1.5,
        "price": Decimal("12.34"),
        "ok": True,
        "s": "Grüße",
        "b": b"\x00\xff",
        "day": date(2026, 1, 31),
        "at": datetime(2026, 1, 31, 10, 0, 0, 125000),  # noqa: DTZ001 (it has no zone)
        "z": datetime(2026, 1, 31, 10, tzinfo=UTC),
        "whole": 7,
        "bare": "text",
    }
    assert set(list(rows(source, "t", where=(Comparison("id", "=", "2"),))[0].values())[1:]) == {
        None
    }


def test_a_value_of_another_kind_makes_a_column_text_and_is_never_lost(
    source: SQLiteSource, database: sqlite3.Connection
) -> None:
    database.executescript(
        """CREATE TABLE t (i INTEGER, r REAL, at DATETIME, mixed NUMERIC, flag BOOLEAN, b BLOB,
            price DECIMAL(5,2));
        INSERT INTO t VALUES (1, 1.5, '2026-01-31 10:00:00', 1, 1, x'ff', 1.25),
            (9007199254740993, 'n/a', 1700000000, 9007199254740993, 2, 'text', 1.255),
            ('many', 2, 'soon', 0.5, 0, 3, 2000);"""
    )
    assert types(source, "t") == {
        "i": "string",
        "r": "string",
        "at": "string",
        "mixed": "extension<arrow.opaque[storage_type=string, type_name=numeric, "
        "vendor_name=PostgreSQL]>",
        "flag": "int64",
        "b": "string",
        "price": str(source.columns("main", "t")[3].type),
    }
    found = rows(source, "t")
    assert [row["i"] for row in found] == ["1", "9007199254740993", "many"]
    assert [row["r"] for row in found] == ["1.5", "n/a", "2.0"]
    assert [row["at"] for row in found] == ["2026-01-31 10:00:00", "1700000000", "soon"]
    assert [row["mixed"] for row in found] == ["1", "9007199254740993", "0.5"]
    assert [row["b"] for row in found] == ["FF", "text", "3"]


def test_a_column_that_begins_with_many_nulls_keeps_its_type(
    source: SQLiteSource, database: sqlite3.Connection
) -> None:
    database.execute("CREATE TABLE t (s TEXT, r REAL)")
    database.execute("BEGIN")
    database.executemany("INSERT INTO t VALUES (?, ?)", [(None, None)] * 40_000 + [("end", 0.5)])
    database.execute("COMMIT")
    assert rows(source, "t")[-1] == {"s": "end", "r": 0.5}


def test_text_that_is_no_utf8_is_said(source: SQLiteSource, database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE t (s TEXT)")
    database.execute("INSERT INTO t VALUES (CAST(x'ff' AS TEXT))")
    with pytest.raises(SourceBroken, match="column s"):
        rows(source, "t")


@pytest.mark.parametrize(
    ("stored", "residual"),
    [
        (["2026-01-31 10:00:00", "2026-01-31 10:00:01"], 0),
        (["2026-01-31T10:00:00.000", "2026-01-31T10:00:00.500"], 0),
        (["2026-01-31T10:00:00Z", "2026-01-31T10:00:01Z"], 0),
        (["2026-01-31 10:00:00", "2026-01-31 10:00:00.250"], 1),
        (["2026-01-31 12:00:00+02:00", "2026-01-31 10:00:01+00:00"], 1),
    ],
)
def test_times_are_compared_as_times_however_they_are_written(
    source: SQLiteSource, database: sqlite3.Connection, stored: list[str], residual: int
) -> None:
    database.execute("CREATE TABLE t (at DATETIME)")
    database.executemany("INSERT INTO t VALUES (?)", [(one,) for one in stored])
    zone = "Z" if source.columns("main", "t")[0].type.tz else ""
    everything = [row["at"] for row in rows(source, "t")]
    first = ReadRequest("main", "t", where=(Comparison("at", ">=", f"2026-01-31T10:00:00{zone}"),))
    assert len(source.read(first).residual) == residual
    for sign, expected in OPERATORS.items():
        for clock in ("10:00:00", "10:00:00.5", "10:00:00.500000", "10:00:01"):
            bound = f"2026-01-31T{clock}{zone}"
            value = datetime.fromisoformat(bound)
            found = rows(source, "t", where=(Comparison("at", sign, bound),))
            assert [row["at"] for row in found] == [v for v in everything if expected(v, value)]


def test_the_catalogue(source: SQLiteSource, database: sqlite3.Connection) -> None:
    database.executescript(
        '''CREATE TABLE "it's ""odd""" (b INT, a INT NOT NULL, updated_at TIMESTAMP,
            created_at TIMESTAMP, twice AS (a * 2), PRIMARY KEY (a, b)) WITHOUT ROWID;
        CREATE VIEW seen AS SELECT a, a + 1 AS next FROM "it's ""odd""";
        CREATE VIRTUAL TABLE words USING fts5(word);
        CREATE TABLE strict (i INTEGER) STRICT;'''
    )
    assert source.schemas() == ["main"]
    assert [(t.name, t.kind) for t in source.tables("main")] == [
        ('it\'s "odd"', "table"),
        ("seen", "view"),
        ("strict", "table"),
        ("words", "table"),
    ]
    columns = {c.name: c for c in source.columns("main", 'it\'s "odd"')}
    assert list(columns) == ["b", "a", "updated_at", "created_at", "twice"]
    assert {n: c.key_position for n, c in columns.items() if c.key_position is not None} == {
        "b": 1,
        "a": 0,
    }
    assert [n for n, c in columns.items() if c.moves_forward] == ["updated_at"]
    with pytest.raises(SourceNotFound, match="near names: strict"):
        source.columns("main", "strikt")


def test_all_readings_are_of_one_moment(source: SQLiteSource, database: sqlite3.Connection) -> None:
    database.executescript("PRAGMA journal_mode = wal; CREATE TABLE t (i INT)")
    database.execute("BEGIN")
    database.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(40_000)])
    database.execute("COMMIT")
    reading = source.read(ReadRequest("main", "t"))
    first = next(iter(reading.batches))
    database.execute("DELETE FROM t")
    assert len(rows(source, "t")) == 40_000
    assert first.num_rows + sum(batch.num_rows for batch in reading.batches) == 40_000


def test_statements_and_rows_are_written_whole(
    source: SQLiteSource, database: sqlite3.Connection, tmp_path: Path
) -> None:
    assert isinstance(source, WritableSource)
    database.execute(
        "CREATE TABLE t (i INTEGER PRIMARY KEY, s TEXT, b BLOB, n NUMERIC, at DATETIME)"
    )
    batch = pa.RecordBatch.from_pydict(
        {
            "s": ["", None],
            "i": [1, 2],
            "b": [b"\0", None],
            "n": [Decimal("1.50"), Decimal("2.00")],
            "at": pa.array([0, None], pa.timestamp("s")),
        }
    )

    def reader() -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])

    assert source.insert("main", "t", batch.schema.names, reader()) == 2
    assert database.execute("SELECT s, i, b, n, at FROM t").fetchall() == [
        ("", 1, b"\0", 1.5, "1970-01-01 00:00:00"),
        (None, 2, None, 2, None),
    ]
    with pytest.raises(SourceRefused, match="UNIQUE"):
        source.insert("main", "t", batch.schema.names, reader())
    assert source.execute("UPDATE t SET s = 'x'") == 2
    for refused in (
        f"ATTACH '{tmp_path}/other.db' AS other",
        "PRAGMA writable_schema = on",
        "DROP TABLE t",
        f"VACUUM INTO '{tmp_path}/other.db'",
        "DELETE FROM t; DELETE FROM t",
        "DELETE FROM nothing",
    ):
        with pytest.raises(SourceRefused):
            source.execute(refused)
    assert database.execute("SELECT count(*) FROM t").fetchone() == (2,)
    assert not (tmp_path / "other.db").exists()


ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_read_that_is_blocked_ends_at_once(
    source: SQLiteSource, database: sqlite3.Connection
) -> None:
    database.executescript(
        "CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1);"
        "CREATE VIEW slow AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 6000000) SELECT max(i) AS i FROM n"
    )
    threading.Timer(0.3, source.cancel).start()
    with pytest.raises(Stopped):
        rows(source, "slow")


def test_a_statement_that_is_blocked_ends_and_changes_nothing(
    source: SQLiteSource, database: sqlite3.Connection
) -> None:
    database.executescript("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)")
    threading.Timer(0.3, source.cancel).start()
    with pytest.raises(Stopped):
        source.execute(f"DELETE FROM t WHERE i < ({ENDLESS})")  # noqa: S608
    assert database.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_only_files_under_the_operators_folders_are_opened(
    file: Path, database: sqlite3.Connection, tmp_path: Path
) -> None:
    database.execute("CREATE TABLE t (i INT)")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "link.db").symlink_to(file)
    (file.parent / "text.db").write_text("not a database, but long enough to look like one" * 50)
    cases: list[tuple[Path, tuple[Path, ...], type[Exception], str]] = [
        (file, (), SourceRefused, "reads no local files"),
        (file, (outside,), SourceRefused, "not inside a folder"),
        (outside / "link.db", (outside,), SourceRefused, "not inside a folder"),
        (outside / ".." / "data" / file.name, (outside,), SourceRefused, "not inside a folder"),
        (file.parent / "none.db", (file.parent,), SourceNotFound, "is no file"),
        (Path("shop.db"), (file.parent,), SourceRefused, "absolute path"),
        (file.parent / "text.db", (file.parent,), SourceRefused, "no SQLite database"),
    ]
    for path, roots, error, words in cases:
        with pytest.raises(error, match=words), opened(path, *roots) as source:
            source.test()
