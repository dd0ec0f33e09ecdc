"""A run that a client waits for: by events, and where these do not arrive, by asking."""

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.conftest import connect
from tests.http_proxy import HttpProxy, http_proxy
from tests.product import TIDEWELL, Customer, environment
from tests.slow_source import SlowSource, slow_source
from tidewell.client import AsyncClient, Client, LogLine, Run, WaitTimeout

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def slow() -> Iterator[SlowSource]:
    with slow_source() as running:
        yield running


@pytest.fixture
def proxy(customer: Customer) -> Iterator[HttpProxy]:
    """A way to the service that a test can spoil."""
    with http_proxy(customer.base_url) as running:
        yield running


@pytest.fixture
def run_id(customer: Customer, slow: SlowSource) -> str:
    """A run that goes on until the source is let go."""
    with Client(customer.base_url, customer.token()) as client, customer.client() as http:
        source = connect(http, "Office", "OData", f"URL={slow.url}")
        job = client.jobs.create(source, "OData", "Things")
        slow.wait_until_read()
        return job.runs()[0].id


class Seen:
    """What a watcher has seen of a run.

    After the first rows that it sees the source goes on, but not before the proxy has broken off
    all streams that it is to break: the run would end without them.
    """

    def __init__(self, slow: SlowSource, proxy: HttpProxy) -> None:
        self.rows: list[int] = []
        self._slow = slow
        self._proxy = proxy

    def see(self, run: Run) -> None:
        self.rows.append(run.rows_read)
        if run.rows_read and not self._proxy.breaks:
            self._slow.let_go()


def check(customer: Customer, run: Run, lines: list[LogLine], seen: Seen) -> None:
    """The end, each line of the log once, and rows that rise."""
    assert run.status == "JOB_SUCCESS"
    with Client(customer.base_url, customer.token()) as client:
        assert lines == client.runs.log(run.id)
    assert seen.rows == sorted(seen.rows)
    assert seen.rows[-1] == run.rows_read > seen.rows[0]


def test_waiting_asks_once_and_then_listens(
    customer: Customer, slow: SlowSource, run_id: str, proxy: HttpProxy
) -> None:
    lines: list[LogLine] = []
    seen = Seen(slow, proxy)
    with Client(proxy.url, customer.token()) as client:
        run = client.runs.wait(run_id, timeout=120, watching=seen, on_line=lines.append)
    check(customer, run, lines, seen)
    assert proxy.asked.count(f"/api/run/{run_id}") == 1
    assert proxy.asked.count(f"/api/run/{run_id}/events") in (1, 2)  # 2 where it was quiet first


def test_a_stream_that_breaks_is_taken_up_where_it_was(
    customer: Customer, slow: SlowSource, run_id: str, proxy: HttpProxy
) -> None:
    proxy.breaks = 2
    lines: list[LogLine] = []
    seen = Seen(slow, proxy)
    with Client(proxy.url, customer.token()) as client:
        run = client.runs.wait(run_id, on_line=lines.append, watching=seen)
    check(customer, run, lines, seen)
    assert proxy.breaks == 0
    assert proxy.asked.count(f"/api/run/{run_id}") == 1


def test_what_a_proxy_keeps_back_is_asked_for(
    customer: Customer, slow: SlowSource, run_id: str, proxy: HttpProxy
) -> None:
    proxy.keeps_back = True
    lines: list[LogLine] = []
    seen = Seen(slow, proxy)
    with Client(proxy.url, customer.token()) as client:
        # The stream that is kept back holds the run's end: only asking can tell of it earlier.
        threading.Timer(4.0, slow.let_go).start()
        run = client.runs.wait(run_id, on_line=lines.append)
        seen.see(run)
    assert run.status == "JOB_SUCCESS"
    assert [line.line for line in lines] == sorted({line.line for line in lines})
    assert proxy.asked.count(f"/api/run/{run_id}/events") == 1
    assert proxy.asked.count(f"/api/run/{run_id}") > 2


def test_the_log_is_followed_in_a_terminal_by_events(
    customer: Customer, slow: SlowSource, run_id: str, proxy: HttpProxy
) -> None:
    """`tidewell job logs -f`: each line as it comes, up to the run's end, and one question."""
    with logs_of("-f", proxy.url, customer) as (following, lines):
        assert "starts" in next(lines)
        assert following.poll() is None  # the run waits in the middle, and so does the command
        slow.let_go()
        assert "Committed" in list(lines)[-1]
        assert following.wait(60) == 0
    assert proxy.asked.count(f"/api/run/{run_id}") == 1
    assert proxy.asked.count(f"/api/run/{run_id}/events") in (1, 2)


def test_the_log_goes_on_in_a_terminal_where_the_stream_breaks(
    customer: Customer, slow: SlowSource, run_id: str, proxy: HttpProxy
) -> None:
    proxy.breaks = 1
    with logs_of("--follow", proxy.url, customer, "--json") as (following, lines):
        shown = [json.loads(next(lines))]
        slow.let_go()
        shown += [json.loads(line) for line in lines]
        assert following.wait(60) == 0
    with Client(customer.base_url, customer.token()) as client:
        told = client.runs.log(run_id)
    assert [line["line"] for line in shown] == [line.line for line in told]
    assert proxy.breaks == 0


@contextmanager
def logs_of(
    option: str, url: str, customer: Customer, *more: str
) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """The command that shows the log of the job's newest run, and the lines that it prints."""
    settings = {"TIDEWELL_URL": url, "TIDEWELL_TOKEN": customer.token(), "NO_COLOR": "1"}
    with subprocess.Popen(
        [*TIDEWELL, "job", "logs", "Things", option, *more],
        env=environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout
        try:
            yield following, following.stdout
        finally:
            following.kill()


async def test_the_asynchronous_client_listens_too(
    customer: Customer, slow: SlowSource, run_id: str, proxy: HttpProxy
) -> None:
    proxy.breaks = 1
    lines: list[LogLine] = []
    seen = Seen(slow, proxy)
    async with AsyncClient(proxy.url, customer.token()) as client:
        run = await client.runs.wait(run_id, watching=seen, on_line=lines.append)
    await asyncio.to_thread(check, customer, run, lines, seen)
    assert proxy.asked.count(f"/api/run/{run_id}") == 1


def test_patience_ends_in_the_middle_of_a_stream(customer: Customer, run_id: str) -> None:
    with (
        Client(customer.base_url, customer.token()) as client,
        pytest.raises(WaitTimeout, match=r"within 0\.5 s"),
    ):
        client.runs.wait(run_id, timeout=0.5)
