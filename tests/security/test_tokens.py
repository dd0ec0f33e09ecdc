"""Who may call (contract §1): every way to come without a valid token is refused."""

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.product import Customer, Vendor, make_customer, make_vendor, ok
from tests.running_product import Product

HOUR = 3600
Sign = Callable[..., str]


@pytest.fixture(scope="module")
def customer(product: Product, vendor: Vendor) -> Customer:
    """One customer for all tests: only two of them leave something behind."""
    return make_customer(product.base_url, vendor)


@pytest.fixture
def sign(customer: Customer) -> Sign:
    """Signs claims with the vendor's own key; what a test gives replaces the right ones."""
    return customer.token


def answer(customer: Customer, token: str | None, path: str = "/api/job/list") -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.get(customer.base_url + path, headers=headers)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["requestId"] == answer.headers["X-Request-Id"]
    assert error["message"]
    return answer.status_code, error["code"]


UNAUTHENTICATED = (401, "UNAUTHENTICATED")
FORBIDDEN = (403, "FORBIDDEN")


def test_the_right_token_is_let_in(customer: Customer, sign: Sign) -> None:
    assert ok(answer(customer, sign())) == {"jobs": []}


def test_no_token(customer: Customer) -> None:
    assert refusal(answer(customer, None)) == UNAUTHENTICATED


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Token x", "x" * 20_000])
def test_another_scheme(customer: Customer, header: str) -> None:
    found = httpx.get(f"{customer.base_url}/api/job/list", headers={"Authorization": header})
    assert refusal(found) == UNAUTHENTICATED


@pytest.mark.parametrize("token", ["x", "a.b.c", "....", "e30.e30.", "💥", "[" * 10_000])
def test_no_jwt(customer: Customer, token: str) -> None:
    header = f"Bearer {token}".encode()
    found = httpx.get(f"{customer.base_url}/api/job/list", headers={b"Authorization": header})
    assert refusal(found) == UNAUTHENTICATED


def test_a_signature_of_another_key(customer: Customer, sign: Sign) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(sign(), options={"verify_signature": False})
    forged = jwt.encode(claims, stranger, algorithm="RS256")
    assert refusal(answer(customer, forged)) == UNAUTHENTICATED


def test_a_changed_claim(customer: Customer, sign: Sign) -> None:
    head, _, signature = sign().split(".")
    claims = jwt.decode(sign(), options={"verify_signature": False}) | {"sub": str(uuid4())}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert refusal(answer(customer, f"{head}.{body}.{signature}")) == UNAUTHENTICATED


def test_no_signature_at_all(customer: Customer, sign: Sign) -> None:
    claims = jwt.decode(sign(), options={"verify_signature": False})
    unsigned = jwt.encode(claims, None, algorithm="none")
    assert refusal(answer(customer, unsigned)) == UNAUTHENTICATED
    stripped = sign().rpartition(".")[0] + "."
    assert refusal(answer(customer, stripped)) == UNAUTHENTICATED


def test_the_public_key_as_a_shared_secret(customer: Customer, sign: Sign) -> None:
    """The classic confusion of RS256 and HS256 (RFC 8725, 2.1)."""
    public = customer.vendor.public
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    signed = head + b"." + sign().split(".")[1].encode()
    mac = hmac.new(public, signed, hashlib.sha256).digest()
    forged = signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")
    assert refusal(answer(customer, forged.decode())) == UNAUTHENTICATED


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_another_algorithm(customer: Customer, sign: Sign, algorithm: str) -> None:
    claims = jwt.decode(sign(), options={"verify_signature": False})
    token = jwt.encode(claims, customer.vendor.private, algorithm=algorithm)
    assert refusal(answer(customer, token)) == UNAUTHENTICATED


