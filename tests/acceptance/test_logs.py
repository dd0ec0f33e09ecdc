"""The log of a node: one JSON object a line, with the ids that tie a call to its run."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.acceptance.conftest import Body
from tests.conftest import CacheDatabase
from tests.product import Customer, ok, wait_for_end
from tests.running_product import Product


def written(product: Product) -> list[dict[str, Any]]:
    """Every line so far."""
    return [json.loads(line) for line in product.log.read_text().splitlines() if line[:1] == "{"]


def lines(product: Product, **ids: str) -> list[dict[str, Any]]:
    """The lines that have these ids, when the run has ended."""
    deadline = time.monotonic() + 10
    while True:
        known = [
            json.loads(line) for line in product.log.read_text().splitlines() if line[:1] == "{"
        ]
        found = [one for one in known if ids.items() <= one.items()]
        if any(one["event"] == "run_ended" for one in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_a_call_and_its_run_are_found_by_their_ids(
    product: Product,
    customer: Customer,
    client: httpx.Client,
    cache: CacheDatabase,
    job_body: Callable[..., Body],
) -> None:
    headers = {"X-Request-Id": "the-call-of-this-test"}
    made = ok(client.post("/api/job/create", json=job_body(), headers=headers))["jobs"][0]
    wait_for_end(client, made["id"])
    [run] = ok(client.get(f"/api/job/{made['id']}/runs"))["runs"]

    found = lines(product, job_id=made["id"], run_id=run["id"])
    assert sorted(one["event"] for one in found) == ["request", "run_ended", "run_started"]
    assert {one["account_id"] for one in found} == {customer.account_id}
    [request] = [one for one in found if one["event"] == "request"]
    assert request["request_id"] == "the-call-of-this-test"
    assert (request["path"], request["status"]) == ("/api/job/create", 200)


def test_a_request_says_whose_it_is_and_what_it_is_about(
    product: Product,
    customer: Customer,
    client: httpx.Client,
    cache: CacheDatabase,
    job_body: Callable[..., Body],
) -> None:
    body = job_body() | {"enabled": "false"}
    job_id = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
    ok(client.get(f"/api/job/{job_id}", headers={"X-Request-Id": "a-look-at-the-job"}))
    httpx.get(
        f"{product.base_url}/api/job/{job_id}", headers={"X-Request-Id": "nobody-looks-at-it"}
    )

    known = [json.loads(line) for line in product.log.read_text().splitlines() if line[:1] == "{"]
    by_request = {one.get("request_id"): one for one in known if one["event"] == "request"}
    looked = by_request["a-look-at-the-job"]
    assert (looked["account_id"], looked["job_id"]) == (customer.account_id, job_id)
    assert "account_id" not in by_request["nobody-looks-at-it"]
