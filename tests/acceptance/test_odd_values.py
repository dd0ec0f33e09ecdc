"""Values that PostgreSQL cannot hold, in every place of every call that the document describes.

A NUL is no part of its texts, and its numbers and times end somewhere. Whatever a client writes
where one is taken has an answer in the contract's shape: an error of its own, or what the call
answers anyway. A new route is covered by being described.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase, new_cache_database
from tests.odd_service import Answer, odd_service
from tests.openapi_document import DOCUMENT, Json, Operation, faults, operations
from tests.product import Vendor, make_customer, ok, wait_for_end
from tests.running_product import Product
from tidewell.api.answers.base import ACCOUNT, CONNECTION, JOB, RUN
from tidewell.api.answers.webhooks import WEBHOOK
from tidewell.connections import strings
from tidewell.sources import registry
from tidewell.state.embedded import EmbeddedServer

OPERATIONS = list(operations(DOCUMENT))
# These would end what the other calls need: they are made with ids that nobody has.
ENDS = ("deleteAccount", "deleteConnection", "deleteJob", "deleteWebhook")
# Python's int() reads no text of more than 4,300 digits.
ODD = (
    *("a\0b", "\x1f\ufffe", "9" * 5000, "2147483648", "9999-12-31T23:59:59-12:00"),
    *(2**31, 2**63, -(2**63) - 1, 1e308),
)
SCHEDULED_QUERY = {
    "jobType": "ScheduledQuery",
    "intervalUnit": "Day",
    "intervalValue": 1,
    "enabled": False,
    "name": "Everybody",
    "params": {"query": "SELECT * FROM Office.Files.people", "destinationTable": "everybody"},
}
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Caller:
    """A customer's client, and what the customer has in the place of each example's id."""

    client: httpx.Client
    ids: dict[str, str]

    def own(self, text: str, operation: Operation) -> str:
        """A text with the customer's ids; those of nobody where the call would end it."""
        for example, key in self.ids.items():
            text = text.replace(example, str(uuid4()) if operation.id in ENDS else key)
        return text


@pytest.fixture(scope="module")
def cache_of_caller(server: EmbeddedServer) -> Iterator[CacheDatabase]:
    with new_cache_database(server) as database:
        yield database


@pytest.fixture(scope="module")
def caller(product: Product, vendor: Vendor, cache_of_caller: CacheDatabase) -> Iterator[Caller]:
    """A customer with one object of each kind."""
    customer = make_customer(product.base_url, vendor)
    folder = product.files / uuid4().hex
    folder.mkdir()
    (folder / "people.csv").write_text("id,name\n1,Ada\n")
    with customer.client() as client:
        text = cache_of_caller.connection_string
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
        source = connect(client, "Office", "Files", f"URI={folder}")
        body = caching(source, sourceTable="people")
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
        wait_for_end(client, job)
        [run] = ok(client.get(f"/api/job/{job}/runs"))["runs"]
        hook = ok(client.post("/api/webhooks", json={"url": f"{product.base_url}/healthz"}))
        mine = {ACCOUNT: customer.account_id, CONNECTION: source, JOB: job, RUN: run["id"]}
        yield Caller(client, mine | {WEBHOOK: hook["webhook"]["id"]})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_a_value_that_postgresql_cannot_hold(operation: Operation, caller: Caller) -> None:
    for said, answer in answers(operation, caller):
        about = f"{said}: {answer.status_code} {answer.text[:500]}"
        # A path may become another one by its odd value, as "." does.
        allowed = {*operation.about["responses"], "404"}
        assert str(answer.status_code) in allowed, about
        assert answer.status_code < 500, about
        assert answer.headers["X-Request-Id"]
        if answer.status_code >= 400:
            schema = {"$ref": "#/components/schemas/Error"}
            assert faults(DOCUMENT, schema, answer.json()) == [], about


