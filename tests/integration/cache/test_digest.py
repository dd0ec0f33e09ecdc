"""The digest of what was read equals that of what stands, and of nothing else."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.integration.cache.conftest import CachedTable
from tidewell.cache.digest import Digest
from tidewell.cache.plan import CacheColumn
from tidewell.cache.rowhash import LONGEST_HASHED
from tidewell.cache.types import held
from tidewell.cache.wire import CopyStream, Fitting
from tidewell.errors import CacheError

KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[object]]] = {
    "boolean": (pa.bool_(), st.booleans()),
    "smallint": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "integer": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "bigint": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "real": (pa.float32(), st.floats(width=32)),
    "double": (pa.float64(), st.floats()),
    "numeric": (
        pa.decimal128(38, 6),
        st.decimals(-(10**31), 10**31, places=6, allow_nan=False),
    ),
    "exact": (pa.opaque(pa.string(), "numeric", "PostgreSQL"), st.integers().map(str)),
    "text": (
        pa.string(),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
        | st.sampled_from(
            ["é" * n for n in (30, 126, LONGEST_HASHED // 2, LONGEST_HASHED // 2 + 1, 2000)]
        ),
    ),
    "bytea": (pa.binary(), st.binary(max_size=40)),
    "date": (pa.date32(), st.dates()),
    "time": (pa.time64("us"), st.times()),
    "timestamp": (pa.timestamp("us"), st.datetimes()),
    "timestamptz": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    "interval": (
        pa.duration("us"),
        st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000)),
    ),
    "uuid": (pa.uuid(), st.uuids().map(lambda one: one.bytes)),
    "jsonb": (pa.json_(), st.integers(0, 9).map(str)),
}
COLUMNS = tuple(CacheColumn(name, kind) for name, (kind, _) in KINDS.items())
row = st.tuples(*(st.none() | values for _, values in KINDS.values()))


@settings(max_examples=20)
@given(rows=st.lists(row, max_size=8), order=st.randoms(use_true_random=False))
def test_both_sides_agree_on_any_rows_in_any_order(
    table: CachedTable, rows: list[tuple[object, ...]], order: Random
) -> None:
    digest = digest_of(rows)
    shuffled = list(rows)
    order.shuffle(shuffled)
    with psycopg.connect(table.database.url) as connection:
        stage(connection, shuffled)
        assert digest.of_table(connection, sql.Identifier("staged")) == digest.read


CHANGES = {
    "boolean": "NOT boolean",
    "smallint": "smallint + 1",
    "integer": "-integer",
    "bigint": "bigint # 1",
    "real": "real * 2",
    "double": "-double",
    "numeric": "-numeric",
    "exact": "exact || '0'",
    "text": "upper(text)",
    "bytea": "bytea || '\\x00'",
    "date": "date + 1",
    "time": "time + interval '1 microsecond'",
    "timestamp": "timestamp - interval '1 microsecond'",
    "timestamptz": "timestamptz + interval '1 microsecond'",
    "interval": "-interval",
    "uuid": "'00000000-0000-0000-0000-000000000000'",
    "jsonb": "NULL",
}
MOMENT, DAY = datetime(2024, 1, 2, tzinfo=UTC), timedelta(1)
SAMPLE = (
    *(True, 1, 2, 3, 1.5, 2.5, Decimal("1.5"), "4", "abc", b"x", date(2024, 1, 2)),
    *(time(1), MOMENT.replace(tzinfo=None), MOMENT, timedelta(1)),
    *(UUID(int=5).bytes, "{}"),
)
OTHER = (
    *(False, 7, 8, 9, 3.5, 4.5, Decimal("7.5"), "8", "def", b"y", date(2023, 1, 2)),
    *(time(2), (MOMENT - DAY).replace(tzinfo=None), MOMENT - DAY, timedelta(2)),
    *(UUID(int=6).bytes, "[]"),
)


@pytest.mark.parametrize("name", KINDS)
def test_another_value_in_any_column_is_noticed(table: CachedTable, name: str) -> None:
    for value in (CHANGES[name], "NULL"):
        change = sql.SQL("UPDATE staged SET {} = {} WHERE bigint = 3").format(
            sql.Identifier(name), sql.SQL(value)
        )
        assert not equal_after(table, change)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM staged WHERE bigint = 3",
        "INSERT INTO staged SELECT * FROM staged LIMIT 1",
        # Values of one column that change places between rows.
        "UPDATE staged SET text = CASE text WHEN 'abc' THEN 'def' ELSE 'abc' END",
        # Values of two columns that change places within a row.
        "UPDATE staged SET smallint = 2, integer = 1 WHERE bigint = 3",
        # What PostgreSQL's own hashes do not tell apart: the sign and the power of ten of a number,
        # and eight bytes that fold to the same four.
        "UPDATE staged SET numeric = -numeric WHERE bigint = 3",
        "UPDATE staged SET numeric = numeric * 10000 WHERE bigint = 3",
        "UPDATE staged SET bigint = bigint # ((5::bigint << 32) | 5) WHERE bigint = 3",
        "UPDATE staged SET timestamp = timestamp + interval '4294.967297 s' WHERE bigint = 3",
        "UPDATE staged SET timestamptz = timestamptz - interval '4294.967295 s' WHERE bigint = 3",
    ],
)
def test_lost_doubled_and_mixed_up_rows_are_noticed(table: CachedTable, statement: str) -> None:
    assert equal_after(table, "SELECT 1")
    assert not equal_after(table, statement)


def test_a_load_whose_staging_differs_is_not_committed(
    table: CachedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pa.table({"id": [1, 2]})
    table.load(rows, key=("id",))
    true: Callable[..., object] = Digest.of_table

    def spoiled(self: Digest, connection: psycopg.Connection, at: sql.Identifier) -> object:
        connection.execute(sql.SQL("UPDATE {} SET id = 9 WHERE id = 3").format(at))
        return true(self, connection, at)

    monkeypatch.setattr(Digest, "of_table", spoiled)
    with pytest.raises(CacheError, match="is not what was read"):
        table.load(pa.table({"id": [1, 3]}), key=("id",))
    assert sorted(table.rows()) == [(1,), (2,)]


def test_the_receipt_shows_the_digest(table: CachedTable) -> None:
    one = table.load(pa.table({"id": [1, 2]}), key=("id",))
    other = table.load(pa.table({"id": [2, 1]}), key=("id",))
    third = table.load(pa.table({"id": [2, 3]}), key=("id",))
    assert len(one.digest) == 32
    assert one.digest == other.digest != third.digest


def equal_after(table: CachedTable, statement: str | sql.Composed) -> bool:
    rows = [SAMPLE, OTHER]
    digest = digest_of(rows)
    with psycopg.connect(table.database.url) as connection:
        stage(connection, rows)
        connection.execute(statement)
        return bool(digest.of_table(connection, sql.Identifier("staged")) == digest.read)


def digest_of(rows: list[tuple[object, ...]]) -> Digest:
    fitting = Fitting(COLUMNS, (), truncate_strings=False)
    digest = Digest(list(zip(KINDS, fitting.held, strict=True)))
    for _ in CopyStream(fitting, digest).pieces(fitting.fitted(batches(rows))):
        pass
    return digest


def batches(rows: list[tuple[object, ...]]) -> Iterator[pa.RecordBatch]:
    arrays = []
    for position, (kind, _) in enumerate(KINDS.values()):
        values = [one[position] for one in rows]
        stored = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        plain = pa.array(values, stored)
        extension = isinstance(kind, pa.BaseExtensionType)
        arrays.append(pa.ExtensionArray.from_storage(kind, plain) if extension else plain)
    whole = pa.record_batch(arrays, names=list(KINDS))
    yield whole.slice(0, 1)
    yield whole.slice(1)


def stage(connection: psycopg.Connection, rows: list[tuple[object, ...]]) -> None:
    declared = ", ".join(
        f'"{one.name}" {"text" if one.name == "exact" else held(one).declared}' for one in COLUMNS
    )
    connection.execute(f"CREATE TEMPORARY TABLE staged ({declared})")
    fitting = Fitting(COLUMNS, (), truncate_strings=False)
    fresh = CopyStream(fitting, None)
    with connection.cursor().copy("COPY staged FROM STDIN (FORMAT binary)") as copy:
        for piece in fresh.pieces(fitting.fitted(batches(rows))):
            copy.write(piece)
    connection.execute("SET TimeZone = 'UTC'")
