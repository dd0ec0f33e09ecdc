"""Fixtures of the product as a whole: one node and one OData server for all tests."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.odata_server import ODataServer, odata_server
from tests.ports import free_port
from tests.product import Customer, Vendor, make_customer, make_vendor, process
from tidewell.state.embedded import EmbeddedServer

ORDERS = 100_000
_START_SECONDS = 120


@dataclass(frozen=True)
class Product:
    """A running node, and the folder that its Files driver may read."""

    base_url: str
    settings: dict[str, str]
    files: Path
    log: Path


def wait_until_ready(base_url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{base_url}/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"Tidewell does not start:\n{log.read_text()}")


@contextmanager
def running_product(server: EmbeddedServer, folder: Path, **more: str) -> Iterator[Product]:
    """`tidewell serve` over a fresh state database; `more` are further settings."""
    files = folder / "files"
    files.mkdir()
    name = f"state_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    settings = {
        "TIDEWELL_HOME": str(folder / "home"),
        "TIDEWELL_DATABASE_URL": server.url(name),
        "TIDEWELL_FILES_ROOT": str(files),
        "TIDEWELL_EGRESS_ALLOW": "127.0.0.0/8",
        "TIDEWELL_RUN_CONCURRENCY": "2",
    } | more
    port = free_port()
    log = folder / "serve.log"
    with process("serve", "--port", str(port), settings=settings, log=log):
        base_url = f"http://127.0.0.1:{port}"
        wait_until_ready(base_url, log)
        yield Product(base_url, settings, files, log)


@pytest.fixture(scope="session")
def product(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A running node for all tests."""
    with running_product(server, tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture(scope="session")
def vendor(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """The vendor of all customers."""
    return make_vendor(tmp_path_factory.mktemp("vendor"), product.settings)


@pytest.fixture
def customer(product: Product, vendor: Vendor) -> Customer:
    """A customer of its own, without a cache connection yet."""
    return make_customer(product.base_url, vendor)


@pytest.fixture
def client(customer: Customer) -> Iterator[httpx.Client]:
    """The customer's program."""
    with customer.client() as client:
        yield client


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ODataServer]:
    """The OData server with 100,000 orders, pages of 1,000."""
    with odata_server(ORDERS, tmp_path_factory.mktemp("odata") / "server.log") as running:
        yield running
