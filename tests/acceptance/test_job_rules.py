"""Rules of jobs that show only over time or side by side (contract §4)."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import Body, connect
from tests.conftest import CacheDatabase
from tests.product import ENDED, Customer, ok, run_now, wait_for_end
from tests.relay import relay
from tests.running_product import Product

JobBody = Callable[..., Body]
KEYS = [{"colName": "id", "colType": "BIGINT", "isPrimaryKey": "true"}]
PEOPLE = "id,name,at,again\n1,Ada,2026-01-01,2026-01-01\n2,Grace,2026-01-02,2026-01-02\n"
AT_ONCE = 8


def create(client: httpx.Client, body: Body) -> Any:
    return ok(client.post("/api/job/create", json=body))["jobs"][0]


def side_by_side(customer: Customer, call: Callable[[httpx.Client], httpx.Response]) -> list[Any]:
    """The answers to one call that several programs make at once."""

    def answer(_: int) -> httpx.Response:
        with customer.client() as client:
            return call(client)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(answer, range(AT_ONCE)))


@pytest.mark.usefixtures("cache")
def test_of_many_creates_at_once_one_makes_the_job(
    customer: Customer, client: httpx.Client, job_body: JobBody
) -> None:
    body = job_body()
    answers = side_by_side(customer, lambda one: one.post("/api/job/create", json=body))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, *[409] * (AT_ONCE - 1)], [answer.text for answer in answers]
    [job] = ok(client.get("/api/job/list"))["jobs"]
    for answer in answers:
        assert job["id"] in answer.text


@pytest.mark.usefixtures("cache")
def test_of_many_runs_at_once_there_is_one(
    customer: Customer, client: httpx.Client, job_body: JobBody
) -> None:
    first = datetime.now(UTC) + timedelta(days=1)
    job = create(client, job_body() | {"definedNextRun": first.isoformat()})
    path = f"/api/job/{job['id']}"
    ids = {ok(one)["runId"] for one in side_by_side(customer, lambda c: c.post(f"{path}/run"))}
    runs = ok(client.get(f"{path}/runs"))["runs"]
    # One of the calls may come after the run that the others have queued has ended.
    assert ids == {run["id"] for run in runs}
    assert len(ids) < AT_ONCE
    ended = sorted((one["started"], one["finished"]) for one in runs if one["status"] in ENDED)
    assert all(one[1] <= other[0] for one, other in pairwise(ended))
    for answer in side_by_side(customer, lambda c: c.post(f"{path}/stop")):
        assert ok(answer) == {}


@pytest.fixture
def moving(client: httpx.Client, cache: CacheDatabase, folder: Path, job_body: JobBody) -> Any:
    """A job with an increment behind it: its watermark stands."""
    (folder / "people.csv").write_text(PEOPLE)
    (folder / "others.csv").write_text(PEOPLE)
    job = create(client, job_body(timeCheckColumn="at", mergeKeys=KEYS))
    wait_for_end(client, job["id"])
    assert mode(client, job["id"]) == "incremental"
    return job


def mode(client: httpx.Client, job_id: str) -> str:
    run = run_now(client, job_id)
    assert run["status"] == "JOB_SUCCESS", run
    return str(run["receipt"]["mode"])


@pytest.mark.parametrize(
    "change",
    [
        {"timeCheckColumn": "again"},
        {"mergeKeys": [{"colName": "id"}, {"colName": "name"}]},
        {"sourceTable": "others"},
        {"sourceConnection": "another", "sourceName": "Another"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_update_of_what_is_read_drops_the_watermark(
    client: httpx.Client, moving: Any, job_body: JobBody, folder: Path, change: Body
) -> None:
    if "sourceConnection" in change:
        change = change | {"sourceConnection": connect(client, "Another", "Files", f"URI={folder}")}
    body = job_body(**({"timeCheckColumn": "at", "mergeKeys": KEYS} | change))
    [changed] = ok(client.put(f"/api/job/{moving['id']}/update", json=body))["jobs"]
    assert changed["id"] == moving["id"]
    assert mode(client, moving["id"]) == "full"
    assert mode(client, moving["id"]) == "incremental"


def test_an_update_of_anything_else_keeps_the_watermark(
    client: httpx.Client, moving: Any, job_body: JobBody
) -> None:
    body = job_body(timeCheckColumn="at", mergeKeys=KEYS, sourceName="Files", colour="red")
    body |= {"intervalUnit": "MINUTE", "intervalValue": 90, "logVerbosity": 2}
    [changed] = ok(client.put(f"/api/job/{moving['id']}/update", json=body))["jobs"]
    assert (changed["intervalUnit"], changed["intervalValue"]) == ("Minute", 90)
    step = datetime.fromisoformat(changed["nextRunTime"]) - datetime.fromisoformat(
        moving["created"]
    )
    assert step == timedelta(minutes=90)
    assert mode(client, moving["id"]) == "incremental"


@pytest.mark.usefixtures("cache")
def test_a_first_time_in_the_past_is_now_and_the_grid_goes_on_from_it(
    client: httpx.Client, job_body: JobBody
) -> None:
    """Ten days went by: one run makes up for all of them."""
    first = datetime.now(UTC) - timedelta(days=10, minutes=30)
    job = create(client, job_body() | {"definedNextRun": first.isoformat()})
    wait_for_end(client, job["id"])
    ended = ok(client.get(f"/api/job/{job['id']}"))["jobs"][0]
    assert [one["cause"] for one in ok(client.get(f"/api/job/{job['id']}/runs"))["runs"]] == [
        "schedule"
    ]
    next_run = datetime.fromisoformat(ended["nextRunTime"])
    assert datetime.now(UTC) < next_run < datetime.now(UTC) + timedelta(hours=1)
    assert (next_run - first.replace(microsecond=first.microsecond // 1000 * 1000)) % timedelta(
        hours=1
    ) == timedelta(0)


def test_a_cache_that_is_away_holds_no_delete_back_and_is_cleared_later(
    client: httpx.Client, cache_database: CacheDatabase, job_body: JobBody
) -> None:
    with relay(cache_database.host, cache_database.port) as way:
        text = replace(cache_database, port=way.port).connection_string
        ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
        job = create(client, job_body())
        wait_for_end(client, job["id"])
        way.cut()

        assert ok(client.delete(f"/api/job/{job['id']}/delete")) == {}
        assert ok(client.get("/api/job/list")) == {"jobs": []}
        assert table_of(cache_database) is not None

        way.mend()
        deadline = time.monotonic() + 90
        while table_of(cache_database) is not None:
            assert time.monotonic() < deadline, "the table still stands"
            time.sleep(0.5)


def table_of(database: CacheDatabase) -> str | None:
    with psycopg.connect(database.url) as connection:
        row = connection.execute("""SELECT to_regclass('"Office".people')::text""").fetchone()
    return row[0] if row else None


@pytest.mark.usefixtures("cache")
def test_a_run_that_meets_what_nobody_foresaw_has_an_end(
    client: httpx.Client, product: Product, job_body: JobBody
) -> None:
    """Else it would be taken for lost, and be tried again and again."""
    job = create(client, job_body())
    wait_for_end(client, job["id"])
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        connection.execute("UPDATE job SET params = '{}' WHERE id = %s", (job["id"],))

    run = run_now(client, job["id"])

    assert (run["status"], run["attempts"]) == ("JOB_FAILED", 1)
    assert run["error"]["code"] == "INTERNAL_ERROR"
    ok(client.put(f"/api/job/{job['id']}/update", json=job_body()))
    assert run_now(client, job["id"])["status"] == "JOB_SUCCESS"


def test_keys_of_the_reference_that_change_nothing_are_accepted(
    client: httpx.Client, cache_database: CacheDatabase
) -> None:
    """§3: ignored by name; the answer shows what is in force."""
    ignored = "AuthScheme=Password;LogFile=/tmp/x.log;Verbosity=5;PoolMaxSize=3;RTK=x;Other=y"
    text = f"{cache_database.connection_string}{ignored};BrowsableSchemas=public;Timeout=7"
    made = ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    shown = made["connection"]["connectionString"]
    assert made["connection"]["isTested"] is True
    assert shown == (
        f"server={cache_database.host};port={cache_database.port};user={cache_database.user};"
        f"password=********;database={cache_database.database};browsableschemas=public;timeout=7"
    )
