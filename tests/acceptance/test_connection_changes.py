"""A connection that leads to another source: what its jobs have read so far says nothing about it.

An increment that went on from the old watermark would miss every older row of the new source.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import Body, caching, connect
from tests.conftest import CacheDatabase
from tests.product import ok, run_now, wait_for_end
from tests.running_product import Product
from tests.slow_source import slow_source

JobBody = Callable[..., Body]
KEYS = [{"colName": "id", "colType": "BIGINT", "isPrimaryKey": "true"}]


@pytest.fixture
def older(product: Product) -> Path:
    """Another folder, whose rows are all older than those of the first."""
    folder = product.files / uuid4().hex
    folder.mkdir()
    (folder / "people.csv").write_text("id,name,at\n7,Mary,2001-01-01\n8,Anne,2001-01-02\n")
    return folder


@pytest.fixture
def job(
    client: httpx.Client, cache: CacheDatabase, folder: Path, job_body: JobBody
) -> dict[str, Any]:
    """A job whose watermark stands."""
    (folder / "people.csv").write_text("id,name,at\n1,Ada,2026-01-01\n2,Grace,2026-01-02\n")
    body = job_body(timeCheckColumn="at", mergeKeys=KEYS)
    made: dict[str, Any] = ok(client.post("/api/job/create", json=body))["jobs"][0]
    wait_for_end(client, made["id"])
    assert mode(client, made["id"]) == "incremental"
    return made


def mode(client: httpx.Client, job_id: str) -> str:
    run = run_now(client, job_id)
    assert run["status"] == "JOB_SUCCESS", run
    return str(run["receipt"]["mode"])


def names(database: CacheDatabase) -> list[str]:
    with psycopg.connect(database.url) as connection:
        rows = connection.execute('SELECT name FROM "Office".people ORDER BY id').fetchall()
    return [row[0] for row in rows]


def put(client: httpx.Client, connection_id: str, text: str, name: str = "Office") -> None:
    driver = "OData" if text.startswith("URL=") else "Files"
    body = {"name": name, "driver": driver, "connectionString": text}
    ok(client.put(f"/api/connections/{connection_id}", json=body))


def test_another_source_is_loaded_whole(
    client: httpx.Client, cache: CacheDatabase, job: Any, connection_id: str, older: Path
) -> None:
    put(client, connection_id, f"URI={older}")
    # Until then nobody is shown the old source's rows for the new one's.
    live = client.post("/api/query", json={"query": "SELECT name FROM Office.Files.people"})
    assert sorted(row[0] for row in ok(live)["results"][0]["rows"]) == ["Anne", "Mary"]

    assert mode(client, job["id"]) == "full"
    assert names(cache) == ["Mary", "Anne"]
    assert mode(client, job["id"]) == "incremental"


def test_so_it_is_when_a_person_changes_it_in_the_form(
    client: httpx.Client,
    product: Product,
    cache: CacheDatabase,
    job: Any,
    connection_id: str,
    older: Path,
) -> None:
    back = {"redirectURL": "https://vendor.example/"}
    path = f"/api/poweredby/connection/edit/{connection_id}"
    url = ok(client.post(path, json=back))["redirectURL"]
    with httpx.Client(base_url=product.base_url, timeout=30) as page:
        html = page.get(url).text
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))
        fields |= {"connection_name": "Office", "URI": str(older), "Format": "Auto"}
        saved = page.post(url, data=fields | {"IncludeColumnHeaders": "True"})
        assert "It works." in saved.text
    assert mode(client, job["id"]) == "full"
    assert names(cache) == ["Mary", "Anne"]


def test_a_name_and_how_it_is_asked_change_nothing(
    client: httpx.Client, job: Any, connection_id: str, folder: Path
) -> None:
    put(client, connection_id, f"Timeout=9;URI={folder}", name="OFFICE")
    assert mode(client, job["id"]) == "incremental"


@pytest.mark.usefixtures("cache")
def test_a_change_during_a_full_load_is_not_forgotten_by_its_end(client: httpx.Client) -> None:
    with slow_source() as first, slow_source() as second:
        first.let_go()
        source = connect(client, "Office", "OData", f"URL={first.url}")
        body = caching(source, sourceSchema="OData", sourceTable="Things", timeCheckColumn="ID")
        made = ok(client.post("/api/job/create", json=body))["jobs"][0]
        wait_for_end(client, made["id"])
        put(client, source, f"URL={second.url}")
        ok(client.post(f"/api/job/{made['id']}/run"))
        second.wait_until_read()

        put(client, source, f"URL={first.url}")

        second.let_go()
        wait_for_end(client, made["id"], after=made["created"])
        assert mode(client, made["id"]) == "full"
        assert mode(client, made["id"]) == "incremental"


def test_a_stored_secret_is_not_sent_to_another_address(client: httpx.Client) -> None:
    def text(url: str, password: str) -> str:
        return f"URL={url};AuthScheme=Basic;User=u;Password={password}"

    body = {"name": "Shop", "driver": "OData"}
    at = "http://127.0.0.1:9/odata"
    made = client.post("/api/connections", json=body | {"connectionString": text(at, "s3cret")})
    path = f"/api/connections/{made.json()['connection']['id']}"

    def changed(url: str, password: str) -> httpx.Response:
        return client.put(path, json=body | {"connectionString": text(url, password)})

    refused = changed("http://127.0.0.1:10/odata", "********")
    assert refused.status_code == 400
    assert "Password must be given again" in refused.json()["error"]["details"][0]["message"]
    assert changed(at, "********").status_code == 200
    assert changed("http://127.0.0.1:10/odata", "s3cret").status_code == 200
