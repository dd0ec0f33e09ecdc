"""MailChimp's driver: every list as the published description has it, and what the API asks for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.mailchimp_server import FIRST, KEY, MOST_AT_A_TIME, TOKEN, MailChimp, mailchimp
from tests.prism import description, prism
from tidewell.egress import EgressRules
from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused, SourceUnavailable
from tidewell.sources.conformance.suite import rows_of, with_defaults
from tidewell.sources.declarative.driver import Connection, open_source
from tidewell.sources.mailchimp import DRIVER, manifest
from tidewell.sources.protocol import Comparison, Environment, ReadRequest, Source

LOCAL = Environment(egress=EgressRules.parse("127.0.0.1"))
NOT_DESCRIBED = {
    *("AccountExports", "ChimpChatterActivity", "EcommercePromoCodes", "FacebookAds"),
    *("LandingPages", "ListMemberEvents", "ListMemberTags", "ListTags", "ReportLandingPages"),
    *("SurveyQuestions", "SurveyResponses", "Surveys", "VerifiedDomains"),
}
"""Lists that the API got after that description was published."""


@pytest.fixture
def service() -> Iterator[MailChimp]:
    with mailchimp() as running:
        yield running


def opened(url: str, environment: Environment = LOCAL, **values: str) -> Source:
    keys = {"APIKey": KEY} if "OAuthAccessToken" not in values else {}
    return DRIVER.open(with_defaults(DRIVER, {"URL": url} | keys | values), environment)


def rows(source: Source, table: str, *where: Comparison) -> list[dict[str, Any]]:
    return rows_of(source.read(ReadRequest("MailChimp", table, where=where)))


def test_the_manifest_keeps_to_the_language() -> None:
    held_against_it = Connection("MailChimp", manifest(), {"url": "a", "authorization": "b"})
    with open_source(held_against_it, LOCAL) as source:
        assert len(source.tables("MailChimp")) == 73


def test_every_described_list_is_a_table_with_its_properties(tmp_path: Path) -> None:
    """Prism answers as the published description says; a property that came has a value."""
    with prism(tmp_path) as url, opened(url) as source:
        source.test()
        for table in source.tables("MailChimp"):
            if table.name in NOT_DESCRIBED:
                continue
            (row,) = rows(source, table.name)
            missing = [name for name, value in row.items() if value is None]
            assert missing == [], table.name


def test_no_list_of_the_description_is_left_out() -> None:
    streams = {one["$parameters"]["url"].partition("}}/")[2] for one in manifest()["streams"]}
    ours = {_shape(path) for path in streams}
    described = {
        _shape(path.lstrip("/"))
        for path, operations in description()["paths"].items()
        if "total_items" in _properties(operations)
    }
    # A search, one device's own settings, and orders that /ecommerce/orders gives for all stores.
    apart = {
        "search-campaigns",
        "mobile-notification-preferences",
        "mobile-notification-preferences/*/stores",
        "ecommerce/stores/*/orders",
    }
    assert described - ours == apart


def _shape(path: str) -> str:
    """A path with each of its parameters as a star, in a template's spelling or a description's."""
    return re.sub(r"\{+[^}]*\}+", "*", path)


def _properties(operations: Mapping[str, Any]) -> Mapping[str, Any]:
    answers = (operations.get("get") or {}).get("responses") or {}
    found: Mapping[str, Any] = ((answers.get("200") or {}).get("schema") or {}).get(
        "properties"
    ) or {}
    return found


def test_members_of_several_lists_come_page_by_page_with_few_connections(
    service: MailChimp,
) -> None:
    service.data["lists"] = [{"id": f"L{n}"} for n in range(40)]
    for n in range(40):
        service.data[f"lists/L{n}/members"] = [
            {"id": f"m{m}", "list_id": f"L{n}"} for m in range(1001 if n == 0 else 3)
        ]
    with opened(service.url) as source:
        found = rows(source, "ListMembers")
    assert len(found) == len({(row["list_id"], row["id"]) for row in found}) == 1001 + 39 * 3
    assert service.most_at_a_time <= 5 < MOST_AT_A_TIME
    pages = [one for one in service.requests if "lists/L0/members" in one]
    assert len(pages) == 2
    assert all("count=1000" in one for one in pages)


def test_pages_that_are_cut_shorter_than_asked_lose_nothing(service: MailChimp) -> None:
    service.most_items = 30
    service.data["lists"] = [{"id": f"L{n}"} for n in range(40)]
    for n in range(40):
        service.data[f"lists/L{n}/members"] = [{"id": "m", "list_id": f"L{n}"}]
    service.data["lists/L0/members"] = [{"id": f"m{m}", "list_id": "L0"} for m in range(90)]
    with opened(service.url) as source:
        assert len(rows(source, "ListMembers")) == 39 + 90
    asked = [one for one in service.requests if "lists/L0/members" in one]
    assert len(asked) == 3, "the total tells that there is no fourth page"


def test_a_parent_without_its_list_is_an_error(service: MailChimp) -> None:
    service.names["lists"] = "others"
    with opened(service.url) as source, pytest.raises(SourceBroken, match="has no 'lists'"):
        rows(source, "ListMembers")


def test_a_list_below_another_has_its_parents_key(service: MailChimp) -> None:
    with opened(service.url) as source:
        tags = rows(source, "EcommerceProductVariants")
    assert {(row["store_id"], row["product_id"]) for row in tags} == {
        (f"id{s}", f"id{p}") for s in range(3) for p in range(3)
    }


def test_a_list_whose_parent_is_gone_is_empty_but_a_wrong_root_is_an_error(
    service: MailChimp,
) -> None:
    service.data["lists"] = [{"id": "gone/for/good"}]
    with opened(service.url) as source:
        assert rows(source, "ListSegments") == []
    with (
        opened(service.url.replace("/3.0", "/4.0")) as source,
        pytest.raises(SourceNotFound, match=r"has nothing at /4\.0/lists"),
    ):
        rows(source, "ListSegments")


def test_a_bound_on_a_time_goes_to_the_api_and_an_older_edge_is_kept(service: MailChimp) -> None:
    edge = Comparison("send_time", ">=", FIRST.isoformat().replace("+00:00", "Z"))
    service.data["campaigns"] = [
        {"id": "old", "send_time": FIRST.replace(hour=1).isoformat()},
        {"id": "edge", "send_time": FIRST.isoformat()},
        {"id": "new", "send_time": FIRST.replace(minute=59).isoformat()},
        {"id": "draft", "send_time": ""},
    ]
    with opened(service.url) as source:
        assert {row["id"] for row in rows(source, "Campaigns", edge)} == {"edge", "new"}
        assert "since_send_time=2024-02-29T23%3A49%3A59" in service.requests[-1]
        assert len(rows(source, "Campaigns")) == 4
        assert "since" not in service.requests[-1]
    assert len([one for one in service.requests if "/campaigns?" in one]) == 2


def test_a_busy_api_is_asked_again_after_the_time_that_it_names(service: MailChimp) -> None:
    told: list[str] = []
    loud = replace(LOCAL, trace=lambda level, text: told.append(f"{level} {text}"))
    service.data["campaign-folders"] = [{"id": "f"}]
    service.busy_answers = 1
    with opened(service.url, loud) as source:
        source.columns("MailChimp", "CampaignFolders")
        assert rows(source, "CampaignFolders") == [{"id": "f", "name": None, "count": None}]
    assert any("1 " in one and "Asking again in 1.0 s" in one for one in told)


def test_an_api_that_stays_busy_is_a_reason_to_try_the_run_again(service: MailChimp) -> None:
    service.busy_answers = 1000
    with opened(service.url) as source, pytest.raises(SourceUnavailable) as told:
        source.test()
    assert told.value.retry_after == 1
    assert "429" in told.value.message


def test_a_page_that_breaks_off_is_an_error_and_not_the_last_one(service: MailChimp) -> None:
    service.data["conversations"] = [{"id": f"c{n}"} for n in range(2500)]
    service.break_at = "offset=1000"
    with opened(service.url) as source, pytest.raises(SourceBroken, match="is not JSON"):
        rows(source, "Conversations")


def test_an_answer_without_its_list_is_an_error(service: MailChimp) -> None:
    service.names["campaign-folders"] = "others"
    with opened(service.url) as source, pytest.raises(SourceBroken, match="has no 'folders'"):
        rows(source, "CampaignFolders")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "APIKey or OAuthAccessToken is missing"),
        ({"APIKey": "abc"}, "DataCenter is missing"),
        ({"APIKey": "abc-us1", "OAuthAccessToken": "t"}, "not both"),
        ({"OAuthAccessToken": "t"}, "DataCenter is missing"),
        ({"APIKey": "abc-evil.example/"}, "DataCenter is missing"),
        ({"APIKey": "a-us1", "DataCenter": "us1.evil.example/"}, "DataCenter is missing"),
        ({"APIKey": "a-us1", "URL": "https://example.com/3.0"}, "not MailChimp's own host"),
        ({"APIKey": "a-us1", "URL": "http://us1.api.mailchimp.com"}, "not MailChimp's own host"),
        (
            {"APIKey": "a-us1", "URL": "https://api.mailchimp.com.evil.example"},
            "not MailChimp's own host",
        ),
        ({"APIKey": "a-us1", "URL": "https://u:p@us1.api.mailchimp.com"}, "URL must be the root"),
        ({"APIKey": "a-us1", "URL": "file:///etc/passwd"}, "URL must be the root"),
        ({"APIKey": "a-us1", "Timeout": "0"}, "Timeout must be"),
    ],
)
def test_what_cannot_be_a_connection_is_told(values: dict[str, str], said: str) -> None:
    with pytest.raises(SourceRefused, match=said):
        DRIVER.open(with_defaults(DRIVER, values), Environment())


def test_a_token_is_a_bearer_and_needs_no_key(service: MailChimp) -> None:
    with opened(service.url, OAuthAccessToken=TOKEN, DataCenter="us21") as source:
        source.test()
