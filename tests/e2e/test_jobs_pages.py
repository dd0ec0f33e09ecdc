"""The Jobs pages as a customer meets them: from nothing to fresh rows, and what went wrong."""

import json
from pathlib import Path
from typing import Literal

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.e2e.browser import Screen, screen
from tests.product import Customer, command, ok, run_now, wait_for_end
from tests.running_product import Product
from tests.slow_source import slow_source

SCREENS = [(320, "light"), (800, "dark"), (1400, "light")]
"""What is wide or narrow does not ask for colours, nor a contrast for the width."""


@pytest.fixture
def folder(product: Product, tmp_path: Path) -> Path:
    """A folder with three tables."""
    folder = product.files / tmp_path.name
    folder.mkdir()
    (folder / "people.csv").write_text("id,name\n1,Ada\n2,Grace\n3,\n")
    (folder / "orders.csv").write_text("id,amount\n1,10.5\n2,20.25\n")
    (folder / "items.csv").write_text("id,label\n1,Pen\n")
    return folder


@pytest.fixture
def cache(client: httpx.Client, cache_database: CacheDatabase) -> CacheDatabase:
    """The customer's PostgreSQL, connected."""
    text = cache_database.connection_string
    ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    return cache_database


@pytest.fixture
def office(client: httpx.Client, cache: CacheDatabase, folder: Path) -> str:
    """A connection to the folder; its id."""
    return connect(client, "Office", "Files", f"URI={folder}")


def jobs_link(client: httpx.Client, **body: str) -> str:
    return str(ok(client.post("/api/poweredby/jobs", json=body))["redirectURL"])


def make(client: httpx.Client, connection_id: str, table: str) -> str:
    body = caching(connection_id, sourceTable=table)
    return str(ok(client.post("/api/job/create", json=body))["jobs"][0]["id"])


def test_from_nothing_to_fresh_rows(
    person: Screen, client: httpx.Client, folder: Path, cache_database: CacheDatabase
) -> None:
    page = person.page
    page.goto(jobs_link(client, redirectURL="https://vendor.example/home"))
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    expect(page.get_by_role("link", name="Return to vendor.example")).to_be_visible()
    person.looks_right("jobs-none")

    # A place for the copies, and a source.
    page.get_by_role("link", name="connect your PostgreSQL").click()
    for label, value in {
        "Server": cache_database.host,
        "Port": str(cache_database.port),
        "User name": cache_database.user,
        "Password": cache_database.password,
        "Database": cache_database.database,
    }.items():
        page.get_by_label(label).first.fill(value)
    page.get_by_role("button", name="Save & Test").click()
    expect(page.get_by_text("It works.")).to_be_visible()
    person.looks_right("jobs-cache-form")
    page.get_by_role("link", name="Connections").first.click()
    page.get_by_role("link", name="Add a connection").click()
    person.looks_right("jobs-drivers")
    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_label("Name").first.fill("Office")
    page.get_by_label("URI").fill(str(folder))
    page.get_by_role("button", name="Save & Test").click()
    expect(page.get_by_text("It works.")).to_be_visible()
    person.looks_right("jobs-connection-form")

    # Three steps.
    page.get_by_role("link", name="Add jobs from it").click()
    expect(page.get_by_role("heading", name="Which tables of Office?")).to_be_visible()
    page.get_by_role("button", name="Next: schedule").click()
    expect(page.get_by_text("Choose at least one table.")).to_be_visible()
    page.get_by_label("people").check()
    page.get_by_label("orders").check()
    person.looks_right("jobs-new-tables")
    page.get_by_role("button", name="Next: schedule").click()
    page.get_by_label("Every").fill("15")
    page.get_by_label("Unit").select_option("Minute")
    person.looks_right("jobs-new-schedule")
    page.get_by_role("button", name="Add 2 jobs").click()

    expect(page.get_by_text("2 jobs were made, and their first runs are queued.")).to_be_visible()
    # They come to an end before one's eyes.
    expect(page.locator(".state.ok")).to_have_count(2, timeout=120_000)
    expect(page.get_by_text("3 rows written")).to_be_visible()
    person.looks_right("jobs-fresh")
    made = ok(client.get("/api/job/list"))["jobs"]
    assert sorted(job["name"] for job in made) == ["orders", "people"]
    assert {(job["intervalUnit"], job["intervalValue"]) for job in made} == {("Minute", 15)}

    page.get_by_role("link", name="people").click()
    expect(page.get_by_role("heading", name="people")).to_be_visible()
    person.looks_right("job-fresh")
    page.get_by_role("link", name="Office.people").click()
    expect(page.get_by_text("All 3 rows.")).to_be_visible()
    expect(page.get_by_role("cell", name="Grace")).to_be_visible()
    expect(page.get_by_role("cell", name="NULL")).to_be_visible()
    person.looks_right("job-rows")


