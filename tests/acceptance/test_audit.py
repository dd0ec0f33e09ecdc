"""The audit (contract §7): every write, with its time, whose it is, what, and the request's id."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.openapi_document import DOCUMENT, operations
from tests.product import Customer, make_customer, ok, wait_for_end
from tests.slow_source import slow_source

# They write nothing of the account's; what a query asks stands in its own log.
READ = {
    *("validateJob", "query", "batch", "execute", "testConnection", "testWebhook"),
    *("listQueryLog", "listAuditLog"),
}


def every_write(client: httpx.Client, cache: CacheDatabase, folder: Path, other: str) -> Any:
    """Each writing call once: the operation, its answer, the action, and what it is done to."""
    back = {"redirectURL": "https://vendor.example/"}

    def call(method: str, path: str, body: Any = None) -> httpx.Response:
        return client.request(method, path, json=body)

    text = cache.connection_string
    answer = call("POST", "/api/job/cacheConnection", {"connectionString": text})
    cache_id = ok(answer)["connection"]["id"]
    yield "updateCacheConnection", answer, "cacheConnection.save", cache_id
    link = "/api/job/cacheConnection/formLink"
    yield "generateCacheConnectionURL", call("POST", link, back), "formLink.create", None
    link = "/api/poweredby/connection/create"
    yield "createConnection", call("POST", link, back), "formLink.create", None
    yield "generateJobsURL", call("POST", "/api/poweredby/jobs", back), "formLink.create", None

    office = {"name": "Office", "driver": "Files", "connectionString": f"URI={folder}"}
    answer = call("POST", "/api/connections", office)
    source = ok(answer)["connection"]["id"]
    yield "makeConnection", answer, "connection.create", source
    answer = call("PUT", f"/api/connections/{source}", office)
    yield "updateConnection", answer, "connection.update", source
    answer = call("POST", f"/api/poweredby/connection/edit/{source}", back)
    yield "editConnection", answer, "formLink.create", source

    first = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = caching(source, sourceTable="people") | {"definedNextRun": first}
    answer = call("POST", "/api/job/create", body)
    job = ok(answer)["jobs"][0]["id"]
    yield "createJob", answer, "job.create", job
    yield "updateJob", call("PUT", f"/api/job/{job}/update", body), "job.update", job
    yield "runJob", call("POST", f"/api/job/{job}/run"), "job.run", job
    yield "deleteJob", call("DELETE", f"/api/job/{job}/delete"), "job.delete", job
    path = f"/api/poweredby/connection/delete/{source}"
    yield "deleteConnection", call("DELETE", path), "connection.delete", source

    hook = {"url": "http://127.0.0.1:9/"}
    answer = call("POST", "/api/webhooks", hook)
    webhook = ok(answer)["webhook"]["id"]
    yield "createWebhook", answer, "webhook.create", webhook
    yield "updateWebhook", call("PUT", f"/api/webhooks/{webhook}", hook), "webhook.update", webhook
    yield "deleteWebhook", call("DELETE", f"/api/webhooks/{webhook}"), "webhook.delete", webhook

    answer = call("POST", "/api/poweredby/account/create", {"accountName": "Third"})
    yield "createAccount", answer, "account.create", ok(answer)["accountId"]
    path = f"/api/poweredby/account/update/{other}"
    yield "updateAccount", call("PUT", path, {"accountName": "Other"}), "account.update", other
    answer = call("DELETE", f"/api/poweredby/account/delete/{other}")
    yield "deleteAccount", answer, "account.delete", other


def test_every_call_that_writes_is_in_the_audit(
    client: httpx.Client, customer: Customer, cache_database: CacheDatabase, folder: Path
) -> None:
    other = make_customer(customer.base_url, customer.vendor).account_id
    began = datetime.now(UTC) - timedelta(seconds=1)
    made = list(every_write(client, cache_database, folder, other))
    with customer.client_of(sub=None) as parent:
        events = {one["requestId"]: one for one in ok(parent.post("/api/log/audit/list"))["events"]}
    for operation, answer, action, target in made:
        assert answer.is_success, (operation, answer.text)
        event = events[answer.headers["X-Request-Id"]]
        assert event["action"] == action, operation
        assert target is None or event["targetId"] == target, operation
        assert began <= datetime.fromisoformat(event["timestamp"]) <= datetime.now(UTC)
        about = target if action.startswith("account.") else customer.account_id
        assert event["accountId"] == about, operation

    # To stop a job writes where there is something to stop: below.
    writes = {one.id for one in operations(DOCUMENT) if one.method != "GET"} - READ - {"stopJob"}
    assert {operation for operation, *_ in made} == writes


@pytest.mark.usefixtures("cache")
def test_a_stop_is_in_the_audit_where_it_stops_something(client: httpx.Client) -> None:
    with slow_source() as slow:
        source = connect(client, "Office", "OData", f"URL={slow.url}")
        body = caching(source, sourceSchema="OData", sourceTable="Things")
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
        slow.wait_until_read()
        stops = client.post(f"/api/job/{job}/stop")
        wait_for_end(client, job)
    nothing = client.post(f"/api/job/{job}/stop")
    refused = client.put(f"/api/job/{job}/update", json={})
    events = {
        one["requestId"]: one["action"] for one in ok(client.post("/api/log/audit/list"))["events"]
    }
    assert events[stops.headers["X-Request-Id"]] == "job.stop"
    for answer in (nothing, refused):
        assert answer.headers["X-Request-Id"] not in events
