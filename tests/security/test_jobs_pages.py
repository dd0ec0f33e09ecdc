"""The Jobs pages are for those who were let in: one account's own, or the operator's all."""

import json
import re
from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import pytest

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.product import Customer, command, make_customer, ok, wait_for_end
from tests.running_product import Product
from tidewell.pages.visits import base_of, cookie_name

BACK = "https://vendor.example/home"


@pytest.fixture
def browser(product: Product) -> Iterator[httpx.Client]:
    """A browser without a token of the API."""
    with httpx.Client(base_url=product.base_url, timeout=60, follow_redirects=True) as client:
        yield client


@pytest.fixture
def job(client: httpx.Client, product: Product, cache_database: CacheDatabase) -> dict[str, str]:
    """A job that has run, with its connection and its run."""
    folder = product.files / uuid4().hex
    folder.mkdir()
    (folder / "people.csv").write_text("id,name\n1,Ada\n")
    text = cache_database.connection_string
    ok(client.post("/api/job/cacheConnection", json={"connectionString": text}))
    connection = connect(client, "Office", "Files", f"URI={folder}")
    body = caching(connection, sourceTable="people")
    made = ok(client.post("/api/job/create", json=body))["jobs"][0]["id"]
    wait_for_end(client, made)
    run = ok(client.get(f"/api/job/{made}/runs"))["runs"][0]["id"]
    return {"job": made, "connection": connection, "run": run}


def link(client: httpx.Client, **body: str) -> str:
    return str(ok(client.post("/api/poweredby/jobs", json=body))["redirectURL"])


def enter(browser: httpx.Client, client: httpx.Client) -> str:
    """Come in by a link; the address of the account's pages."""
    answer = browser.get(link(client))
    assert answer.status_code == 200
    return answer.url.path.removesuffix("/jobs")


