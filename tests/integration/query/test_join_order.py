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
from tests.mailchimp_server import KEY, mailchimp
from tests.tpch import Account, Connected, answer_of
from tidewell.cache import CacheAddress
from tidewell.errors import QueryFailed, SourceError
from tidewell.query.opening import engine_of
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


WIDE = "SELECT COUNT(*), MAX(b.note) FROM big b JOIN few f ON f.i = b.i JOIN few g ON g.i = f.i"


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """A live table of sixty megabytes, and one of three rows."""
    folder = tmp_path_factory.mktemp("wide")
    rows = duckdb.sql("SELECT i, repeat('x', 200) || i AS note FROM range(300000) AS t (i)")
    rows.write_csv(str(folder / "big.csv"))
    duckdb.sql("SELECT i FROM range(3) AS t (i)").write_csv(str(folder / "few.csv"))
    lake = Connected("Lake", "Files", {"URI": str(folder)}, "Files", (str(folder),))
    return Account(CacheAddress("127.0.0.1", 1, "nobody", "none"), (lake,))


def test_what_is_loaded_need_not_fit_into_memory(wide: Account, tmp_path: Path) -> None:
    engine = engine_of(wide.task((), "Lake", memory="10MB"), str(tmp_path))
    try:
        assert answer_of(engine, WIDE).rows == [(3, "x" * 200 + "2")]
    finally:
        engine.close()
    assert list(tmp_path.iterdir()) == []


def test_what_finds_no_room_at_all_says_so(wide: Account, tmp_path: Path) -> None:
    engine = engine_of(wide.task((), "Lake", memory="1MB"), str(tmp_path))
    try:
        with pytest.raises(QueryFailed, match="needs more memory, or more room on disk"):
            answer_of(engine, WIDE)
    finally:
        engine.close()


BROKEN = (
    "SELECT COUNT(*) FROM Mail.MailChimp.Conversations c JOIN Lake.Files.few f ON c.message_count "
    "= f.i JOIN Lake.Files.big b ON b.i = f.i"
)


def test_a_source_that_breaks_off_while_it_is_loaded_says_so_itself(
    wide: Account, tmp_path: Path
) -> None:
    with mailchimp() as service:
        service.data["conversations"] = [{"id": f"c{n}", "message_count": 1} for n in range(2500)]
        service.break_at = "offset=1000"
        values = {"APIKey": KEY, "URL": service.url}
        mail = Connected("Mail", "MailChimp", values, "MailChimp")
        account = Account(wide.cache, (*wide.connections, mail))
        with account.engine(tmp_path) as engine, pytest.raises(SourceError) as raised:
            answer_of(engine, BROKEN)
        service.break_at = None
        with account.engine(tmp_path) as engine:
            assert answer_of(engine, BROKEN).rows == [(2500,)]
    assert raised.value.message == "The service's answer is not JSON."
