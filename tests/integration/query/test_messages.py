"""What a statement that cannot be run says: where it is wrong, and why, in plain words."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import tpch
from tests.conftest import new_cache_database
from tests.integration.query.test_tpch import address_of
from tests.tpch import Account, answer_of
from tidewell.errors import QueryFailed
from tidewell.query.reading import read
from tidewell.state.embedded import EmbeddedServer


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT 'abc", "what begins here has no ' at its end (line 1, column 8)"),
        ("SELECT 1,\n  id AS [a FROM t", "what begins here has no ] at its end (line 2, column 9)"),
        ("SELECT 1,\n 'a\n\n", "what begins here has no ' at its end (line 2, column 2)"),
        ("SELECT 'it''s', \"a", 'what begins here has no " at its end (line 1, column 17)'),
        ("SELECT * FROM t WHERE", "WHERE is not complete near 'WHERE' (line 1, column 21)"),
        ("SELECT a,\n  b,\nFROM t", "nothing follows the comma (line 2, column 4)"),
        ("SELECT a FROM t,", "nothing follows the comma (line 1, column 16)"),
        ("SELECT a FROM t, WHERE a = 1", "nothing follows the comma (line 1, column 16)"),
        ("SELECT a FROM t GROUP BY a, ORDER BY a", "nothing follows the comma (line 1, column 27)"),
        ("SELECT a FROM t WHERE a IN (1,)", "nothing follows the comma (line 1, column 30)"),
        ("SELECT COALESCE(a,, b) FROM t", "nothing follows the comma (line 1, column 18)"),
        ("SELECT , a FROM t", "nothing precedes the comma (line 1, column 8)"),
        ("SELECT LEFT(a) FROM t", "LEFT is not complete near ')' (line 1, column 14)"),
        ("SELECT TOP x * FROM t", "LIMIT is not complete near 'x' (line 1, column 12)"),
        (
            "SELECT a,\n DATEADD(fortnight, 1, (a)) FROM t",
            "DATEADD: there is no date part 'fortnight' (line 2, column 2)",
        ),
        ("SELECT UPPER(Year(a, 2)) FROM t", "YEAR: takes 1 arguments, not 2 (line 1, column 14)"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(text: str, says: str) -> None:
    with pytest.raises(QueryFailed) as raised:
        read(text)
    assert raised.value.message == f"The query cannot be run: {says}."


@pytest.fixture(scope="module")
def account(server: EmbeddedServer) -> Iterator[Account]:
    """An account with an empty table and one with a row, live and cached."""
    with new_cache_database(server) as shop, new_cache_database(server) as cache:
        with psycopg.connect(shop.url) as connection:
            connection.execute("CREATE TABLE sales (id int PRIMARY KEY, rep text, amount int)")
            connection.execute("CREATE TABLE reps (id int PRIMARY KEY)")
            connection.execute("INSERT INTO reps VALUES (1)")
        source = tpch.postgresql_source(shop.values, "Shop")
        found = Account(address_of(cache), (source,))
        found.keep(source, "sales")
        found.keep(source, "reps")
        yield found


@pytest.mark.parametrize("kept", [(), (("Shop", "sales"),)], ids=["live", "cached"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "SELECT COUNT(rep), SUM(amount), rep FROM sales",
            "the column 'rep' is neither in GROUP BY nor aggregated (line 1, column 33)",
        ),
        (
            "SELECT s.rep,\n ABS(s.[Id]) FROM sales s GROUP BY s.rep",
            "the column 'id' is neither in GROUP BY nor aggregated (line 2, column 6)",
        ),
    ],
)
def test_a_column_that_is_not_grouped_is_named_with_its_place(
    account: Account, tmp_path: Path, kept: tuple[tuple[str, str], ...], text: str, says: str
) -> None:
    with (
        account.engine(tmp_path, kept, "Shop") as engine,
        pytest.raises(QueryFailed) as raised,
    ):
        answer_of(engine, text)
    assert raised.value.message == f"The query cannot be run: {says}."


@pytest.mark.parametrize(
    "divided",
    ["1 / 0", "1 / (id - id)", "1 % (id - id)", "MOD(id, 0)", "1.5 / (id - 1)",
     "CAST(id AS DOUBLE) / (id - 1)", "id / (1 / (id + 1))", "(1 / (id - 1)) / 2"],
)  # fmt: skip
@pytest.mark.parametrize("kept", [(), (("Shop", "reps"),)], ids=["live", "cached"])
def test_nothing_can_be_divided_by_zero(
    account: Account, tmp_path: Path, kept: tuple[tuple[str, str], ...], divided: str
) -> None:
    for text in (f"SELECT {divided} FROM reps", f"SELECT 1 FROM reps WHERE {divided} = 1"):  # noqa: S608 - texts of the test
        with (
            account.engine(tmp_path, kept, "Shop") as engine,
            pytest.raises(QueryFailed) as raised,
        ):
            answer_of(engine, text)
        assert raised.value.message == "The query cannot be run: division by zero."


def test_nothing_can_be_divided_by_zero_without_a_table(account: Account, tmp_path: Path) -> None:
    for text in ("SELECT 1 / 0", "SELECT 5 % 0", "SELECT 1.0 / CAST(0 AS DOUBLE)"):
        with account.engine(tmp_path) as engine, pytest.raises(QueryFailed) as raised:
            answer_of(engine, text)
        assert raised.value.message == "The query cannot be run: division by zero."
