"""The form of the cache connection, as a person meets it, against a real PostgreSQL."""

import re
from collections.abc import Mapping

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import CacheDatabase
from tests.e2e.browser import Screen, screen
from tests.e2e.conftest import MakeLink
from tests.product import ok
from tests.running_product import free_port

TITLE = "Connect your PostgreSQL database"


def values_of(database: CacheDatabase) -> dict[str, str]:
    return {
        "Server": database.host,
        "Port": str(database.port),
        "User name": database.user,
        "Password": database.password,
        "Database": database.database,
    }


def fill(page: Page, values: Mapping[str, str]) -> None:
    for label, value in values.items():
        page.get_by_label(label, exact=False).first.fill(value)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save & Test").click()


def is_stored(client: httpx.Client) -> bool:
    """Whether the account has a cache connection: what it has is in the audit."""
    events = ok(client.post("/api/log/audit/list"))["events"]
    return "cacheConnection.save" in [one["action"] for one in events]


def test_it_works_and_leads_back_to_the_vendor(
    person: Screen, link: MakeLink, client: httpx.Client, cache_database: CacheDatabase
) -> None:
    page = person.page
    page.goto(link())
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    expect(page.get_by_role("link", name="Return to vendor.example")).to_be_visible()
    person.looks_right("cache-form-new")

    fill(page, values_of(cache_database))
    save(page)

    expect(page.get_by_text("It works.")).to_be_visible()
    back = page.get_by_role("link", name="Return to vendor.example")
    expect(back).to_have_attribute("href", re.compile("step=2.*cdata_connection_status=success"))
    person.looks_right("cache-form-saved")
    assert is_stored(client)


@pytest.mark.parametrize(
    ("name", "wrong", "reason", "field"),
    [
        ("host", {"Server": "nowhere.invalid"}, "The host nowhere.invalid is not found", "Server"),
        ("refused", {"Port": "{closed}"}, "refused the connection", "Server"),
        ("password", {"Password": "guess"}, "does not accept the user or the password", "Password"),
        ("database", {"Database": "nothing_here"}, "has no database nothing_here", "Database"),
        ("tls", {"Encryption": "require"}, "does not offer TLS", "Encryption"),
    ],
    ids=["host not found", "refused", "wrong password", "no such database", "TLS"],
)
def test_what_does_not_work_is_told_in_plain_words(
    person: Screen,
    link: MakeLink,
    client: httpx.Client,
    cache_database: CacheDatabase,
    name: str,
    wrong: dict[str, str],
    reason: str,
    field: str,
) -> None:
    page = person.page
    page.goto(link())
    fill(page, values_of(cache_database))
    for label, value in wrong.items():
        if label == "Encryption":
            page.get_by_label(label).select_option(value)
        else:
            fill(page, {label: value.format(closed=free_port())})
    save(page)

    outcome = page.locator("#result .outcome")
    expect(outcome).to_contain_text("nothing was saved")
    expect(outcome).to_contain_text(reason)
    blamed = page.get_by_label(field).first
    expect(blamed).to_have_attribute("aria-invalid", "true")
    expect(blamed).to_be_focused()
    person.looks_right(f"cache-form-failed-{name}")
    assert not is_stored(client)

    # What was typed still stands there; the fault is mended and it works.
    right = values_of(cache_database)
    page.get_by_label("Encryption").select_option("prefer")
    fill(page, {label: right[label] for label in wrong if label in right})
    expect(page.get_by_label("User name")).to_have_value(right["User name"])
    save(page)
    expect(page.get_by_text("It works.")).to_be_visible()
    expect(page.locator("[aria-invalid]")).to_have_count(0)


def test_what_is_missing_is_told_at_its_field(person: Screen, link: MakeLink) -> None:
    page = person.page
    page.goto(link())
    save(page)
    expect(page.locator("#error-Server")).to_have_text("Please fill this in.")
    expect(page.get_by_label("Server").first).to_be_focused()
    expect(page.get_by_label("Database")).to_have_attribute("aria-invalid", "true")
    person.looks_right("cache-form-missing")


def test_an_existing_connection_is_shown_without_its_password(
    person: Screen, link: MakeLink, client: httpx.Client, cache_database: CacheDatabase
) -> None:
    text = cache_database.connection_string
    ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    page = person.page
    page.goto(link())
    for label, value in values_of(cache_database).items():
        shown = "" if label == "Password" else value
        expect(page.get_by_label(label).first).to_have_value(shown)
    assert cache_database.password not in page.content()
    expect(page.get_by_text("Leave it empty to keep the stored one.")).to_be_visible()
    person.looks_right("cache-form-existing")
    save(page)
    expect(page.get_by_text("It works.")).to_be_visible()


def test_the_keyboard_is_enough(
    person: Screen, link: MakeLink, cache_database: CacheDatabase
) -> None:
    page = person.page
    page.goto(link())
    typed = values_of(cache_database)
    for label, value in typed.items():
        page.keyboard.press("Tab")
        expect(page.get_by_label(label).first).to_be_focused()
        page.keyboard.press("Control+A")
        page.keyboard.type(value)
    person.looks_right("cache-form-keyboard")
    for _ in ("Encryption", "More settings", "Save & Test"):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Save & Test")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("It works.")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Return to vendor.example")).to_be_focused()


def test_a_narrow_dark_screen(
    browser: Browser, link: MakeLink, cache_database: CacheDatabase
) -> None:
    with screen(browser, width=320, height=640, scheme="dark") as person:
        person.page.goto(link())
        person.page.get_by_text("More settings").click()
        person.looks_right("cache-form-320-dark")
        fill(person.page, values_of(cache_database) | {"Password": "guess"})
        save(person.page)
        expect(person.page.locator("#result .outcome")).to_contain_text("does not accept")
        person.looks_right("cache-form-320-dark-failed")
        fill(person.page, {"Password": cache_database.password})
        save(person.page)
        expect(person.page.get_by_text("It works.")).to_be_visible()
        person.looks_right("cache-form-320-dark-saved")


def test_without_javascript(
    browser: Browser, link: MakeLink, client: httpx.Client, cache_database: CacheDatabase
) -> None:
    with screen(browser, javascript=False) as person:
        page = person.page
        page.goto(link())
        fill(page, values_of(cache_database) | {"Database": "nothing_here"})
        save(page)
        expect(page.get_by_text("has no database nothing_here").first).to_be_visible()
        expect(page.get_by_label("Database")).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label("User name")).to_have_value(cache_database.user)
        # A password is not sent back to the page, so it is typed again.
        expect(page.get_by_label("Password")).to_have_value("")
        person.keep("cache-form-no-javascript-failed")
        fill(page, values_of(cache_database))
        save(page)
        expect(page.get_by_text("It works.")).to_be_visible()
        person.keep("cache-form-no-javascript-saved")
    assert is_stored(client)
