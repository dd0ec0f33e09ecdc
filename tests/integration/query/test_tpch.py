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
        lake = tpch.parquet_source(data)
        connected = tpch.postgresql_source(shop.values)
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
@pytest.mark.parametrize("placement", tpch.PLACEMENTS)
def test_the_answer_is_duckdb_s(
    world: World, references: dict[int, Answer], placement: str, number: int
) -> None:
    query = tpch.placed(world.tpch.query(number), placement, world.lake, world.shop)
    with world.account.engine(world.spill, query.kept, query.catalog) as engine:
        answer = answer_of(engine, query.text)
    assert differences(answer, references[number]) == []


def test_every_query_has_rows_to_compare(references: dict[int, Answer]) -> None:
    assert [number for number, answer in references.items() if not answer.rows] == []
