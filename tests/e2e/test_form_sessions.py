"""A link is good for a short time, and the page that it opened for as long as somebody uses it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import jwt
import psycopg
import pytest
from playwright.sync_api import expect

from tests.conftest import CacheDatabase
from tests.e2e.browser import Screen
from tests.e2e.conftest import MakeLink
from tests.e2e.test_cache_form import TITLE, fill, save, values_of
from tests.e2e.vendor_site import vendor_site
from tests.product import Customer, command, make_customer, make_vendor, ok
from tests.running_product import Product
from tidewell import clock
from tidewell.connections.sealing import SealingBox
from tidewell.pages.sessions import PATH, Sessions, cookie_name
from tidewell.settings import Settings


@pytest.fixture
def site() -> Iterator[str]:
    """The vendor's own site."""
    with vendor_site() as origin:
        yield origin


def sealing_of(product: Product) -> SealingBox:
    return SealingBox.from_settings(Settings(home=Path(product.settings["TIDEWELL_HOME"])))


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def moved(product: Product, url: str, age: timedelta) -> str:
    """The same link, signed by the service's own key as if it had been made some time ago."""
    token = token_of(url)
    kid = jwt.get_unverified_header(token)["kid"]
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        query = "SELECT id, sealed FROM signing_key WHERE id::text = %s"
        key_id, sealed = connection.execute(query, [kid]).fetchall()[0]
    claims = jwt.decode(token, options={"verify_signature": False})
    for name in ("nbf", "exp"):
        claims[name] -= int(age.total_seconds())
    private = sealing_of(product).open(sealed, key_id)
    return url.replace(token, jwt.encode(claims, private, algorithm="RS256", headers={"kid": kid}))


def test_a_link_that_is_too_old_opens_a_friendly_page_and_nothing_else(
    person: Screen, link: MakeLink, product: Product
) -> None:
    answer = person.page.goto(moved(product, link(), timedelta(seconds=181)))
    assert answer is not None
    assert answer.status == 401
    expect(person.page.get_by_role("heading")).to_have_text("This page cannot be opened")
    expect(person.page.get_by_text("ask for a new one")).to_be_visible()
    assert person.page.locator("form, input").count() == 0
    person.looks_right("link-expired")


def test_a_link_that_was_altered_opens_a_friendly_page_and_nothing_else(
    person: Screen, link: MakeLink
) -> None:
    url = link()
    head, _, signature = token_of(url).split(".")
    other = token_of(link()).split(".")[1]
    answer = person.page.goto(url.replace(token_of(url), f"{head}.{other}.{signature}"))
    assert answer is not None
    assert answer.status == 401
    assert person.page.locator("form, input").count() == 0
    person.looks_right("link-altered")


def test_a_reload_loses_nothing_even_after_the_link_has_expired(
    person: Screen, link: MakeLink, product: Product, cache_database: CacheDatabase
) -> None:
    page = person.page
    url = moved(product, link(), timedelta(seconds=175))
    page.goto(url)
    typed = values_of(cache_database)
    fill(page, typed)
    while httpx.get(url).is_success:  # until the link's own time is over
        page.wait_for_timeout(200)

    page.reload()

    for label in ("Server", "Port", "User name", "Database"):
        expect(page.get_by_label(label).first).to_have_value(typed[label])
    # A secret is kept nowhere in the browser.
    expect(page.get_by_label("Password")).to_have_value("")
    fill(page, {"Password": typed["Password"]})
    save(page)
    expect(page.get_by_text("It works.")).to_be_visible()


def test_the_session_outlives_a_slow_typist_and_ends_when_nobody_comes_back(
    person: Screen, link: MakeLink, product: Product, cache_database: CacheDatabase
) -> None:
    page = person.page
    url = link()
    claims = jwt.decode(token_of(url), options={"verify_signature": False})
    sessions = Sessions(sealing_of(product))
    session = sessions.begin(claims)

    def last_used(ago: timedelta) -> None:
        value = sessions.cookie(session, clock.now() - ago)
        where = {"name": cookie_name(session.id), "domain": "127.0.0.1", "path": PATH}
        page.context.add_cookies([{"value": value, **where}])

    page.goto(url)
    fill(page, values_of(cache_database))
    last_used(timedelta(minutes=50))
    save(page)
    expect(page.get_by_text("It works.")).to_be_visible()
    # That use began another hour.
    kept = [one for one in page.context.cookies() if one["name"] == cookie_name(session.id)]
    assert kept[0]["expires"] > clock.now().timestamp() + 3000

    last_used(timedelta(minutes=61))
    save(page)
    expect(page.locator("#result")).to_contain_text("open for too long")
    expect(page.get_by_label("Server").first).to_have_value(cache_database.host)
    person.looks_right("session-over")


