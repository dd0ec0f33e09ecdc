"""TPC-H's 22 queries answer what DuckDB itself answers, wherever their tables are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import tpch
from tests.conftest import CacheDatabase, new_cache_database
from tests.tpch import Account, Answer, Connected, Tpch, answer_of, differences
from tidewell.cache import CacheAddress
from tidewell.state.embedded import EmbeddedServer

SCALE = 0.01
LAKE, SHOP = "Lake", "Shop"
MIXED = {
    "region": (SHOP, False),
    "nation": (LAKE, True),
    "supplier": (SHOP, True),
    "part": (LAKE, False),
    "partsupp": (SHOP, False),
    "customer": (LAKE, True),
    "orders": (LAKE, False),
    "lineitem": (SHOP, True),
}
"""Where each table stands in the mixed queries, and whether it is read from the cache."""


@dataclass(frozen=True)
class World:
    """The data, and an account that reaches it in every way."""

    tpch: Tpch
    account: Account
    lake: Connected
    shop: Connected
    spill: Path


@pytest.fixture(scope="module")
def world(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tpch")
    data = Tpch(folder, SCALE)
    with new_cache_database(server) as shop, new_cache_database(server) as cache:
        data.fill(shop.url)
        lake = tpch.parquet_source(data, LAKE)
        connected = tpch.postgresql_source(shop.values, SHOP)
        account = Account(address_of(cache), (lake, connected))
        for table in tpch.KEYS:
            account.keep(lake, table)
            account.keep(connected, table)
        yield World(data, account, lake, connected, folder)
        data.duck.close()


def address_of(one: CacheDatabase) -> CacheAddress:
    return CacheAddress(
        one.host, one.port, one.user, one.database, one.password, egress=tpch.LOOPBACK
    )


@pytest.fixture(scope="module")
def references(world: World) -> dict[int, Answer]:
    return {number: world.tpch.reference(number) for number in tpch.QUERIES}


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_all_cached(world: World, references: dict[int, Answer], number: int) -> None:
    kept = [(SHOP, table) for table in tpch.KEYS]
    with world.account.engine(world.spill, kept, SHOP) as engine:
        answer = answer_of(engine, world.tpch.query(number))
    assert differences(answer, references[number]) == []


@pytest.mark.parametrize("number", tpch.QUERIES)
@pytest.mark.parametrize("catalog", [LAKE, SHOP], ids=["parquet", "postgresql"])
def test_all_live(world: World, references: dict[int, Answer], number: int, catalog: str) -> None:
    with world.account.engine(world.spill, (), catalog) as engine:
        answer = answer_of(engine, world.tpch.query(number))
    assert differences(answer, references[number]) == []


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_mixed(world: World, references: dict[int, Answer], number: int) -> None:
    connections = {LAKE: world.lake, SHOP: world.shop}
    places = {table: connections[name] for table, (name, _) in MIXED.items()}
    kept = [(name, table) for table, (name, cached) in MIXED.items() if cached]
    with world.account.engine(world.spill, kept) as engine:
        answer = answer_of(engine, tpch.spread(world.tpch.query(number), places))
    assert differences(answer, references[number]) == []


def test_every_query_has_rows_to_compare(references: dict[int, Answer]) -> None:
    assert [number for number, answer in references.items() if not answer.rows] == []
