"""The OData driver against a real service, and against services that answer oddly."""

import base64
from decimal import Decimal

import pytest

from tests.integration.sources.odata import page, pages, rows, source
from tests.odata_server import ODataServer
from tests.odd_service import Answer, OddService, odd_service
from tidewell.errors import (
    SourceBroken,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    TidewellError,
)
from tidewell.sources.protocol import Comparison, ReadRequest


def test_a_real_service_shows_its_tables_and_types(shop: ODataServer) -> None:
    with source(shop.url) as opened:
        opened.test()
        assert {table.name for table in opened.tables("OData")} == {"Orders", "Items", "Empties"}
        columns = {column.name: column for column in opened.columns("OData", "Orders")}
        assert str(columns["amount"].type).startswith("decimal128")
        assert str(columns["modifiedAt"].type) == "timestamp[us, tz=UTC]"
        assert columns["modifiedAt"].moves_forward
        assert columns["ID"].key_position is not None
        keys = [c.name for c in opened.columns("OData", "Items") if c.key_position is not None]
        assert sorted(keys) == ["order_ID", "position"]


def test_a_real_service_filters_and_selects(shop: ODataServer) -> None:
    where = (Comparison("ID", ">", "99990"), Comparison("ID", "<=", "99995"))
    found = rows(source(shop.url), "Orders", columns=("ID",), where=where)
    assert sorted(row["ID"] for row in found) == [99991, 99992, 99993, 99994, 99995]
    assert len(rows(source(shop.url), "Orders", limit=1500)) == 1500


@pytest.mark.parametrize(
    "login",
    [
        {"AuthScheme": "Basic", "User": "alice", "Password": "wonder;land=1"},
        {"AuthScheme": "Bearer", "Token": "a-test-token"},
    ],
)
def test_a_closed_service_lets_the_right_one_in(shop: ODataServer, login: dict[str, str]) -> None:
    with source(shop.closed_url, **login) as opened:
        opened.test()
    wrong = {name: "wrong" if name in ("Password", "Token") else v for name, v in login.items()}
    with source(shop.closed_url, **wrong) as opened, pytest.raises(SourceRefused, match="401"):
        opened.test()


@pytest.mark.parametrize(
    "link",
    ["Things?$skiptoken=1", "/odd/Things?$skiptoken=1", "./Things?$skiptoken=1", "?$skiptoken=1"],
)
def test_next_links_may_be_relative(link: str) -> None:
    first = page(1, 2, **{"@odata.nextLink": link})
    with odd_service(pages(first, page(3))) as service:
        assert [row["ID"] for row in rows(source(service.url))] == [1, 2, 3]
        assert service.asked[-1].path == "/odd/Things"
        assert service.asked[-1].query == {"$skiptoken": "1"}


def test_a_next_link_to_another_host_gets_no_credentials() -> None:
    with odd_service(pages()) as stranger:
        link = f"{stranger.url}/Things?$skiptoken=1"
        with odd_service(pages(page(1, **{"@odata.nextLink": link}), page(2))) as service:
            login = {"AuthScheme": "Bearer", "Token": "hush"}
            found = rows(source(service.url, **login))
        assert [row["ID"] for row in found] == [1, 2]
        assert stranger.asked == []


def test_pages_that_go_round_in_a_circle_end() -> None:
    link = {"@odata.nextLink": "Things?$skiptoken=1"}
    with (
        odd_service(lambda _: page(1, **link)) as service,
        pytest.raises(SourceBroken, match="circle"),
    ):
        rows(source(service.url))


def test_a_busy_service_is_asked_again_when_it_says() -> None:
    log: list[str] = []
    busy = Answer({"error": {"message": "later"}}, 429, {"Retry-After": "1"})
    with odd_service(pages(Answer(status=503), page(1), busy)) as service:
        assert [row["ID"] for row in rows(source(service.url, log))] == [1]
    again = page(1, **{"@odata.nextLink": "Things?$skiptoken=1"})
    with odd_service(pages(again, busy, page(2))) as service:
        assert [row["ID"] for row in rows(source(service.url, log))] == [1, 2]
    assert any("Asking again in 1.0 s" in line for line in log)


@pytest.mark.parametrize(
    ("answer", "error", "part"),
    [
        (Answer(b"<html>", 200), SourceBroken, "not JSON"),
        (Answer({"rows": []}), SourceBroken, "no list of rows"),
        (Answer([]), SourceBroken, "no list of rows"),
        (Answer({"value": [{"ID": 1}]}), SourceBroken, "left out the property"),
        (Answer({"value": [{"ID": "x", "name": "n"}]}), SourceBroken, "ID"),
        (Answer({"value": [{"ID": 2**40, "name": "n"}]}), SourceBroken, "ID"),
        (Answer({"value": [7]}), SourceBroken, "row"),
        (Answer(status=403), SourceRefused, "403"),
        (Answer(status=404), SourceNotFound, "404"),
        (Answer(status=400), SourceBroken, "400"),
        (Answer(status=302, headers={"Location": "http://elsewhere/"}), SourceBroken, "elsewhere"),
        (Answer(b"{", headers={"Content-Length": "500"}), SourceUnavailable, "failed"),
    ],
)
def test_an_answer_that_cannot_be_used_ends_the_read(
    answer: Answer, error: type[TidewellError], part: str
) -> None:
    with odd_service(lambda _: answer) as service, pytest.raises(error, match=part):
        rows(source(service.url))


