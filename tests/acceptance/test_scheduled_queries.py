"""Scheduled queries over HTTP: a SELECT into a table of the cache, a statement at its source."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import connect
from tests.conftest import CacheDatabase
from tests.mariadb_server import MariaDBServer
from tests.product import ok, run_now, wait_for_end

Make = Callable[..., dict[str, Any]]
Till = tuple[Callable[[str], list[tuple[Any, ...]]], str]


def body(query: str, **params: Any) -> dict[str, Any]:
    return {
        "jobType": "scheduledquery",
        "intervalUnit": "Hour",
        "intervalValue": "1",
        "params": {"query": query} | params,
    }


@pytest.fixture
def make(client: httpx.Client, cache: CacheDatabase, connection_id: str) -> Make:
    """Make a scheduled query and wait for its first run."""

    def run(query: str, **params: Any) -> dict[str, Any]:
        job = ok(client.post("/api/job/create", json=body(query, **params)))["jobs"][0]
        return dict(wait_for_end(client, job["id"]))

    return run


def rows(cache: CacheDatabase, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(cache.url) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def shop(client: httpx.Client, another_cache: CacheDatabase) -> CacheDatabase:
    """A customer's own PostgreSQL that can be written to."""
    with psycopg.connect(another_cache.url) as connection:
        connection.execute(
            'CREATE TABLE "Stock" (id int PRIMARY KEY, "Name" text, pieces int NOT NULL);'
            "INSERT INTO \"Stock\" VALUES (1, 'nail', 5), (2, 'screw', 0), (3, 'nut', 9)"
        )
    connect(client, "Shop", "PostgreSQL", another_cache.connection_string)
    return another_cache


def test_a_select_goes_to_its_table_and_a_second_run_writes_the_difference(
    client: httpx.Client, cache: CacheDatabase, make: Make, folder: Path
) -> None:
    job = make("SELECT TOP 10 id, UPPER(name) AS [Name] FROM Office.Files.people", name="People")
    assert job["jobType"] == "ScheduledQuery"
    assert job["name"] == "People"
    assert job["lastRun"]["status"] == "JOB_SUCCESS"
    assert job["lastRun"]["rowsAffected"] == 3
    assert job["params"]["cacheSchema"] == "ScheduledQueries"
    assert job["params"]["cacheTable"] == "People"
    found = 'SELECT id, "Name" FROM "ScheduledQueries"."People" ORDER BY id'
    assert rows(cache, found) == [(1, "ADA"), (2, "GRACE"), (3, "EDSGER")]
    (folder / "people.csv").write_text("id,name\n1,Ada\n3,Barbara\n")
    run = run_now(client, job["id"])
    assert run["rowsAffected"] == 3
    assert rows(cache, found) == [(1, "ADA"), (3, "BARBARA")]
    [entry] = [
        one
        for one in ok(client.post("/api/log/query/list", json={"queryType": 205}))["queries"]
        if one["queryId"] == run["id"]
    ]
    assert entry["query"].startswith("SELECT TOP 10")


def test_append_adds_rows_and_merge_replaces_them_by_key(
    client: httpx.Client, cache: CacheDatabase, make: Make, folder: Path
) -> None:
    query = "SELECT id, name FROM Office.Files.people"
    added = make(query, destinationSchema="Mine", destinationTable="log", writeMode="Append")
    assert run_now(client, added["id"])["rowsAffected"] == 3
    assert rows(cache, 'SELECT count(*) FROM "Mine".log') == [(6,)]
    merged = make(
        query,
        name="merged",
        writeMode="merge",
        mergeKeys=[{"colName": "ID", "colType": "INTEGER", "isPrimaryKey": True}],
    )
    (folder / "people.csv").write_text("id,name\n3,Barbara\n4,Alan\n")
    assert run_now(client, merged["id"])["rowsAffected"] == 2
    found = rows(cache, 'SELECT id, name FROM "ScheduledQueries".merged ORDER BY id')
    assert found == [(1, "Ada"), (2, "Grace"), (3, "Barbara"), (4, "Alan")]


