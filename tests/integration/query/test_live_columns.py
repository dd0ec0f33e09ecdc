"""What a live query's DuckDB is handed: columns that it would mix up, types that it mishandles."""

from collections.abc import Callable, Iterator
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests import tpch
from tests.conftest import new_cache_database
from tests.integration.query.test_tpch import address_of
from tests.tpch import Account, answer_of
from tidewell.state.embedded import EmbeddedServer

ID = UUID("6f3cfe6a-72e2-4edb-914f-4409c01c1418")
VALUES: dict[str, tuple[str, Any, Any, str]] = {
    "flag": ("boolean", True, False, "o.flag"),
    "small": ("smallint", 2, 1, "o.small > 1"),
    "price": ("numeric(10, 2)", Decimal("10.50"), Decimal("7.25"), "o.price > 10"),
    "wide": ("numeric(30, 2)", Decimal("10.50"), Decimal("7.25"), "o.wide > 10"),
    "open": ("numeric", Decimal("10.50"), Decimal("7.25"), "o.open > 10"),
    "ratio": ("double precision", 1.5, 0.5, "o.ratio > 1"),
    "day": ("date", date(2024, 2, 29), date(2023, 1, 1), "o.day > '2024-01-01'"),
    "at": ("time", time(12, 30), time(8, 0), "o.at > CAST('12:00' AS TIME)"),
    "word": ("text", "b", "a", "o.word > 'a'"),
    "key": ("uuid", ID, UUID(int=1), f"o.key = '{ID}'"),
    "raw": ("bytea", b"b", b"a", "o.raw IS NOT NULL AND o.small > 1"),
}
"""A column of each type: its larger value, its smaller one, and what is true for the larger."""
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def ask(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Two live tables: `p`, and `o` with a column of every type, in which p's 1 is the larger."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, *_) in VALUES.items())
    add = "INSERT INTO o VALUES ({})".format(", ".join(["%s"] * (len(VALUES) + 1)))  # noqa: S608 - marks of the test
    with new_cache_database(server) as shop:
        with psycopg.connect(shop.url) as connection:
            connection.execute("CREATE TABLE p (id int, name text)")
            connection.execute("INSERT INTO p VALUES (1, 'one'), (2, 'two'), (3, 'three')")
            connection.execute(f"CREATE TABLE o (person int, {columns})".encode())
            for person in (1, 2):
                values = [person, *(value[person] for value in VALUES.values())]
                connection.execute(add.encode(), values)
            connection.execute('CREATE TABLE alike ("Code" text, "code" text, "CODE" int)')
            connection.execute("INSERT INTO alike VALUES ('A', 'b', 3), ('C', 'd', 4)")
        account = Account(address_of(shop), (tpch.postgresql_source(shop.values, "Shop"),))
        spill = tmp_path_factory.mktemp("live")

        def run(text: str) -> list[tuple[Any, ...]]:
            with account.engine(spill, (), "Shop") as engine:
                return answer_of(engine, text).rows

        yield run


@pytest.mark.parametrize("name", VALUES)
def test_a_filter_on_a_column_that_is_not_selected_is_right(ask: Ask, name: str) -> None:
    for kind, names in (("EXISTS", ["one"]), ("NOT EXISTS", ["three", "two"])):
        found = ask(
            f"SELECT name FROM p WHERE {kind} "  # noqa: S608 - names of the test
            f"(SELECT 1 FROM o WHERE o.person = p.id AND {VALUES[name][3]}) ORDER BY name"
        )
        assert [row[0] for row in found] == names


def test_truth_values_are_truth_values(ask: Ask) -> None:
    [row] = ask("SELECT flag, NOT flag, 1 = 1, NULL = 1, flag AND small > 1 FROM o WHERE small = 2")
    assert [repr(value) for value in row] == ["True", "False", "True", "None", "True"]


def test_columns_that_differ_by_case_alone_are_kept_apart(ask: Ask) -> None:
    assert ask("SELECT * FROM alike ORDER BY 1") == [("A", "b", 3), ("C", "d", 4)]
    assert ask('SELECT a."CODE", a."code" FROM alike a WHERE a."code" = \'d\'') == [(4, "d")]
    assert ask('SELECT d."Code" FROM (SELECT * FROM alike WHERE "CODE" < 4) AS d') == [("A",)]
