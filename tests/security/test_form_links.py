"""Links to the hosted forms: what they say is signed, short-lived, and only for its own page."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from tests.conftest import CacheDatabase
from tests.product import Customer, command, make_vendor, ok
from tests.running_product import Product

BACK = "https://vendor.example/back?step=2"
CACHE = "/api/job/cacheConnection/formLink"


@pytest.fixture
def page(product: Product) -> Iterator[httpx.Client]:
    """A browser without a token of the API."""
    with httpx.Client(base_url=product.base_url, timeout=30) as client:
        yield client


def link(client: httpx.Client, path: str = CACHE, **body: Any) -> str:
    answer = ok(client.post(path, json={"redirectURL": BACK} | body))
    assert list(answer) == ["redirectURL"]
    return str(answer["redirectURL"])


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def hidden(html: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))


def test_the_link_has_the_references_form(client: httpx.Client, customer: Customer) -> None:
    url = link(client)
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert url.startswith(customer.base_url)
    assert parts.path == "/oem/user/cacheConnection"
    assert list(query) == ["token", "driver", "redirectUrl", "connectionName"]
    assert query["driver"] == ["PostgreSQL"]
    assert query["redirectUrl"] == [BACK]
    assert query["connectionName"] == ["OEMCacheConnection"]


def test_the_token_is_signed_with_a_published_key_and_lives_180_seconds(
    client: httpx.Client, customer: Customer, page: httpx.Client
) -> None:
    token = token_of(link(client))
    keys = jwt.PyJWKSet.from_dict(ok(page.get("/.well-known/jwks.json")))
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "RS256"
    claims = jwt.decode(token, keys[header["kid"]], algorithms=["RS256"], audience="tidewell.oem")
    assert claims["exp"] - claims["nbf"] == 180
    assert claims["accountId"] == claims["sub"] == customer.account_id
    assert claims["oemAdminAccountId"] == customer.vendor.id
    assert (claims["flowType"], claims["flowDatasource"]) == ("cacheConnection", "PostgreSQL")
    assert {"tokenType", "iss", "jti"} <= set(claims)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/relative",
        "vendor.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://vendor.example/",
        "https://",
        "https://me:hush@vendor.example/",
        "https://vendor.example\\@evil.example/",
        "https://vendor.example/\r\nSet-Cookie: a=b",
        "https://vendor.example/" + "x" * 3000,
        "https://vendor.example:99999/",
        "https://[::1/",
    ],
)
def test_a_return_address_that_cannot_be(client: httpx.Client, address: str) -> None:
    answer = client.post(CACHE, json={"redirectURL": address})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"][0]["field"] == "redirectURL"


def test_registered_return_hosts_are_the_only_ones(product: Product, tmp_path: Any) -> None:
    vendor = make_vendor(tmp_path, product.settings)
    command(
        *("account", "hosts", "--account", vendor.id),
        *("--return-host", "vendor.example", "--return-host", "other.example:8443"),
        settings=product.settings,
    )
    with Customer(product.base_url, vendor, "").client_of(sub=None) as parent:
        account = ok(parent.post("/api/poweredby/account/create", json={}))["accountId"]
    with Customer(product.base_url, vendor, account).client() as client:
        for address in ("https://vendor.example/x", "https://other.example:8443/"):
            assert client.post(CACHE, json={"redirectURL": address}).is_success, address
        for address in (
            "https://evil.example/",
            "https://a.vendor.example/",
            "https://other.example/",
        ):
            assert client.post(CACHE, json={"redirectURL": address}).status_code == 400, address


def test_the_page_is_shut_off_from_everything_else(
    client: httpx.Client, page: httpx.Client
) -> None:
    answer = page.get(link(client))
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/oem/" in cookie
    assert "<script>" not in answer.text
    assert "style=" not in answer.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//(?!vendor\.example)', answer.text)


def test_only_the_signed_return_address_counts(client: httpx.Client, page: httpx.Client) -> None:
    url = link(client).replace("vendor.example", "evil.example")
    text = page.get(url).text
    assert "evil.example" not in text
    assert "Return to vendor.example" in text


def test_a_link_that_is_altered_or_missing_opens_nothing(
    client: httpx.Client, page: httpx.Client, customer: Customer
) -> None:
    token = token_of(link(client))
    head, body, signature = token.split(".")
    altered = f"{head}.{body}.{signature[:-4]}AAAA"
    for wrong in ("", "x", f"{head}.{body}.", altered, customer.token()):
        answer = page.get("/oem/user/cacheConnection", params={"token": wrong})
        assert answer.status_code == 401
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<form" not in answer.text
        assert "Set-Cookie" not in answer.headers


def test_a_form_token_opens_no_call_of_the_api(client: httpx.Client, page: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {token_of(link(client))}"}
    assert page.get("/api/job/list", headers=headers).status_code == 401


def test_a_link_opens_its_own_page_only(client: httpx.Client, page: httpx.Client) -> None:
    token = token_of(link(client))
    assert page.get("/oem/user/connections/edit", params={"token": token}).status_code == 401


def test_a_form_without_its_session_or_its_own_mark_is_refused(
    client: httpx.Client, page: httpx.Client
) -> None:
    url = link(client)
    fields = hidden(page.get(url).text)
    assert set(fields) == {"form", "csrf"}
    assert httpx.post(url, data=fields).status_code == 401
    assert page.post(url, data=fields | {"csrf": "0" * 64}).status_code == 403
    assert page.post(url, data={"form": fields["form"]}).status_code == 403
    other = hidden(page.get(link(client)).text)
    assert page.post(url, data=fields | {"csrf": other["csrf"]}).status_code == 403
    assert page.post(url, content=b"{}").status_code == 415


def test_a_cache_connection_is_filled_in(
    client: httpx.Client, page: httpx.Client, cache_database: CacheDatabase
) -> None:
    url = link(client)
    fields = hidden(page.get(url).text) | {
        "Server": cache_database.host,
        "Port": str(cache_database.port),
        "User": cache_database.user,
        "Password": "wrong-guess",
        "Database": cache_database.database,
        "SSLMode": "",
    }
    failed = page.post(url, data=fields)
    assert failed.status_code == 422
    assert "nothing was saved" in failed.text
    assert "password" in failed.text
    assert "wrong-guess" not in failed.text
    missing = page.post(url, data=fields | {"Server": ""})
    assert "Please fill this in." in missing.text

    saved = page.post(url, data=fields | {"Password": cache_database.password})

    assert saved.status_code == 200
    assert "It works." in saved.text
    assert "cdata_connection_status=success" in saved.text
    assert "step=2" in saved.text
    again = page.get(link(client)).text
    assert cache_database.database in again
    assert cache_database.password not in again
    # An empty password keeps the stored one.
    kept = page.post(url, data=fields | {"Password": ""})
    assert "It works." in kept.text
    events = ok(client.post("/api/log/audit/list"))["events"]
    assert [one["action"] for one in events].count("cacheConnection.save") == 2


def test_a_connection_is_made_once_however_often_it_is_saved(
    client: httpx.Client, page: httpx.Client, product: Product
) -> None:
    (product.files / "form.csv").write_text("id\n1\n")
    url = link(
        client,
        "/api/poweredby/connection/create",
        dataSource="files",
        name="From the form",
        externalId="f-1",
    )
    html = page.get(url).text
    assert 'value="From the form"' in html
    fields = hidden(html) | {"connection_name": "Mine", "URI": str(product.files / "form.csv")}
    fields |= {"Format": "Auto", "IncludeColumnHeaders": "True"}
    for _ in range(2):
        saved = page.post(url, data=fields)
        assert "It works." in saved.text, saved.text
    found = ok(client.get("/api/poweredby/connection/list"))["connections"]
    assert [(one["name"], one["externalId"], one["status"]) for one in found] == [
        ("Mine", "f-1", "Authenticated")
    ]
    assert f"cdata_connection_id={found[0]['id']}" in saved.text
    assert "cdata_connection_name=Mine" in saved.text

    edit = link(client, f"/api/poweredby/connection/edit/{found[0]['id']}")
    assert urlsplit(edit).path == f"/oem/user/connections/edit/{found[0]['id']}"
    html = page.get(edit).text
    assert 'value="Mine"' in html
    failed = page.post(edit, data=fields | hidden(html) | {"URI": "/etc"})
    assert "TIDEWELL_FILES_ROOT" in failed.text
    assert (
        str(product.files)
        in ok(client.get(f"/api/connections/{found[0]['id']}"))["connection"]["connectionString"]
    )


def test_a_name_can_be_pinned_and_a_driver_chosen(
    client: httpx.Client, page: httpx.Client, product: Product
) -> None:
    (product.files / "pinned.csv").write_text("id\n1\n")
    url = link(
        client,
        "/api/poweredby/connection/create",
        dataSource="Files",
        name="Pinned",
        editableName="false",
    )
    fields = hidden(page.get(url).text) | {"connection_name": "Another", "Format": "Auto"}
    fields |= {"URI": str(product.files / "pinned.csv"), "IncludeColumnHeaders": "True"}
    assert "It works." in page.post(url, data=fields).text
    names = [one["name"] for one in ok(client.get("/api/poweredby/connection/list"))["connections"]]
    assert names == ["Pinned"]

    url = link(client, "/api/poweredby/connection/create")
    html = page.get(url).text
    assert "OData" in html
    assert "Files" in html
    assert "AuthScheme" in page.get(f"{url}&dataSource=OData").text
    assert page.get(f"{url}&dataSource=Nothing").status_code == 400


def test_what_a_customer_is_called_cannot_become_markup(
    client: httpx.Client, page: httpx.Client
) -> None:
    evil = '"><script>alert(1)</script>'
    url = link(client, "/api/poweredby/connection/create", dataSource="OData", name=evil)
    html = page.get(url).text
    assert "<script>alert" not in html
    fields = hidden(html) | {"connection_name": evil, "URL": evil, "AuthScheme": evil}
    assert "<script>alert" not in page.post(url, data=fields).text


def test_an_open_form_outlives_its_link_and_not_its_account(
    client: httpx.Client, page: httpx.Client, customer: Customer
) -> None:
    url = link(client)
    fields = hidden(page.get(url).text)
    ok(client.delete(f"/api/poweredby/account/delete/{customer.account_id}"))
    assert page.get(url).status_code == 401
    assert page.post(url, data=fields).status_code == 401
