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
    """An account with one table, live and cached."""
    with new_cache_database(server) as shop, new_cache_database(server) as cache:
        with psycopg.connect(shop.url) as connection:
            connection.execute("CREATE TABLE sales (id int PRIMARY KEY, rep text, amount int)")
        source = tpch.postgresql_source(shop.values, "Shop")
        found = Account(address_of(cache), (source,))
        found.keep(source, "sales")
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
