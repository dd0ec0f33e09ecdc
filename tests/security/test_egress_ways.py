"""Every way to name an address, of every driver: none leads into the operator's network."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.odd_service import Answer, odd_service
from tidewell.cache import CacheAddress
from tidewell.cache import test_address as try_address
from tidewell.connections import cache as cache_connections
from tidewell.connections import strings
from tidewell.egress import EgressRules
from tidewell.errors import CacheError, InvalidRequest, SourceError, SourceRefused
from tidewell.sources import registry
from tidewell.sources.protocol import Environment, ReadRequest

NOTHING_ALLOWED = Environment()
TARGET = {
    "Server": "db.example",
    "User": "u",
    "Password": "p",
    "Database": "d",
}


class Inside:
    """A service in the operator's network; nobody may knock."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port = int(listener.getsockname()[1])

    @property
    def ways(self) -> list[str]:
        """How a value can lead here."""
        place = f"127.0.0.1:{self.port}"
        return [
            *("127.0.0.1", "localhost", "2130706433", place),
            *(f"http://{place}/x", f"http://localhost:{self.port}/x.csv", f"s3://{place}/x"),
            f"host=127.0.0.1 hostaddr=127.0.0.1 port={self.port}",
            f"postgresql://u:p@{place}/d",
            f"db.example,127.0.0.1:{self.port}",
        ]

    def is_untouched(self) -> bool:
        """Whether nobody has connected."""
        try:
            self._listener.accept()
        except TimeoutError:
            return True
        return False


@pytest.fixture
def inside() -> Iterator[Inside]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        yield Inside(listener)


def open_and_look(driver: str, values: dict[str, str], environment: Environment) -> None:
    with (
        suppress(SourceError, InvalidRequest),
        registry.driver(driver).open(values, environment) as source,
    ):
        with suppress(SourceError, InvalidRequest):
            source.test()
        for schema in source.schemas():
            for table in source.tables(schema)[:1]:
                source.columns(schema, table.name)


@pytest.mark.parametrize("driver", registry.names())
def test_no_key_of_a_driver_leads_inside(driver: str, inside: Inside) -> None:
    """Each key gets each way; a new driver, and a new key, are covered by being there."""
    keys = registry.driver(driver).keys
    given = TARGET | {"URI": "s3://bucket/x.csv"}
    usual = {one.name: one.default or given.get(one.name, "x" * one.required) for one in keys}
    usual = {name: value for name, value in usual.items() if value}
    if "Server" in usual:
        usual["Server"] = "127.0.0.1"
    if "URL" in (one.name for one in keys):
        usual["URL"] = f"http://127.0.0.1:{inside.port}/x"
    if "Timeout" in usual:
        usual["Timeout"] = "2"
    if "Port" in usual:
        usual["Port"] = str(inside.port)
    for key in keys:
        for way in key.choices or inside.ways:
            open_and_look(driver, usual | {key.name: way}, NOTHING_ALLOWED)
    assert inside.is_untouched()


def test_no_key_of_a_cache_connection_leads_inside(inside: Inside) -> None:
    for key in cache_connections.KEYS:
        for way in inside.ways:
            values = TARGET | {"Server": "127.0.0.1", "Port": str(inside.port), key.name: way}
            with suppress(InvalidRequest, CacheError):
                try_address(cache_connections.address(strings.write(values)), 2)
    assert inside.is_untouched()


OPTIONS = [
    *("hostaddr", "service", "servicefile", "passfile", "sslkey", "sslcert", "sslpassword"),
    *("options", "host", "krbsrvname", "gsslib", "requirepeer", "target_session_attrs"),
    *("load_balance_hosts", "replication", "channel_binding", "sslcrl", "sslrootcert"),
]


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_libpq_that_reach_further_are_unknown_keys(
    client: httpx.Client, option: str
) -> None:
    text = ";".join(f"{name}={value}" for name, value in (TARGET | {option: "x"}).items())
    source = {"name": "P", "driver": "PostgreSQL", "connectionString": text}
    for path, body in (
        ("/api/job/cacheConnection", {"connectionString": text}),
        ("/api/connections", source),
    ):
        refused = client.post(path, json=body)
        assert refused.status_code == 400, refused.text
        assert option in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "host",
    ["/var/run/postgresql", "@abstract", "a.example,b.example", "host=x", "postgresql://h/d", ""],
)
def test_a_server_is_one_host(client: httpx.Client, host: str) -> None:
    """No socket's path, no list of hosts, no connection string of libpq's own."""
    text = strings.write(TARGET | {"Server": host})
    source = {"name": "P", "driver": "PostgreSQL", "connectionString": text}
    cached = client.post("/api/job/cacheConnection", json={"connectionString": text})
    if cached.is_success:
        assert "is not found" in cached.json()["connection"]["testError"]
    else:
        assert cached.status_code == 400
    made = client.post("/api/connections", json=source)
    if made.is_success:
        path = f"/api/connections/{made.json()['connection']['id']}/test"
        tested = client.post(path).json()
        assert tested["isTested"] is False
        assert "is not found" in tested["testError"] or "one host" in tested["testError"]
    else:
        assert made.status_code == 400


def test_a_cache_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer would have been another one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    answers = ["127.0.0.1", "10.0.0.1"]

    def lookup(host: str, port: int, **_: object) -> list[Any]:
        return [(2, 1, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    address = CacheAddress("rebinding.example", port, "u", "d", "p", egress="127.0.0.1")
    with pytest.raises(CacheError, match="refused the connection"):
        try_address(address, 2)
    assert answers == ["10.0.0.1"]


def test_where_a_source_fetches_its_token_is_judged_too(inside: Inside) -> None:
    with odd_service(lambda _: Answer({"value": []})) as service:
        only_this = Environment(egress=EgressRules.parse(service.url.split("/")[2]))
        keys = registry.driver("OData").keys
        values = {one.name: one.default for one in keys if one.default} | {
            "URL": service.url,
            "AuthScheme": "OAuthClient",
            "OAuthClientId": "id",
            "OAuthClientSecret": "secret",
            "OAuthAccessTokenURL": f"http://127.0.0.1:{inside.port}/token",
        }
        with (
            registry.driver("OData").open(values, only_this) as source,
            pytest.raises(SourceRefused, match="may not be reached"),
        ):
            source.test()
    assert inside.is_untouched()


def test_where_a_source_sends_its_reader_is_judged_too(inside: Inside) -> None:
    """A redirect of the service, and a link to the next page."""
    there = f"http://127.0.0.1:{inside.port}/Things"
    away = Answer(b"", 302, {"Location": there})
    onward = Answer({"value": [{"ID": 1}], "@odata.nextLink": there})
    for answer in (away, onward):
        with odd_service(lambda _, answer=answer: answer) as service:  # type: ignore[misc]
            only_this = Environment(egress=EgressRules.parse(service.url.split("/")[2]))
            keys = registry.driver("OData").keys
            values = {one.name: one.default for one in keys if one.default}
            with (
                registry.driver("OData").open(values | {"URL": service.url}, only_this) as source,
                pytest.raises(SourceError),
            ):
                list(source.read(ReadRequest("OData", "Things")).batches)
    assert inside.is_untouched()