def test_no_digit_of_a_decimal_is_lost() -> None:
    properties = (
        '<Property Name="exact" Type="Edm.Decimal" Precision="30" Scale="10"/>'
        '<Property Name="any" Type="Edm.Decimal" Scale="variable"/>'
    )
    body = (
        b'{"value": [{"ID": 1, "exact": 12345678901234567890.0123456789, "any": 0.1},'
        b'{"ID": 2, "exact": "0.0000000001", "any": "123456789012345678901234567890.5"},'
        b'{"ID": 3, "exact": 7, "any": null}]}'
    )
    with odd_service(lambda _: Answer(body), properties) as service:
        found = rows(source(service.url))
    assert [row["exact"] for row in found] == [
        Decimal("12345678901234567890.0123456789"),
        Decimal("0.0000000001"),
        Decimal(7),
    ]
    assert [row["any"] for row in found] == ["0.1", "123456789012345678901234567890.5", None]


def test_what_is_sent_and_what_is_logged() -> None:
    log: list[str] = []
    values = {"AuthScheme": "Basic", "User": "me", "Password": "hüsh", "PageSize": "7"}
    with odd_service(lambda _: page(1)) as service:
        rows(source(f"{service.url}?sap-client=100", log, CustomHeaders="X-Tenant: 5", **values))
        asked = service.asked[-1]
    expected = base64.b64encode("me:hüsh".encode()).decode()
    assert asked.headers["authorization"] == f"Basic {expected}"
    assert asked.headers["x-tenant"] == "5"
    assert asked.headers["prefer"] == "odata.maxpagesize=7"
    assert asked.query == {"sap-client": "100", "$select": "ID,name"}
    assert "hüsh" not in "".join(log)
    assert expected not in "".join(log)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"URL": "ftp://host/x"}, "URL"),
        ({"URL": "nonsense"}, "URL"),
        ({"URL": "http://me:hush@host/x"}, "credentials"),
        ({"PageSize": "0"}, "PageSize"),
        ({"PageSize": "many"}, "PageSize"),
        ({"CustomHeaders": "no colon"}, "CustomHeaders"),
    ],
)
def test_values_that_cannot_be_are_named(values: dict[str, str], part: str) -> None:
    with pytest.raises(SourceRefused, match=part) as caught:
        source("http://127.0.0.1:1/", **values)
    assert "hush" not in caught.value.message


def test_metadata_that_is_none_is_named() -> None:
    with odd_service(pages()) as service:
        for text in ("<html>", "", "<?xml version='1.0'?><a/>", '{"value": []}'):
            service.metadata = text
            with source(service.url) as opened, pytest.raises(SourceBroken):
                opened.tables("OData")


def test_metadata_cannot_make_us_read_files_or_eat_our_memory() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    levels = "".join(f'<!ENTITY l{n} "&l{n - 1};&l{n - 1};&l{n - 1};">' for n in range(1, 40))
    with odd_service(pages()) as service:
        for text in (bomb, f'<!DOCTYPE a [<!ENTITY l0 "ha">{levels}]><a>&l39;</a>'):
            service.metadata = text
            with source(service.url) as opened, pytest.raises(SourceBroken) as caught:
                opened.tables("OData")
            assert "root:" not in caught.value.message


def read_by(service: OddService) -> list[dict[str, str]]:
    return [request.query for request in service.asked if request.path.endswith("Things")]


def test_a_comparison_is_the_services_work() -> None:
    properties = (
        '<Property Name="at" Type="Edm.DateTimeOffset" Precision="3"/>'
        '<Property Name="word" Type="Edm.String"/><Property Name="flag" Type="Edm.Boolean"/>'
    )
    where = (
        Comparison("at", ">=", "2026-01-31T10:00:00.123456Z"),
        Comparison("word", "=", "it's & more"),
        Comparison("flag", "=", "true"),
    )
    with odd_service(lambda _: Answer({"value": []}), properties) as service:
        with source(service.url) as opened:
            reading = opened.read(ReadRequest("OData", "Things", where=where))
            assert list(reading.batches) is not None
        # The service knows milliseconds only, and its own order of texts: both are looked at again.
        assert reading.residual == where
        assert read_by(service)[0]["$filter"] == (
            "at ge 2026-01-31T10:00:00.123Z and word eq 'it''s & more'"
        )
