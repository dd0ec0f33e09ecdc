"""A statement's plan is used again only while it means the very same; parameters stay bound."""

import tracemalloc
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import tpch
from tests.conftest import CacheDatabase, new_cache_database
from tests.integration.query.test_tpch import address_of
from tests.tpch import Account
from tidewell.errors import QueryFailed
from tidewell.query.ducks import DUCKS
from tidewell.query.messages import QueryTask
from tidewell.query.opening import engine_of
from tidewell.query.plans import PLANS, Plans, key_of, world_of
from tidewell.query.result import as_rows
from tidewell.query.sessions import SESSIONS
from tidewell.state.embedded import EmbeddedServer

Rows = list[tuple[Any, ...]]
ALL = "SELECT * FROM Shop.public.stock ORDER BY id"
HALVES = "SELECT pieces / 2 AS half FROM Shop.public.stock ORDER BY id"
LIVE, CACHED = (), (("Shop", "stock"),)


@pytest.fixture(autouse=True)
def keeping() -> Iterator[None]:
    """What a query's process keeps between queries."""
    keepers = (PLANS, DUCKS, SESSIONS)
    for one in keepers:
        one.keeps = True
    yield
    for one in keepers:
        one.keeps = False
        one.close()


@dataclass(frozen=True)
class Shop:
    """An account with one database and one cache, and what it is asked."""

    database: CacheDatabase
    account: Account
    spill: Path

    def write(self, *statements: str) -> None:
        """Change the database itself."""
        with psycopg.connect(self.database.url) as connection:
            for one in statements:
                connection.execute(one.encode())

    def in_cache(self, statement: str) -> None:
        """Change the cache by hand."""
        with psycopg.connect(self.account.cache_url) as connection:
            connection.execute(statement.encode())

    def task(self, text: str, kept: Any = LIVE) -> QueryTask:
        """A query's task."""
        return self.account.task(kept, text=text)

    def ask(self, text: str, kept: Any = LIVE, **parameters: Any) -> Rows:
        """The rows of a query."""
        return asked(self.task(text, kept), self.spill, parameters)


def asked(task: QueryTask, spill: Path, parameters: Mapping[str, Any] | None = None) -> Rows:
    engine = engine_of(task, str(spill))
    try:
        result = engine.run(task.text, parameters or {}).result
        return [tuple(row) for chunk in result.chunks for row in as_rows(chunk)]
    finally:
        engine.close()


@pytest.fixture
def shop(server: EmbeddedServer, tmp_path: Path) -> Iterator[Shop]:
    with new_cache_database(server) as database, new_cache_database(server) as cache:
        yield made(database, cache, tmp_path, "nail", "nut")


def made(database: CacheDatabase, cache: CacheDatabase, spill: Path, *names: str) -> Shop:
    source = tpch.postgresql_source(database.values, "Shop")
    found = Shop(database, Account(address_of(cache), (source,)), spill)
    found.write("CREATE TABLE stock (id int PRIMARY KEY, name text, pieces int)")
    for number, name in enumerate(names, 1):
        found.write(f"INSERT INTO stock VALUES ({number}, '{name}', {number * 5})")  # noqa: S608 - names of the test
    found.account.keep(source, "stock")
    return found


@pytest.mark.parametrize("kept", [LIVE, CACHED], ids=["live", "cached"])
def test_other_values_use_the_same_plan(shop: Shop, kept: Any) -> None:
    text = "SELECT name FROM Shop.public.stock WHERE pieces = @p"
    assert shop.ask(text, kept, p=5) == [("nail",)]
    key = key_of(world_of(shop.task(text, kept)), text, {"p": 5})
    plan = PLANS.get(key)
    assert plan is not None
    assert shop.ask(text, kept, p=10) == [("nut",)]
    assert shop.ask(text, kept, p=11) == []
    assert PLANS.get(key) is plan
    assert len(PLANS) == 1
    hostile = "x' OR '1' = '1"
    assert shop.ask("SELECT name FROM Shop.public.stock WHERE name = @p", kept, p=hostile) == []


@pytest.mark.parametrize("kept", [LIVE, CACHED], ids=["live", "cached"])
def test_values_of_another_type_get_a_plan_of_their_own(shop: Shop, kept: Any) -> None:
    text = "SELECT @p AS p FROM Shop.public.stock WHERE id = 1"
    assert shop.ask(text, kept, p=1) == [(1,)]
    assert shop.ask(text, kept, p="one") == [("one",)]
    assert shop.ask(text, kept, p=True) == [(True,)]
    with pytest.raises(QueryFailed, match="@p has no value"):
        shop.ask(text, kept)


@pytest.mark.parametrize("kept", [LIVE, CACHED], ids=["live", "cached"])
def test_the_sign_of_a_parameter_reaches_the_source(shop: Shop, kept: Any) -> None:
    shop.write("INSERT INTO stock VALUES (3, 'owed', -5)")
    shop.account.keep(shop.account.connections[0], "stock")
    text = "SELECT name FROM Shop.public.stock WHERE pieces = -@p"
    assert shop.ask(text, kept, p=5) == [("owed",)]
    assert shop.ask(text, kept, p=-5) == [("nail",)]


def test_a_column_that_is_new_or_of_another_type_is_seen_live(shop: Shop) -> None:
    assert shop.ask(ALL) == [(1, "nail", 5), (2, "nut", 10)]
    assert shop.ask(HALVES) == [(2,), (5,)]
    shop.write(
        "ALTER TABLE stock ADD COLUMN box int DEFAULT 7",
        "ALTER TABLE stock ALTER COLUMN pieces TYPE double precision",
    )
    assert shop.ask(ALL) == [(1, "nail", 5.0, 7), (2, "nut", 10.0, 7)]
    assert shop.ask(HALVES) == [(2.5,), (5.0,)]
    shop.write("ALTER TABLE stock DROP COLUMN pieces")
    with pytest.raises(QueryFailed, match=r"no column 'pieces'.*line 1, column 8"):
        shop.ask(HALVES)


