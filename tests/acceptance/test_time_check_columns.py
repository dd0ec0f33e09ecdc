"""Columns that a job can follow (contract §7), and a job that follows when files change."""

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.odata_server import ODataServer
from tests.product import ok, wait_for_end

PATH = "/api/job/timeCheckColumns"


def proposed(
    client: httpx.Client, connection: str, schema: str, table: str
) -> list[dict[str, Any]]:
    asked = {"sourceConnection": connection, "sourceSchema": schema, "sourceTable": table}
    columns: list[Any] = ok(client.get(PATH, params=asked))["columns"]
    return columns


def test_the_columns_of_an_odata_service_come_best_first(
    client: httpx.Client, shop: ODataServer
) -> None:
    connection = connect(client, "Shop", "OData", f"URL={shop.url}")
    found = proposed(client, connection, "OData", "Orders")
    names = [one["colName"] for one in found]
    assert found[0] == {"colName": "modifiedAt", "colType": "TIMESTAMP", "isPrimaryKey": False}
    assert set(names) == {"modifiedAt", "createdAt", "dueAt"}
    assert proposed(client, connection, "OData", "Empties") == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"sourceConnection": str(uuid4())}, "sourceConnection"),
        ({"sourceConnection": "7"}, "sourceConnection"),
        ({"sourceSchema": "Nowhere"}, "sourceSchema"),
        ({"sourceTable": "poeple"}, "sourceTable"),
        ({"sourceTable": None}, "sourceTable"),
    ],
)
def test_what_is_not_there_is_named(
    client: httpx.Client, connection_id: str, changed: dict[str, Any], field: str
) -> None:
    asked = {"sourceConnection": connection_id, "sourceSchema": "Files", "sourceTable": "people"}
    left = {name: value for name, value in (asked | changed).items() if value is not None}
    answer = client.get(PATH, params=left)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == field


def test_a_job_reads_only_the_files_that_have_changed(
    client: httpx.Client, cache: CacheDatabase, folder: Path
) -> None:
    (folder / "parts").mkdir()
    first, second = folder / "parts" / "a.csv", folder / "parts" / "b.csv"
    for path, text in ((first, "id,name\n1,Ada\n"), (second, "id,name\n2,Grace\n")):
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    connection = connect(client, "Parts", "Files", f"URI={folder}")
    assert [one["colName"] for one in proposed(client, connection, "Files", "parts")] == [
        "_modified"
    ]
    key = [{"colName": "id", "colType": "BIGINT", "isPrimaryKey": True}]
    body = caching(
        connection,
        sourceName="Parts",
        sourceTable="parts",
        timeCheckColumn="_modified",
        mergeKeys=key,
    )
    job = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
    assert wait_for_end(client, job)["lastRun"]["rowsAffected"] == 2
    second.write_text("id,name\n2,Grace Hopper\n3,Edsger\n")
    first.write_text("id,name\n1,never read\n")
    os.utime(first, (1_700_000_000 - 3600, 1_700_000_000 - 3600))
    ok(client.post(f"/api/job/{job}/run"))
    assert wait_for_end(client, job)["lastRun"]["rowsAffected"] == 2
    with psycopg.connect(cache.url) as database:
        rows = database.execute('SELECT id, name FROM "Parts"."parts" ORDER BY id').fetchall()
    assert rows == [(1, "Ada"), (2, "Grace Hopper"), (3, "Edsger")]
