"""Statements that would leave their place are refused, and leave nothing behind.

Each is sent over cached tables, live ones and both, and as a scheduled query; the tables that it
names besides may be read, so that it is refused for what it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase, new_cache_database
from tests.product import Vendor, make_customer, ok, wait_for_end
from tests.running_product import Product
from tidewell.state.embedded import EmbeddedServer

STATEMENTS = [
    line.replace("\\n", "\n")
    for line in (Path(__file__).parent / "hostile_statements.sql").read_text().splitlines()
    if line and not (line.startswith("-- ") and "{t}" not in line)
]
CACHED, LIVE = "Office.Files.people", "Office.Files.orders"
TABLES = {"cached": (CACHED, CACHED), "live": (LIVE, LIVE), "mixed": (CACHED, LIVE)}
SECRET = "root:x:0:0"
OUTSIDE = Path("/tmp")  # noqa: S108 - where statements try to write
RELATIONS = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind <> 't'"
IDS = [f"{number} {statement[:40]!r}" for number, statement in enumerate(STATEMENTS)]


@dataclass(frozen=True)
class Place:
    """A customer with a cached and a live table, and what can be seen of the world outside."""

    client: httpx.Client
    cache: CacheDatabase
    before: list[object] = field(default_factory=list)

    def state(self) -> list[object]:
        with psycopg.connect(self.cache.url) as connection:
            return [
                connection.execute('SELECT * FROM "Office".people ORDER BY id').fetchall(),
                connection.execute(RELATIONS).fetchone(),
                sorted(one.name for one in OUTSIDE.glob("stolen*")),
                ok(self.client.get("/api/job/list"))["jobs"][0]["params"],
                len(ok(self.client.get("/api/job/list"))["jobs"]),
            ]


@pytest.fixture(scope="module")
def place(server: EmbeddedServer, product: Product, vendor: Vendor) -> Iterator[Place]:
    folder = product.files / uuid4().hex
    folder.mkdir()
    for name in ("people", "orders"):
        (folder / f"{name}.csv").write_text("id,name\n1,Ada\n2,Grace\n")
    with (
        new_cache_database(server) as cache,
        make_customer(product.base_url, vendor).client() as client,
        make_customer(product.base_url, vendor).client() as stranger,
    ):
        connect(stranger, "Theirs", "Files", f"URI={folder}")
        body = {"connectionString": cache.connection_string}
        ok(client.post("/api/job/cacheConnection", json=body))
        office = connect(client, "Office", "Files", f"URI={folder}")
        body = caching(office, sourceTable="people")
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]
        assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_SUCCESS"
        made = Place(client, cache)
        made.before.extend(made.state())
        yield made


def test_there_are_more_than_a_hundred() -> None:
    assert len(set(STATEMENTS)) == len(STATEMENTS) > 180


@pytest.mark.parametrize("kind", TABLES)
def test_what_they_stand_beside_is_answered(place: Place, kind: str) -> None:
    """The tables can be read, so that no statement is refused because of them."""
    one, other = TABLES[kind]
    query = f"SELECT COUNT(*) FROM {one}, {other}"  # noqa: S608 - names of the test
    answer = place.client.post("/api/query", json={"query": query})
    assert ok(answer)["results"][0]["rows"] == [[4]]
    assert ("Age" in answer.headers) == (kind != "live")


@pytest.mark.parametrize("statement", STATEMENTS, ids=IDS)
def test_it_is_refused(place: Place, statement: str) -> None:
    for one, other in TABLES.values():
        query = statement.replace("{t}", one).replace("{u}", other)
        answer = place.client.post("/api/query", json={"query": query})
        assert answer.status_code == 400, query
        told(answer)
        if "{t}" not in statement:
            break
    body = {
        "jobType": "ScheduledQuery",
        "intervalUnit": "Hour",
        "intervalValue": 1,
        "params": {"query": query, "name": "stolen"},
    }
    answer = place.client.post("/api/job/create", json=body)
    assert answer.status_code == 400, query
    told(answer)
    assert answer.json()["error"]["details"][0]["field"] == "params.query"


def told(answer: httpx.Response) -> None:
    """The refusal is about the statement, in words, and shows nothing of the server."""
    error = answer.json()["error"]
    assert error["message"], answer.text
    assert error["code"] in ("QUERY_FAILED", "INVALID_REQUEST"), answer.text
    assert SECRET not in answer.text


def test_nothing_was_left_behind(place: Place) -> None:
    """The last look, after those above, is the first."""
    now = place.state()
    assert now == place.before
    assert now[0] == [(1, "Ada"), (2, "Grace")]
    assert now[-1] == 1


def test_names_that_only_look_hostile_are_names(place: Place) -> None:
    query = "SELECT 'DROP TABLE x; --' AS [pg_read_file], COUNT(*) AS [; DELETE] FROM Office.people"
    result = ok(place.client.post("/api/query", json={"query": query}))["results"][0]
    assert result["rows"] == [["DROP TABLE x; --", 2]]
