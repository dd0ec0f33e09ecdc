"""Sub-accounts, connections and the audit over HTTP (contract §7, §9)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import Body, connect
from tests.conftest import CacheDatabase
from tests.product import Customer, Vendor, make_vendor, ok, wait_for_end
from tests.running_product import Product

JobBody = Callable[..., Body]


@pytest.fixture
def vendor(product: Product, tmp_path: Path) -> Vendor:
    """A vendor of its own, so that its lists hold nothing else."""
    return make_vendor(tmp_path, product.settings)


@pytest.fixture
def parent(product: Product, vendor: Vendor) -> Iterator[httpx.Client]:
    """The vendor's own program, with a token without `sub`."""
    with Customer(product.base_url, vendor, "").client_of(sub=None) as client:
        yield client


def create(parent: httpx.Client, **body: Any) -> str:
    return str(ok(parent.post("/api/poweredby/account/create", json=body))["accountId"])


def test_accounts_are_made_listed_found_changed_and_deleted(parent: httpx.Client) -> None:
    assert ok(parent.get("/api/poweredby/account/list")) == {"accounts": []}
    made = ok(parent.post("/api/poweredby/account/create", json={"externalId": "c 1/ü"}))
    assert list(made) == ["accountId", "externalId", "createdTime"]
    assert str(UUID(made["accountId"])) == made["accountId"]
    second = create(parent)

    listed = ok(parent.get("/api/poweredby/account/list"))["accounts"]
    assert [one["id"] for one in listed] == [made["accountId"], second]
    assert listed[0] == {
        "id": made["accountId"],
        "externalId": "c 1/ü",
        "accountName": "",
        "created": made["createdTime"],
    }
    path = "/api/poweredby/account/update/" + made["accountId"]
    changed = ok(parent.put(path, json={"accountName": "Acme"}))
    assert changed == listed[0] | {"accountName": "Acme"}
    changed = ok(parent.put(path, json={"externalId": "c-1"}))
    for key in (made["accountId"], "c-1"):
        assert ok(parent.get(f"/api/poweredby/account/{key}")) == changed

    assert ok(parent.delete(f"/api/poweredby/account/delete/{made['accountId']}")) == {}
    assert parent.get(f"/api/poweredby/account/{made['accountId']}").status_code == 404
    assert [one["id"] for one in ok(parent.get("/api/poweredby/account/list"))["accounts"]] == [
        second
    ]


