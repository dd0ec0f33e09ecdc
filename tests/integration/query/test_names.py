"""Tables of the same name stay apart, wherever they are and wherever in a statement they stand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import tpch
from tests.conftest import new_cache_database
from tests.integration.query.test_tpch import address_of
from tests.tpch import Account, answer_of
from tidewell.errors import QueryFailed
from tidewell.state.embedded import EmbeddedServer

CRM, SHOP = "Crm", "Shop"
KINDS = {
    "cached": [(CRM, "orders"), (SHOP, "orders")],
    "live": [],
    "mixed": [(SHOP, "orders")],
}
ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, total int); INSERT INTO orders VALUES "
ROWS = {CRM: b"(1, 10), (2, 20), (3, 30)", SHOP: b"(2, 200), (3, 300), (4, 400)"}


@pytest.fixture(scope="module")
def account(server: EmbeddedServer) -> Iterator[Account]:
    with (
        new_cache_database(server) as crm,
        new_cache_database(server) as shop,
        new_cache_database(server) as cache,
    ):
        connected = []
        for name, database in ((CRM, crm), (SHOP, shop)):
            with psycopg.connect(database.url) as connection:
                connection.execute(ORDERS.encode() + ROWS[name])
            connected.append(tpch.postgresql_source(database.values, name))
        account = Account(address_of(cache), tuple(connected))
        for one in connected:
            account.keep(one, "orders")
        yield account


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        (
            "SELECT Crm.public.orders.id, Shop.public.orders.total FROM Crm.public.orders "
            "JOIN Shop.public.orders ON Crm.public.orders.id = Shop.public.orders.id",
            [(2, 200), (3, 300)],
        ),
        (
            "SELECT COUNT(*) FROM Crm.public.orders WHERE EXISTS (SELECT 1 FROM "
            "Shop.public.orders WHERE Shop.public.orders.id = Crm.public.orders.id "
            "AND orders.total < 300)",
            [(1,)],
        ),
        (
            "SELECT x.id, Crm.public.orders.total FROM Crm.public.orders JOIN "
            "(SELECT orders.id FROM Shop.public.orders WHERE NOT EXISTS (SELECT 1 FROM "
            "Crm.public.orders WHERE orders.id = Shop.public.orders.id + 1)) x "
            "ON orders.id = x.id",
            [(3, 30)],
        ),
    ],
    ids=["join", "subquery", "three"],
)
def test_tables_of_one_name(
    account: Account, tmp_path: Path, statement: str, rows: list[tuple[Any, ...]], kind: str
) -> None:
    with account.engine(tmp_path, KINDS[kind]) as engine:
        assert sorted(answer_of(engine, statement).rows) == rows


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "SELECT orders.id FROM Crm.public.orders, Shop.public.orders",
            "'orders' is there several times: give each an alias .line 1, column 8",
        ),
        ("SELECT Shop.public.orders.id FROM Crm.public.orders", "no table 'Shop.public.orders'"),
        # What stands in no scope would go to the engine as it is written.
        ("SELECT x.id FROM Crm.public.orders o, (pg_catalog.pg_authid) x", "take a SELECT"),
        ("SELECT total FROM Crm.public.orders AS o (total, id)", "cannot be named anew"),
        (
            "SELECT 1 FROM Crm.public.orders o WHERE EXISTS "
            '(SELECT 1 FROM Shop.public.orders "O" WHERE "O".id = o.id)',
            "'o' may mean two",
        ),
    ],
)
def test_what_may_mean_several_is_refused(
    account: Account, tmp_path: Path, statement: str, why: str
) -> None:
    with (
        account.engine(tmp_path, KINDS["cached"]) as engine,
        pytest.raises(QueryFailed, match=why),
    ):
        answer_of(engine, statement)
