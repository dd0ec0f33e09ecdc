"""The Query API over HTTP, as a customer's program uses it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.product import Customer, Vendor, command, make_customer, ok, wait_for_end
from tests.running_product import Product

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def office(client: httpx.Client, folder: Path) -> str:
    """A connection to a folder of tables: people, and orders of every type that there is."""
    (folder / "orders.csv").write_text(
        "id,person,total,day,At,note\n"
        "1,1,10.50,2024-01-31,2024-01-31T08:30:00,first\n"
        "2,1,20.00,2024-02-01,2024-02-01T09:00:00,\n"
        "3,2,7.25,2024-02-29,2024-02-29T10:00:00.250,it's\n"
    )
    return connect(client, "Office", "Files", f"URI={folder}")


@pytest.fixture
def ask(client: httpx.Client, office: str) -> Ask:
    """Run a statement and get its one result."""

    def run(query: str, **more: Any) -> dict[str, Any]:
        [result] = ok(client.post("/api/query", json={"query": query} | more))["results"]
        return dict(result)

    return run


def rows(result: dict[str, Any]) -> list[list[Any]]:
    return list(result["rows"])


def refusal(client: httpx.Client, query: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/api/query", json={"query": query} | more)
    assert answer.status_code == 400, answer.text
    return dict(answer.json()["error"])


def test_a_live_table_is_read_from_its_source(ask: Ask) -> None:
    result = ask("SELECT id, name AS [The name] FROM Office.Files.people WHERE id > 1 ORDER BY id")
    assert rows(result) == [[2, "Grace"], [3, "Edsger"]]
    assert result["affectedRows"] == -1
    assert result["schema"][1] == {
        "ordinal": 1,
        "catalogName": "Office",
        "schemaName": "Files",
        "tableName": "people",
        "columnName": "name",
        "columnLabel": "The name",
        "dataType": 5,
        "dataTypeName": "VARCHAR",
        "length": 2147483647,
        "precision": 2147483647,
        "scale": 0,
        "nullable": True,
    }


def test_values_come_in_the_forms_of_their_types(ask: Ask) -> None:
    result = ask(
        "SELECT id, total, day, At, note, CAST('12:30:00' AS TIME), id = 1, "
        "CAST('6f3cfe6a-72e2-4edb-914f-4409c01c1418' AS UUID), CAST(1.5 AS DOUBLE), "
        "CAST(9.99 AS DECIMAL(10, 2)), NULL FROM Office.Files.orders ORDER BY id"
    )
    uuid = "6f3cfe6a-72e2-4edb-914f-4409c01c1418"
    assert [column["dataTypeName"] for column in result["schema"]][2:10] == [
        *("DATE", "TIMESTAMP", "VARCHAR", "TIME", "BOOLEAN", "UUID", "DOUBLE", "DECIMAL")
    ]
    assert rows(result)[0][2:] == [
        *("2024-01-31", "2024-01-31T08:30:00", "first", "12:30:00", True, uuid, 1.5, 9.99, None)
    ]
    assert [row[6] is True for row in rows(result)] == [True, False, False]
    assert rows(result)[2][3] == "2024-02-29T10:00:00.250000"
    assert rows(result)[1][4] is None


def test_names_are_quoted_in_every_way_and_have_no_case(ask: Ask) -> None:
    for name in (
        "Office.Files.people",
        "[Office].[Files].[people]",
        '"Office"."Files"."people"',
        "`Office`.`Files`.`people`",
        "OFFICE.FILES.PEOPLE",
        "office.people",
    ):
        assert rows(ask("SELECT COUNT(*) FROM " + name)) == [[3]]  # noqa: S608 - names of the test
    assert rows(ask("SELECT COUNT(*) FROM people", defaultCatalog="Office")) == [[3]]
    assert rows(
        ask("SELECT COUNT(*) FROM Files.people", defaultCatalog="Office", defaultSchema="x")
    ) == [[3]]


@pytest.mark.parametrize(
    "limited",
    [
        "SELECT TOP 2 id FROM Office.Files.people ORDER BY id",
        "SELECT TOP (2) id FROM Office.Files.people ORDER BY id",
        "SELECT id FROM Office.Files.people ORDER BY id LIMIT 2",
        "SELECT id FROM Office.Files.people ORDER BY id FETCH FIRST 2 ROWS ONLY",
        "SELECT id FROM Office.Files.people ORDER BY id OFFSET 0 ROWS FETCH NEXT 2 ROWS ONLY",
        "SELECT id FROM Office.Files.people ORDER BY id LIMIT @p1",
    ],
)
def test_limits_in_every_way(ask: Ask, limited: str) -> None:
    parameters = {"@p1": {"dataType": 8, "value": 2}}
    assert rows(ask(limited, parameters=parameters)) == [[1], [2]]


def test_parameters_are_bound_and_never_pasted(ask: Ask) -> None:
    nasty = "it's' OR 1=1 --"
    parameters = {"@p1": {"dataType": 5, "value": nasty}, "@P2": {"dataType": 8, "value": "7"}}
    assert rows(ask("SELECT @p1, @p2 + 1, @P1", parameters=parameters)) == [[nasty, 8, nasty]]
    found = ask(
        "SELECT id FROM Office.Files.orders WHERE day >= @d AND total < @t",
        parameters={
            "@d": {"dataType": 15, "value": "2024-02-01"},
            "@t": {"dataType": 12, "value": "19.99"},
        },
    )
    assert rows(found) == [[3]]


def test_every_code_of_a_parameter_is_read(ask: Ask) -> None:
    values = {
        1: "aGk=",
        5: "hi",
        6: 1,
        7: 2,
        8: 3,
        9: 2**62,
        10: 0.5,
        11: 1.25,
        12: "1.10",
        13: 2.5,
        14: True,
        15: "2024-02-29",
        16: "12:30:00",
        17: "2024-02-29T12:30:00",
        18: "6f3cfe6a-72e2-4edb-914f-4409c01c1418",
    }
    parameters = {f"@p{code}": {"dataType": code, "value": value} for code, value in values.items()}
    result = ask("SELECT " + ", ".join(parameters), parameters=parameters)
    assert rows(result)[0] == [*list(values.values())[:8], 1.1, *list(values.values())[9:]]


def test_schema_only_gives_columns_without_rows(ask: Ask) -> None:
    result = ask("SELECT * FROM Office.Files.people", schemaOnly="true")
    assert [column["columnName"] for column in result["schema"]] == ["id", "name"]
    assert rows(result) == []


def test_a_statement_that_cannot_be_run_says_where_and_why(client: httpx.Client, ask: Ask) -> None:
    for query, where, why in (
        ("SELECT id,\n nope FROM Office.Files.people", "line 2, column 2", "no column 'nope'"),
        ("SELECT * FROM Office.Files.peple", "line 1, column 15", "near names: people"),
        ("SELECT * FROM Ofice.Files.people", "line 1, column 15", "near names: Office"),
        ("SELECT id FROM Office.Files.people WHERE", "line 1, column", ""),
        ("SELECT nope(1)", "line 1, column 8", "no function nope"),
        ("SELECT @x", "line 1, column", "@x has no value"),
    ):
        error = refusal(client, query)
        assert error["code"] == "QUERY_FAILED"
        assert where in error["message"], error
        assert why in error["message"], error
        assert error["details"][0]["field"] == "query"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": ""}, "query"),
        ({"query": "   "}, "query"),
        ({"query": 5}, "query"),
        ({}, "query"),
        ({"query": "SELECT 1", "timeout": 0}, "timeout"),
        ({"query": "SELECT 1", "timeout": 301}, "timeout"),
        ({"query": "SELECT 1", "timeout": "soon"}, "timeout"),
        ({"query": "SELECT 1", "schemaOnly": "maybe"}, "schemaOnly"),
        ({"query": "SELECT 1", "nonsense": 1}, "nonsense"),
        ({"query": "SELECT 1", "parameters": [1]}, "parameters"),
        ({"query": "SELECT @a", "parameters": {"@a": {"dataType": 99, "value": 1}}}, "@a.dataType"),
        ({"query": "SELECT @a", "parameters": {"@a": {"dataType": 15, "value": "x"}}}, "@a.value"),
        ({"query": "SELECT @a", "parameters": {"@a": {"dataType": 8, "value": "x"}}}, "@a.value"),
        ({"query": "SELECT @a", "parameters": {"@a": {"dataType": 5, "value": [1]}}}, "@a.value"),
    ],
)
def test_bad_input_names_the_field(client: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = client.post("/api/query", json=body)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["error"]["details"][0]["field"]


def test_a_source_that_is_down_says_so(client: httpx.Client, ask: Ask) -> None:
    connect(client, "Down", "OData", "URL=http://127.0.0.1:9/odata")
    error = refusal(client, "SELECT * FROM Down.OData.Orders")
    assert error["code"] == "SOURCE_UNAVAILABLE"


def test_another_account_sees_none_of_it(ask: Ask, product: Product, vendor: Vendor) -> None:
    with make_customer(product.base_url, vendor).client() as stranger:
        error = refusal(stranger, "SELECT * FROM Office.Files.people")
        assert "no connection 'Office'" in error["message"]
        assert ok(stranger.get("/api/catalogs"))["results"][0]["rows"] == []


def test_a_token_that_is_narrowed_sees_its_connections_only(
    customer: Customer, client: httpx.Client, office: str, folder: Path
) -> None:
    other = connect(client, "Other", "Files", f"URI={folder}")
    with customer.client_of(connection_ids=[other]) as narrowed:
        assert ok(narrowed.get("/api/catalogs"))["results"][0]["rows"] == [["Other"]]
        refusal(narrowed, "SELECT * FROM Office.Files.people")


# --- cached and mixed ---------------------------------------------------------------------------


@pytest.fixture
def cached(client: httpx.Client, office: str, cache: CacheDatabase) -> CacheDatabase:
    """The table people is cached; orders is live."""
    body = caching(office, sourceTable="people")
    job = ok(client.post("/api/job/create", json=body))["jobs"][0]
    assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_SUCCESS"
    with psycopg.connect(cache.url) as connection:
        connection.execute('UPDATE "Office"."people" SET name = name || \' (cached)\'')
    return cache


def test_a_cached_table_is_read_from_the_cache(client: httpx.Client, cached: CacheDatabase) -> None:
    answer = client.post(
        "/api/query", json={"query": "SELECT TOP 1 name FROM office.people ORDER BY id DESC"}
    )
    assert ok(answer)["results"][0]["rows"] == [["Edsger (cached)"]]
    assert 0 <= int(answer.headers["Age"]) < 120
    assert answer.headers["X-Refreshed-At"].endswith("Z")


def test_a_cached_and_a_live_table_are_joined(client: httpx.Client, cached: CacheDatabase) -> None:
    query = (
        "SELECT p.name, SUM(o.total) AS total FROM Office.Files.people p "
        "LEFT JOIN Office.Files.orders o ON o.person = p.id GROUP BY p.name ORDER BY p.name"
    )
    answer = client.post("/api/query", json={"query": query})
    assert ok(answer)["results"][0]["rows"] == [
        ["Ada (cached)", 30.5],
        ["Edsger (cached)", None],
        ["Grace (cached)", 7.25],
    ]
    assert "Age" in answer.headers


def test_a_disabled_job_s_table_is_read_live(client: httpx.Client, cached: CacheDatabase) -> None:
    [job] = ok(client.get("/api/job/list"))["jobs"]
    source = {k: v for k, v in job["params"].items() if k.startswith("source")}
    params = {name: value for name, value in source.items() if name != "sourceConnectionName"}
    body = caching(params.pop("sourceConnection"), **params) | {"enabled": False}
    ok(client.put(f"/api/job/{job['id']}/update", json=body))
    answer = client.post("/api/query", json={"query": "SELECT name FROM office.people"})
    assert ok(answer)["results"][0]["rows"][0] == ["Ada"]
    assert "Age" not in answer.headers


def test_explain_tells_where_each_table_comes_from(
    client: httpx.Client, cached: CacheDatabase
) -> None:
    query = (
        "EXPLAIN SELECT p.name FROM Office.Files.people p JOIN Office.Files.orders o "
        "ON o.person = p.id WHERE o.total > 5 AND o.day >= '2024-02-01'"
    )
    [result] = ok(client.post("/api/query", json={"query": query}))["results"]
    labels = [column["columnLabel"] for column in result["schema"]]
    people, orders = [dict(zip(labels, row, strict=True)) for row in result["rows"]]
    assert people["READ_FROM"] == "cache: Office.people"
    assert people["REFRESHED_AT"]
    assert people["COLUMNS"] == "id, name"
    assert orders["READ_FROM"] == "source"
    assert "day >= 2024-02-01" in orders["PUSHED_DOWN"]
    assert "note" not in orders["COLUMNS"]
    query = "EXPLAIN SELECT COUNT(*) FROM Office.Files.people"
    [result] = ok(client.post("/api/query", json={"query": query}))["results"]
    assert result["rows"][0][4] == "the whole statement"
    assert any("Aggregate" in (row[4] or "") for row in result["rows"])


def test_the_cache_is_read_in_a_transaction_that_only_reads(
    client: httpx.Client, cached: CacheDatabase
) -> None:
    for query in (
        "DELETE FROM Office.Files.people",
        "INSERT INTO Office.Files.people VALUES (9, 'x')",
        "UPDATE Office.Files.people SET name = 'x'",
        "DROP TABLE Office.Files.people",
        "WITH x AS (DELETE FROM Office.Files.people RETURNING *) SELECT * FROM x",
    ):
        assert "read-only" in refusal(client, query)["message"]
    assert ok(client.post("/api/query", json={"query": "SELECT COUNT(*) FROM office.people"}))[
        "results"
    ][0]["rows"] == [[3]]


# --- formats ------------------------------------------------------------------------------------


def test_arrow_and_csv_are_streamed(client: httpx.Client, ask: Ask) -> None:
    query = {"query": "SELECT id, note FROM Office.Files.orders ORDER BY id"}
    arrow = client.post(
        "/api/query", json=query, headers={"Accept": "application/vnd.apache.arrow.stream"}
    )
    assert arrow.headers["content-type"] == "application/vnd.apache.arrow.stream"
    table = pa.ipc.open_stream(io.BytesIO(arrow.content)).read_all()
    assert table.to_pydict() == {"id": [1, 2, 3], "note": ["first", None, "it's"]}
    csv = client.post("/api/query", json=query, headers={"Accept": "text/csv"})
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.text == '"id","note"\r\n1,"first"\r\n2,\r\n3,"it\'s"\r\n'


def test_arrow_of_a_cached_table_has_its_types(client: httpx.Client, cached: CacheDatabase) -> None:
    answer = client.post(
        "/api/query",
        json={"query": "SELECT id, name, id * 1.5 AS x FROM office.people ORDER BY id"},
        headers={"Accept": "application/vnd.apache.arrow.stream"},
    )
    table = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
    assert table.column("id").to_pylist() == [1, 2, 3]
    assert pa.types.is_decimal(table.schema.field("x").type)


def test_a_batch_runs_a_statement_for_each_set(client: httpx.Client, ask: Ask) -> None:
    body = {
        "query": "SELECT name FROM Office.Files.people WHERE id = @p1",
        "parameters": [{"@p1": {"dataType": 8, "value": n}} for n in (3, 1)],
    }
    results = ok(client.post("/api/batch", json=body))["results"]
    assert [one["rows"] for one in results] == [[["Edsger"]], [["Ada"]]]


# --- the catalogue ------------------------------------------------------------------------------


def listed(client: httpx.Client, what: str, **wanted: str) -> list[dict[str, Any]]:
    [result] = ok(client.get(f"/api/{what}", params=wanted))["results"]
    labels = [column["columnLabel"] for column in result["schema"]]
    return [dict(zip(labels, row, strict=True)) for row in result["rows"]]


def test_the_catalogue_lists_what_there_is(client: httpx.Client, office: str) -> None:
    assert listed(client, "catalogs") == [{"TABLE_CATALOG": "Office"}]
    assert listed(client, "schemas") == [{"TABLE_CATALOG": "Office", "TABLE_SCHEMA": "Files"}]
    tables = listed(client, "tables", catalogName="office", tableType="TABLE,VIEW")
    assert [one["TABLE_NAME"] for one in tables] == ["orders", "people"]
    assert tables[0]["TABLE_TYPE"] == "TABLE"
    assert listed(client, "tables", tableType="VIEW") == []
    columns = listed(client, "columns", tableName="people")
    assert [(one["COLUMN_NAME"], one["TYPE_NAME"]) for one in columns] == [
        ("id", "BIGINT"),
        ("name", "VARCHAR"),
    ]
    assert [one["ORDINAL_POSITION"] for one in columns] == [1, 2]
    assert len(listed(client, "columns", columnName="TOTAL")) == 1
    assert listed(client, "primaryKeys") == []
    assert listed(client, "tables", schemaName="nope") == []


def test_a_source_that_is_down_does_not_hide_the_others(client: httpx.Client, office: str) -> None:
    connect(client, "Down", "OData", "URL=http://127.0.0.1:9/odata")
    assert {one["TABLE_CATALOG"] for one in listed(client, "tables")} == {"Office"}
    answer = client.get("/api/tables", params={"catalogName": "Down"})
    assert answer.status_code == 400


# --- who may ------------------------------------------------------------------------------------


@pytest.fixture
def pat(product: Product, customer: Customer) -> dict[str, str]:
    text = command("pat", "create", "--sub", customer.account_id, settings=product.settings)
    return dict(json.loads(text))


def test_a_personal_access_token_opens_queries_and_nothing_else(
    product: Product, pat: dict[str, str], ask: Ask
) -> None:
    with httpx.Client(base_url=product.base_url, auth=(pat["user"], pat["token"])) as desktop:
        body = {"query": "SELECT COUNT(*) FROM Office.Files.people"}
        assert ok(desktop.post("/api/query", json=body))["results"][0]["rows"] == [[3]]
        assert ok(desktop.get("/api/catalogs"))
        assert desktop.get("/api/job/list").status_code == 401
    for wrong in ((pat["user"], "twpat_x"), ("nobody", pat["token"]), ("", "")):
        answer = httpx.get(f"{product.base_url}/api/catalogs", auth=wrong)
        assert answer.status_code == 401
    assert (
        httpx.get(
            f"{product.base_url}/api/catalogs", headers={"Authorization": "Basic !!"}
        ).status_code
        == 401
    )


def test_a_personal_access_token_is_listed_without_itself_and_can_be_revoked(
    product: Product, customer: Customer, pat: dict[str, str]
) -> None:
    listed = command("pat", "list", "--sub", customer.account_id, settings=product.settings)
    assert pat["token"] not in listed
    [one] = json.loads(listed)["tokens"]
    assert one["revoked"] is None
    arguments = ("--sub", customer.account_id, "--id", one["id"])
    command("pat", "revoke", *arguments, settings=product.settings)
    answer = httpx.get(f"{product.base_url}/api/catalogs", auth=(pat["user"], pat["token"]))
    assert answer.status_code == 401


def test_a_personal_access_token_expires_and_only_its_hash_is_kept(
    product: Product, pat: dict[str, str]
) -> None:
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        stored = connection.execute("SELECT t::text FROM personal_access_token t").fetchall()
        assert not any(pat["token"] in text for (text,) in stored)
        connection.execute(
            "UPDATE personal_access_token SET expires_at = now() WHERE account_id = %s",
            (pat["user"],),
        )
    answer = httpx.get(f"{product.base_url}/api/catalogs", auth=(pat["user"], pat["token"]))
    assert answer.status_code == 401


# --- the log of queries -------------------------------------------------------------------------


@pytest.fixture
def asked(client: httpx.Client, cached: CacheDatabase) -> httpx.Client:
    ok(client.post("/api/query", json={"query": "SELECT name FROM office.people"}))
    refusal(client, "SELECT nope FROM office.people")
    return client


def test_queries_and_runs_stand_in_the_log(asked: httpx.Client) -> None:
    queries = ok(asked.post("/api/log/query/list"))["queries"]
    assert [one["queryType"] for one in queries] == [200, 200, 204]
    failed, done, caching_run = queries
    assert failed["errorCode"] == "QUERY_FAILED"
    assert done["rowsReturned"] == 3
    assert done["drivers"] == "Files"
    assert done["query"] == "SELECT name FROM office.people"
    assert caching_run["rowsAffected"] == 3
    only = ok(asked.post("/api/log/query/list", json={"queryType": 204}))["queries"]
    assert [one["queryType"] for one in only] == [204]
    later = {"startTime": "2999-01-01T00:00:00Z"}
    assert ok(asked.post("/api/log/query/list", params=later))["queries"] == []
    entry = ok(asked.get(f"/api/log/query/get/{done['queryId']}"))
    assert "gave 3 rows" in entry["log"][-1]
    run = ok(asked.get(f"/api/log/query/get/{caching_run['queryId']}"))
    assert any("Committed" in line for line in run["log"])
    assert asked.get("/api/log/query/get/nope").status_code == 404


def test_the_log_shows_the_queries_of_seven_days(asked: httpx.Client, product: Product) -> None:
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        connection.execute("UPDATE query_log SET at = at - interval '7 days 1 minute'")
    ok(asked.post("/api/query", json={"query": "SELECT 1"}))
    queries = ok(asked.post("/api/log/query/list", json={"queryType": 200}))["queries"]
    assert [one["query"] for one in queries] == ["SELECT 1"]