def test_an_external_id_names_one_account(parent: httpx.Client) -> None:
    create(parent, externalId="c-1")
    again = parent.post("/api/poweredby/account/create", json={"externalId": "c-1"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")
    other = create(parent, externalId="c-2")
    moved = parent.put(f"/api/poweredby/account/update/{other}", json={"externalId": "c-1"})
    assert moved.status_code == 409
    create(parent, externalId="")
    create(parent, externalId=None)


@pytest.mark.parametrize(
    "key", ["277d4168-d7ba-455d-bcfa-57a61e6afe8b", "nobody", "%00", "'; --", "x" * 3000]
)
def test_an_account_that_does_not_exist(parent: httpx.Client, key: str) -> None:
    for answer in (
        parent.get(f"/api/poweredby/account/{key}"),
        parent.put(f"/api/poweredby/account/update/{key}", json={"accountName": "x"}),
        parent.delete(f"/api/poweredby/account/delete/{key}"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_accounts_of_another_vendor_do_not_exist(
    parent: httpx.Client, customer: Customer, product: Product, tmp_path: Path
) -> None:
    folder = tmp_path / "stranger"
    folder.mkdir()
    stranger = make_vendor(folder, product.settings)
    account_id = create(parent, externalId="c-1")
    with Customer(product.base_url, stranger, "").client_of(sub=None) as client:
        assert ok(client.get("/api/poweredby/account/list")) == {"accounts": []}
        for key in (account_id, "c-1"):
            assert client.get(f"/api/poweredby/account/{key}").status_code == 404
        assert client.delete(f"/api/poweredby/account/delete/{account_id}").status_code == 404
    assert ok(parent.get("/api/poweredby/account/c-1"))["id"] == account_id


def test_deleting_an_account_drops_its_cached_tables(
    client: httpx.Client, customer: Customer, cache: CacheDatabase, job_body: JobBody
) -> None:
    job = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]
    wait_for_end(client, job["id"])
    ok(client.delete(f"/api/poweredby/account/delete/{customer.account_id}"))
    assert table_of(cache) is None
    assert client.get("/api/job/list").status_code == 403


def test_a_connection_that_jobs_use_is_deleted_only_by_force(
    client: httpx.Client, cache: CacheDatabase, connection_id: str, job_body: JobBody
) -> None:
    job = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]
    wait_for_end(client, job["id"])
    path = f"/api/poweredby/connection/delete/{connection_id}"
    refused = client.delete(path)
    assert refused.status_code == 409
    assert job["id"] in refused.json()["error"]["message"]
    assert client.delete(path, params={"force": "perhaps"}).status_code == 400

    assert ok(client.delete(path, params={"force": "true"})) == {}

    assert ok(client.get("/api/job/list")) == {"jobs": []}
    assert client.get(f"/api/connections/{connection_id}").status_code == 404
    assert table_of(cache) is None
    assert client.delete(path).status_code == 404


def test_connections_are_listed_and_filtered(client: httpx.Client, folder: Path) -> None:
    first = connect(client, "One", "files", f"URI={folder}")
    body = {
        "name": "Two",
        "driver": "ODATA",
        "externalId": "x-2",
        "connectionString": "URL=http://h/",
    }
    second = ok(client.post("/api/connections", json=body))["connection"]["id"]
    assert ok(client.post(f"/api/connections/{first}/test")) == {"isTested": True}

    def listed(**params: str) -> list[str]:
        found = ok(client.get("/api/poweredby/connection/list", params=params))["connections"]
        return [one["id"] for one in found]

    assert listed() == [first, second]
    assert listed(driver="odata") == [second]
    assert listed(externalId="x-2") == [second]
    assert listed(externalId="X-2") == []
    one = ok(client.get("/api/poweredby/connection/list"))["connections"][0]
    assert list(one) == [
        *("id", "name", "dataSource", "lastModified", "externalId", "mcpUrl", "status")
    ]
    assert (one["dataSource"], one["status"]) == ("Files", "Authenticated")
    again = client.post("/api/connections", json=body | {"name": "Three"})
    assert again.status_code == 409
    named = client.post("/api/connections", json=body | {"name": "tWO", "externalId": "y"})
    assert named.status_code == 409


def test_a_connection_is_shown_without_its_secrets_and_keeps_them(client: httpx.Client) -> None:
    text = "URL=http://h.test/;AuthScheme=Basic;User=me;Password='hu;sh';PageSize=7"
    made = connect(client, "Shop", "OData", text)
    shown = ok(client.get(f"/api/connections/{made}"))["connection"]
    assert "hu;sh" not in shown["connectionString"]
    assert "Password=********" in shown["connectionString"]
    assert list(shown) == [
        *("id", "accountId", "name", "driver", "driverVersion", "connectionString"),
        *("connectionType", "externalId", "created", "lastModified", "isTested", "status"),
    ]
    # What is shown can be sent back: the mask keeps the secret.
    body = {"name": "Shop", "driver": "OData", "connectionString": shown["connectionString"]}
    again = ok(client.put(f"/api/connections/{made}", json=body))["connection"]
    assert again["connectionString"] == shown["connectionString"]


def test_another_cache_drops_what_the_old_one_held_and_loads_everything(
    client: httpx.Client,
    cache: CacheDatabase,
    another_cache: CacheDatabase,
    job_body: JobBody,
) -> None:
    job = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]
    wait_for_end(client, job["id"])
    before = ok(
        client.post("/api/job/cacheConnection", json={"connectionString": cache.connection_string})
    )["connection"]
    assert table_of(cache)

    text = another_cache.connection_string
    after = ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    assert after["connection"]["id"] == before["id"]
    assert after["connection"]["created"] == before["created"]

    assert table_of(cache) is None
    ok(client.post(f"/api/job/{job['id']}/run"))
    ended = wait_for_end(client, job["id"], after=job["created"])
    assert ended["lastRun"]["rowsAffected"] == 3
    assert table_of(another_cache)


def test_each_write_is_in_the_audit(
    client: httpx.Client, customer: Customer, cache: CacheDatabase, job_body: JobBody
) -> None:
    answer = client.post("/api/job/create", json=job_body())
    job = ok(answer)["jobs"][0]
    ok(client.delete(f"/api/job/{job['id']}/delete"))
    events = ok(client.post("/api/log/audit/list"))["events"]
    actions = [event["action"] for event in events]
    assert actions[:2] == ["job.delete", "job.create"]
    assert sorted(actions[2:]) == ["account.create", "cacheConnection.save", "connection.create"]
    made = next(event for event in events if event["action"] == "job.create")
    assert made["requestId"] == answer.headers["X-Request-Id"]
    assert (made["targetId"], made["targetName"]) == (job["id"], "people")
    assert made["userId"] == customer.account_id
    assert {"eventType", "timestamp", "targetType", "userName", "userType"} <= set(made)
    later = {"startTime": "2999-01-01T00:00:00Z"}
    began = {"endTime": made["timestamp"]}
    for narrowed in ({"params": later}, {"json": later}, {"json": later | {"endTime": None}}):
        assert ok(client.post("/api/log/audit/list", **narrowed)) == {"events": []}, narrowed
    for narrowed in ({"params": began}, {"json": began}, {"json": began | {"startTime": ""}}):
        listed = ok(client.post("/api/log/audit/list", **narrowed))["events"]
        assert len(listed) in (len(events) - 2, len(events) - 1), narrowed
    for wrong in ({"params": {"endTime": "soon"}}, {"json": {"endTime": "soon"}}):
        assert client.post("/api/log/audit/list", **wrong).status_code == 400


def table_of(database: CacheDatabase) -> str | None:
    with psycopg.connect(database.url) as connection:
        row = connection.execute("""SELECT to_regclass('"Office".people')::text""").fetchone()
    return row[0] if row else None
