"""The life of a job over HTTP, as a client of the reference's Job API drives it (contract §4)."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import Body, caching, connect
from tests.conftest import CacheDatabase
from tests.faulty_relay import Fault, relay
from tests.product import ok, run_now, wait_for_end
from tests.running_product import Product
from tests.slow_source import SlowSource, slow_source

JobBody = Callable[..., Body]
SENTINEL = "0001-01-01T00:00:00Z"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def slow() -> Iterator[SlowSource]:
    with slow_source() as running:
        yield running


def create(client: httpx.Client, body: Body) -> Any:
    return ok(client.post("/api/job/create", json=body))["jobs"][0]


def one(client: httpx.Client, job_id: str) -> Any:
    return ok(client.get(f"/api/job/{job_id}"))["jobs"][0]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.usefixtures("cache")
def test_a_job_has_all_its_fields_in_their_types(client: httpx.Client, job_body: JobBody) -> None:
    body = job_body(colour="red")
    made = create(client, body)

    assert list(made) == [
        *("jobType", "id", "name", "enabled", "created", "lastModified", "nextRunTime"),
        *("intervalUnit", "intervalValue", "logVerbosity", "lastRun", "params"),
    ]
    assert str(UUID(made["id"])) == made["id"]
    assert (made["jobType"], made["name"], made["enabled"]) == ("Caching", "people", True)
    assert (made["intervalUnit"], made["intervalValue"], made["logVerbosity"]) == ("Hour", 1, 1)
    assert TIME.fullmatch(made["created"])
    assert made["params"] == body["params"] | {
        "sourceConnectionName": "Office",
        "cacheSchema": "Office",
        "cacheTable": "people",
    }

    ended = wait_for_end(client, made["id"])
    last = ended["lastRun"]
    assert list(last) == ["dateTime", "duration", "status", "rowsAffected", "nextRunTime"]
    assert last["status"] == "JOB_SUCCESS"
    assert last["rowsAffected"] == 3
    assert type(last["duration"]) is int
    assert moment(made["created"]) <= moment(last["dateTime"]) <= datetime.now(UTC)
    assert last["nextRunTime"] == ended["nextRunTime"]
    assert moment(ended["nextRunTime"]) - moment(made["created"]) == timedelta(hours=1)
    assert ok(client.get("/api/job/list")) == {"jobs": [ended]}


@pytest.mark.usefixtures("cache")
def test_words_have_no_case_and_numbers_may_be_strings_or_not(
    client: httpx.Client, job_body: JobBody
) -> None:
    words = {"jobType": "CACHING", "intervalUnit": "month", "intervalValue": 2, "enabled": False}
    made = create(client, job_body() | words | {"logVerbosity": "5"})
    assert (made["jobType"], made["intervalUnit"]) == ("Caching", "Month")
    assert (made["intervalValue"], made["enabled"], made["logVerbosity"]) == (2, False, 5)


@pytest.mark.usefixtures("cache")
def test_null_means_what_leaving_out_means(client: httpx.Client, job_body: JobBody) -> None:
    """Programs write what they do not set as null; it comes back as it was written."""
    unset: Body = dict.fromkeys(("logVerbosity", "enabled", "definedNextRun", "name"))
    optional = [
        *("timeCheckColumn", "autoTruncateStrings", "mergeKeys", "cacheSchema", "cacheTable"),
        *("columns", "filter", "fullRefreshEvery", "deleteDetection", "maxRowsPerRun"),
        *("onTypeChange", "timeoutSeconds", "retries"),
    ]
    body = job_body(**dict.fromkeys(optional))
    made = create(client, body | unset)
    assert (made["enabled"], made["logVerbosity"]) == (True, 1)
    assert made["params"] == body["params"] | {
        "sourceConnectionName": "Office",
        "cacheSchema": "Office",
        "cacheTable": "people",
    }
    assert wait_for_end(client, made["id"])["lastRun"]["rowsAffected"] == 3
    keys = [{"colName": "id", "colType": None, "isPrimaryKey": None}]
    ok(client.put(f"/api/job/{made['id']}/update", json=job_body(mergeKeys=keys) | unset))

    query = {"query": "SELECT id FROM Office.Files.people", "name": None, "mergeKeys": None}
    places = dict.fromkeys(("destinationSchema", "destinationTable", "writeMode", "retries"))
    body = {"jobType": "ScheduledQuery", "intervalUnit": "Hour", "intervalValue": 1} | unset
    made = create(client, body | {"params": query | places})
    assert made["name"] == "SELECT id FROM Office.Files.people"
    assert made["params"]["cacheSchema"] == "ScheduledQueries"
    back = {"redirectURL": "https://vendor.example/", "name": None, "editableName": None}
    ok(client.post("/api/job/cacheConnection/formLink", json=back))


@pytest.mark.usefixtures("cache")
def test_a_disabled_job_never_ran_and_does_not_run(client: httpx.Client, job_body: JobBody) -> None:
    made = create(client, job_body() | {"enabled": "false"})
    nothing = {
        "dateTime": SENTINEL,
        "duration": 0,
        "status": "",
        "rowsAffected": 0,
        "nextRunTime": SENTINEL,
    }
    assert (made["lastRun"], made["nextRunTime"]) == (nothing, SENTINEL)
    refused = client.post(f"/api/job/{made['id']}/run")
    assert refused.status_code == 409
    assert "disabled" in refused.json()["error"]["message"]
    assert ok(client.post(f"/api/job/{made['id']}/stop")) == {}


@pytest.mark.usefixtures("cache")
def test_a_job_waits_for_its_defined_first_time_and_then_runs_by_itself(
    client: httpx.Client, job_body: JobBody
) -> None:
    first = datetime.now(UTC) + timedelta(seconds=2)
    made = create(client, job_body() | {"definedNextRun": first.isoformat()})
    assert made["lastRun"]["status"] == ""
    assert abs(moment(made["nextRunTime"]) - first) < timedelta(milliseconds=1)

    ended = wait_for_end(client, made["id"])

    assert ended["lastRun"]["status"] == "JOB_SUCCESS"
    assert moment(ended["lastRun"]["dateTime"]) >= first - timedelta(milliseconds=1)
    assert moment(ended["nextRunTime"]) - moment(made["nextRunTime"]) == timedelta(hours=1)
    run = ok(client.get(f"/api/job/{made['id']}/runs"))["runs"][0]
    assert run["cause"] == "schedule"


@pytest.mark.usefixtures("cache")
def test_one_job_a_table(client: httpx.Client, job_body: JobBody) -> None:
    first = create(client, job_body())
    second = client.post("/api/job/create", json=job_body())
    assert second.status_code == 409
    assert first["id"] in second.json()["error"]["message"]


@pytest.mark.usefixtures("cache")
def test_a_run_while_one_works_is_that_one(client: httpx.Client, slow: SlowSource) -> None:
    source = connect(client, "Office", "OData", f"URL={slow.url}")
    made = create(client, caching(source, sourceSchema="OData", sourceTable="Things"))
    slow.wait_until_read()

    running = one(client, made["id"])
    assert running["lastRun"]["status"] == "JOB_RUNNING"
    assert TIME.fullmatch(running["lastRun"]["dateTime"])
    ids = {ok(client.post(f"/api/job/{made['id']}/run"))["runId"] for _ in range(5)}
    assert len(ids) == 1
    slow.let_go()
    assert wait_for_end(client, made["id"])["lastRun"]["status"] == "JOB_SUCCESS"
    assert [run["id"] for run in ok(client.get(f"/api/job/{made['id']}/runs"))["runs"]] == [*ids]


def test_stop_ends_a_run_in_the_middle_and_leaves_the_table_as_it_was(
    client: httpx.Client, cache: CacheDatabase, slow: SlowSource
) -> None:
    source = connect(client, "Office", "OData", f"URL={slow.url}")
    slow.let_go()
    made = create(client, caching(source, sourceSchema="OData", sourceTable="Things"))
    assert wait_for_end(client, made["id"])["lastRun"]["rowsAffected"] == slow.rows
    before = things(cache)
    slow.hold()

    ok(client.post(f"/api/job/{made['id']}/run"))
    slow.wait_until_read()
    started = time.monotonic()
    assert ok(client.post(f"/api/job/{made['id']}/stop")) == {}
    ended = wait_for_end(client, made["id"], after=made["created"])
    while ended["lastRun"]["status"] != "JOB_STOPPED":
        ended = one(client, made["id"])
        assert time.monotonic() - started < 10

    assert things(cache) == before
    with psycopg.connect(cache.url) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s",
            (f"tidewell job {made['id']}%",),
        ).fetchone()
    assert left == (0,)
    slow.let_go()
    assert run_now(client, made["id"])["status"] == "JOB_SUCCESS"


@pytest.mark.usefixtures("cache")
def test_update_replaces_settings_and_moves_the_schedule(
    client: httpx.Client, job_body: JobBody
) -> None:
    made = wait_for_end(client, create(client, job_body())["id"])
    body = job_body() | {"intervalUnit": "Day", "intervalValue": 3, "logVerbosity": 4}
    changed = ok(client.put(f"/api/job/{made['id']}/update", json=body))["jobs"][0]
    assert (changed["intervalUnit"], changed["intervalValue"]) == ("Day", 3)
    assert changed["logVerbosity"] == 4
    assert moment(changed["nextRunTime"]) - moment(made["created"]) == timedelta(days=3)
    assert changed["lastRun"]["status"] == "JOB_SUCCESS"
    assert moment(changed["lastModified"]) > moment(made["lastModified"])

    off = ok(client.put(f"/api/job/{made['id']}/update", json=body | {"enabled": "false"}))
    assert off["jobs"][0]["nextRunTime"] == SENTINEL


@pytest.mark.usefixtures("cache")
def test_a_job_as_it_was_read_can_be_sent_back(client: httpx.Client, job_body: JobBody) -> None:
    """What a client does not set is left alone, also where it has been changed."""
    made = wait_for_end(client, create(client, job_body(colour="red"))["id"])
    sent = made | {"intervalValue": 2, "created": SENTINEL, "id": "x", "lastRun": {}}
    changed = ok(client.put(f"/api/job/{made['id']}/update", json=sent))["jobs"][0]
    later = {name: changed[name] for name in ("lastModified", "nextRunTime", "lastRun")}
    assert changed == made | {"intervalValue": 2} | later
    assert moment(changed["nextRunTime"]) - moment(made["created"]) == timedelta(hours=2)
    assert run_now(client, made["id"])["status"] == "JOB_SUCCESS"


def test_delete_drops_the_table_and_forgets_the_job(
    client: httpx.Client, cache: CacheDatabase, job_body: JobBody
) -> None:
    made = create(client, job_body())
    wait_for_end(client, made["id"])

    assert ok(client.delete(f"/api/job/{made['id']}/delete")) == {}

    assert ok(client.get("/api/job/list")) == {"jobs": []}
    assert client.get(f"/api/job/{made['id']}").status_code == 404
    with psycopg.connect(cache.url) as connection:
        found = connection.execute("""SELECT to_regclass('"Office".people')""").fetchone()
    assert found == (None,)
    assert create(client, job_body())["id"] != made["id"]


CALLS = ["get ", "put /update", "delete /delete", "post /run", "post /stop"]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("call", CALLS)
def test_a_job_that_does_not_exist(client: httpx.Client, job_body: JobBody, call: str) -> None:
    method, path = call.split(" ")
    body = job_body() if method == "put" else None
    for job_id in (str(uuid4()), "M36b2c04f", "%00", "💥"):
        found = client.request(method, f"/api/job/{job_id}{path}", json=body)
        assert found.status_code == 404, found.text
        assert found.json()["error"]["code"] == "NOT_FOUND"


def test_an_increment_of_files_brings_only_what_moved_forward(
    client: httpx.Client, cache: CacheDatabase, job_body: JobBody, folder: Path
) -> None:
    (folder / "people.csv").write_text("id,name,at\n1,Ada,2026-01-01\n2,Grace,2026-01-02\n")
    keys = [{"colName": "id", "colType": "BIGINT", "isPrimaryKey": "true"}]
    made = create(client, job_body(timeCheckColumn="at", mergeKeys=keys))
    wait_for_end(client, made["id"])
    # The first line changed without moving forward: the increment cannot see it.
    (folder / "people.csv").write_text(
        "id,name,at\n1,Changed,2026-01-01\n2,Hopper,2026-01-02\n3,Edsger,2026-01-03\n"
    )

    run = run_now(client, made["id"])

    assert run["receipt"]["mode"] == "incremental"
    assert (run["rowsRead"], run["rowsAffected"]) == (2, 2)
    assert names(cache) == ["Ada", "Hopper", "Edsger"]
    body = job_body(timeCheckColumn="at", mergeKeys=[{"colName": "id"}, {"colName": "at"}])
    ok(client.put(f"/api/job/{made['id']}/update", json=body))
    assert run_now(client, made["id"])["receipt"]["mode"] == "full"
    assert names(cache) == ["Changed", "Hopper", "Edsger"]


def test_another_cache_gets_everything_anew(
    client: httpx.Client, cache: CacheDatabase, job_body: JobBody
) -> None:
    made = create(client, job_body())
    wait_for_end(client, made["id"])
    with psycopg.connect(cache.url, autocommit=True) as connection:
        connection.execute('DROP SCHEMA "Office" CASCADE')
    assert run_now(client, made["id"])["rowsAffected"] == 3
    assert names(cache) == ["Ada", "Grace", "Edsger"]


def test_a_drop_that_had_to_wait_leaves_what_was_loaded_since(
    client: httpx.Client,
    product: Product,
    cache_database: CacheDatabase,
    another_cache: CacheDatabase,
    job_body: JobBody,
) -> None:
    """The cache was away while another took its place, and is the account's again."""

    def connect_cache(database: CacheDatabase, port: int) -> None:
        text = replace(database, port=port).connection_string
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))

    with relay(cache_database.host, cache_database.port) as link:
        connect_cache(cache_database, link.port)
        made = create(client, job_body())
        wait_for_end(client, made["id"])
        link.fault = Fault(reset_after=0)
        link.end()
        connect_cache(another_cache, another_cache.port)
        link.fault = Fault()
        connect_cache(cache_database, link.port)
        assert run_now(client, made["id"])["receipt"]["mode"] == "full"

        with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"], autocommit=True) as state:
            assert state.execute(DROP_NOW, (made["id"],)).rowcount == 1
            deadline = time.monotonic() + 20
            while state.execute(DROPS, (made["id"],)).fetchone() and time.monotonic() < deadline:
                time.sleep(0.2)
            assert state.execute(DROPS, (made["id"],)).fetchone() is None

    assert names(cache_database) == ["Ada", "Grace", "Edsger"]


DROPS = "SELECT id FROM procrastinate_jobs WHERE args ->> 'job_id' = %s"
DROP_NOW = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE args ->> 'job_id' = %s"


def names(database: CacheDatabase) -> list[str]:
    with psycopg.connect(database.url) as connection:
        rows = connection.execute('SELECT name FROM "Office".people ORDER BY id').fetchall()
    return [row[0] for row in rows]


def things(database: CacheDatabase) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url) as connection:
        return connection.execute('SELECT * FROM "Office"."Things" ORDER BY "ID"').fetchall()