def test_a_time_check_column_is_proposed(
    person: Screen, client: httpx.Client, cache: CacheDatabase, another_cache: CacheDatabase
) -> None:
    with psycopg.connect(another_cache.url) as connection:
        connection.execute(
            "CREATE TABLE visit (id int PRIMARY KEY, note text, updated_at timestamptz NOT NULL);"
            " INSERT INTO visit SELECT n, 'x', now() FROM generate_series(1, 40) AS n;"
            " CREATE TABLE remark (note text)"
        )
    shop = connect(client, "Shop", "PostgreSQL", another_cache.connection_string)
    page = person.page
    page.goto(jobs_link(client))
    page.get_by_role("link", name="Add jobs").click()
    page.get_by_role("link", name="Shop").click()
    page.get_by_label("visit").check()
    page.get_by_label("remark").check()
    page.get_by_role("button", name="Next: schedule").click()
    expect(page.get_by_label("visit")).to_have_value("updated_at")
    expect(page.get_by_label("remark")).to_have_value("")
    expect(page.get_by_text("The table has no key")).to_be_visible()
    person.looks_right("jobs-new-proposed")
    page.get_by_role("button", name="Add 2 jobs").click()
    expect(page.locator(".state.ok")).to_have_count(2)
    [visit] = [job for job in ok(client.get("/api/job/list"))["jobs"] if job["name"] == "visit"]
    assert visit["params"]["timeCheckColumn"] == "updated_at"
    assert visit["params"]["sourceConnection"] == shop
    page.get_by_role("link", name="visit").click()
    expect(page.get_by_text("Increments by updated_at")).to_be_visible()
    expect(page.get_by_text("Watermark")).to_be_visible()
    person.looks_right("job-increments")


def test_what_failed_is_told_with_what_to_do(
    person: Screen, client: httpx.Client, office: str, folder: Path
) -> None:
    wait_for_end(client, make(client, office, "orders"))
    job = make(client, office, "people")
    assert wait_for_end(client, job)["lastRun"]["status"] == "JOB_SUCCESS"
    (folder / "people.csv").unlink()
    run_now(client, job)
    page = person.page
    page.goto(jobs_link(client))
    # Of two jobs the older one is well: the other one stands first.
    expect(page.locator("th.job a")).to_have_text(["people", "orders"])
    expect(page.locator(".state.failed")).to_have_text("Failed")
    page.get_by_role("navigation", name="Show").get_by_role("link", name="Failed 1").click()
    person.looks_right("jobs-failed")
    page.get_by_role("link", name="people").click()
    expect(page.get_by_role("heading", name="is gone from the source")).to_be_visible()
    expect(page.get_by_text("What to do:")).to_be_visible()
    person.looks_right("job-failed")

    page.get_by_role("link", name="Log of the failed run").click()
    expect(page.get_by_role("heading", name="Log")).to_be_visible()
    expect(page.get_by_role("cell", name="Run ").first).to_be_visible()
    expect(page.get_by_role("link", name="Open the settings")).to_be_visible()
    person.looks_right("run-failed")

    # The table comes back, and the job is run again from its page.
    (folder / "people.csv").write_text("id,name\n1,Ada\n")
    page.go_back()
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("#fact-state .state")).to_have_text("Fresh")
    expect(page.get_by_role("heading", name="is gone from the source")).to_have_count(0)


