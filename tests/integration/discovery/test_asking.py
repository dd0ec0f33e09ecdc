"""Sources are asked in a process of their own, which is there for as long as somebody asks."""

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.integration.discovery.odd_child import OddDriver
from tests.ports import free_port
from tidewell import processes
from tidewell.connections.opening import OpenedConnection
from tidewell.discovery import asking, process
from tidewell.discovery.asking import Discovery, NotAsked
from tidewell.discovery.messages import FoundColumn, FoundTables
from tidewell.errors import InvalidRequest, SourceBroken, SourceUnavailable, TidewellError
from tidewell.settings import Settings
from tidewell.sources import registry
from tidewell.sources.conformance.suite import with_defaults

ACCOUNT = uuid4()
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
    monkeypatch.setattr(process, "PROGRAM", "tests.integration.discovery.odd_child")
    monkeypatch.setattr(process, "_CANCEL_SECONDS", 0.3)
    return lambda what: OpenedConnection(
        uuid4(), ACCOUNT, "Odd", OddDriver(), {"Do": what, "Password": "hunter2"}
    )


@pytest.fixture
def shop(tmp_path: Path) -> OpenedConnection:
    """A connection to a small database."""
    with sqlite3.connect(tmp_path / "shop.db") as made:
        made.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL, name VARCHAR(9))")
        made.execute("CREATE VIEW names AS SELECT name FROM orders")
    made.close()
    return _opened("SQLite", {"Data Source": str(tmp_path / "shop.db")})


def _opened(driver: str, values: dict[str, str]) -> OpenedConnection:
    found = registry.driver(driver)
    return OpenedConnection(uuid4(), ACCOUNT, "Shop", found, with_defaults(found, values))


def _beside() -> list[psutil.Process]:
    """The processes that ask sources for this one."""
    found = []
    for one in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if any("discovery" in part for part in one.cmdline()):
                found.append(one)
    return found


def _wait_for_the_end_of(one: psutil.Process) -> None:
    """Without reaping it, which is for who started it."""
    deadline = time.monotonic() + 10
    while psutil.pid_exists(one.pid):
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.02)


async def test_a_source_tells_its_tables(discovery: Discovery, shop: OpenedConnection) -> None:
    assert await discovery.test(shop) is None
    found = await discovery.tables(shop, "", 9)
    told = [(one.name, one.kind) for one in found.tables]
    assert told == [("names", "view"), ("orders", "table")]
    assert not found.several_schemas
    found = await discovery.tables(shop, "MAIN.Or", 9)
    assert [one.name for one in found.tables] == ["orders"]
    assert (found.total, found.fitting) == (2, 1)
    found = await discovery.tables(shop, "", 1)
    assert (len(found.tables), found.total, found.fitting) == (1, 2, 2)


async def test_a_table_tells_its_columns(discovery: Discovery, shop: OpenedConnection) -> None:
    asked = [("main", "orders"), ("main", "order"), ("main", "names")]
    orders, order, names = await discovery.columns(shop, asked)
    assert orders.columns == (
        FoundColumn("id", "BIGINT", in_key=True),
        FoundColumn("total", "DOUBLE"),
        FoundColumn("name", "VARCHAR"),
    )
    assert orders.has_key
    assert not names.has_key
    assert "near names: orders" in order.error


async def test_a_table_is_looked_up_with_the_filter_of_its_rows(
    discovery: Discovery, shop: OpenedConnection
) -> None:
    found = await discovery.table(shop, "main", "orders", "total > 1")
    assert (found.missing, found.error, found.filter_error) == ("", "", "")
    assert (await discovery.table(shop, "Main", "orders")).missing == "schema"
    assert (await discovery.table(shop, "main", "ordres")).missing == "table"
    wrong = await discovery.table(shop, "main", "orders", "totl > 1")
    assert "near names: total" in wrong.filter_error
    assert wrong.columns
    assert (await discovery.table(shop, "main", "orders", "total > name")).filter_error


