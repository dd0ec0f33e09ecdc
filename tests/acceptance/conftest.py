"""A customer with a cache and a table of its own in CSV files, ready for jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import CacheDatabase
from tests.product import ok
from tests.running_product import Product

Body = dict[str, Any]


@pytest.fixture
def folder(product: Product) -> Path:
    """A folder of the customer's own, with a table of three rows."""
    folder = product.files / uuid4().hex
    folder.mkdir()
    (folder / "people.csv").write_text("id,name\n1,Ada\n2,Grace\n3,Edsger\n")
    return folder


@pytest.fixture
def cache(client: httpx.Client, cache_database: CacheDatabase) -> CacheDatabase:
    """The customer's cache, connected."""
    text = cache_database.connection_string
    answer = ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    assert answer["connection"]["isTested"] is True
    return cache_database


@pytest.fixture
def connection_id(client: httpx.Client, folder: Path) -> str:
    """A connection to the folder."""
    return connect(client, "Office", "Files", f"URI={folder}")


@pytest.fixture
def job_body(connection_id: str) -> Callable[..., Body]:
    """The body of a job on the table `people`; what a test gives replaces params."""

    def make(**params: Any) -> Body:
        return caching(connection_id, **({"sourceTable": "people"} | params))

    return make


def connect(client: httpx.Client, name: str, driver: str, text: str) -> str:
    """Make a connection; returns its id."""
    body = {"name": name, "driver": driver, "connectionString": text}
    return str(ok(client.post("/api/connections", json=body))["connection"]["id"])


def caching(connection_id: str, **params: Any) -> Body:
    """The body of a job as the reference's own examples write it."""
    return {
        "jobType": "Caching",
        "intervalUnit": "Hour",
        "intervalValue": "1",
        "logVerbosity": "1",
        "enabled": "true",
        "params": {
            "timeCheckColumn": "",
            "autoTruncateStrings": "false",
            "sourceConnection": connection_id,
            "sourceName": "Office",
            "sourceSchema": "Files",
        }
        | params,
    }