def test_many_jobs_are_steered_at_once(
    person: Screen, client: httpx.Client, office: str, cache: CacheDatabase
) -> None:
    made = {name: make(client, office, name) for name in ("people", "orders", "items")}
    for job in made.values():
        wait_for_end(client, job)
    page = person.page
    page.goto(jobs_link(client))
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.locator(".outcome.warn")).to_contain_text("No job was chosen")

    page.get_by_label("Choose people").check()
    page.get_by_label("Choose orders").check()
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.get_by_text("2 jobs were disabled.")).to_be_visible()
    expect(page.locator(".state.off")).to_have_count(2)
    assert enabled(client) == {"people": False, "orders": False, "items": True}

    # A disabled job does not run: told with its name, and the others run all the same.
    page.get_by_label("Choose people").check()
    page.get_by_label("Choose items").check()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("heading", name="Not everything could be done")).to_be_visible()
    expect(page.get_by_text("One job was queued to run.")).to_be_visible()
    expect(page.get_by_text("It is disabled, so it does not run")).to_be_visible()
    person.looks_right("jobs-problems")
    page.get_by_role("link", name="Back to the jobs").click()

    page.get_by_role("button", name="Enable people").click()
    expect(page.get_by_text("One job was enabled.")).to_be_visible()
    assert enabled(client)["people"]

    page.get_by_label("Choose orders").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete this job?")).to_be_visible()
    person.looks_right("jobs-delete")
    assert len(enabled(client)) == 3
    page.get_by_role("button", name="Delete 1 job and its table").click()
    expect(page.get_by_text("One job was deleted.")).to_be_visible()
    assert set(enabled(client)) == {"people", "items"}


def test_all_jobs_are_chosen_by_one_box(
    browser: Browser, client: httpx.Client, office: str
) -> None:
    for name in ("people", "orders", "items"):
        wait_for_end(client, make(client, office, name))
    with screen(browser, javascript=False) as person:
        person.page.goto(jobs_link(client))
        expect(person.page.get_by_label("Choose people")).to_be_visible()
        expect(person.page.locator("[data-choose-all]")).to_be_hidden()
    for width in (320, 768, 1440):
        with screen(browser, width=width) as person:
            page = person.page
            page.goto(jobs_link(client))
            every = page.get_by_role("checkbox", name="Choose all jobs shown")
            one = page.get_by_label("Choose people")
            ticked = page.locator("tbody input:checked")
            person.looks_right(f"jobs-choose-none-{width}")
            every.focus()
            page.keyboard.press("Space")
            expect(ticked).to_have_count(3)
            one.uncheck()
            expect(every).to_be_checked(indeterminate=True)
            person.looks_right(f"jobs-choose-some-{width}")
            page.keyboard.press("Space")  # the one that was taken away is chosen again
            expect(every).to_be_checked()
            every.uncheck()
            expect(ticked).to_have_count(0)
            every.check()
    with screen(browser) as person:
        page = person.page
        page.goto(jobs_link(client))
        page.get_by_role("checkbox", name="Choose all jobs shown").check()
        page.get_by_role("button", name="Disable", exact=True).click()
        expect(page.get_by_text("3 jobs were disabled.")).to_be_visible()
    assert enabled(client) == {"people": False, "orders": False, "items": False}


def test_jobs_that_were_stopped_or_have_not_run_are_found(
    person: Screen, client: httpx.Client, office: str
) -> None:
    later = {"definedNextRun": "2031-01-31T06:00:00Z"}
    ok(client.post("/api/job/create", json=caching(office, sourceTable="people") | later))
    with slow_source() as slow:
        connection_id = connect(client, "Slow", "OData", f"URL={slow.url}")
        params = {"sourceName": "Slow", "sourceSchema": "OData", "sourceTable": "Things"}
        body = caching(connection_id, **params)
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
        slow.wait_until_read()
        ok(client.post(f"/api/job/{job}/stop"))
        wait_for_end(client, job)
    page = person.page
    page.goto(jobs_link(client))
    filters = page.get_by_role("navigation", name="Show")
    filters.get_by_role("link", name="Stopped 1").click()
    expect(page.locator("th.job a")).to_have_text("Things")
    person.looks_right("jobs-stopped")
    filters.get_by_role("link", name="Not run yet 1").click()
    expect(page.locator("th.job a")).to_have_text("people")


def test_a_running_job_is_seen_at_work_and_stopped(
    person: Screen, client: httpx.Client, cache: CacheDatabase
) -> None:
    with slow_source() as slow:
        connection_id = connect(client, "Slow", "OData", f"URL={slow.url}")
        params = {"sourceName": "Slow", "sourceSchema": "OData", "sourceTable": "Things"}
        body = caching(connection_id, **params)
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
        page = person.page
        page.goto(jobs_link(client))
        expect(page.locator(".state")).to_have_text("Running")
        slow.wait_until_read()
        expect(page.get_by_text("2,500 rows read")).to_be_visible()
        person.looks_right("jobs-running")
        page.get_by_role("button", name="Stop Things").click()
        expect(page.locator(".state")).to_have_text("Stopped")
        assert wait_for_end(client, job)["lastRun"]["status"] == "JOB_STOPPED"