def test_a_job_is_named_by_its_first_words_where_it_has_no_name(make: Make) -> None:
    job = make("SELECT  1 AS one,\n 'x' AS two")
    assert job["name"] == "SELECT 1 AS one, 'x' AS"
    assert job["params"]["cacheTable"] == job["name"]


def test_a_query_joins_a_source_and_a_database(
    cache: CacheDatabase, make: Make, shop: CacheDatabase
) -> None:
    make(
        'SELECT p.name, s."Name" AS part, s.pieces FROM Office.Files.people p '
        "JOIN shop.public.stock s ON s.id = p.id",
        name="joined",
    )
    found = rows(cache, 'SELECT * FROM "ScheduledQueries".joined ORDER BY 1')
    assert found == [("Ada", "nail", 5), ("Edsger", "nut", 9), ("Grace", "screw", 0)]


def test_insert_update_and_delete_run_at_their_connection(
    client: httpx.Client, cache: CacheDatabase, make: Make, shop: CacheDatabase
) -> None:
    for query, affected in (
        (
            "INSERT INTO Shop.public.Stock (id, name, pieces) "
            "SELECT id + 10, name, 1 FROM Office.Files.people WHERE id < 3",
            2,
        ),
        ("UPDATE Shop.public.Stock SET PIECES = pieces + 1, [name] = UPPER(name) WHERE id = 1", 1),
        (
            "DELETE FROM Shop.public.Stock WHERE pieces < "
            "(SELECT AVG(s.pieces) FROM Shop.public.Stock s) AND id < 10",
            1,
        ),
        (
            "UPDATE Shop.public.Stock s SET pieces = "
            "(SELECT MAX(stock.pieces) FROM Shop.public.Stock WHERE stock.id < s.id) WHERE id = 11",
            1,
        ),
        (
            "DELETE FROM Shop.public.Stock s WHERE NOT EXISTS "
            "(SELECT 1 FROM Shop.public.Stock WHERE stock.id > s.id)",
            1,
        ),
    ):
        job = make(query)
        assert job["lastRun"]["status"] == "JOB_SUCCESS", job
        assert job["lastRun"]["rowsAffected"] == affected
        assert job["params"]["cacheTable"] == ""
    assert rows(shop, 'SELECT * FROM "Stock" ORDER BY id') == [
        (1, "NAIL", 6),
        (3, "nut", 9),
        (11, "Ada", 9),
    ]


def test_an_insert_that_fails_in_the_middle_leaves_nothing(make: Make, shop: CacheDatabase) -> None:
    job = make(
        "INSERT INTO Shop.public.Stock (id, name, pieces) "
        "SELECT id + 1, name, 1 FROM Office.Files.people"
    )
    assert job["lastRun"]["status"] == "JOB_FAILED"
    assert rows(shop, 'SELECT count(*) FROM "Stock"') == [(3,)]


@pytest.fixture
def till(client: httpx.Client, mariadb: MariaDBServer) -> Iterator[Till]:
    """A customer's own MariaDB that can be written to, and what asks it."""
    with mariadb.database() as name:

        def ask(statement: str) -> list[tuple[Any, ...]]:
            with mariadb.connect(name) as connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

        ask(
            "CREATE TABLE Stock (id int PRIMARY KEY, `Name` varchar(20), "
            "pieces int NOT NULL CHECK (pieces < 100))"
        )
        ask("INSERT INTO Stock VALUES (1, 'nail', 5), (2, 'screw', 0), (3, 'nut', 9)")
        connect(client, "Till", "MySQL", mariadb.connection_string(name))
        yield ask, name


