"""A driver that its server sends elsewhere gets no further than the egress rules allow."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tidewell.egress import EgressRules
from tidewell.errors import SourceRefused
from tidewell.sources.sqlalchemy.dialects import ALLOWED, Place, Server
from tidewell.sources.sqlalchemy.guarded import guarded

Address = tuple[str, int]


@pytest.fixture
def two() -> Iterator[tuple[Address, Address]]:
    """The addresses of a server, and of something else inside the operator's network."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        yield one.getsockname(), two.getsockname()


def connect(address: Address) -> None:
    with closing(socket.create_connection(address, timeout=5)):
        pass


def test_what_the_rules_do_not_allow_is_refused(
    two: tuple[Address, Address],
) -> None:
    server, inside = two
    rules = EgressRules.parse(f"127.0.0.1:{server[1]}")
    with guarded(rules, *server):
        connect(server)
    with pytest.raises(SourceRefused, match="sends us elsewhere"), guarded(rules, *server):
        connect(inside)
    connect(inside)


def test_a_server_may_send_us_where_the_rules_allow_it(two: tuple[Address, Address]) -> None:
    server, other = two
    with guarded(EgressRules.parse("127.0.0.0/8"), *server):
        connect(other)


def test_a_library_that_nobody_can_watch_needs_its_host_listed() -> None:
    place = Place("hana+hdbcli", ALLOWED["hana+hdbcli"], Server("192.0.2.7", 30015, 5), "")
    with pytest.raises(SourceRefused, match="TIDEWELL_EGRESS_ALLOW"):
        place.judged(EgressRules())
    assert place.judged(EgressRules.parse("192.0.2.7")) == "192.0.2.7"