async def test_what_a_source_refuses_is_said_here(
    discovery: Discovery, tmp_path: Path, shop: OpenedConnection
) -> None:
    gone = _opened("SQLite", {"Data Source": str(tmp_path / "gone.db")})
    assert "gone.db" in (await discovery.test(gone) or "")
    outside = _opened("SQLite", {"Data Source": "/etc/passwd"})
    assert await discovery.test(outside)
    far = {"Server": "10.1.2.3", "User": "me", "Database": "d", "Timeout": "5"}
    assert "TIDEWELL_EGRESS_ALLOW" in (await discovery.test(_opened("PostgreSQL", far)) or "")
    nobody = _opened("OData", {"URL": f"http://127.0.0.1:{free_port()}/"})
    with pytest.raises(SourceUnavailable):
        await discovery.tables(nobody, "", 9)


async def test_one_process_answers_all_and_ends_when_nobody_asks(
    tmp_path: Path, shop: OpenedConnection
) -> None:
    discovery = Discovery(Settings(home=tmp_path, files_root=str(tmp_path)), idle_seconds=1)
    await discovery.warm_up()
    (beside,) = _beside()
    answers = await asyncio.gather(*(discovery.tables(shop, "", 9) for _ in range(40)))
    assert all(one.total == 2 for one in answers)
    assert _beside() == [beside]
    await asyncio.to_thread(_wait_for_the_end_of, beside)
    assert await discovery.test(shop) is None
    (another,) = _beside()
    assert another.pid != beside.pid
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
        assert (await discovery.tables(shop, "", 9)).total == 2
        (beside,) = _beside()
        assert await testing == "The source does not answer within 2 s."
        # It has let go of the source, so it goes on.
        await asyncio.sleep(process._CANCEL_SECONDS + 0.5)
        assert await discovery.test(shop) is None
        assert _beside() == [beside]


