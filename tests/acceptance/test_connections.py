"""Connections over HTTP (contract §7 and §9), and tokens that are narrowed to some of them (§1)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Body, caching, connect
from tests.product import Customer, ok, wait_for_end
from tests.running_product import free_port

JobBody = Callable[..., Body]


def details(answer: httpx.Response, status: int = 400) -> list[str]:
    """The fields that an error blames."""
    assert answer.status_code == status, answer.text
    return [one["field"] for one in answer.json()["error"].get("details", [])]


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "a\0b", "\x7f", None, 5])
def test_a_name_that_cannot_be(client: httpx.Client, name: Any) -> None:
    body = {"name": name, "driver": "OData", "connectionString": "URL=http://h/"}
    assert details(client.post("/api/connections", json=body)) == ["name"]


@pytest.mark.parametrize("name", ["x", "é" * 64, "Sales / 2026: \"new\" 'x' \\ 💥", " "])
def test_any_other_name_is_kept_as_it_is(client: httpx.Client, name: str) -> None:
    made = connect(client, name, "ODATA", "URL=http://h/")
    shown = ok(client.get(f"/api/connections/{made}"))["connection"]
    assert (shown["name"], shown["driver"]) == (name, "OData")


def test_a_driver_that_is_not_there_is_named_with_near_ones(client: httpx.Client) -> None:
    body = {"name": "x", "driver": "Odatta", "connectionString": "URL=http://h/"}
    refused = client.post("/api/connections", json=body)
    assert details(refused) == ["driver"]
    assert "did you mean OData?" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("URL=http://h/;Usr=x", "did you mean User?"),
        ("AuthScheme=None", "URL is missing"),
        ("URL=http://h/;AuthScheme=Kerberos", "AuthScheme must be one of"),
        ("URL", "key=value"),
        ("", "connectionString"),
    ],
)
def test_a_connection_string_that_cannot_be(client: httpx.Client, text: str, part: str) -> None:
    body = {"name": "x", "driver": "OData", "connectionString": text}
    refused = client.post("/api/connections", json=body)
    assert details(refused) == ["connectionString"]
    assert part in refused.json()["error"]["message"]


def test_the_status_says_what_the_last_test_gave(client: httpx.Client, folder: Path) -> None:
    made = connect(client, "Office", "Files", f"URI={folder}")
    path = f"/api/connections/{made}"

    def status() -> tuple[str, bool]:
        [listed] = ok(client.get("/api/poweredby/connection/list"))["connections"]
        shown = ok(client.get(path))["connection"]
        assert shown["status"] == listed["status"]
        return shown["status"], shown["isTested"]

    assert status() == ("Conditional", False)
    assert ok(client.post(f"{path}/test")) == {"isTested": True}
    assert status() == ("Authenticated", True)
    body = {"name": "Office", "driver": "Files", "connectionString": "URI=/etc"}
    ok(client.put(path, json=body))
    failed = ok(client.post(f"{path}/test"))
    assert failed["isTested"] is False
    assert "TIDEWELL_FILES_ROOT" in failed["testError"]
    assert status() == ("NotAuthenticated", False)


@pytest.mark.usefixtures("cache")
def test_a_narrowed_token_sees_its_connections_jobs_only(
    customer: Customer, client: httpx.Client, connection_id: str, job_body: JobBody
) -> None:
    url = f"URL=http://127.0.0.1:{free_port()}/"
    other = connect(client, "Other", "OData", url)
    mine = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]["id"]
    wait_for_end(client, mine)
    away = caching(other, sourceName="Other", sourceSchema="OData", sourceTable="Things")
    theirs = ok(client.post("/api/job/create", json=away | {"enabled": False}))["jobs"][0]["id"]

    with customer.client_of(connection_ids=json.dumps([connection_id])) as narrowed:
        assert [one["id"] for one in ok(narrowed.get("/api/job/list"))["jobs"]] == [mine]
        assert ok(narrowed.get(f"/api/job/{mine}/runs"))["runs"]
        assert narrowed.get(f"/api/job/{theirs}").status_code == 404
        fresh = away | {"params": away["params"] | {"sourceTable": "More"}}
        refused = narrowed.post("/api/job/create", json=fresh)
        assert details(refused) == ["params.sourceConnection"]
        moved = narrowed.put(f"/api/job/{mine}/update", json=away)
        assert details(moved) == ["params.sourceConnection"]
        queries = ok(narrowed.post("/api/log/query/list"))["queries"]
        assert {one["drivers"] for one in queries} <= {"Files"}
    with customer.client_of(connection_ids="[]") as nothing:
        assert ok(nothing.get("/api/job/list")) == {"jobs": []}