def test_pages_follow_what_happens_by_the_services_events(
    person: Screen, client: httpx.Client, cache: CacheDatabase
) -> None:
    with slow_source() as slow:
        connection_id = connect(client, "Slow", "OData", f"URL={slow.url}")
        params = {"sourceName": "Slow", "sourceSchema": "OData", "sourceTable": "Things"}
        body = caching(connection_id, **params) | {"definedNextRun": "2031-01-31T06:00:00Z"}
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
        page = person.page
        page.clock.install()  # no timer of the page's own moves from here on, unless it is told
        with page.expect_response("**/events"):
            page.goto(jobs_link(client))
        expect(page.locator(".state")).to_have_text("Not run yet")
        with page.expect_response("**/jobs"):
            ok(client.post(f"/api/job/{job}/run"))
            slow.wait_until_read()
            page.clock.run_for(1_000)
        for _ in range(10):  # from waiting to running, a change each; far less than the slow look
            page.clock.run_for(1_000)
            page.wait_for_timeout(200)
        expect(page.locator(".state")).to_have_text("Running")
        detail = page.locator(f"[data-detail='{job}']")
        expect(detail).to_contain_text("2,500 rows read")
        before = detail.inner_text()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        expect(detail).not_to_have_text(before)
        assert asked == []  # how far it is comes with the event itself
        ok(client.post(f"/api/job/{job}/stop"))
        with page.expect_response("**/jobs"):
            wait_for_end(client, job)
            page.wait_for_timeout(1_000)
            page.clock.run_for(1_000)
        expect(page.locator(".state")).to_have_text("Stopped")


def test_the_log_of_a_run_grows_before_ones_eyes(
    person: Screen, client: httpx.Client, cache: CacheDatabase
) -> None:
    with slow_source() as slow:
        connection_id = connect(client, "Slow", "OData", f"URL={slow.url}")
        params = {"sourceName": "Slow", "sourceSchema": "OData", "sourceTable": "Things"}
        job = ok(client.post("/api/job/create", json=caching(connection_id, **params)))
        slow.wait_until_read()
        page = person.page
        page.goto(jobs_link(client))
        page.get_by_role("link", name="Things").click()
        page.get_by_role("link", name="UTC").first.click()
        expect(page.locator("#facts .state")).to_have_text("Running")
        person.looks_right("run-running")
        ok(client.post(f"/api/job/{job['jobs'][0]['id']}/stop"))
        expect(page.locator("#facts .state")).to_have_text("Stopped")


def test_a_query_is_written_checked_made_and_changed(
    person: Screen, client: httpx.Client, office: str, cache: CacheDatabase
) -> None:
    wait_for_end(client, make(client, office, "people"))
    page = person.page
    page.goto(jobs_link(client))
    page.get_by_role("link", name="Add a query").click()
    person.looks_right("query-new")
    page.get_by_role("button", name="Add the query").click()
    expect(page.locator("#error-query")).to_have_text("Write a query.")
    page.get_by_label("Query").fill("SELECT name FROM Office.Files.pople")
    page.get_by_role("button", name="Check it").click()
    expect(page.locator("#error-query")).to_contain_text("people")  # the near name
    person.looks_right("query-wrong")
    page.get_by_label("Query").fill("SELECT id, upper(name) AS name FROM Office.Files.people")
    page.get_by_label("Name").fill("shouted")
    page.get_by_label("Each run").select_option("merge")
    page.get_by_role("button", name="Check it").click()
    expect(page.locator("#error-keys")).to_contain_text("merge")
    page.get_by_label("Merge key").fill("id")
    page.get_by_label("Every").fill("2")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text("The query can be run.")).to_be_visible()
    assert len(ok(client.get("/api/job/list"))["jobs"]) == 1
    page.get_by_role("button", name="Add the query").click()
    expect(page.locator("#fact-state .state")).to_have_text("Fresh")
    expect(page.get_by_text("its rows are merged by key")).to_be_visible()
    person.looks_right("query-job")
    [job] = [one for one in ok(client.get("/api/job/list"))["jobs"] if one["name"] == "shouted"]
    assert (job["jobType"], job["intervalValue"]) == ("ScheduledQuery", 2)
    assert job["params"]["mergeKeys"] == [{"colName": "id"}]
    with psycopg.connect(cache.url) as connection:
        found = connection.execute('SELECT name FROM "ScheduledQueries".shouted ORDER BY id')
        assert found.fetchall() == [("ADA",), ("GRACE",), (None,)]

    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_label("Merge key")).to_have_value("id")
    page.get_by_label("Each run").select_option("replace")
    page.get_by_label("Merge key").fill("")
    page.get_by_label("Query").fill("SELECT id FROM Office.Files.people WHERE id > 1")
    person.looks_right("query-settings")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved.")).to_be_visible()
    changed = ok(client.get(f"/api/job/{job['id']}"))["jobs"][0]
    assert changed["params"]["query"] == "SELECT id FROM Office.Files.people WHERE id > 1"
    assert "mergeKeys" not in changed["params"]
    assert changed["params"]["writeMode"] == "replace"
    assert "autoTruncateStrings" not in changed["params"]


