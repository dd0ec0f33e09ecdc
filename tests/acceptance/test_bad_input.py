"""What a client or a customer may do wrong: a clear error, or a failed run that says what to do."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import Body, caching, connect
from tests.conftest import CacheDatabase
from tests.odata_server import ODataServer
from tests.openapi_document import DOCUMENT, operations
from tests.product import ok, run_now, wait_for_end
from tests.relay import relay
from tests.running_product import free_port

JobBody = Callable[..., Body]


def refused(answer: httpx.Response, *fields: str, status: int = 400) -> str:
    """The message of an error in the contract's shape that blames these fields."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["requestId"] == answer.headers["X-Request-Id"]
    assert [one["field"] for one in error.get("details", [])] == list(fields)
    assert "Traceback" not in answer.text
    message: str = error["message"]
    return message


def post(client: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    kinds = {"Content-Type": "application/json"} | headers
    return client.post("/api/job/create", content=body, headers=kinds)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a": 1,}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"intervalValue": NaN}',
        b'"\\ud800"',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_not_json(client: httpx.Client, body: bytes) -> None:
    answer = post(client, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b'"x"', b"{}"])
def test_json_that_is_no_job(client: httpx.Client, body: bytes) -> None:
    assert post(client, body).status_code == 400


def test_a_body_of_another_kind_or_too_large(client: httpx.Client) -> None:
    refused(post(client, b"a=1", **{"Content-Type": "text/plain"}), status=415)
    refused(post(client, b" " * (1 << 20) + b"{}"), status=413)


def test_missing_fields_are_named(client: httpx.Client) -> None:
    message = refused(
        client.post("/api/job/create", json={"jobType": "Caching"}),
        *("intervalUnit", "intervalValue", "params"),
    )
    assert "is missing" in message


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[
            ("intervalValue", value)
            for value in ("abc", "", "1.5", 0, -1, 10_001, "1_0", "\u0661", None)
        ],
        *[("intervalValue", value) for value in (True, 1.5, [], "9" * 5000)],
        *[("intervalUnit", value) for value in ("Fortnight", "", 5, None)],
        *[("jobType", value) for value in ("Copy", "", None, ["Caching"])],
        *[("enabled", value) for value in ("yes", 1, "")],
        *[("logVerbosity", value) for value in (0, 6, "loud")],
        *[("definedNextRun", value) for value in ("tomorrow", 5, "2026-13-01T00:00:00Z")],
        *[("params", value) for value in (None, [], "x")],
    ],
)
def test_a_value_that_cannot_be(
    client: httpx.Client, job_body: JobBody, field: str, value: Any
) -> None:
    message = refused(client.post("/api/job/create", json=job_body() | {field: value}), field)
    assert message.startswith(f"{field}: ")
    assert ok(client.get("/api/job/list")) == {"jobs": []}


def test_a_parameter_of_the_query_that_is_given_twice(client: httpx.Client) -> None:
    closed = [one for one in operations(DOCUMENT) if one.is_closed]
    assert len(closed) > 40
    for operation in closed:
        parameters = operation.about.get("parameters", ())
        names = [one["name"] for one in parameters if one["in"] == "query"]
        for name in names or ["unheard-of"]:
            query = [(name, "x"), (name, "")]
            path, body = operation.concrete_path(), operation.body_example
            answer = client.request(operation.method, path, params=query, json=body)
            assert refused(answer, name) == f"{name}: is given more than once", operation.id


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("sourceConnection", "M36b2c04f-70f4-44a1-876a-29e42237ee63"),
        ("sourceConnection", "36b2c04f-70f4-44a1-876a-29e42237ee63"),
        ("sourceConnection", ""),
        ("sourceConnection", 5),
        ("sourceName", "Elsewhere"),
        ("sourceSchema", "Nowhere"),
        ("sourceTable", "peeple"),
        ("sourceTable", ""),
        ("sourceTable", "people\0"),
        ("sourceTable", "'; DROP TABLE people; --"),
        ("timeCheckColumn", "changed"),
        ("autoTruncateStrings", "perhaps"),
        ("columns", ["id", "nome"]),
        ("fullRefreshEvery", 0),
    ],
)
def test_a_param_that_cannot_be(
    client: httpx.Client, job_body: JobBody, param: str, value: Any
) -> None:
    answer = client.post("/api/job/create", json=job_body(**{param: value}))
    message = refused(answer, f"params.{param}")
    assert message.startswith(f"params.{param}: ")
    assert ok(client.get("/api/job/list")) == {"jobs": []}


@pytest.mark.usefixtures("cache")
def test_the_messages_say_what_to_do(client: httpx.Client, job_body: JobBody) -> None:
    def message(**params: Any) -> str:
        return str(
            client.post("/api/job/create", json=job_body(**params)).json()["error"]["message"]
        )

    assert "POST /api/connections" in message(sourceConnection="M36b2c04f")
    assert "people" in message(sourceTable="peeple")
    assert "Office" in message(sourceName="Elsewhere")
    assert "Files" in message(sourceSchema="Nowhere")
    assert "near names: id" in message(columns=["ID"])
    assert "mergeKeys" in message(timeCheckColumn="id")