def test_insert_update_and_delete_run_at_a_mysql_connection(make: Make, till: Till) -> None:
    ask, schema = till
    for query, affected in (
        (
            "INSERT INTO Till.{schema}.Stock (id, name, pieces) "
            "SELECT id + 10, name, 1 FROM Office.Files.people WHERE id < 3",
            2,
        ),
        (
            "UPDATE Till.{schema}.Stock SET PIECES = pieces + 1, [name] = UPPER(name) WHERE id = 1",
            1,
        ),
        (
            "DELETE FROM Till.{schema}.Stock WHERE id < 10 AND pieces < "
            "(SELECT AVG(s.pieces) FROM Till.{schema}.Stock s)",
            1,
        ),
        (
            "UPDATE Till.{schema}.Stock s SET pieces = "
            "(SELECT MAX(stock.pieces) FROM Till.{schema}.Stock WHERE stock.id < s.id) "
            "WHERE id = 11",
            1,
        ),
        (
            "DELETE FROM Till.{schema}.Stock s WHERE NOT EXISTS "
            "(SELECT 1 FROM Till.{schema}.Stock WHERE stock.id > s.id)",
            1,
        ),
    ):
        job = make(query.replace("{schema}", schema))
        assert job["lastRun"]["status"] == "JOB_SUCCESS", job
        assert job["lastRun"]["rowsAffected"] == affected
    assert ask("SELECT * FROM Stock ORDER BY id") == [
        (1, "NAIL", 6),
        (3, "nut", 9),
        (11, "Ada", 9),
    ]


@pytest.mark.parametrize(
    "query",
    [
        # Key 2 is there: row 2 of the people fails, row 1 (key 4) had gone in before.
        "INSERT INTO Till.{schema}.Stock (id, name, pieces) "
        "SELECT CASE id WHEN 1 THEN 4 ELSE id END, name, 1 FROM Office.Files.people ORDER BY id",
        # The third row breaks the table's CHECK; the first two were changed before.
        "UPDATE Till.{schema}.Stock SET pieces = pieces * 12",
        # The last row is held by another table.
        "DELETE FROM Till.{schema}.Stock",
    ],
    ids=["insert", "update", "delete"],
)
def test_a_statement_that_fails_in_the_middle_changes_nothing_in_mysql(
    make: Make, till: Till, query: str
) -> None:
    ask, schema = till
    ask("CREATE TABLE Held (part int, FOREIGN KEY (part) REFERENCES Stock (id))")
    ask("INSERT INTO Held VALUES (3)")
    before = ask("SELECT * FROM Stock ORDER BY id")
    job = make(query.replace("{schema}", schema))
    assert job["lastRun"]["status"] == "JOB_FAILED"
    assert ask("SELECT * FROM Stock ORDER BY id") == before


@pytest.mark.parametrize(
    ("query", "params", "field", "why"),
    [
        ("SELECT FROM WHERE", {}, "params.query", "line 1"),
        ("SELECT * FROM Office.Files.peple", {}, "params.query", "line 1, column 15"),
        ("SELECT nope FROM Office.Files.people", {}, "params.query", "line 1, column 8"),
        ("SELECT 1; SELECT 2", {}, "params.query", "one statement"),
        ("DROP TABLE Office.Files.people", {}, "params.query", "SELECT"),
        ("DELETE FROM Office.Files.people", {}, "params.query", "only reads"),
        ("INSERT INTO Office.Files.people VALUES (1, 'x')", {}, "params.query", "from a SELECT"),
        ("SELECT id, id FROM Office.Files.people", {}, "params.query", "AS"),
        ("SELECT pg_sleep(1) AS a", {}, "params.query", "no function pg_sleep"),
        ("", {}, "params.query", ""),
        ("SELECT 1 AS a", {"writeMode": "burn"}, "params.writeMode", "replace"),
        ("SELECT 1 AS a", {"writeMode": "merge"}, "params.mergeKeys", "missing"),
        ("SELECT 1 AS a", {"writeMode": "merge", "mergeKeys": ["b"]}, "params.mergeKeys", "'b'"),
        ("SELECT 1 AS a", {"timeoutSeconds": 0}, "params.timeoutSeconds", ""),
    ],
)
def test_bad_input_is_400_with_the_place(
    client: httpx.Client,
    cache: CacheDatabase,
    connection_id: str,
    query: str,
    params: dict[str, Any],
    field: str,
    why: str,
) -> None:
    for path in ("create", "validate"):
        answer = client.post(f"/api/job/{path}", json=body(query, **params))
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error["details"][0]["field"] == field
        assert why in error["message"]