def test_jobs_that_a_program_made_with_the_least_of_params_have_their_pages(
    person: Screen, client: httpx.Client, office: str
) -> None:
    """What a form always sends, a program may leave out."""
    copied = caching(office, sourceTable="people")
    del copied["params"]["timeCheckColumn"], copied["params"]["autoTruncateStrings"]
    asked = copied | {"jobType": "ScheduledQuery", "params": {"query": "SELECT 1 AS one"}}
    page = person.page
    page.goto(jobs_link(client))
    base = page.url.removesuffix("/jobs")
    for body, how in ((copied, "The whole table each time"), (asked, "its result replaces")):
        job = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
        wait_for_end(client, job)
        page.goto(f"{base}/jobs/{job}")
        expect(page.get_by_text(how)).to_be_visible()
        written = "1 row written" if body is asked else "3 rows written"
        expect(page.locator("#fact-state")).to_contain_text(written)
        source = page.locator(".facts div").filter(has=page.get_by_text("Source", exact=True))
        expect(source.locator("dd")).to_have_text("none" if body is asked else "OfficeFiles.people")
        person.looks_right(f"job-least-{body['jobType']}")
        page.get_by_role("link", name="Settings").click()
        expect(page.get_by_role("button", name="Save")).to_be_visible()
        page.goto(f"{base}/jobs/{job}/rows")
        expect(page.get_by_text("One row." if body is asked else "All 3 rows.")).to_be_visible()


def test_settings_are_changed(person: Screen, client: httpx.Client, office: str) -> None:
    job = make(client, office, "people")
    wait_for_end(client, job)
    page = person.page
    page.goto(jobs_link(client))
    page.get_by_role("link", name="people").click()
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_label("Every")).to_have_value("1")
    person.looks_right("job-settings")
    page.get_by_label("Every").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#error-every")).to_contain_text("from 1 to 10,000")
    person.looks_right("job-settings-wrong")
    page.get_by_label("Every").fill("6")
    page.get_by_label("Next run").fill("2031-01-31T06:00")
    page.get_by_label("Log level").select_option("2")
    page.get_by_label("Cut strings").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved.")).to_be_visible()
    changed = ok(client.get(f"/api/job/{job}"))["jobs"][0]
    assert (changed["intervalValue"], changed["intervalUnit"]) == (6, "Hour")
    assert changed["nextRunTime"] == "2031-01-31T06:00:00.000Z"
    assert changed["logVerbosity"] == 2
    assert changed["params"]["autoTruncateStrings"] == "true"
    assert changed["params"]["sourceTable"] == "people"
    assert "timeoutSeconds" not in changed["params"]  # what nobody touched is not there