@pytest.mark.usefixtures("cache")
def test_an_unknown_field_is_named_and_an_unknown_param_is_kept(
    client: httpx.Client, job_body: JobBody
) -> None:
    refused(client.post("/api/job/create", json=job_body() | {"colour": "red"}), "colour")
    odd = {"zero": "a\0b", "colour": "réd 💥", "nested": {"b": [1, None, 1e300], "a": 1}, "": ""}
    job = ok(client.post("/api/job/create", json=job_body(**odd)))["jobs"][0]
    kept = {name: value for name, value in job["params"].items() if name in odd}
    assert json.dumps(kept) == json.dumps(odd)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    "text", ['"\\ud83d"', "NaN", "-Infinity", "1e999", "[" * 40 + "]" * 40, "[" * 900 + "]" * 900]
)
def test_a_param_that_is_no_json_or_too_deep(
    client: httpx.Client, job_body: JobBody, text: str
) -> None:
    body = json.dumps(job_body(odd="HERE")).replace('"HERE"', text).encode()
    assert post(client, body).status_code == 400
    assert ok(client.get("/api/job/list")) == {"jobs": []}


def test_a_job_without_a_cache_connection(client: httpx.Client, job_body: JobBody) -> None:
    message = refused(client.post("/api/job/create", json=job_body()), status=409)
    assert "POST /api/job/cacheConnection" in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Server=x;User=u;Database=d;Sever=y", "Sever"),
        ("User=u;Database=d", "Server is missing"),
        ("Server=x;User=u;Database=d;Port=abc", "Port"),
        ("Server=x;User=u;Database=d;Port=70000", "Port"),
        ("Server=x;User=u;Database=d;SSLMode=maybe", "SSLMode"),
        ("Server=/var/run/postgresql;User=u;Database=d", "Server"),
        ("Server=a,b;User=u;Database=d", "Server"),
        ("Server=x;User='u;Database=d", "quote"),
        ("Server=x;Server=y;User=u;Database=d", "twice"),
        ("nonsense", "key=value"),
        ("Server=x;User=u\0;Database=d", "NUL"),
    ],
)
def test_a_cache_connection_string_that_cannot_be(
    client: httpx.Client, text: str, part: str
) -> None:
    answer = client.post("/api/job/cacheConnection", json={"connectionString": text})
    assert part in refused(answer, "connectionString")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"Password": "s3cret-guess"}, "password"),
        ({"Database": "nowhere"}, "nowhere"),
        ({"Port": "CLOSED"}, "refused"),
        ({"Server": "no-such-host.invalid"}, "no-such-host.invalid"),
        ({"SSLMode": "require"}, "TLS"),
    ],
)
def test_a_cache_that_does_not_let_us_in_is_told_with_its_reason(
    client: httpx.Client, cache_database: CacheDatabase, change: dict[str, str], part: str
) -> None:
    values = {
        "Server": cache_database.host,
        "Port": str(cache_database.port),
        "User": cache_database.user,
        "Password": cache_database.password,
        "Database": cache_database.database,
    } | {name: str(free_port()) if value == "CLOSED" else value for name, value in change.items()}
    text = ";".join(f"{name}={value}" for name, value in values.items())
    answer = client.post("/api/job/cacheConnection", json={"connectionString": text})
    connection = ok(answer)["connection"]
    assert connection["isTested"] is False
    assert part in connection["testError"]
    assert values["Password"] not in answer.text
    assert "password=********" in connection["connectionString"]


def test_a_job_whose_cache_is_down_fails_with_a_reason_and_changes_nothing(
    client: httpx.Client, cache_database: CacheDatabase, job_body: JobBody, folder: Path
) -> None:
    with relay(cache_database.host, cache_database.port) as way:
        text = replace(cache_database, port=way.port).connection_string
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
        job_id = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]["id"]
        wait_for_end(client, job_id)
        (folder / "people.csv").write_text("id,name\n9,Nobody\n")
        way.cut()

        run = run_now(client, job_id)

    assert run["status"] == "JOB_FAILED"
    assert run["error"]["code"] == "CACHE_UNAVAILABLE"
    assert "refused" in run["error"]["message"]
    assert cache_database.password not in json.dumps(run)
    assert people(cache_database) == [(1, "Ada"), (2, "Grace"), (3, "Edsger")]


def test_a_job_whose_cache_password_is_wrong_fails_with_a_reason(
    client: httpx.Client, cache_database: CacheDatabase, job_body: JobBody
) -> None:
    text = cache_database.connection_string.replace(cache_database.password, "s3cret-guess")
    ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    job = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]
    assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_FAILED"
    run = ok(client.get(f"/api/job/{job['id']}/runs"))["runs"][0]
    assert run["error"]["code"] == "CACHE_REFUSED"
    assert "password" in run["error"]["message"]
    log = ok(client.get(f"/api/run/{run['id']}/log"))
    assert "s3cret-guess" not in json.dumps([run, log])


