"""Tables are joined in an order that ends: never the product of two, where there is another way."""

import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from tests import tpch
from tests.conftest import new_cache_database
from tests.integration.query.test_tpch import address_of
from tests.tpch import Account, Connected, answer_of
from tidewell.state.embedded import EmbeddedServer
from tidewell.state.statements import statements

SQL = statements("tests.integration.query", "join_order.sql")
MANY = 150_000
KEPT = ("customers", "lines", "suppliers", "nations")
ORDERS = {"in a file, whose rows DuckDB counts": "Lake.Files.orders", "live": "Shop.public.orders"}


@pytest.fixture(scope="module")
def account(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("lake")
    orders = duckdb.sql(f"SELECT i AS id, i AS customer FROM range(1, {MANY + 1}) AS t (i)")  # noqa: S608 - a number
    orders.write_parquet(str(folder / "orders.parquet"))
    with new_cache_database(server) as shop, new_cache_database(server) as cache:
        with psycopg.connect(shop.url) as connection:
            connection.execute(SQL["tables"].encode())
        source = tpch.postgresql_source(shop.values, "Shop")
        lake = Connected("Lake", "Files", {"URI": str(folder)}, "Files", (str(folder),))
        found = Account(address_of(cache), (source, lake))
        for table in KEPT:
            found.keep(source, table)
        yield found


@pytest.mark.parametrize("kept", [KEPT, ()], ids=["mixed", "live"])
@pytest.mark.parametrize("orders", ORDERS)
def test_what_meets_in_few_values_is_not_joined_first(
    account: Account, tmp_path: Path, orders: str, kept: tuple[str, ...]
) -> None:
    text = SQL["query"].replace("{orders}", ORDERS[orders])
    with account.engine(tmp_path, [("Shop", table) for table in kept]) as engine:
        # The wrong order would go on for hours: it ends by Stopped here.
        late = threading.Timer(60, engine.cancel)
        late.start()
        try:
            [(count, total)] = answer_of(engine, text).rows
        finally:
            late.cancel()
    assert (int(count), int(total)) == (MANY, MANY * (MANY + 1) // 2)