def test_a_place_in_the_cache_belongs_to_one_job(
    client: httpx.Client, cache: CacheDatabase, make: Make
) -> None:
    make("SELECT 1 AS a", name="Same")
    answer = client.post("/api/job/create", json=body("SELECT 2 AS a", name="Same"))
    assert answer.status_code == 409
    assert answer.json()["error"]["details"][0]["field"] == "params.destinationTable"


def test_without_a_cache_a_select_has_no_place(client: httpx.Client) -> None:
    assert client.post("/api/job/create", json=body("SELECT 1 AS a")).status_code == 409


def test_update_moves_the_table_and_delete_drops_it(
    client: httpx.Client, cache: CacheDatabase, make: Make
) -> None:
    job = make("SELECT 1 AS a", name="First")
    changed = body("SELECT 2 AS a, 3 AS b", name="Second")
    path = f"/api/job/{job['id']}"
    [updated] = ok(client.put(f"{path}/update", json=changed))["jobs"]
    assert updated["name"] == "Second"
    run_now(client, job["id"])
    assert rows(cache, 'SELECT * FROM "ScheduledQueries"."Second"') == [(2, 3)]
    assert rows(cache, 'SELECT to_regclass(\'"ScheduledQueries"."First"\')') == [(None,)]
    ok(client.delete(f"{path}/delete"))
    assert rows(cache, "SELECT to_regnamespace('\"ScheduledQueries\"')") == [(None,)]


def test_a_source_that_is_down_holds_no_job_back(
    client: httpx.Client, cache: CacheDatabase, make: Make
) -> None:
    connect(client, "Down", "OData", "URL=http://127.0.0.1:9/odata")
    job = make("SELECT * FROM Down.OData.Orders", name="later", retries=0)
    assert job["lastRun"]["status"] == "JOB_FAILED"


def test_what_a_statement_does_is_known_where_its_source_is_silent(client: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = f"Server=127.0.0.1;Port={silent.getsockname()[1]};User=a;Password=b;Database=c"
        away = connect(client, "Silent", "PostgreSQL", text)
        # It needs no cache: nothing is written there.
        query = body("DELETE FROM Silent.public.orders WHERE id = 1") | {"enabled": False}
        job = ok(client.post("/api/job/create", json=query))["jobs"][0]
    assert job["params"]["sourceConnectionName"] == "Silent"
    assert job["params"]["cacheTable"] == ""
    refused = client.delete(f"/api/poweredby/connection/delete/{away}")
    assert refused.status_code == 409
    assert job["id"] in refused.json()["error"]["message"]


def test_each_connection_of_a_query_is_in_use_while_it_is_there(
    client: httpx.Client, make: Make, shop: CacheDatabase, connection_id: str
) -> None:
    job = make(
        "SELECT p.id, s.pieces FROM Office.Files.people p JOIN Shop.public.stock s ON s.id = p.id",
        name="joined",
    )
    delete = f"/api/poweredby/connection/delete/{connection_id}"
    refused = client.delete(delete)
    assert refused.status_code == 409, refused.text
    assert job["id"] in refused.json()["error"]["message"]
    ok(client.put(f"/api/job/{job['id']}/update", json=body("SELECT * FROM Shop.public.stock")))
    ok(client.delete(delete))
    ok(client.get(f"/api/job/{job['id']}"))
