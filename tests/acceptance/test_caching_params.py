"""The params of a caching job are checked before the job is made."""

from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import CacheDatabase
from tests.running_product import Product


@pytest.fixture
def body(client: httpx.Client, product: Product, cache_database: CacheDatabase) -> dict[str, Any]:
    """A job over a file with the columns id, name and at."""
    client.post(
        "/api/job/cacheConnection", json={"connectionString": cache_database.connection_string}
    ).raise_for_status()
    rows = pa.table({"id": [1], "name": ["a"], "at": [1]})
    pq.write_table(rows, product.files / "params.parquet")
    made = client.post(
        "/api/connections",
        json={
            "name": "Params",
            "driver": "Files",
            "connectionString": f"URI={product.files / 'params.parquet'}",
        },
    ).json()["connection"]
    return {
        "jobType": "Caching",
        "intervalUnit": "Hour",
        "intervalValue": 1,
        "params": {
            "sourceConnection": made["id"],
            "sourceName": "Params",
            "sourceSchema": "Files",
            "sourceTable": "params",
            "timeCheckColumn": "at",
            "mergeKeys": [{"colName": "id"}],
        },
    }


@pytest.mark.parametrize(
    "params",
    [
        {"filter": "id > 1 AND [name] <> 'x'"},
        {"filter": ""},
        {"filter": None},
        {"deleteDetection": "keys"},
        {"deleteDetection": "None"},
        {"deleteDetection": True},
        {"deleteDetection": "false"},
        {"maxRowsPerRun": "1000"},
        {"maxRowsPerRun": 1},
        {"onTypeChange": "Rebuild"},
        {"onTypeChange": "fail"},
    ],
    ids=str,
)
def test_what_is_right_is_accepted(
    client: httpx.Client, body: dict[str, Any], params: dict[str, Any]
) -> None:
    body["params"] |= params
    answer = client.post("/api/job/validate", json=body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("params", "field", "said"),
    [
        ({"filter": "nmae = 'x'"}, "filter", "near names: name"),
        ({"filter": "id >"}, "filter", "line 1"),
        ({"filter": "id IN (SELECT 1)"}, "filter", "subquery"),
        ({"filter": "read_text('/etc/passwd') = 'x'"}, "filter", "not allowed"),
        ({"filter": "id"}, "filter", "true or false"),
        ({"filter": 5}, "filter", "string"),
        ({"filter": "name = '\0'"}, "filter", ""),
        ({"deleteDetection": "always"}, "deleteDetection", "none or keys"),
        ({"deleteDetection": 7}, "deleteDetection", "none or keys"),
        ({"maxRowsPerRun": 0}, "maxRowsPerRun", "1"),
        ({"maxRowsPerRun": "many"}, "maxRowsPerRun", "whole number"),
        ({"maxRowsPerRun": 5, "timeCheckColumn": ""}, "maxRowsPerRun", "timeCheckColumn"),
        ({"onTypeChange": "guess"}, "onTypeChange", "fail or rebuild"),
        ({"onTypeChange": []}, "onTypeChange", "fail or rebuild"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(
    client: httpx.Client, body: dict[str, Any], params: dict[str, Any], field: str, said: str
) -> None:
    body["params"] |= params
    answer = client.post("/api/job/validate", json=body)
    assert answer.status_code == 400
    [detail] = answer.json()["error"]["details"]
    assert detail["field"] == f"params.{field}"
    assert said in detail["message"]
