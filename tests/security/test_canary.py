"""Canary secrets: passwords with a mark go through every call and every log level, through runs
that work and runs that fail; the mark is nowhere but sealed."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.odata_server import ODataServer
from tests.openapi_document import DOCUMENT, operations
from tests.product import Customer, Vendor, make_vendor, ok, run_now, wait_for_end
from tests.running_product import Product, running_product
from tidewell.api.answers.base import ACCOUNT, CONNECTION, JOB, RUN
from tidewell.state.embedded import EmbeddedServer, binaries

CACHE = "c4n4ryCache;'\"=x"
SOURCE = "c4n4rySource;'\"=x"
MARK = "c4n4ry"
DESTROY = {"deleteAccount", "deleteConnection", "deleteJob"}


def quoted(secret: str) -> str:
    return "'" + secret.replace("'", "''") + "'"


@pytest.fixture(scope="module")
def product(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A node of its own, which logs all that there is to log."""
    folder = tmp_path_factory.mktemp("talkative")
    with running_product(server, folder, TIDEWELL_LOG="debug") as running:
        yield running


@pytest.fixture(scope="module")
def vendor(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """A vendor of that node."""
    return make_vendor(tmp_path_factory.mktemp("vendor"), product.settings)


@pytest.fixture
def marked_cache(server: EmbeddedServer, cache_database: CacheDatabase) -> str:
    """The connection string of a cache whose password has the mark."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(cache_database.user), sql.Literal(CACHE)
            )
        )
    return (
        f"Server={cache_database.host};Port={cache_database.port};User={cache_database.user};"
        f"Password={quoted(CACHE)};Database={cache_database.database}"
    )


def test_a_secret_stands_nowhere_in_the_open(
    product: Product,
    customer: Customer,
    client: httpx.Client,
    marked_cache: str,
    shop: ODataServer,
) -> None:
    said: list[str] = []

    def call(method: str, path: str, body: Any = None) -> httpx.Response:
        answer = client.request(method, path, json=body) if body else client.request(method, path)
        said.append(answer.text + str(answer.headers))
        return answer

    body = {"connectionString": marked_cache}
    assert ok(call("POST", "/api/job/cacheConnection", body))["connection"]["isTested"] is True
    folder = product.files / uuid4().hex
    folder.mkdir()
    (folder / "people.csv").write_text("id,name\n1,Ada\n")
    files = connect(client, "Office", "Files", f"URI={folder}")
    login = f"AuthScheme=Basic;User=alice;Password={quoted(SOURCE)}"
    closed = connect(client, "Closed", "OData", f"URL={shop.closed_url};{login}")
    works = caching(files, sourceTable="people")
    fails = caching(closed, sourceName="Closed", sourceSchema="OData", sourceTable="Orders")
    jobs = [ok(call("POST", "/api/job/create", body))["jobs"][0]["id"] for body in (works, fails)]
    ended = [wait_for_end(client, job)["lastRun"]["status"] for job in jobs]
    assert ended == ["JOB_SUCCESS", "JOB_FAILED"]

    for level in (2, 3, 4, 5):
        for job, settings in zip(jobs, (works, fails), strict=True):
            ok(call("PUT", f"/api/job/{job}/update", settings | {"logVerbosity": level}))
            run = run_now(client, job)
            said.append(json.dumps(run))
            call("GET", f"/api/run/{run['id']}/log?limit=10000")

    tries_every_call(call, customer, closed, jobs[1])
    tries_what_is_wrong(call, marked_cache, login)

    log = product.log.read_text()
    assert '"level": "debug"' in log
    said += [log, httpx.get(f"{product.base_url}/metrics").text]
    dump = subprocess.run(
        [binaries() / "pg_dump", product.settings["TIDEWELL_DATABASE_URL"]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "tw1." in dump
    assert [text for text in [*said, dump] if MARK in text] == []


def tries_every_call(call: Any, customer: Customer, connection: str, job: str) -> None:
    """Every call of the document that destroys nothing, with what the customer has."""
    run = call("GET", f"/api/job/{job}/runs").json()["runs"][0]["id"]
    mine = {ACCOUNT: customer.account_id, CONNECTION: connection, JOB: job, RUN: run}
    for operation in operations(DOCUMENT):
        if operation.id in DESTROY | {"updateConnection", "updateCacheConnection"}:
            continue
        path = operation.path
        for parameter in operation.about.get("parameters", ()):
            if parameter["in"] == "path":
                example = parameter["schema"]["example"]
                path = path.replace(f"{{{parameter['name']}}}", mine.get(example, example))
        body = json.dumps(operation.body_example)
        for example, key in mine.items():
            body = body.replace(example, key)
        call(operation.method, path, json.loads(body))


def tries_what_is_wrong(call: Any, marked_cache: str, login: str) -> None:
    """Connection strings that cannot be, and doors that do not open: no message repeats them."""
    wrong = marked_cache.replace("c4n4ryCache", "c4n4ryWrong")
    for text in (
        wrong,
        f"{marked_cache};Oops={quoted(CACHE)}",
        f"{marked_cache}'",
        f"Password={quoted(CACHE)}x",
        marked_cache.replace("Password=", "Pasword="),
        marked_cache.replace("Port=", f"Port={quoted(CACHE)};Timeout="),
    ):
        call("POST", "/api/job/cacheConnection", {"connectionString": text})
    for text in (
        f"URL=http://127.0.0.1:1/;{login}",
        f"URL=http://127.0.0.1:1/;{login};Oops={quoted(SOURCE)}",
        f"Sever={quoted(SOURCE)};{login}",
    ):
        body = {"name": uuid4().hex, "driver": "OData", "connectionString": text}
        made = call("POST", "/api/connections", body)
        if made.is_success:
            call("POST", f"/api/connections/{made.json()['connection']['id']}/test")
