"""Behind TLS, which a proxy ends: cookies go over TLS only, and links name the public address."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port
from tests.product import Customer, command, make_customer, make_vendor, ok, process
from tests.running_product import Product, wait_until_ready

PUBLIC = "https://tide.example"
VENDOR = "https://app.vendor.example"


@pytest.fixture(scope="module")
def inner(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node as its proxy reaches it."""
    settings = product.settings | {"TIDEWELL_BASE_URL": PUBLIC}
    port, log = free_port(), tmp_path_factory.mktemp("tls") / "serve.log"
    arguments = ("serve", "--port", str(port), "--no-worker", "--no-ticker")
    with process(*arguments, settings=settings, log=log):
        wait_until_ready(f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"


def opened(inner: str, customer: Customer) -> httpx.Response:
    """The form of the cache connection, through the proxy."""
    at_node = Customer(inner, customer.vendor, customer.account_id)
    with at_node.client() as client:
        body = {"redirectURL": f"{VENDOR}/back"}
        link = str(ok(client.post("/api/job/cacheConnection/formLink", json=body))["redirectURL"])
    assert link.startswith(f"{PUBLIC}/oem/user/cacheConnection?token=")
    answer = httpx.get(link.replace(PUBLIC, inner))
    assert answer.status_code == 200
    return answer


def test_a_cookie_goes_over_tls_only(inner: str, customer: Customer) -> None:
    answer = opened(inner, customer)
    attributes = answer.headers["Set-Cookie"].split("; ")
    assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/oem/"} <= set(attributes)
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_in_a_page_of_the_vendors_it_is_kept_for_that_page_alone(
    inner: str, product: Product, tmp_path: Path
) -> None:
    """The parent's own origins, and nobody else's, may frame its customers' forms."""
    vendor = make_vendor(tmp_path, product.settings)
    hosts = ("account", "hosts", "--account", vendor.id, "--frame-origin", VENDOR)
    command(*hosts, settings=product.settings)
    answer = opened(inner, make_customer(inner, vendor))
    attributes = answer.headers["Set-Cookie"].split("; ")
    assert {"Secure", "HttpOnly", "SameSite=none", "Partitioned"} <= set(attributes)
    policy = answer.headers["Content-Security-Policy"]
    assert f"frame-ancestors {VENDOR};" in f"{policy};"