def mark(html: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found
    return found[1]


PAGES = [
    "/jobs/{job}",
    "/jobs/{job}/settings",
    "/jobs/{job}/rows",
    "/jobs/new/{connection}",
    "/runs/{run}",
    "/connections/{connection}",
]


def test_a_link_needs_no_body_and_its_return_address_is_checked(
    client: httpx.Client, customer: Customer
) -> None:
    plain = ok(client.post("/api/poweredby/jobs"))["redirectURL"]
    assert plain.startswith(f"{customer.base_url}/oem/user/jobs?token=")
    assert "redirectUrl" not in plain
    assert "redirectUrl=https%3A%2F%2Fvendor.example" in link(client, redirectURL=BACK)
    answer = client.post("/api/poweredby/jobs", json={"redirectURL": "javascript:alert(1)"})
    assert answer.status_code == 400
    assert client.post("/api/poweredby/jobs", json={"other": "x"}).status_code == 400
    with customer.client_of(sub=None) as parent:
        assert parent.post("/api/poweredby/jobs").status_code == 403


def test_the_pages_are_shut_off_from_everything_else(
    browser: httpx.Client, client: httpx.Client, job: dict[str, str]
) -> None:
    base = enter(browser, client)
    for path in ["/jobs", "/connections", "/cache", "/jobs/new", "/jobs/new/query", *PAGES]:
        answer = browser.get(base + path.format(**job))
        assert answer.status_code == 200, path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        cookie = answer.headers["Set-Cookie"]
        assert f"Path={base};" in cookie
        assert "HttpOnly" in cookie
        assert "<script>" not in answer.text
        assert "style=" not in answer.text
        assert not re.search(r'\son\w+="', answer.text)
        assert "token=" not in answer.text


def test_without_its_cookie_no_page_opens(
    browser: httpx.Client, client: httpx.Client, product: Product, job: dict[str, str]
) -> None:
    base = enter(browser, client)
    for path in ["/jobs", "/connections", "/cache", "/jobs/new", "/jobs/new/query", *PAGES]:
        answer = httpx.get(product.base_url + base + path.format(**job))
        assert answer.status_code == 401, path
        assert "people" not in answer.text
    for path in ("/oem/accounts", "/oem/operator", "/oem/user/jobs", "/oem/user/jobs?token=x.y.z"):
        assert browser.get(path).status_code == 401, path


def test_events_are_for_the_visitor_only(
    browser: httpx.Client,
    client: httpx.Client,
    customer: Customer,
    product: Product,
    job: dict[str, str],
) -> None:
    base = enter(browser, client)
    for path in ("/events", f"/runs/{job['run']}/events"):
        assert httpx.get(product.base_url + base + path).status_code == 401
        with browser.stream("GET", base + path) as answer:
            assert answer.status_code == 200
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert next(answer.iter_text()).startswith("retry: ")
    other = make_customer(product.base_url, customer.vendor)
    with other.client() as another:
        theirs = enter(browser, another)
    assert browser.get(f"{theirs}/runs/{job['run']}/events").status_code == 404
    with customer.client_of(connection_ids=[str(uuid4())]) as narrowed:
        narrow = enter(browser, narrowed)
    assert browser.get(f"{narrow}/runs/{job['run']}/events").status_code == 404


def test_what_belongs_to_another_account_does_not_exist(
    browser: httpx.Client,
    client: httpx.Client,
    customer: Customer,
    product: Product,
    job: dict[str, str],
) -> None:
    other = make_customer(product.base_url, customer.vendor)
    with other.client() as another:
        base = enter(browser, another)
    for path in PAGES:
        theirs = browser.get(base + path.format(**job))
        none = browser.get(base + path.format(**{name: str(uuid4()) for name in job}))
        assert theirs.status_code == none.status_code == 404, path
    form = {"csrf": mark(browser.get(f"{base}/cache").text), "do": f"delete {job['job']}"}
    answer = browser.post(f"{base}/jobs", data=form | {"sure": "yes"})
    assert "No job was chosen" in answer.text
    assert len(ok(client.get("/api/job/list"))["jobs"]) == 1
    # The own cookie, renamed and sent to the pages of the other account.
    name = cookie_name(UUID(customer.account_id))
    cookie = f"{name}={browser.cookies[cookie_name(UUID(other.account_id))]}"
    strange = f"{product.base_url}{base_of(UUID(customer.account_id))}/jobs"
    assert httpx.get(strange, headers={"Cookie": cookie}).status_code == 401


def test_a_form_from_elsewhere_does_nothing(
    browser: httpx.Client, client: httpx.Client, job: dict[str, str]
) -> None:
    base = enter(browser, client)
    for path, form in {
        "/jobs": {"do": f"delete {job['job']}", "sure": "yes"},
        f"/jobs/{job['job']}/settings": {"every": "2", "unit": "Day", "level": "1"},
        f"/jobs/new/{job['connection']}/schedule": {"table": '["Files","people"]'},
        f"/connections/{job['connection']}": {"connection_name": "x"},
        f"/connections/{job['connection']}/test": {},
        f"/connections/{job['connection']}/delete": {"sure": "yes"},
        "/connections/new?driver=Files": {"form": str(uuid4())},
        "/cache": {"Server": "evil.example"},
    }.items():
        assert browser.post(base + path, data=form or {"x": ""}).status_code == 403, path
        wrong = form | {"csrf": "0" * 64}
        assert browser.post(base + path, data=wrong).status_code == 403, path
    found = ok(client.get("/api/job/list"))["jobs"]
    assert [(one["id"], one["intervalUnit"]) for one in found] == [(job["job"], "Hour")]


def test_a_token_for_some_connections_gives_a_link_for_these_only(
    browser: httpx.Client,
    client: httpx.Client,
    customer: Customer,
    product: Product,
    job: dict[str, str],
) -> None:
    (product.files / "other.csv").write_text("id\n1\n")
    other = connect(client, "Other", "Files", f"URI={product.files / 'other.csv'}")
    with customer.client_of(connection_ids=json.dumps([other])) as narrowed:
        base = enter(browser, narrowed)
    assert "people" not in browser.get(f"{base}/jobs").text
    assert "Office" not in browser.get(f"{base}/connections").text
    for path in PAGES:
        assert browser.get(base + path.format(**job)).status_code == 404, path
    assert browser.get(f"{base}/jobs/new/{other}").status_code == 200
    assert browser.get(f"{base}/cache").status_code == 403
    assert browser.get(f"{base}/connections/new").status_code == 403


def test_a_link_opens_its_own_pages_only(browser: httpx.Client, client: httpx.Client) -> None:
    token = link(client).partition("token=")[2]
    for path in ("/oem/user/cacheConnection", "/oem/user/connections/edit", "/oem/operator"):
        assert browser.get(path, params={"token": token}).status_code == 401, path
    form = ok(client.post("/api/job/cacheConnection/formLink", json={"redirectURL": BACK}))
    token = form["redirectURL"].partition("token=")[2].partition("&")[0]
    assert browser.get("/oem/user/jobs", params={"token": token}).status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert browser.get("/api/job/list", headers=headers).status_code == 401


def test_a_visit_ends_with_its_account(
    browser: httpx.Client, client: httpx.Client, customer: Customer
) -> None:
    base = enter(browser, client)
    ok(client.delete(f"/api/poweredby/account/delete/{customer.account_id}"))
    assert browser.get(f"{base}/jobs").status_code == 401


def test_an_operator_sees_every_account_and_is_named_in_the_audit(
    browser: httpx.Client, client: httpx.Client, product: Product, job: dict[str, str]
) -> None:
    printed = json.loads(
        command("admin", "link", "--base-url", product.base_url, settings=product.settings)
    )
    answer = browser.get(printed["url"])
    assert answer.url.path == "/oem/accounts"
    account = ok(client.get("/api/connections/" + job["connection"]))["connection"]["accountId"]
    base = f"/oem/accounts/{account}"
    page = browser.get(f"{base}/jobs")
    assert "people" in page.text
    done = browser.post(
        f"{base}/jobs", data={"csrf": mark(page.text), "do": f"disable {job['job']}"}
    )
    assert done.status_code == 200
    newest = ok(client.post("/api/log/audit/list"))["events"][0]
    assert newest["action"] == "job.update"
    assert newest["requestId"].startswith("operator ")
    # The vendor's pages may not frame what an operator sees.
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_odd_addresses_are_pages_too(browser: httpx.Client, client: httpx.Client) -> None:
    base = enter(browser, client)
    for path in (
        "/jobs/x",
        "/jobs/new/x",
        "/runs/x",
        "/jobs?page=0",
        "/jobs?page=x",
        "/runs/" + str(uuid4()) + "?level=9",
        "/connections/x",
    ):
        answer = browser.get(base + path)
        assert answer.status_code == 404, path
        assert answer.headers["Content-Type"].startswith("text/html")
    odd = browser.get(base + "/jobs?q=%00%25&state=%00&connection=x&did=x&count=5")
    assert odd.status_code == 200
    assert browser.get("/oem/accounts/x/jobs").status_code == 404
