"""Keys change while everything goes on: the vendor's, ours, and the one of secrets at rest."""

import json
import subprocess
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import connect
from tests.conftest import CacheDatabase
from tests.product import Customer, Vendor, command, key_pair, make_customer, make_vendor, ok
from tests.running_product import Product
from tidewell.state.embedded import binaries


@pytest.fixture
def customer(product: Product, tmp_path: Path) -> Customer:
    """A customer of a vendor whose keys nobody else uses."""
    return make_customer(product.base_url, make_vendor(tmp_path, product.settings))


def account(product: Product, *arguments: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(command("account", *arguments, settings=product.settings))
    return found


def test_a_vendors_keys_are_added_and_revoked_while_it_runs(
    product: Product, customer: Customer, tmp_path: Path
) -> None:
    private, public = key_pair()
    (tmp_path / "new.pub").write_bytes(public)
    vendor = customer.vendor
    about = ("--account", vendor.id)
    added = account(
        product, "key", "add", *about, "--public-key", str(tmp_path / "new.pub"), "--kid", "2027"
    )
    assert added["kid"] == "2027"
    fresh = Customer(
        product.base_url, Vendor(vendor.id, "2027", private, public), customer.account_id
    )

    def status(of: Customer, headers: dict[str, str] | None = None) -> int:
        with of.client_of(headers=headers) as client:
            return client.get("/api/job/list").status_code

    assert (status(customer), status(fresh), status(fresh, {"kid": "2027"})) == (200, 200, 200)
    assert status(fresh, {"kid": vendor.kid}) == 401

    account(product, "key", "revoke", *about, "--kid", vendor.kid)

    assert (status(customer), status(fresh)) == (401, 200)
    keys = account(product, "key", "list", *about)["keys"]
    assert isinstance(keys, list)
    assert [(one["kid"], one["revoked"] is None) for one in keys] == [
        (vendor.kid, False),
        ("2027", True),
    ]


def test_our_signing_key_rotates_and_what_it_signed_still_opens(
    product: Product, client: httpx.Client
) -> None:
    def link() -> str:
        body = {"redirectURL": "https://vendor.example/"}
        return str(ok(client.post("/api/job/cacheConnection/formLink", json=body))["redirectURL"])

    before = link()
    made = json.loads(command("signing-key", "rotate", settings=product.settings))
    published = [
        key["kid"] for key in ok(httpx.get(f"{product.base_url}/.well-known/jwks.json"))["keys"]
    ]
    assert published[0] == made["kid"]
    assert len(published) >= 2
    assert httpx.get(before).status_code == 200
    assert httpx.get(link()).status_code == 200


def test_secrets_are_sealed_anew_while_it_runs(
    product: Product, client: httpx.Client, cache: CacheDatabase
) -> None:
    kept = Path(product.settings["TIDEWELL_HOME"]) / "secret.key"
    before = kept.read_text().split()
    text = "URL=http://h.test/;AuthScheme=Basic;User=me;Password=hush"
    made = connect(client, "Shop", "OData", text)
    shown = ok(client.get(f"/api/connections/{made}"))
    sealed = seals(product)

    done = json.loads(command("secrets", "rotate", settings=product.settings))

    assert done["resealed"] == len(sealed)
    after = kept.read_text().split()
    assert after[1:] == before[:1]
    assert {one.split(".")[1] for one in seals(product)} == {done["key"]}
    assert not set(sealed) & set(seals(product))
    assert ok(client.get(f"/api/connections/{made}")) == shown  # the running node follows
    command("secrets", "rotate", settings=product.settings)
    assert kept.read_text().split()[1:] == after[:1]
    assert ok(client.get(f"/api/connections/{made}")) == shown


def seals(product: Product) -> list[str]:
    """Everything that is sealed in the state database."""
    with psycopg.connect(product.settings["TIDEWELL_DATABASE_URL"]) as connection:
        rows = connection.execute(
            "SELECT sealed FROM connection UNION ALL SELECT sealed FROM cache_connection "
            "UNION ALL SELECT sealed FROM signing_key UNION ALL SELECT sealed FROM webhook "
            "UNION ALL SELECT args ->> 'sealed' FROM procrastinate_jobs WHERE args ? 'sealed'"
        ).fetchall()
    return [row[0] for row in rows]


CANARY = "c4n4ry-7Rqv;'\"x"


def test_a_secret_stands_nowhere_in_the_open(
    product: Product, client: httpx.Client, tmp_path: Path
) -> None:
    """A password with a mark goes through the calls that take one; the mark is nowhere else."""
    quoted = "'" + CANARY.replace("'", "''") + "'"
    answers = [
        client.post(
            "/api/job/cacheConnection",
            json={
                "connectionString": f"Server=127.0.0.1;Port=1;User=u;Password={quoted};Database=d"
            },
        )
    ]
    text = f"URL=http://127.0.0.1:1/;AuthScheme=Basic;User=me;Password={quoted}"
    body = {"name": "Marked", "driver": "OData", "connectionString": text}
    made = client.post("/api/connections", json=body)
    key = ok(made)["connection"]["id"]
    answers += [
        made,
        client.put(f"/api/connections/{key}", json=body),
        client.get(f"/api/connections/{key}"),
        client.post(f"/api/connections/{key}/test"),
        client.get("/api/poweredby/connection/list"),
        client.post("/api/log/audit/list"),
        client.post("/api/connections", json=body | {"connectionString": f"Sever={quoted};{text}"}),
        client.post("/api/connections", json=body | {"connectionString": f"{text};Oops={quoted}"}),
        client.post("/api/connections", json=body | {"connectionString": f"{text}'"}),
        client.post("/api/job/cacheConnection", json={"connectionString": f"Password={quoted}x"}),
    ]
    everything = "".join(answer.text for answer in answers) + product.log.read_text()
    port = product.settings["TIDEWELL_DATABASE_URL"]
    dump = subprocess.run(
        [binaries() / "pg_dump", port], capture_output=True, text=True, check=True
    ).stdout
    assert "tw1." in dump
    for mark in (CANARY, CANARY[:11]):
        assert mark not in everything
        assert mark not in dump
