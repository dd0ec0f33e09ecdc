"""Signing in to an OData service by a key or as an OAuth client, and its manners on the wire."""

import base64
import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

import pytest

from tests.integration.sources.odata import page, pages, rows, source
from tests.odd_service import Answer, Request, odd_service
from tidewell import clock
from tidewell.errors import SourceBroken, SourceRefused, SourceUnavailable

OAUTH = {"AuthScheme": "OAuthClient", "OAuthClientId": "a client", "OAuthClientSecret": "s/e:c&t"}
BASIC = "Basic " + base64.b64encode(b"a%20client:s%2Fe%3Ac%26t").decode()


def test_a_key_goes_in_its_header() -> None:
    with odd_service(lambda _: page(1)) as service:
        rows(source(service.url, AuthScheme="APIKey", Token="a-key"))
        rows(source(service.url, AuthScheme="APIKey", Token="a-key", APIKeyHeader="apikey"))
        assert service.asked[0].headers["x-api-key"] == "a-key"
        assert service.asked[-1].headers["apikey"] == "a-key"


def guarded(tokens: list[str]) -> Callable[[Request], Answer]:
    """Takes the newest token only."""

    def answer(request: Request) -> Answer:
        right = tokens and request.headers.get("authorization") == f"Bearer {tokens[-1]}"
        return page(1) if right else Answer(status=401)

    return answer


def test_a_client_gets_its_token_and_keeps_it() -> None:
    tokens: list[str] = []
    asked: list[Request] = []

    def token(request: Request) -> Answer:
        asked.append(request)
        tokens.append(f"token-{len(tokens)}")
        return Answer({"access_token": tokens[-1], "expires_in": 3600, "token_type": "Bearer"})

    log: list[str] = []
    with odd_service(guarded(tokens)) as service:
        service.token = token
        address = f"{service.url}/token"
        opened = source(service.url, log, OAuthAccessTokenURL=address, OAuthScope="a b", **OAUTH)
        assert [row["ID"] for row in rows(opened)] == [1]
    assert len(asked) == 1
    assert asked[0].headers["authorization"] == BASIC
    assert parse_qs(asked[0].body) == {"grant_type": ["client_credentials"], "scope": ["a b"]}
    assert not any(secret in "".join(log) for secret in ("token-0", "s/e:c&t", BASIC))


def test_custom_headers_go_to_the_service_and_not_to_its_login() -> None:
    posted: list[Request] = []

    def token(request: Request) -> Answer:
        posted.append(request)
        return Answer({"access_token": "t"})

    with odd_service(guarded(["t"])) as service:
        service.token = token
        address = {"OAuthAccessTokenURL": f"{service.url}/token"}
        custom = {"CustomHeaders": "X-Secret: tell-no-one\nACCEPT: nothing"}
        rows(source(service.url, **OAUTH, **address, **custom))
        assert service.asked[-1].headers["x-secret"] == "tell-no-one"
        assert "json" in service.asked[-1].headers["accept"]
    assert "x-secret" not in posted[0].headers


def test_a_token_that_is_no_longer_taken_is_renewed_once() -> None:
    tokens: list[str] = []

    def token(_: Request) -> Answer:
        tokens.append(f"token-{len(tokens)}")
        return Answer({"access_token": tokens[-1], "expires_in": "3600"})

    with odd_service(guarded(tokens)) as service:
        service.token = token
        with source(service.url, OAuthAccessTokenURL=f"{service.url}/token", **OAUTH) as opened:
            opened.tables("OData")
            tokens.append("another")  # somebody else's renewal has ended ours
            assert rows(opened) == [{"ID": 1, "name": "n1"}]
        tokens.append("x")
        service.token = lambda _: Answer({"access_token": "never right"})
        with pytest.raises(SourceRefused, match="401"):
            rows(source(service.url, OAuthAccessTokenURL=f"{service.url}/token", **OAUTH))


