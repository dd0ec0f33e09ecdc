"""Egress: what a customer names is judged before anything is sent to it."""

import socket
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.acceptance.conftest import connect
from tests.product import make_customer, make_vendor, ok, process
from tests.running_product import Product, free_port, wait_until_ready
from tidewell.connections import cache as cache_connections
from tidewell.egress import EgressRefused, EgressRules, HostNotFound
from tidewell.errors import SourceRefused
from tidewell.sources.odata import DRIVER
from tidewell.sources.protocol import Environment

NONE = EgressRules()
ALL_PRIVATE = EgressRules.parse("0.0.0.0/0, ::/0")

NEVER = [
    *("169.254.169.254", "169.254.1.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1"),
    *("fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
]
PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1"),
    *("fc00::1", "fd12:3456::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2130706433", "0x7f000001"),
    *("127.1", "localhost", "2002:7f00:1::1"),
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("host", NEVER)
def test_link_local_and_metadata_addresses_are_never_reached(host: str) -> None:
    for rules in (NONE, ALL_PRIVATE, EgressRules.parse(host)):
        with pytest.raises(EgressRefused):
            rules.resolve(host, 80)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_reached_only_where_they_are_listed(host: str) -> None:
    with pytest.raises(EgressRefused, match="TIDEWELL_EGRESS_ALLOW"):
        NONE.resolve(host, 5432)


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_are_reached(host: str) -> None:
    assert NONE.resolve(host, 443)


@pytest.mark.parametrize(
    ("listed", "host", "port", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", 1, True),
        ("127.0.0.0/8", "localhost", 1, True),
        ("localhost", "localhost", 1, True),
        ("LocalHost:5432", "localhost", 5432, True),
        ("localhost:5432", "localhost", 5433, False),
        ("127.0.0.1:5432", "127.0.0.1", 5432, True),
        ("127.0.0.1:5432", "127.0.0.1", 80, False),
        ("10.0.0.0/8;192.168.0.0/16", "127.0.0.1", 80, False),
        (" , 10.0.0.0/8 127.0.0.1/8 ,", "127.0.0.1", 80, True),
        ("db.internal", "127.0.0.1", 80, False),
    ],
)
def test_what_is_listed(listed: str, host: str, port: int, allowed: bool) -> None:
    rules = EgressRules.parse(listed)
    if allowed:
        assert rules.resolve(host, port) in ("127.0.0.1", "::1")
    else:
        with pytest.raises(EgressRefused):
            rules.resolve(host, port)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "a/b", "http://x", "<x>", "10.0.0.0/8,€"])
def test_a_list_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        EgressRules.parse(text)


@given(st.ip_addresses())
def test_every_address_is_judged_and_no_private_one_passes(address: Any) -> None:
    try:
        passed = NONE.resolve(str(address), 80)
    except (EgressRefused, HostNotFound):
        return
    assert ip_address(passed) == address
    assert (getattr(address, "ipv4_mapped", None) or address).is_global


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer would have been another one."""
    answers = ["127.0.0.1", "10.0.0.1"]

    def lookup(host: str, port: int, **_: object) -> list[Any]:
        return [(2, 1, 6, "", (answers.pop(0), port))]

    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(socket, "create_connection", lambda place, *_, **__: asked.append(place))
    values = {key.name: key.default for key in DRIVER.keys if key.default}
    values["URL"] = "http://rebinding.example/x"
    rules = EgressRules.parse("127.0.0.1")
    with DRIVER.open(values, Environment(egress=rules)) as source, pytest.raises(Exception):  # noqa: B017, PT011
        source.test()
    assert [place[0] for place in asked] == ["127.0.0.1"]
    assert answers == ["10.0.0.1"]


def test_a_source_at_a_private_address_is_not_even_knocked_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        values = {key.name: key.default for key in DRIVER.keys if key.default}
        values["URL"] = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        with (
            DRIVER.open(values, Environment()) as source,
            pytest.raises(SourceRefused, match="TIDEWELL_EGRESS_ALLOW"),
        ):
            source.test()
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.fixture(scope="module")
def strict(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A customer of a node whose operator allows nothing private."""
    folder = tmp_path_factory.mktemp("strict")
    settings = product.settings | {"TIDEWELL_EGRESS_ALLOW": ""}
    port, log = free_port(), folder / "serve.log"
    arguments = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
    with process(*arguments, settings=settings, log=log):
        wait_until_ready(f"http://127.0.0.1:{port}", log)
        vendor = make_vendor(folder, settings)
        with make_customer(f"http://127.0.0.1:{port}", vendor).client() as client:
            yield client


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "2130706433"])
def test_shut_filtered_and_open_ports_look_the_same(
    strict: httpx.Client, host: str, each_port: Callable[[], list[int]]
) -> None:
    """In what is said and in how long it takes: a filtered one would cost the whole time-out."""
    answers, seconds = set(), []
    for port in each_port():
        text = f"Server={host};Port={port};User=u;Password=p;Database=d"
        source = connect(strict, f"{host} {port}", "OData", f"URL=http://{host}:{port}/x")
        started = time.monotonic()
        answer = strict.post("/api/job/cacheConnection", json={"connectionString": text})
        tested = ok(strict.post(f"/api/connections/{source}/test"))
        seconds.append(time.monotonic() - started)
        connection = ok(answer)["connection"]
        assert (connection["isTested"], tested["isTested"]) == (False, False)
        answers.add((connection["testError"], tested["testError"]))
    assert len(answers) == 1
    assert "may not be reached" in answers.pop()[1]
    assert max(seconds) - min(seconds) < cache_connections.TEST_SECONDS / 2


@pytest.fixture
def each_port(product: Product) -> Iterator[Callable[[], list[int]]]:
    """A port on which somebody listens, one on which nobody does, and one that is filtered.

    For who knocks at the last, it is as behind a firewall: its queue is full, so nothing answers.
    """
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as filtered,
        socket.create_connection(filtered.getsockname()),
        socket.socket() as waiting,
    ):
        waiting.setblocking(False)
        waiting.connect_ex(filtered.getsockname())
        open_port = int(product.base_url.rpartition(":")[2])
        yield lambda: [open_port, free_port(), filtered.getsockname()[1]]
