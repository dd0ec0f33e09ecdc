"""What belongs to another account does not exist (contract §1), for every call of the document.

Every call that takes an id, in its path, its query or its body, is made twice: with an id that
somebody else owns, and with one that nobody owns. Both answers have to be the same, byte for byte.
The kind of each id is known by its example (tidewell.api.answers.base), so a new route is covered
by being described.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase, new_cache_database
from tests.openapi_document import DOCUMENT, Operation, operations
from tests.product import Customer, make_customer, make_vendor, ok, wait_for_end
from tests.running_product import Product
from tidewell.api.answers.base import ACCOUNT, CONNECTION, JOB, RUN
from tidewell.api.answers.webhooks import WEBHOOK
from tidewell.state.embedded import EmbeddedServer

KINDS = (ACCOUNT, CONNECTION, JOB, RUN, WEBHOOK)
QUERY = "query"  # its calls take the id of a run in the same place
OPERATIONS = [one for one in operations(DOCUMENT) if one.is_closed]
CALLS = [
    one
    for one in OPERATIONS
    if any(kind in json.dumps([one.about.get("parameters"), one.body_example]) for kind in KINDS)
]
Ids = dict[str, str]


@dataclass(frozen=True)
class Owner:
    """Somebody with one object of each kind, by the example of its id."""

    customer: Customer
    ids: Ids

    def state(self) -> Any:
        """All that the owner has, as the owner sees it."""
        with self.customer.client() as client:
            return [
                ok(client.get("/api/job/list")),
                ok(client.get(f"/api/job/{self.ids[JOB]}/runs")),
                ok(client.get("/api/poweredby/connection/list")),
                ok(client.get(f"/api/connections/{self.ids[CONNECTION]}")),
                ok(client.get(f"/api/poweredby/account/{self.ids[ACCOUNT]}")),
            ]


@pytest.fixture(scope="module")
def cache_of_owner(server: EmbeddedServer) -> Any:
    with new_cache_database(server) as database:
        yield database


@pytest.fixture(scope="module")
def owner(
    product: Product, tmp_path_factory: pytest.TempPathFactory, cache_of_owner: CacheDatabase
) -> Owner:
    """A customer of a vendor of its own, with a job that has run."""
    customer = make_customer(
        product.base_url, make_vendor(tmp_path_factory.mktemp("owner"), product.settings)
    )
    folder = product.files / uuid4().hex
    folder.mkdir()
    (folder / "people.csv").write_text("id,name\n1,Ada\n")
    with customer.client() as client:
        text = cache_of_owner.connection_string
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
        source = connect(client, "Office", "Files", f"URI={folder}")
        body = caching(source, sourceTable="people")
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]
        wait_for_end(client, job["id"])
        run = ok(client.get(f"/api/job/{job['id']}/runs"))["runs"][0]
        hook = {"url": f"{product.base_url}/healthz", "events": ["run.failed"]}
        webhook = ok(client.post("/api/webhooks", json=hook))["webhook"]
        ok(client.post("/api/query", json={"query": "SELECT * FROM Office.Files.people"}))
        query = ok(client.post("/api/log/query/list"))["queries"][0]
    ids = {
        ACCOUNT: customer.account_id,
        CONNECTION: source,
        JOB: job["id"],
        RUN: run["id"],
        QUERY: query["queryId"],
        WEBHOOK: webhook["id"],
    }
    return Owner(customer, ids)


@pytest.fixture(scope="module")
def strangers(
    owner: Owner, product: Product, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, httpx.Client]]:
    """Who may not see it: another customer, another vendor's customer, and a narrowed token."""
    sibling = make_customer(product.base_url, owner.customer.vendor)
    vendor = make_vendor(tmp_path_factory.mktemp("stranger"), product.settings)
    stranger = make_customer(product.base_url, vendor)
    with (
        sibling.client() as of_sibling,
        stranger.client() as of_stranger,
        owner.customer.client_of(connection_ids=json.dumps([str(uuid4())])) as narrowed,
    ):
        yield {"sibling": of_sibling, "stranger": of_stranger, "narrowed": narrowed}


def test_the_document_names_the_kind_of_every_id_in_a_path() -> None:
    for operation in OPERATIONS:
        for parameter in operation.about.get("parameters", ()):
            if parameter["in"] == "path":
                assert parameter["schema"].get("example") in KINDS, (
                    f"{operation.id}: give {parameter['name']} one of the examples of "
                    "tidewell.api.answers.base, or add its kind there and here"
                )


@pytest.mark.parametrize("operation", CALLS, ids=lambda one: one.id)
def test_an_id_of_somebody_else_is_as_good_as_none(
    operation: Operation, owner: Owner, strangers: dict[str, httpx.Client]
) -> None:
    before = owner.state()
    for who, client in strangers.items():
        nobody = {kind: str(uuid4()) for kind in KINDS}
        foreign = dict(owner.ids)
        if who != "stranger":
            # The accounts of one vendor are its own: its calls on them are no breach.
            foreign[ACCOUNT] = nobody[ACCOUNT]
        missing = call(client, operation, nobody)
        assert 400 <= missing.status < 500, who
        assert call(client, operation, foreign) == missing, who
        # The place of one kind of id may take another, too.
        for key in foreign.values():
            assert call(client, operation, dict.fromkeys(KINDS, key)) == missing, who
    assert owner.state() == before


@pytest.mark.parametrize("who", ["sibling", "stranger", "narrowed"])
def test_no_list_shows_what_belongs_to_somebody_else(
    who: str, owner: Owner, strangers: dict[str, httpx.Client]
) -> None:
    hidden = {kind: key for kind, key in owner.ids.items() if kind != ACCOUNT or who == "stranger"}
    lists = [one for one in OPERATIONS if one.id.startswith("list") and not one.names_something()]
    assert len(lists) >= 4
    for operation in lists:
        answer = strangers[who].request(operation.method, operation.path)
        assert answer.status_code in (200, 403), answer.text
        assert not [key for key in hidden.values() if key in answer.text], operation.id


@dataclass(frozen=True)
class Seen:
    """An answer without what is different each time: the request's id, and the ids asked for."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


def call(client: httpx.Client, operation: Operation, ids: Ids) -> Seen:
    """Make a call as its examples show it, with these ids in the place of theirs."""

    def put(text: str) -> str:
        for example, key in ids.items():
            text = text.replace(example, key)
        return text

    path, query = operation.path, {}
    for parameter in operation.about.get("parameters", ()):
        value = parameter["schema"].get("example")
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", put(value))
        elif value is not None:
            query[parameter["name"]] = put(str(value))
    body = operation.body_example
    content = None if body is None else put(json.dumps(body))
    answer = client.request(operation.method, path, params=query, content=content)
    return Seen(
        answer.status_code,
        tuple((k, v) for k, v in answer.headers.items() if k not in ("x-request-id", "date")),
        neutral(answer, ids),
    )


def neutral(answer: httpx.Response, ids: Ids) -> str:
    text = answer.text
    for key in ids.values():
        text = text.replace(key, "the id")
    return text.replace(answer.headers["x-request-id"], "")