def answers(operation: Operation, caller: Caller) -> Iterator[tuple[str, httpx.Response]]:
    """What each odd value is answered, in each place."""
    parameters = operation.about.get("parameters", ())
    path = operation.path
    for one in parameters:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", one["schema"]["example"])
    path = caller.own(path, operation)
    needed = {
        one["name"]: caller.own(str(one["schema"].get("example", "x")), operation)
        for one in parameters
        if one["in"] == "query" and one["required"]
    }
    example = operation.body_example
    body = None if example is None else json.loads(caller.own(json.dumps(example), operation))

    def call(path: str, query: Json, body: Any) -> httpx.Response:
        content = None if body is None else json.dumps(body).encode()
        return caller.client.request(operation.method, path, params=query, content=content)

    for value in ODD:
        for one in parameters:
            if one["in"] == "path":
                odd = operation.path.replace(f"{{{one['name']}}}", quote(str(value), safe=""))
                yield f"{one['name']}={value!r}", call(odd, needed, body)
            elif one["in"] == "query":
                yield (
                    f"{one['name']}={value!r}",
                    call(path, needed | {one["name"]: value}, body),
                )
        if body is not None:
            for place in places(operation, body):
                yield f"{place}={value!r}", call(path, needed, put(body, place, value))
            if "jobType" in body:
                for place in inside(SCHEDULED_QUERY):
                    odd = put(SCHEDULED_QUERY, place, value)
                    yield f"{place}={value!r}", call(path, needed, odd)
            yield f"body={value!r}", call(path, needed, value)
            yield f"a field {value!r}", call(path, needed, body | {str(value): value})


def places(operation: Operation, body: Json) -> set[Place]:
    """Where a body holds a value: in its example, and by its schema."""
    content = operation.about["requestBody"]["content"]["application/json"]
    return set(inside(body)) | set(described(content["schema"]))


def inside(value: Any, at: Place = ()) -> Iterator[Place]:
    if at:
        yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from inside(inner, (*at, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from inside(inner, (*at, number))


def described(schema: Json, at: Place = ()) -> Iterator[Place]:
    """The fields of a schema, of what it refers to, and of its variants."""
    reference = schema.get("$ref")
    if reference is not None:
        yield from described(DOCUMENT["components"]["schemas"][reference.split("/")[-1]], at)
    for name, inner in schema.get("properties", {}).items():
        yield (*at, name)
        yield from described(inner, (*at, name))
    for variant in schema.get("anyOf", ()):
        yield from described(variant, at)


def put(body: Json, place: Place, value: Any) -> Json:
    """A copy of a body with another value in one place."""
    changed = deepcopy(body)
    inner: Any = changed
    for step in place[:-1]:
        inner = inner.setdefault(step, {}) if isinstance(inner, dict) else inner[step]
    inner[place[-1]] = value
    return changed


def test_what_a_source_says_may_hold_a_nul(caller: Caller) -> None:
    """Its words are shown, and the run that they end has an end."""
    client = caller.client
    said = Answer({"error": {"message": "No \0 here."}}, status=400)
    with odd_service(lambda _: said) as service:
        source = connect(client, "Odd", "OData", f"URL={service.url}")
        body = caching(source, sourceName="Odd", sourceSchema="OData", sourceTable="Things")
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
        ended = wait_for_end(client, job)
        service.metadata_answer = said
        tested = ok(client.post(f"/api/connections/{source}/test"))
    [run] = ok(client.get(f"/api/job/{job}/runs"))["runs"]
    assert ended["lastRun"]["status"] == "JOB_FAILED"
    assert run["error"]["code"].startswith("SOURCE_")
    for text in (run["error"]["message"], tested["testError"]):
        assert "No \ufffd here." in text


@pytest.mark.parametrize("driver", sorted(registry.names()))
def test_a_connection_string_whose_values_cannot_be(driver: str, caller: Caller) -> None:
    """Each key of each driver, in making a connection and in trying it."""
    keys = registry.driver(driver).keys
    for key in keys:
        for value in ("9" * 5000, "-1", "1e9", "\x1f", "²"):
            values = {one.name: one.default or "x" for one in keys if one.required or one.default}
            text = strings.write(values | {key.name: value})
            name = f"{driver} {uuid4()}"
            body = {"name": name, "driver": driver, "connectionString": text}
            made = caller.client.post("/api/connections", json=body)
            assert made.status_code in (201, 400), f"{key.name}={value!r}: {made.text}"
            if made.is_success:
                path = f"/api/connections/{made.json()['connection']['id']}"
                tested = caller.client.post(f"{path}/test")
                assert tested.status_code == 200, f"{key.name}={value!r}: {tested.text}"
