"""The forms that make and change a connection to a source."""

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Screen, screen
from tests.e2e.conftest import MakeLink
from tests.e2e.test_cache_form import fill, save
from tests.product import ok
from tests.running_product import Product, free_port

CREATE = "/api/poweredby/connection/create"


def test_a_driver_is_chosen_and_its_fields_are_filled_in(
    person: Screen, link: MakeLink, client: httpx.Client, product: Product
) -> None:
    (product.files / "chosen.csv").write_text("id\n1\n")
    page = person.page
    page.goto(link(CREATE))
    expect(page.get_by_role("heading", name="Choose what to connect")).to_be_visible()
    person.looks_right("connection-choose")
    page.get_by_role("link", name="Files", exact=True).click()
    expect(page.get_by_role("heading", name="Connect Files")).to_be_visible()
    fill(page, {"Name": "Office", "URI": str(product.files / "chosen.csv")})
    save(page)
    expect(page.get_by_text("It works.")).to_be_visible()
    person.looks_right("connection-files-saved")
    found = ok(client.get("/api/poweredby/connection/list"))["connections"]
    assert [(one["name"], one["status"]) for one in found] == [("Office", "Authenticated")]


def test_what_a_source_says_stands_at_the_form(person: Screen, link: MakeLink) -> None:
    page = person.page
    page.goto(link(CREATE, dataSource="OData", name="Shop"))
    expect(page.get_by_label("Name").first).to_have_value("Shop")
    fill(page, {"URL": f"http://127.0.0.1:{free_port()}/odata"})
    page.get_by_label("Sign-in").select_option("Basic")
    page.get_by_text("More settings").click()
    person.looks_right("connection-odata")
    save(page)
    expect(page.locator("#result .outcome")).to_contain_text("nothing was saved")
    person.looks_right("connection-odata-failed")
    fill(page, {"Name": "", "URL": ""})
    save(page)
    expect(page.get_by_label("Name").first).to_be_focused()
    expect(page.locator("#error-URL")).to_have_text("Please fill this in.")


def test_only_the_fields_of_the_chosen_sign_in_are_shown(
    person: Screen, browser: Browser, link: MakeLink, client: httpx.Client
) -> None:
    page = person.page
    page.goto(link(CREATE, dataSource="OData", name="Shop"))
    shown = page.locator("[data-only-with]:visible label")
    expect(shown).to_have_count(0)
    sign_in = page.get_by_label("Sign-in")
    for scheme, labels in {
        "Basic": ["User name", "Password"],
        "Bearer": ["Token"],
        "APIKey": ["Token", "API key header"],
        "OAuthClient": [
            "OAuth client ID",
            "OAuth client secret",
            "OAuth access token URL",
            "OAuth scope",
        ],
    }.items():
        sign_in.select_option(scheme)
        expect(shown).to_have_text(labels)
        person.looks_right(f"connection-odata-{scheme}")
    page.reload()  # the choice is kept in the tab, and so is what it shows
    expect(sign_in).to_have_value("OAuthClient")
    expect(shown).to_have_count(4)

    # A stored secret that has to be given again is shown, whatever is chosen.
    text = "URL=http://127.0.0.1:9/odata;AuthScheme=Bearer;Token=canary-7f3"
    body = {"name": "Office", "driver": "OData", "connectionString": text}
    made = ok(client.post("/api/connections", json=body))["connection"]["id"]
    page.goto(link(f"/api/poweredby/connection/edit/{made}"))
    sign_in.select_option("None")
    expect(shown).to_have_count(0)
    fill(page, {"URL": "http://127.0.0.2:9/odata"})
    save(page)
    expect(page.locator("#error-Token")).to_contain_text("Please give it again")
    expect(shown).to_have_text(["Token"])

    with screen(browser, javascript=False) as plain:
        plain.page.goto(link(CREATE, dataSource="OData", name="Plain"))
        expect(plain.page.locator("[data-only-with]:visible")).to_have_count(8)


def test_fields_that_belong_to_another_value_come_with_it(person: Screen, link: MakeLink) -> None:
    page = person.page
    shown = page.locator("[data-only-with]:visible label")
    page.goto(link(CREATE, dataSource="REST", name="API"))
    expect(shown).to_have_count(0)
    page.get_by_label("Sign-in").select_option("APIKey")
    expect(shown).to_have_text(["API key", "API key header"])
    page.get_by_label("Sign-in").select_option("Basic")
    expect(shown).to_have_text(["User name", "Password"])
    page.get_by_label("Sign-in").select_option("None")
    page.get_by_label("Paging").select_option("NextURL")
    expect(shown).to_have_text(["Page size parameter", "Next field"])
    page.get_by_text("More settings").click()
    page.get_by_label("Manifest").fill("version: 7.0.0\ntype: DeclarativeSource")  # two lines
    expect(page.get_by_label("Manifest")).to_have_value("version: 7.0.0\ntype: DeclarativeSource")
    person.looks_right("connection-rest-paging")

    page.goto(link(CREATE, dataSource="BigQuery", name="Warehouse"))
    expect(shown).to_have_text(["OAuth JWT cert"])
    page.get_by_label("Sign-in").select_option("OAuth")
    expect(shown).to_have_text(["OAuth access token"])

    page.goto(link(CREATE, dataSource="Files", name="Bucket"))
    expect(shown).to_have_count(0)
    person.looks_right("connection-files")
    page.get_by_label("URI").fill("s3://a-bucket/folder/*.csv")
    expect(shown).to_have_text(["AWS access key", "AWS secret key", "AWS region"])
    person.looks_right("connection-files-s3")


def test_a_connection_is_changed_without_its_secret_being_shown(
    person: Screen, link: MakeLink, client: httpx.Client
) -> None:
    text = "URL=http://127.0.0.1:9/odata;AuthScheme=Basic;User=ada;Password=canary-7f3"
    body = {"name": "Shop", "driver": "OData", "connectionString": text}
    made = ok(client.post("/api/connections", json=body))["connection"]["id"]
    page = person.page
    page.goto(link(f"/api/poweredby/connection/edit/{made}"))
    expect(page.get_by_role("heading", name="Change a connection")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_value("ada")
    expect(page.get_by_label("Password")).to_have_value("")
    assert "canary-7f3" not in page.content()
    person.looks_right("connection-edit")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screens(browser: Browser, link: MakeLink, scheme: str) -> None:
    chosen = "dark" if scheme == "dark" else "light"
    with screen(browser, width=320, height=640, scheme=chosen) as person:
        person.page.goto(link(CREATE))
        person.looks_right(f"connection-choose-320-{scheme}")
        person.page.get_by_role("link", name="OData", exact=True).click()
        person.page.get_by_text("More settings").click()
        person.looks_right(f"connection-odata-320-{scheme}")


def test_a_name_that_is_pinned_stays(person: Screen, link: MakeLink) -> None:
    page = person.page
    page.goto(link(CREATE, dataSource="Files", name="Pinned", editableName="false"))
    expect(page.get_by_label("Name").first).to_have_value("Pinned")
    expect(page.get_by_label("Name").first).to_have_attribute("readonly", "")
