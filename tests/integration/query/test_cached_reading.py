"""What a query that is not wholly cached reads of a cached table: the values that are there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests import tpch
from tests.conftest import new_cache_database
from tests.integration.query.test_tpch import address_of
from tests.tpch import Account, answer_of
from tidewell.state.embedded import EmbeddedServer

VALUES = {
    "flag": ("boolean", "true"),
    "small": ("smallint", "-2"),
    "whole": ("integer", "3"),
    "large": ("bigint", "9007199254740993"),
    "single": ("real", "1.5"),
    "double": ("double precision", "0.1"),
    "price": ("numeric(10, 2)", "-10.50"),
    "wide": ("numeric(38, 10)", "1234567890123456789012345678.0123456789"),
    "open": ("numeric", "2.75"),
    "day": ("date", "'2024-02-29'"),
    "at": ("time", "'12:30:00.000001'"),
    "moment": ("timestamp", "'2024-02-29 12:30:00.123456'"),
    "instant": ("timestamptz", "'2024-02-29 12:30:00.123456+02'"),
    "word": ("text", "'Größe 東京 ''\"'"),
    "short": ("varchar(20)", "''"),
    "fixed": ("char(4)", "'ab'"),
    "key": ("uuid", "'6f3cfe6a-72e2-4edb-914f-4409c01c1418'"),
    "raw": ("bytea", r"'\x00ff'"),
    "document": ("jsonb", """'{"a": [1, null]}'"""),
}


@pytest.fixture(scope="module")
def account(server: EmbeddedServer) -> Iterator[Account]:
    """A table with a column of every type: a row of values, and one of NULLs."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in VALUES.items())
    values = ", ".join(value for _, value in VALUES.values())
    with new_cache_database(server) as shop, new_cache_database(server) as cache:
        with psycopg.connect(shop.url) as connection:
            connection.execute(f"CREATE TABLE typed (id int PRIMARY KEY, {columns})".encode())
            connection.execute(f"INSERT INTO typed VALUES (1, {values})".encode())  # noqa: S608 - values of the test
            connection.execute("INSERT INTO typed (id) VALUES (2)")
            connection.execute("CREATE TABLE many (id int PRIMARY KEY, price numeric(10, 2))")
            connection.execute(
                "INSERT INTO many SELECT i, i / 4.0 FROM generate_series(1, 50000) i"
            )
            connection.execute("CREATE TABLE one (id int PRIMARY KEY)")
            connection.execute("INSERT INTO one VALUES (1), (2)")
        source = tpch.postgresql_source(shop.values, "Shop")
        found = Account(address_of(cache), (source,))
        for table in ("typed", "many"):
            found.keep(source, table)
        with psycopg.connect(found.cache_url) as connection:
            connection.execute("UPDATE \"Shop\".many SET price = 'NaN' WHERE id = 7")
        yield found


def rows(account: Account, spill: Path, text: str, *kept: str) -> list[tuple[Any, ...]]:
    with account.engine(spill, [("Shop", table) for table in kept], "Shop") as engine:
        return answer_of(engine, text).rows


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_the_same_mixed_and_cached(account: Account, tmp_path: Path, name: str) -> None:
    mixed = rows(
        account,
        tmp_path,
        f"SELECT t.{name} FROM typed t JOIN one o ON o.id = t.id ORDER BY t.id",  # noqa: S608 - names of the test
        "typed",
    )
    cached = rows(account, tmp_path, f"SELECT {name} FROM typed ORDER BY id", "typed")  # noqa: S608 - names of the test
    assert [_plain(row) for row in mixed] == [_plain(row) for row in cached]
    assert mixed[0] != (None,)
    assert mixed[1] == (None,)


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    # JSON keeps its blanks where PostgreSQL writes it; a UUID is its text in an answer.
    return tuple(str(one).replace(" ", "") if isinstance(one, str | UUID) else one for one in row)


def test_many_rows_with_conditions_and_what_is_no_number(account: Account, tmp_path: Path) -> None:
    join = "FROM many m LEFT JOIN one o ON o.id = m.id"
    [found] = rows(
        account, tmp_path, f"SELECT COUNT(*), COUNT(m.price), SUM(m.id), COUNT(o.id) {join}", "many"
    )
    assert tuple(map(int, found)) == (50_000, 49_999, 1_250_025_000, 2)
    found = rows(
        account,
        tmp_path,
        f"SELECT m.id, m.price {join} WHERE m.id BETWEEN 6 AND 8 ORDER BY m.id",
        "many",
    )
    assert [(number, None if price is None else str(price)) for number, price in found] == [
        *((6, "1.50"), (7, None), (8, "2.00")),
    ]