async def test_a_source_that_cannot_be_cancelled_costs_its_process_not_who_asks_there(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    await discovery.warm_up()
    (beside,) = _beside()
    monkeypatch.setattr(asking, "TEST_SECONDS", 0.5)
    assert await discovery.test(odd("hang")) == "The source does not answer within 0 s."
    monkeypatch.setattr(asking, "TEST_SECONDS", 10.0)
    await asyncio.to_thread(_wait_for_the_end_of, beside)
    assert await discovery.test(odd("")) is None


async def test_what_a_driver_reads_while_nobody_waits_any_more_is_there_for_the_next(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    await discovery.warm_up()
    before = _beside()
    monkeypatch.setattr(asking, "TEST_SECONDS", 0.5)
    assert "does not answer" in (await discovery.test(odd("slow")) or "")
    await asyncio.sleep(process._CANCEL_SECONDS + 0.3)
    monkeypatch.setattr(asking, "TEST_SECONDS", 10.0)
    assert await discovery.test(odd("")) is None
    assert _beside() == before


async def test_an_account_has_so_many_turns_and_no_more(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    await discovery.warm_up()
    monkeypatch.setattr(asking, "TEST_SECONDS", 2.0)
    hanging = [asyncio.create_task(discovery.test(odd("hang"))) for _ in range(8)]
    await asyncio.sleep(0.1)
    with pytest.raises(NotAsked):
        await discovery._found(ACCOUNT, discovery._about, 0.2)
    assert await discovery.test(replace(odd(""), account_id=uuid4())) is None
    assert all("does not answer" in (told or "") for told in await asyncio.gather(*hanging))


async def test_a_process_that_dies_is_said_and_replaced(discovery: Discovery, odd: Odd) -> None:
    for _ in range(2):
        assert "ended without an answer" in (await discovery.test(odd("die")) or "")
    assert await discovery.test(odd("")) is None


async def test_whose_process_dies_under_another_question_is_asked_once_more(
    discovery: Discovery, odd: Odd
) -> None:
    assert await discovery.test(odd("")) is None
    died, went_on = await asyncio.gather(
        discovery.test(odd("die")), discovery.tables(odd(""), "", 1), return_exceptions=True
    )
    assert "ended without an answer" in str(died)
    assert isinstance(went_on, FoundTables)
    assert went_on.total == 20_000
    # And where it was the process that was at fault, so is the question itself.
    assert await discovery.test(odd("")) is None
    assert await discovery.test(odd("once")) is None


async def test_who_is_not_asked_again_in_time_is_told_so(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await discovery.test(odd("")) is None
    monkeypatch.setattr(asking, "TEST_SECONDS", 2.0)
    hanging = [asyncio.create_task(discovery.test(odd("hang"))) for _ in range(6)]
    await asyncio.sleep(0.2)
    (beside,) = _beside()
    beside.kill()
    told = await asyncio.gather(*hanging, return_exceptions=True)
    assert sum(isinstance(one, NotAsked) for one in told) == 2
    assert told.count("The source does not answer within 2 s.") == 4


async def test_a_process_that_says_what_it_may_not_is_ended(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LONGEST", 1000)
    with pytest.raises(SourceUnavailable, match="ended without an answer"):
        await discovery.tables(odd(""), "", 20_000)
    for one in _beside():
        await asyncio.to_thread(_wait_for_the_end_of, one)
    assert await discovery.test(odd("")) is None


async def test_a_process_that_cannot_be_started_says_nothing_of_the_source(
    discovery: Discovery, odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise BlockingIOError("fork: no more processes")

    monkeypatch.setattr(processes, "start", fail)
    await discovery.warm_up()
    with pytest.raises(NotAsked):
        await discovery.test(odd(""))


async def test_what_a_driver_throws_is_an_error_without_its_secrets(
    discovery: Discovery, odd: Odd, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TidewellError, match="The driver Odd ended by KeyError") as failed:
        await discovery.test(odd("fail"))
    assert failed.value.status == 500
    told = capfd.readouterr()
    assert "KeyError: '********'" in told.out + told.err
    assert "hunter2" not in told.out + told.err
    assert "drivers may print" in told.err
    with pytest.raises(TidewellError, match="The driver Odd ended by SystemExit"):
        await discovery.test(odd("exit"))


async def test_a_package_that_a_driver_lacks_is_named(discovery: Discovery, odd: Odd) -> None:
    with pytest.raises(InvalidRequest, match="pip install 'tidewell-odd'"):
        await discovery.test(odd("lacking"))


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
    monkeypatch.setattr(process, "_MOST_KEPT", 1)
    again = (await discovery.test(odd("tell")) or "").split()[0]
    assert first == again
    other = (await discovery.test(odd("tell")) or "").split()[0]
    assert other != first


async def test_a_long_answer_arrives_whole(discovery: Discovery, odd: Odd) -> None:
    found = await discovery.tables(odd(""), "", 20_000)
    assert len(found.tables) == 20_000
    assert found.tables[-1].name == f"table 19999 {'é' * 50}"


async def test_an_answer_that_is_too_long_is_said_to_be(discovery: Discovery, odd: Odd) -> None:
    with pytest.raises(SourceBroken, match="more names than can be listed"):
        await discovery.table(odd(""), "Odd", "wide")


async def test_a_name_that_is_no_text_is_told_as_far_as_it_is(
    discovery: Discovery, odd: Odd
) -> None:
    assert await discovery.test(odd("surrogate")) == "caf? is no name"
    found = await discovery.tables(odd("surrogate"), "", 9)
    assert [one.name for one in found.tables] == ["caf?"]
    assert (await discovery.table(odd("surrogate"), "\ud800", "x")).missing == "schema"


async def test_it_leaves_no_files_behind(discovery: Discovery, odd: Odd) -> None:
    folder = await discovery.test(odd("spill")) or ""
    assert os.listdir(folder) == ["rows"]
    await discovery.close()
    with pytest.raises(NotAsked):
        await discovery.test(odd(""))
    left = [
        name for name in os.listdir(tempfile.gettempdir()) if name.startswith(Path(folder).name)
    ]
    assert not left