def test_a_server_that_takes_the_secret_in_the_body_only_gets_it_there() -> None:
    def token(request: Request) -> Answer:
        form = parse_qs(request.body)
        if form.get("client_secret") == [OAUTH["OAuthClientSecret"]]:
            return Answer({"access_token": "t"})
        return Answer({"error": "invalid_client"}, 401)

    with odd_service(guarded(["t"])) as service:
        service.token = token
        assert rows(source(service.url, OAuthAccessTokenURL=f"{service.url}/token", **OAUTH))


@pytest.mark.parametrize(
    ("answer", "error", "part"),
    [
        (Answer({"error": "invalid_client"}, 401), SourceRefused, "OAuthClientSecret"),
        (Answer({"error": "no", "error_description": "s/e:c&t is bad"}, 400), SourceRefused, "bad"),
        (Answer(b"<html>"), SourceRefused, "access_token"),
        (Answer({"access_token": ""}), SourceRefused, "access_token"),
        (Answer(status=503), SourceUnavailable, "503"),
    ],
)
def test_no_token_is_told_without_the_secret(
    answer: Answer, error: type[SourceRefused], part: str
) -> None:
    with odd_service(pages()) as service:
        service.token = lambda _: answer
        with (
            source(service.url, OAuthAccessTokenURL=f"{service.url}/token", **OAUTH) as opened,
            pytest.raises(error, match=part) as told,
        ):
            opened.test()
    assert OAUTH["OAuthClientSecret"] not in told.value.message


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"AuthScheme": "Basic"}, "User"),
        ({"AuthScheme": "Bearer"}, "Token"),
        ({"AuthScheme": "APIKey"}, "Token"),
        ({"AuthScheme": "OAuthClient"}, "OAuthClientId"),
        (OAUTH | {"OAuthAccessTokenURL": "ftp://x"}, "OAuthAccessTokenURL"),
    ],
)
def test_what_a_scheme_needs_is_named(values: dict[str, str], part: str) -> None:
    with pytest.raises(SourceRefused, match=part):
        source("http://127.0.0.1:1/", **values)


def test_a_token_is_fetched_from_allowed_addresses_only() -> None:
    with odd_service(lambda _: page(1)) as service:
        values = OAUTH | {"OAuthAccessTokenURL": "http://169.254.169.254/token"}
        with source(service.url, **values) as opened, pytest.raises(SourceRefused, match="reached"):
            opened.test()
        assert service.asked == []


def test_packed_answers_are_unpacked() -> None:
    packed = gzip.compress(json.dumps({"value": [{"ID": 1, "name": "ü"}]}).encode())
    answer = Answer(packed, headers={"Content-Encoding": "gzip"})
    with odd_service(lambda _: answer) as service:
        assert rows(source(service.url)) == [{"ID": 1, "name": "ü"}]
        assert "gzip" in service.asked[-1].headers["accept-encoding"]


def test_a_packed_answer_that_unpacks_to_too_much_is_refused() -> None:
    bomb = gzip.compress(b"[" * 300_000_000, 1)
    answer = Answer(bomb, headers={"Content-Encoding": "gzip"})
    with (
        odd_service(lambda _: answer) as service,
        pytest.raises(SourceBroken, match="256 MiB"),
    ):
        rows(source(service.url, Paging="Server"))


def test_an_answer_that_is_not_packed_as_it_says_is_told() -> None:
    answer = Answer(b"no gzip", headers={"Content-Encoding": "gzip"})
    with (
        odd_service(lambda _: answer) as service,
        pytest.raises(SourceBroken, match="unpacked"),
    ):
        rows(source(service.url))


def test_a_date_to_come_back_at_is_kept() -> None:
    log: list[str] = []
    moment = format_datetime(clock.now() + timedelta(seconds=2), usegmt=True)
    busy = Answer(status=429, headers={"Retry-After": moment})
    with odd_service(pages(busy, page(1))) as service:
        assert len(rows(source(service.url, log))) == 1
    assert any("Asking again in" in line for line in log)


def test_a_service_that_wants_us_much_later_is_not_waited_for() -> None:
    busy = Answer(status=503, headers={"Retry-After": "3600"})
    with odd_service(lambda _: busy) as service, pytest.raises(SourceUnavailable) as told:
        rows(source(service.url))
    assert told.value.retry_after == 3600