def test_a_source_that_is_down_is_told_by_the_first_run(
    client: httpx.Client, cache: CacheDatabase
) -> None:
    url = f"http://127.0.0.1:{free_port()}/odata"
    source = connect(client, "Gone", "OData", f"URL={url}")
    tested = ok(client.post(f"/api/connections/{source}/test"))
    assert tested["isTested"] is False
    assert "refused" in tested["testError"]

    table = {"sourceName": "Gone", "sourceSchema": "OData", "sourceTable": "Orders"}
    body = caching(source, **table, retries="1")
    job = ok(client.post("/api/job/create", json=body))["jobs"][0]
    assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_FAILED"
    run = ok(client.get(f"/api/job/{job['id']}/runs"))["runs"][0]
    assert run["error"]["code"] == "SOURCE_UNAVAILABLE"
    assert "refused" in run["error"]["message"]
    assert tables(cache) == []


def test_a_source_that_never_answers_holds_nobody_up(
    client: httpx.Client, cache: CacheDatabase
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/odata"
        source = connect(client, "Silent", "OData", f"URL={url};Timeout=1")
        tested = ok(client.post(f"/api/connections/{source}/test"))
        assert tested["isTested"] is False
        table = {"sourceName": "Silent", "sourceSchema": "OData", "sourceTable": "Orders"}
        body = caching(source, **table, retries="0")
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]
        assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_FAILED"
    assert tables(cache) == []


@pytest.mark.parametrize(
    "login",
    [
        "AuthScheme=Basic;User=alice;Password=s3cret-guess",
        "AuthScheme=Bearer;Token=s3cret-guess",
        "AuthScheme=None",
    ],
)
def test_a_wrong_password_of_the_source(
    client: httpx.Client, cache: CacheDatabase, shop: ODataServer, login: str
) -> None:
    source = connect(client, "Closed", "OData", f"URL={shop.closed_url};{login}")
    tested = client.post(f"/api/connections/{source}/test")
    assert "401" in ok(tested)["testError"]
    body = caching(source, sourceName="Closed", sourceSchema="OData", sourceTable="Orders")
    job = ok(client.post("/api/job/create", json=body))["jobs"][0]
    assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_FAILED"
    runs = client.get(f"/api/job/{job['id']}/runs")
    run = ok(runs)["runs"][0]
    assert run["error"]["code"] == "SOURCE_REFUSED"
    assert "s3cret-guess" not in tested.text + runs.text
    assert tables(cache) == []


def test_a_file_that_breaks_off_in_the_middle_leaves_the_table_as_it_was(
    client: httpx.Client, cache: CacheDatabase, job_body: JobBody, folder: Path
) -> None:
    job_id = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]["id"]
    wait_for_end(client, job_id)
    rows = "".join(f"{number},Name {number}\n" for number in range(200_000))
    (folder / "people.csv").write_text(f"id,name\n{rows}no number,Ada,too,many\n")

    run = run_now(client, job_id)

    assert run["status"] == "JOB_FAILED"
    assert run["error"]["message"]
    assert people(cache) == [(1, "Ada"), (2, "Grace"), (3, "Edsger")]


def test_a_table_that_is_gone_leaves_the_cached_one_as_it_was(
    client: httpx.Client, cache: CacheDatabase, job_body: JobBody, folder: Path
) -> None:
    job_id = ok(client.post("/api/job/create", json=job_body()))["jobs"][0]["id"]
    wait_for_end(client, job_id)
    (folder / "people.csv").unlink()

    run = run_now(client, job_id)

    assert (run["status"], run["error"]["code"]) == ("JOB_FAILED", "SOURCE_NOT_FOUND")
    assert people(cache) == [(1, "Ada"), (2, "Grace"), (3, "Edsger")]


def people(database: CacheDatabase) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url) as connection:
        return connection.execute('SELECT * FROM "Office".people ORDER BY id').fetchall()


def tables(database: CacheDatabase) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url) as connection:
        return connection.execute(
            "SELECT schemaname, tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'tidewell')"
        ).fetchall()


def test_a_cache_connection_is_answered_within_ten_seconds_whatever_the_servers_do(
    client: httpx.Client, job_body: JobBody
) -> None:
    """Neither the new server nor the old one, whose tables are to be dropped, says a word (§3)."""
    with (
        socket.create_server(("127.0.0.1", 0)) as old,
        socket.create_server(("127.0.0.1", 0)) as new,
    ):
        port, another = old.getsockname()[1], new.getsockname()[1]
        text = f"Server=127.0.0.1;User=u;Database=d;Port={port}"
        connect_body = {"connectionString": text}
        first = ok(client.post("/api/job/cacheConnection", json=connect_body))["connection"]
        assert first["isTested"] is False
        ok(client.post("/api/job/create", json=job_body() | {"enabled": False}))
        moved = {"connectionString": text.replace(str(port), str(another))}
        started = time.monotonic()
        second = ok(client.post("/api/job/cacheConnection", json=moved))["connection"]
        assert time.monotonic() - started < 10
    assert second["id"] == first["id"]
