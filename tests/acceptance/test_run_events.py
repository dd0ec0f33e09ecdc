"""A run followed over server-sent events."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.acceptance.conftest import caching, connect
from tests.product import Customer, Vendor, make_customer, ok
from tests.running_product import Product
from tests.slow_source import SlowSource, slow_source


@dataclass(frozen=True)
class Event:
    """One event of a stream."""

    id: str
    name: str
    data: Any


def events(answer: httpx.Response) -> Iterator[Event]:
    """The events of a stream, as they come."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


@pytest.fixture
def slow() -> Iterator[SlowSource]:
    with slow_source() as running:
        yield running


def start(client: httpx.Client, slow: SlowSource) -> str:
    """A run that goes on; returns its id."""
    source = connect(client, "Office", "OData", f"URL={slow.url}")
    body = caching(source, sourceSchema="OData", sourceTable="Things")
    job = ok(client.post("/api/job/create", json=body))["jobs"][0]
    slow.wait_until_read()
    return str(ok(client.get(f"/api/job/{job['id']}/runs"))["runs"][0]["id"])


@pytest.mark.usefixtures("cache")
def test_a_run_is_followed_to_its_end_and_taken_up_again(
    client: httpx.Client, slow: SlowSource
) -> None:
    run_id = start(client, slow)
    path = f"/api/run/{run_id}/events"
    seen = []
    with client.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for event in events(answer):
            seen.append(event)
            if event.name == "progress" and event.data["rowsRead"]:
                slow.let_go()
    assert {event.name for event in seen} == {"log", "progress", "state", "end"}
    assert [e.data["state"] for e in seen if e.name == "state"][-1] == "success"
    assert seen[-1].name == "end"
    assert seen[-1].data["rowsAffected"] == slow.rows

    lines = ok(client.get(f"/api/run/{run_id}/log"))["lines"]
    assert [event.data for event in seen if event.name == "log"] == lines
    middle = str(lines[0]["line"])
    with client.stream("GET", path, headers={"Last-Event-ID": middle}) as answer:
        again = list(events(answer))
    assert [event.data for event in again if event.name == "log"] == lines[1:]
    assert again[-1].name == "end"
    assert client.get(path, headers={"Last-Event-ID": again[-1].id}).status_code == 204


@pytest.mark.usefixtures("cache")
def test_only_the_runs_own_account_follows_it(
    client: httpx.Client, customer: Customer, product: Product, vendor: Vendor, slow: SlowSource
) -> None:
    path = f"/api/run/{start(client, slow)}/events"
    assert httpx.get(f"{customer.base_url}{path}").status_code == 401
    with make_customer(product.base_url, vendor).client() as other:
        assert other.get(path).status_code == 404
    with customer.client_of(connection_ids=json.dumps([str(uuid4())])) as narrowed:
        assert narrowed.get(path).status_code == 404
    assert client.get(f"/api/run/{uuid4()}/events").status_code == 404