def test_what_few_need_is_folded_away_and_opens_where_it_is_wrong(
    person: Screen, client: httpx.Client, office: str
) -> None:
    job = make(client, office, "people")
    wait_for_end(client, job)
    page = person.page
    page.goto(jobs_link(client))
    page.get_by_role("link", name="people").click()
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_label("Filter")).to_be_hidden()
    page.get_by_text("More settings").click()
    page.get_by_label("Filter").fill("id >")
    page.get_by_label("Time limit").fill("600")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#error-filter")).not_to_be_empty()
    expect(page.get_by_label("Filter")).to_be_visible()
    person.looks_right("job-settings-more")
    page.get_by_label("Filter").fill("id > 1")
    page.get_by_label("Time limit").fill("soon")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#error-seconds")).to_contain_text("number")
    page.get_by_label("Time limit").fill("600")
    page.get_by_label("Merge key").fill("id")
    page.get_by_label("A column that changes").select_option("rebuild")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved.")).to_be_visible()
    params = ok(client.get(f"/api/job/{job}"))["jobs"][0]["params"]
    assert (params["filter"], params["timeoutSeconds"]) == ("id > 1", "600")
    assert params["mergeKeys"] == [{"colName": "id"}]
    assert params["onTypeChange"] == "rebuild"
    run_now(client, job)
    page.reload()
    page.get_by_role("link", name="Office.people").click()
    expect(page.get_by_text("All 2 rows.")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Settings").click()
    page.get_by_text("More settings").click()
    expect(page.get_by_label("Merge key")).to_have_value("id")
    page.get_by_label("Filter").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved.")).to_be_visible()
    params = ok(client.get(f"/api/job/{job}"))["jobs"][0]["params"]
    assert "filter" not in params
    assert params["mergeKeys"] == [{"colName": "id"}]


def test_connections_are_seen_tried_and_deleted(
    person: Screen, client: httpx.Client, office: str, folder: Path
) -> None:
    wait_for_end(client, make(client, office, "people"))
    connect(client, "Gone", "Files", f"URI={folder}/nothing.csv")
    page = person.page
    page.goto(jobs_link(client))
    page.get_by_role("link", name="Connections").click()
    page.get_by_role("button", name="Test Gone").click()
    expect(page.locator(".state.failed")).to_have_text("Does not work")
    page.get_by_role("button", name="Test Office").click()
    expect(page.locator(".jobs .state.ok")).to_have_text("Works")
    person.looks_right("connections")
    page.get_by_role("button", name="Delete … Office").click()
    expect(page.get_by_text("A job uses it")).to_be_visible()
    person.looks_right("connections-delete")
    page.get_by_role("button", name="Delete Office, its job and its table").click()
    expect(page.get_by_text("The connection is deleted.")).to_be_visible()
    assert ok(client.get("/api/job/list"))["jobs"] == []


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_every_width_and_a_long_history(
    browser: Browser,
    client: httpx.Client,
    product: Product,
    office: str,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    job = make(client, office, "people")
    wait_for_end(client, job)
    with_history(product, job)
    wait_for_end(client, make(client, office, "orders"))
    with screen(browser, width=width, height=800, scheme=scheme) as person:
        page = person.page
        page.goto(jobs_link(client, redirectURL="https://vendor.example/"))
        expect(page.locator(".state.late")).to_have_text("Late")
        person.looks_right(f"jobs-{width}-{scheme}")
        page.get_by_role("link", name="people").click()
        expect(page.get_by_role("img", name="Last 31 runs").first).to_be_visible()
        person.looks_right(f"job-{width}-{scheme}")
        page.get_by_role("link", name="UTC").first.click()
        person.looks_right(f"run-{width}-{scheme}")
        page.get_by_role("link", name="Connections").click()
        person.looks_right(f"connections-{width}-{scheme}")
        base = page.url.removesuffix("/connections")
        page.goto(f"{base}/jobs/{job}/rows")
        person.looks_right(f"rows-{width}-{scheme}")
        page.goto(f"{base}/jobs/{job}/settings")
        page.get_by_text("More settings").click()
        person.looks_right(f"settings-{width}-{scheme}")
        page.goto(f"{base}/jobs/new")
        person.looks_right(f"new-connection-{width}-{scheme}")
        page.goto(f"{base}/jobs/new/{office}")
        page.get_by_label("items").check()
        person.looks_right(f"new-tables-{width}-{scheme}")
        page.get_by_role("button", name="Next: schedule").click()
        person.looks_right(f"new-schedule-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_every_width_of_what_is_asked_and_of_what_is_wrong(
    browser: Browser,
    client: httpx.Client,
    office: str,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    wait_for_end(client, make(client, office, "people"))
    wait_for_end(client, make(client, office, "orders"))
    with screen(browser, width=width, height=800, scheme=scheme) as person:
        page = person.page
        page.goto(jobs_link(client, redirectURL="https://vendor.example/"))
        base = page.url.removesuffix("/jobs")
        page.goto(f"{base}/jobs/new/query")
        page.get_by_role("button", name="Add the query").click()
        person.looks_right(f"query-wrong-{width}-{scheme}")
        page.goto(f"{base}/connections/new?driver=REST")
        page.get_by_label("Sign-in").select_option("OAuthClient")
        page.get_by_text("More settings").click()
        page.get_by_role("button", name="Save & Test").click()
        expect(page.locator("#result .outcome")).to_be_visible()
        person.looks_right(f"connection-rest-{width}-{scheme}")
        page.goto(f"{base}/jobs?q=nothing-is-called-so")
        expect(page.get_by_text("No job fits.")).to_be_visible()
        person.looks_right(f"jobs-none-fit-{width}-{scheme}")
        page.goto(f"{base}/jobs")
        page.get_by_label("Choose people").check()
        page.get_by_label("Choose orders").check()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Their cached tables go with them")).to_be_visible()
        person.looks_right(f"jobs-delete-{width}-{scheme}")
        page.goto(f"{base}/jobs/{office}")
        person.looks_right(f"job-unknown-{width}-{scheme}")
        page.get_by_role("link", name="To the jobs").click()
        expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_every_width_of_a_failure_and_of_connections(
    browser: Browser,
    client: httpx.Client,
    product: Product,
    office: str,
    folder: Path,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    people, orders = make(client, office, "people"), make(client, office, "orders")
    detailed = caching(office, sourceTable="people") | {"logVerbosity": "5"}
    ok(client.put(f"/api/job/{people}/update", json=detailed))
    off = caching(office, sourceTable="orders") | {"enabled": "false"}
    wait_for_end(client, orders)
    ok(client.put(f"/api/job/{orders}/update", json=off))
    wait_for_end(client, people)
    (folder / "people.csv").unlink()
    failed = run_now(client, people)["id"]
    with screen(browser, width=width, height=800, scheme=scheme) as person:
        page = person.page
        page.goto(jobs_link(client, redirectURL="https://vendor.example/"))
        base = page.url.removesuffix("/jobs")
        for path, name, shown in (
            ("jobs", "jobs-failed", "There is no file for a table 'people'."),
            (f"jobs/{people}", "job-failed", "What to do:"),
            (f"runs/{failed}", "run-failed", "What to do:"),
            ("connections/new", "drivers", "Where are your tables?"),
            ("cache", "cache", "Database"),
            (f"connections/{office}", "connection", "URI"),
        ):
            page.goto(f"{base}/{path}")
            expect(page.get_by_text(shown).first).to_be_visible()
            person.looks_right(f"{name}-{width}-{scheme}")
        page.goto(f"{base}/jobs")
        page.get_by_label("Choose orders").check()
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_role("heading", name="It could not be done")).to_be_visible()
        expect(page.get_by_text("It is disabled, so it does not run")).to_be_visible()
        person.looks_right(f"jobs-problems-{width}-{scheme}")
        page.goto(f"{base}/connections")
        page.get_by_role("button", name="Test Office").click()
        expect(page.locator(".jobs .state.ok")).to_have_text("Works")
        page.get_by_role("button", name="Delete … Office").click()
        expect(page.get_by_text("2 jobs use it, and are deleted")).to_be_visible()
        person.looks_right(f"connections-delete-{width}-{scheme}")
        arguments = ("admin", "link", "--base-url", product.base_url)
        page.goto(json.loads(command(*arguments, settings=product.settings))["url"])
        expect(page.get_by_role("heading", name="All accounts")).to_be_visible()
        person.looks_right(f"accounts-{width}-{scheme}")


def test_without_javascript(browser: Browser, client: httpx.Client, office: str) -> None:
    with screen(browser, javascript=False) as person:
        page = person.page
        page.goto(jobs_link(client))
        page.get_by_role("link", name="Add jobs").click()
        page.get_by_role("link", name="Office").click()
        page.get_by_label("people").check()
        page.get_by_role("button", name="Next: schedule").click()
        page.get_by_role("button", name="Add 1 job").click()
        expect(page.get_by_text("One job was made")).to_be_visible()
        page.get_by_role("link", name="Add a query").click()
        page.get_by_label("Query").fill("SELECT 1 AS one")
        page.get_by_role("button", name="Check it").click()
        expect(page.get_by_text("The query can be run.")).to_be_visible()
        page.get_by_role("link", name="Jobs").first.click()
        job = ok(client.get("/api/job/list"))["jobs"][0]["id"]
        wait_for_end(client, job)
        page.reload()
        expect(page.locator(".state.ok")).to_be_visible()
        page.get_by_label("Choose people").check()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete 1 job").click()
        expect(page.get_by_text("No jobs yet.")).to_be_visible()


def test_the_keyboard_is_enough(person: Screen, client: httpx.Client, office: str) -> None:
    wait_for_end(client, make(client, office, "people"))
    page = person.page
    page.goto(jobs_link(client))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Add a query")).to_be_focused()
    tick = page.get_by_label("Choose people")
    for _ in range(20):
        page.keyboard.press("Tab")
        if tick.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Space")
    expect(tick).to_be_checked()
    person.looks_right("jobs-keyboard")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "disable":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("One job was disabled.")).to_be_visible()


def test_what_is_ticked_stays_while_the_page_brings_itself_up_to_date(
    person: Screen, client: httpx.Client, office: str
) -> None:
    page = person.page
    job = make(client, office, "people")
    wait_for_end(client, job)
    page.clock.install()
    page.goto(jobs_link(client))
    page.get_by_label("Choose people").check()
    page.get_by_label("Search").fill("half a wo")
    off = caching(office, sourceTable="people") | {"enabled": "false"}
    ok(client.put(f"/api/job/{job}/update", json=off))
    page.clock.fast_forward(20_000)
    expect(page.locator(".state")).to_have_text("Disabled")
    expect(page.get_by_label("Choose people")).to_be_checked()
    expect(page.get_by_label("Search")).to_have_value("half a wo")
    # The visit is over: the page says so, and keeps what it shows.
    page.context.clear_cookies()
    page.clock.fast_forward(20_000)
    expect(page.get_by_text("no longer brought up to date")).to_be_visible()
    expect(page.get_by_label("Choose people")).to_be_checked()


def test_an_operator_finds_the_account_whose_jobs_fail(
    person: Screen,
    client: httpx.Client,
    customer: Customer,
    product: Product,
    office: str,
    folder: Path,
) -> None:
    job = make(client, office, "people")
    wait_for_end(client, job)
    (folder / "people.csv").unlink()
    run_now(client, job)
    arguments = ("admin", "link", "--base-url", product.base_url)
    page = person.page
    page.goto(json.loads(command(*arguments, settings=product.settings))["url"])
    expect(page.get_by_role("heading", name="All accounts")).to_be_visible()
    person.looks_right("accounts")
    failed = page.get_by_role("row").filter(has=page.locator(".state.failed"))
    failed.locator(f"a[href*='{customer.account_id}']").click()
    expect(page.get_by_text("There is no file for a table 'people'.")).to_be_visible()
    expect(page.get_by_text("Operator")).to_be_visible()
    person.looks_right("jobs-operator")


@pytest.mark.parametrize("path", ["/oem/accounts", "/oem/operator?token=x.y.z"])
def test_an_operator_who_is_not_signed_in_is_told_how(
    person: Screen, product: Product, path: str
) -> None:
    page = person.page
    page.goto(product.base_url + path)
    expect(page.get_by_role("heading", name="This page cannot be opened")).to_be_visible()
    expect(page.locator("code")).to_have_text("tidewell admin link")
    expect(page.get_by_text("the page that you came from")).to_have_count(0)
    assert "`" not in page.locator("main").inner_text()
    person.looks_right("operator-refused")


def enabled(client: httpx.Client) -> dict[str, bool]:
    return {job["name"]: job["enabled"] for job in ok(client.get("/api/job/list"))["jobs"]}


def with_history(product: Product, job_id: str) -> None:
    """Thirty runs of the past, and rows of long ago: what takes days to come about by itself."""
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE run SET queued_at = queued_at - interval '7 days',"
            " started_at = started_at - interval '7 days',"
            " finished_at = finished_at - interval '7 days' WHERE job_id = %s",
            [job_id],
        )
        connection.execute(
            "INSERT INTO run (id, account_id, job_id, state, cause, queued_at, started_at,"
            " finished_at, rows_read, rows_affected)"
            " SELECT gen_random_uuid(), account_id, id, CASE WHEN n = 9 THEN 'failed'"
            " WHEN n = 17 THEN 'stopped' ELSE 'success' END, 'schedule',"
            " began, began, began + (4 + n * 7 %% 13) * interval '1 second', 1200 * n,"
            " 40 * (n * 5 %% 17)"
            " FROM job, generate_series(1, 30) AS n,"
            " LATERAL (SELECT now() - n * interval '5 hours' AS began) AS times"
            " WHERE id = %s",
            [job_id],
        )
