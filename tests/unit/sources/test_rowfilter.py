"""A filter is one harmless condition over the source's columns, and means what SQL means."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.errors import InvalidRequest, SourceBroken
from tidewell.sources.protocol import Column, Comparison
from tidewell.sources.residual import apply_residual
from tidewell.sources.rowfilter import bind
from tidewell.sources.rowtest import RowTest

COLUMNS = [
    Column("id", pa.int64()),
    Column("Name", pa.string()),
    Column("created at", pa.timestamp("us", "UTC")),
    Column("day", pa.date32()),
    Column("amount", pa.decimal128(10, 2)),
    Column("small", pa.int8()),
    Column("exact", pa.opaque(pa.string(), "numeric", "PostgreSQL")),
]


def batch(ids: list[int | None], names: list[str | None]) -> pa.RecordBatch:
    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    count = len(ids)
    exact = pa.ExtensionArray.from_storage(COLUMNS[6].type, pa.array(["2.5"] * count, pa.string()))
    return pa.record_batch(
        [
            pa.array(ids, pa.int64()),
            pa.array(names, pa.string()),
            pa.array([moment] * count, COLUMNS[2].type),
            pa.array([date(2024, 1, 2)] * count, pa.date32()),
            pa.array([Decimal("3.50")] * count, COLUMNS[4].type),
            pa.array([7] * count, pa.int8()),
            exact,
        ],
        names=[column.name for column in COLUMNS],
    )


def kept(text: str, rows: pa.RecordBatch) -> list[int | None]:
    found = bind(text, COLUMNS)
    passing = apply_residual(rows, found.pushed)
    if found.rest:
        passing = RowTest(found, COLUMNS).passing(passing)
    ids: list[int | None] = passing.column(0).to_pylist()
    return ids


@pytest.mark.parametrize(
    ("text", "pushed"),
    [
        ("id > 5 AND 3.5 >= amount", [("id", ">", "5"), ("amount", "<=", "3.5")]),
        ("id = -5", [("id", "=", "-5")]),
        ("[created at] >= '2024-01-01'", [("created at", ">=", "2024-01-01T00:00:00Z")]),
        (
            "`created at` < TIMESTAMP '2024-01-01 01:00:00+01:00'",
            [("created at", "<", "2024-01-01T00:00:00Z")],
        ),
        ("day <> DATE '2024-02-29'", [("day", "<>", "2024-02-29")]),
        ("name = 'it''s'", [("Name", "=", "it's")]),
        ("(id > 1 AND (id < 9))", [("id", ">", "1"), ("id", "<", "9")]),
        # Whatever a source might judge otherwise than we would is not left to it.
        ("Name > 'a'", []),
        ("Name <> 'a'", []),
        ("id > 1 OR id < 0", []),
        ("id > 1.5", []),
        ("small > 1000", []),
        ("amount = 3.555", []),
        ("exact > 1", []),
        ("id > small", []),
        ("lower(Name) = 'a'", []),
    ],
)
def test_simple_comparisons_are_left_to_the_source(
    text: str, pushed: list[tuple[str, str, str]]
) -> None:
    found = bind(text, COLUMNS)
    assert [(one.column, one.operator, one.value) for one in found.pushed] == pushed


def test_equality_of_text_is_judged_here_as_well() -> None:
    # MySQL and others find 'BOB' when they are asked for 'bob'.
    found = bind("id > 1 AND Name = 'bob'", COLUMNS)
    assert Comparison("Name", "=", "bob") in found.pushed
    assert (found.rest, found.needs) == ("\"Name\" = 'bob'", ("Name",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id IN (SELECT 1)", "no subquery"),
        ("EXISTS (SELECT 1)", "no subquery"),
        ("id = 1; DROP TABLE x", "not a SQL condition"),
        ("id = 1 UNION SELECT 1", "not a SQL condition"),
        ("id >", "something is missing"),
        ("  ", "one SQL condition"),
        ("read_text('/etc/passwd') = ''", "read_text is not allowed"),
        ("getenv('HOME') = ''", "getenv is not allowed"),
        ("glob('*') = ''", "glob is not allowed"),
        ("sum(id) > 1", "sum is not allowed"),
        ("row_number() OVER () = 1", "no place in a filter"),
        ("id = $1", "no place in a filter"),
        ("*", "no place in a filter"),
        ("t.id = 1", "name columns alone"),
        ("nam = 'x'", "near names: Name"),
        ("(" * 500 + "id = 1" + ")" * 500, "too deeply"),
        ("x" * 10_001, "longer than"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        bind(text, COLUMNS)


@pytest.mark.parametrize("text", ["id", "id + 1", "Name > 3", "id + Name > 1"])
def test_a_filter_has_to_be_true_or_false(text: str) -> None:
    found = bind(text, COLUMNS)
    with pytest.raises(SourceBroken, match="filter"):
        RowTest(found, COLUMNS).passing(batch([1], ["x"]))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("id BETWEEN 2 AND 3", [2, 3]),
        ("name LIKE 'B%' OR id IS NULL", [2, None]),
        ("NOT (id = 1)", [2, 3]),
        ("id IN (1, 3) AND length(name) = 1", [1]),
        ("CASE WHEN id > 1 THEN TRUE ELSE FALSE END", [2, 3]),
        ("exact > 2.4 AND id = 3", [3]),
        ("exact > 2.6", []),
        ("[created at] < now() AND extract(year FROM day) = 2024 AND id = 1", [1]),
        ("1 = 1 OR id = 0", [1, 2, 3, None]),
        ("FALSE", []),
    ],
)
def test_a_filter_means_what_sql_means(text: str, ids: list[int | None]) -> None:
    assert kept(text, batch([1, 2, 3, None], ["a", "Bob", None, "d"])) == ids


@given(
    ids=st.lists(st.none() | st.integers(-3, 3), max_size=20),
    low=st.integers(-4, 4),
    high=st.integers(-4, 4),
)
def test_what_is_pushed_down_and_what_is_not_agree(
    ids: list[int | None], low: int, high: int
) -> None:
    rows = batch(ids, [None] * len(ids))
    wanted = [one for one in ids if one is not None and low <= one < high]
    assert kept(f"id >= {low} AND id < {high}", rows) == wanted
    assert kept(f"(id >= {low} AND id < {high}) OR FALSE", rows) == wanted