def test_a_key_that_the_token_brings_itself(customer: Customer, sign: Sign) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(sign(), options={"verify_signature": False})
    pem = stranger.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    headers = {"jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key()))}
    headers |= {"x5c": [base64.b64encode(pem).decode()], "jku": "https://evil.example/keys"}
    headers |= {"x5u": "https://evil.example/certificate.pem"}
    forged = jwt.encode(claims, stranger, algorithm="RS256", headers=headers)
    assert refusal(answer(customer, forged)) == UNAUTHENTICATED


def test_an_address_of_keys_is_never_asked(customer: Customer, sign: Sign) -> None:
    """jku and x5u would make this process fetch what a stranger names (RFC 8725 §3.10)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        claims = jwt.decode(sign(), options={"verify_signature": False})
        for kid in ("theirs", customer.vendor.kid):
            headers = {"jku": url, "x5u": url, "kid": kid}
            forged = jwt.encode(claims, stranger, algorithm="RS256", headers=headers)
            assert refusal(answer(customer, forged)) == UNAUTHENTICATED
        with pytest.raises(TimeoutError):
            listener.accept()


def test_expired_and_not_yet_valid(customer: Customer, sign: Sign) -> None:
    now = int(time.time())
    for changes in (
        {"iat": now - 2 * HOUR, "exp": now - 90},
        {"iat": now + 90, "exp": now + HOUR},
        {"nbf": now + 90},
    ):
        assert refusal(answer(customer, sign(**changes))) == UNAUTHENTICATED, changes
    for changes in (
        {"iat": now - HOUR, "exp": now - 30},
        {"iat": now + 30},
        {"nbf": now + 30},
    ):
        assert answer(customer, sign(**changes)).is_success, changes


@pytest.mark.parametrize("name", ["iat", "exp", "iss", "tokenType"])
def test_a_claim_that_is_missing(customer: Customer, sign: Sign, name: str) -> None:
    assert refusal(answer(customer, sign(**{name: None}))) == UNAUTHENTICATED


@pytest.mark.parametrize("value", ["tomorrow", True, [1], float("nan"), float("inf")])
def test_times_that_are_no_times(customer: Customer, sign: Sign, value: Any) -> None:
    assert refusal(answer(customer, sign(exp=value))) == UNAUTHENTICATED


def test_a_lifetime_over_a_day(customer: Customer, sign: Sign) -> None:
    now = int(time.time())
    assert answer(customer, sign(iat=now, exp=now + 24 * HOUR)).is_success
    token = sign(iat=now, exp=now + 24 * HOUR + 1)
    assert refusal(answer(customer, token)) == UNAUTHENTICATED


@pytest.mark.parametrize("issuer", ["632f2c24-bcaa-4fda-8faa-1ac15bb1f0f9", "nobody", 7, {"a": 1}])
def test_an_unknown_issuer(customer: Customer, sign: Sign, issuer: Any) -> None:
    claims = jwt.decode(sign(), options={"verify_signature": False}) | {"iss": issuer}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    head, _, signature = sign().split(".")
    assert refusal(answer(customer, f"{head}.{body}.{signature}")) == UNAUTHENTICATED


def test_an_unknown_kid(customer: Customer, sign: Sign) -> None:
    paths = ("../../../dev/null", "/dev/null", "file:///etc/passwd", "..\\..\\x", "%2e%2e%2f")
    sql = ("'", "' OR '1'='1", "x' UNION SELECT pem FROM public_key --", "'; DROP TABLE job; --")
    for kid in (*paths, *sql, "gone", "", "a\0b", "\0", "\u00e9", "x" * 5000):
        assert refusal(answer(customer, sign(headers={"kid": kid}))) == UNAUTHENTICATED, kid
    assert answer(customer, sign(headers={"kid": customer.vendor.kid})).is_success


@pytest.mark.parametrize("kid", [None, 7, ["x"], {"a": 1}, True])
def test_a_kid_that_is_no_text(customer: Customer, sign: Sign, kid: Any) -> None:
    """It is as good as none only where it is absent; the right key's signature is under it."""
    head = json.dumps({"alg": "RS256", "typ": "JWT", "kid": kid}).encode()
    signed = base64.urlsafe_b64encode(head).rstrip(b"=") + b"." + sign().split(".")[1].encode()
    key = serialization.load_pem_private_key(customer.vendor.private, password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    mark = base64.urlsafe_b64encode(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
    token = (signed + b"." + mark.rstrip(b"=")).decode()
    assert answer(customer, token).status_code == 401


def test_a_forms_token_does_not_call_and_an_api_token_opens_no_form(
    customer: Customer, client: httpx.Client, sign: Sign
) -> None:
    body = {"redirectURL": "https://vendor.example/"}
    link = ok(client.post("/api/job/cacheConnection/formLink", json=body))["redirectURL"]
    of_form = link.partition("token=")[2].partition("&")[0]
    for path in ("/api/job/list", "/api/poweredby/sources/list"):
        assert refusal(answer(customer, of_form, path)) == UNAUTHENTICATED
    opened = httpx.get(link)
    assert opened.status_code == 200
    refused = httpx.get(link.replace(of_form, sign()))
    assert refused.status_code == 401
    assert "<form" not in refused.text


def test_another_token_type(customer: Customer, sign: Sign) -> None:
    assert refusal(answer(customer, sign(tokenType="session"))) == UNAUTHENTICATED


def test_without_sub_only_calls_of_the_parent_go(customer: Customer, sign: Sign) -> None:
    token = sign(sub=None)
    assert refusal(answer(customer, token)) == FORBIDDEN
    assert answer(customer, token, "/api/poweredby/sources/list").is_success


def test_a_sub_of_somebody_else(
    customer: Customer, sign: Sign, product: Product, tmp_path: Path
) -> None:
    stranger = make_vendor(tmp_path, product.settings)
    other = make_customer(product.base_url, stranger)
    for sub in (other.account_id, str(uuid4()), "x"):
        assert refusal(answer(customer, sign(sub=sub))) == FORBIDDEN


def test_what_belongs_to_another_account_does_not_exist(
    customer: Customer, client: httpx.Client, product: Product
) -> None:
    body = {"name": "Mine", "driver": "OData", "connectionString": "URL=http://127.0.0.1:1/"}
    mine = ok(client.post("/api/connections", json=body))["connection"]["id"]
    other = make_customer(product.base_url, customer.vendor)
    with other.client() as stranger:
        found = stranger.get(f"/api/connections/{mine}")
        missing = stranger.get(f"/api/connections/{uuid4()}")
    assert refusal(found) == refusal(missing) == (404, "NOT_FOUND")
    assert found.json()["error"]["message"].replace(mine, "") == missing.json()["error"][
        "message"
    ].replace(str(missing.url).rpartition("/")[2], "")


def test_connection_ids_narrow_a_token(
    customer: Customer, client: httpx.Client, sign: Sign
) -> None:
    ids = [
        ok(
            client.post(
                "/api/connections",
                json={"name": name, "driver": "OData", "connectionString": "URL=http://x.test/"},
            )
        )["connection"]["id"]
        for name in ("One", "Two")
    ]
    token = sign(connection_ids=json.dumps(ids[:1]))
    listed = ok(answer(customer, token, "/api/poweredby/connection/list"))["connections"]
    assert [one["name"] for one in listed] == ["One"]
    assert answer(customer, token, f"/api/connections/{ids[0]}").is_success
    assert refusal(answer(customer, token, f"/api/connections/{ids[1]}")) == (404, "NOT_FOUND")
    for wrong in ("x", "{}", '["x"]', 5):
        assert refusal(answer(customer, sign(connection_ids=wrong))) == UNAUTHENTICATED