def test_a_column_that_is_new_or_of_another_type_is_seen_in_the_cache(shop: Shop) -> None:
    assert shop.ask(ALL, CACHED) == [(1, "nail", 5), (2, "nut", 10)]
    assert shop.ask(HALVES, CACHED) == [(2,), (5,)]
    shop.in_cache('ALTER TABLE "Shop".stock ALTER COLUMN pieces TYPE double precision')
    assert shop.ask(HALVES, CACHED) == [(2.5,), (5.0,)]
    shop.write("ALTER TABLE stock ADD COLUMN box int DEFAULT 7")
    shop.account.keep(shop.account.connections[0], "stock")
    assert [row[-1] for row in shop.ask(ALL, CACHED)] == [7, 7]
    shop.in_cache('ALTER TABLE "Shop".stock RENAME COLUMN pieces TO parts')
    with pytest.raises(QueryFailed, match=r"no column 'pieces'.*line 1, column 8"):
        shop.ask(HALVES, CACHED)
    shop.in_cache('DROP TABLE "Shop".stock')
    with pytest.raises(QueryFailed, match="not in the cache any more"):
        shop.ask(ALL, CACHED)


def test_a_copy_that_appears_is_read_and_one_that_goes_is_not(shop: Shop) -> None:
    shop.write("UPDATE stock SET name = 'live'")
    names = "SELECT DISTINCT name FROM Shop.public.stock WHERE id = 1"
    for _ in range(2):
        assert shop.ask(names, LIVE) == [("live",)]
        assert shop.ask(names, CACHED) == [("nail",)]


def test_the_age_of_a_copy_is_that_of_now(shop: Shop) -> None:
    task = shop.task(ALL, CACHED)
    for year in (2024, 2025):
        at = datetime(year, 2, 28, tzinfo=UTC)
        [copy] = [dict(one) | {"refreshed_at": at.isoformat()} for one in task.copies]
        engine = engine_of(replace(task, copies=(copy,)), str(shop.spill))
        try:
            assert engine.run(ALL, {}).refreshed_at == at
        finally:
            engine.close()
    assert len(PLANS) == 1


@pytest.mark.parametrize("kept", [LIVE, CACHED], ids=["live", "cached"])
def test_another_account_gets_its_own_rows(
    server: EmbeddedServer, shop: Shop, kept: Any, tmp_path: Path
) -> None:
    with new_cache_database(server) as database, new_cache_database(server) as cache:
        other = made(database, cache, tmp_path, "theirs")
        for _ in range(2):
            assert shop.ask(ALL, kept) == [(1, "nail", 5), (2, "nut", 10)]
            assert other.ask(ALL, kept) == [(1, "theirs", 5)]
    assert len(PLANS) == 2


def test_the_account_is_part_of_what_a_plan_is_kept_by(shop: Shop) -> None:
    task = shop.task("SELECT 1")
    assert world_of(task) == world_of(replace(task, text="SELECT 2", copies=({},)))
    for changed in (
        replace(task, account="another"),
        replace(task, connections=()),
        replace(task, cache=None),
        replace(task, default_catalog="Shop"),
        replace(task, default_schema="public"),
        replace(task, egress=""),
        replace(task, file_roots=("/srv",)),
    ):
        assert world_of(changed) != world_of(task)


def test_only_so_many_plans_are_kept_and_none_of_a_very_long_statement(shop: Shop) -> None:
    plans = Plans(most=2)
    plans.keeps = True
    shop.ask(ALL)
    [plan] = PLANS.kept()
    keys = [key_of(b"", text, {}) for text in ("one", "two", "three", "x" * 20_001)]
    for key in keys[:2]:
        plans.put(key, plan)
    assert plans.get(keys[0]) is plan
    for key in keys[2:]:
        plans.put(key, plan)
    assert [plans.get(key) is plan for key in keys] == [True, False, True, False]


def test_a_process_that_keeps_nothing_keeps_no_plan(shop: Shop) -> None:
    PLANS.keeps = False
    shop.ask(ALL)
    assert len(PLANS) == 0


def test_the_plans_of_wide_tables_are_bounded_by_what_they_take(shop: Shop) -> None:
    columns = ", ".join(f"column_{number} int DEFAULT 0" for number in range(1000))
    shop.write(f"CREATE TABLE wide ({columns})", "INSERT INTO wide DEFAULT VALUES")
    text = "SELECT * FROM Shop.public.wide"
    assert len(shop.ask(text)[0]) == 1000
    [plan] = PLANS.kept()
    bound = 4 << 20
    plans = Plans(most_bytes=bound)
    plans.keeps = True
    tracemalloc.start()
    try:
        for number in range(60):
            # Each statement looks its columns up anew, so each has its own.
            plans.put(key_of(b"", f"{text} WHERE column_1 = {number}", {}), deepcopy(plan))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 5 < len(plans) < 30
    assert taken < 2 * bound
    newest = key_of(b"", f"{text} WHERE column_1 = 59", {})
    assert plans.get(newest) is plans.kept()[-1]
    for number in range(60):
        plans.put(key_of(b"", f"SELECT {number}", {}), replace(plan, uses=(), outputs=(), text=""))
    assert len(plans) > 60
