"""Sources are asked in a process of their own, which is there for as long as somebody asks."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.integration.discovery.odd_child import OddDriver
from tests.ports import free_port
from tidewell.connections.opening import OpenedConnection
from tidewell.discovery import asking
from tidewell.discovery.asking import Discovery
from tidewell.discovery.messages import FoundColumn
from tidewell.errors import InvalidRequest, SourceUnavailable, TidewellError
from tidewell.settings import Settings
from tidewell.sources import registry
from tidewell.sources.conformance.suite import with_defaults

Odd = Callable[[str], OpenedConnection]


@pytest.fixture
async def discovery(tmp_path: Path) -> AsyncIterator[Discovery]:
    """What asks, with the folder of the test as the operator's."""
    settings = Settings(home=tmp_path, files_root=str(tmp_path), egress_allow="127.0.0.0/8")
    made = Discovery(settings)
    yield made
    await made.close()
    assert not _beside()


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Odd:
    """A connection to a source that does what it should not."""
    monkeypatch.setattr(asking, "PROGRAM", "tests.integration.discovery.odd_child")
    monkeypatch.setattr(asking, "_CANCEL_SECONDS", 0.1)
    return lambda what: OpenedConnection(
        uuid4(), "Odd", OddDriver(), {"Do": what, "Password": "hunter2"}
    )


@pytest.fixture
def shop(tmp_path: Path) -> OpenedConnection:
    """A connection to a small database."""
    with sqlite3.connect(tmp_path / "shop.db") as made:
        made.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL, name VARCHAR(9))")
        made.execute("CREATE VIEW names AS SELECT name FROM orders")
    return _opened("SQLite", {"Data Source": str(tmp_path / "shop.db")})


def _opened(driver: str, values: dict[str, str]) -> OpenedConnection:
    found = registry.driver(driver)
    return OpenedConnection(uuid4(), "Shop", found, with_defaults(found, values))


def _beside() -> list[psutil.Process]:
    """The processes that ask sources for this one."""
    return [
        one
        for one in psutil.Process().children()
        if any("discovery" in part for part in one.cmdline())
    ]


def _wait_for_the_end_of(process: psutil.Process) -> None:
    """Without reaping it, which is for who started it."""
    deadline = time.monotonic() + 10
    while psutil.pid_exists(process.pid):
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.02)


async def test_a_source_tells_its_tables_and_columns(
    discovery: Discovery, shop: OpenedConnection
) -> None:
    assert await discovery.test(shop) is None
    assert [(one.name, one.kind) for one in await discovery.tables(shop)] == [
        ("names", "view"),
        ("orders", "table"),
    ]
    found = await discovery.columns(
        shop, [("main", "orders"), ("main", "order"), ("main", "names")]
    )
    assert found[0].columns == (
        FoundColumn("id", "BIGINT", in_key=True),
        FoundColumn("total", "DOUBLE"),
        FoundColumn("name", "VARCHAR"),
    )
    assert found[0].has_key
    assert not found[2].has_key
    assert "near names: orders" in found[1].error


async def test_a_table_is_looked_up_with_the_filter_of_its_rows(
    discovery: Discovery, shop: OpenedConnection
) -> None:
    found = await discovery.table(shop, "main", "orders", "total > 1")
    assert (found.missing, found.error, found.filter_error) == ("", "", "")
    assert (await discovery.table(shop, "Main", "orders")).missing == "schema"
    assert (await discovery.table(shop, "main", "ordres")).missing == "table"
    with pytest.raises(InvalidRequest) as refused:
        await discovery.table(shop, "main", "orders", "totl > 1")
    assert refused.value.details[0].field == "params.filter"


async def test_what_a_source_refuses_is_said_here(
    discovery: Discovery, tmp_path: Path, shop: OpenedConnection
) -> None:
    gone = _opened("SQLite", {"Data Source": str(tmp_path / "gone.db")})
    assert "gone.db" in (await discovery.test(gone) or "")
    outside = _opened("SQLite", {"Data Source": "/etc/passwd"})
    assert await discovery.test(outside)
    far = {"Server": "10.1.2.3", "User": "me", "Database": "d", "Timeout": "5"}
    nobody = _opened("OData", {"URL": f"http://127.0.0.1:{free_port()}/"})
    with pytest.raises(SourceUnavailable):
        await discovery.tables(nobody)
    assert "TIDEWELL_EGRESS_ALLOW" in (await discovery.test(_opened("PostgreSQL", far)) or "")