def test_saving_twice_is_saving_once(
    person: Screen, link: MakeLink, client: httpx.Client, product: Product
) -> None:
    (product.files / "twice.csv").write_text("id\n1\n")
    page = person.page
    page.goto(link("/api/poweredby/connection/create", dataSource="Files", name="Twice"))
    fill(page, {"URI": str(product.files / "twice.csv")})
    # Faster than a person: the second comes before the first has its answer.
    page.evaluate("const form = document.forms[0]; form.requestSubmit(); form.requestSubmit()")
    expect(page.get_by_text("It works.")).to_be_visible()
    page.get_by_role("button", name="Save & Test").dblclick()
    expect(page.get_by_role("button", name="Save & Test")).to_be_enabled()
    expect(page.get_by_text("It works.")).to_be_visible()
    found = ok(client.get("/api/poweredby/connection/list"))["connections"]
    assert [one["name"] for one in found] == ["Twice"]


def test_there_and_back_again(
    person: Screen, link: MakeLink, site: str, cache_database: CacheDatabase
) -> None:
    page = person.page
    page.goto(link(redirectURL=f"{site}/back?step=2"))
    fill(page, values_of(cache_database))
    save(page)
    expect(page.get_by_text("It works.")).to_be_visible()
    page.get_by_role("link", name=f"Return to {urlsplit(site).netloc}").click()
    expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
    assert "step=2" in page.url
    assert "cdata_connection_status=success" in page.url

    page.go_back()

    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    expect(page.get_by_label("Database")).to_have_value(cache_database.database)
    save(page)
    expect(page.get_by_text("It works.")).to_be_visible()


def test_no_answer_at_all_is_told_too(person: Screen, link: MakeLink) -> None:
    page = person.page
    page.goto(link())
    fill(page, {"Server": "db.example"})
    page.context.set_offline(True)
    save(page)
    expect(page.locator("#result")).to_contain_text("There is no answer from the service")
    expect(page.get_by_role("button", name="Save & Test")).to_be_enabled()
    page.context.set_offline(False)
    # Chromium says in the console what the page has told the person.
    person.complaints.clear()


def test_only_the_vendors_own_pages_may_frame_a_form(
    person: Screen,
    product: Product,
    tmp_path: Path,
    site: str,
    link: MakeLink,
    cache_database: CacheDatabase,
) -> None:
    vendor = make_vendor(tmp_path, product.settings)
    hosts = ("account", "hosts", "--account", vendor.id, "--frame-origin", site)
    command(*hosts, settings=product.settings)
    customer: Customer = make_customer(product.base_url, vendor)
    with customer.client() as client:
        answer = client.post("/api/job/cacheConnection/formLink", json={"redirectURL": site})
        framed = ok(answer)["redirectURL"]

    person.page.goto(f"{site}/frame?form={quote(framed, safe='')}")
    form = person.page.frame_locator("iframe")
    expect(form.get_by_role("heading", name=TITLE)).to_be_visible()
    for label, value in values_of(cache_database).items():
        form.get_by_label(label).first.fill(value)
    form.get_by_role("button", name="Save & Test").click()
    expect(form.get_by_text("It works.")).to_be_visible()
    person.keep("cache-form-framed")

    # Another vendor's form, whose pages nobody may frame.
    person.page.goto(f"{site}/frame?form={quote(link(), safe='')}")
    person.page.wait_for_timeout(500)
    expect(form.get_by_role("heading", name=TITLE)).to_have_count(0)
    assert len(person.complaints) == 1
    assert re.search("frame-ancestors", person.complaints.pop())