async def test_one_process_answers_all_and_ends_when_nobody_asks(
    tmp_path: Path, shop: OpenedConnection
) -> None:
    discovery = Discovery(Settings(home=tmp_path, files_root=str(tmp_path)), idle_seconds=1)
    await discovery.warm_up()
    (process,) = _beside()
    answers = await asyncio.gather(*(discovery.tables(shop) for _ in range(40)))
    assert all(len(one) == 2 for one in answers)
    assert _beside() == [process]
    await asyncio.to_thread(_wait_for_the_end_of, process)
    assert await discovery.test(shop) is None
    (another,) = _beside()
    assert another.pid != process.pid
    await discovery.close()


async def test_a_source_that_does_not_answer_holds_up_nobody(
    discovery: Discovery, shop: OpenedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "TEST_SECONDS", 2.0)
    held = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.set()
        await reader.read(1 << 16)
        assert not await reader.read(1), "cancelled: the source hangs up"
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        silent = _opened("OData", {"URL": f"http://127.0.0.1:{port}/odata"})
        testing = asyncio.create_task(discovery.test(silent))
        await asyncio.wait_for(held.wait(), 10)
        assert len(await discovery.tables(shop)) == 2
        (process,) = _beside()
        assert await testing == "The source does not answer within 2 s."
        # It has let go of the source, so it goes on.
        await asyncio.sleep(asking._CANCEL_SECONDS + 0.5)
        assert await discovery.test(shop) is None
        assert _beside() == [process]


async def test_a_source_that_cannot_be_cancelled_costs_its_process_not_who_asks_there(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    await discovery.warm_up()
    (process,) = _beside()
    monkeypatch.setattr(asking, "TEST_SECONDS", 0.5)
    assert await discovery.test(odd("hang")) == "The source does not answer within 0 s."
    await asyncio.to_thread(_wait_for_the_end_of, process)
    monkeypatch.setattr(asking, "TEST_SECONDS", 10.0)
    assert await discovery.test(odd("")) is None


async def test_a_process_that_dies_is_said_and_replaced(discovery: Discovery, odd: Odd) -> None:
    for _ in range(2):
        assert await discovery.test(odd("die")) == (
            "The process that asked the source has ended: try again."
        )
    with pytest.raises(SourceUnavailable):
        await asyncio.gather(discovery.tables(odd("")), discovery._ask(odd("die"), "test", 10))
    assert await discovery.test(odd("")) is None


async def test_what_a_driver_throws_is_an_error_without_its_secrets(
    discovery: Discovery, odd: Odd, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TidewellError, match="The driver Odd ended by KeyError") as failed:
        await discovery.test(odd("fail"))
    assert failed.value.status == 500
    logged = capfd.readouterr().err
    assert "KeyError: '********'" in logged
    assert "hunter2" not in logged
    assert "drivers may print" in logged


async def test_the_process_gets_none_of_the_settings(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEWELL_SECRET_KEY", "a")
    told = await discovery.test(odd("tell")) or ""
    assert "PATH" in told
    assert "TIDEWELL" not in told


async def test_a_process_that_holds_too_much_memory_is_replaced(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (await discovery.test(odd("tell")) or "").split()[0]
    again = (await discovery.test(odd("tell")) or "").split()[0]
    assert first == again
    monkeypatch.setattr(asking, "_MOST_KEPT", 1)
    other = (await discovery.test(odd("tell")) or "").split()[0]
    assert other != first


async def test_a_long_answer_arrives_whole(discovery: Discovery, odd: Odd) -> None:
    tables = await discovery.tables(odd(""))
    assert len(tables) == 20_000
    assert tables[-1].name == f"table 19999 {'é' * 50}"
