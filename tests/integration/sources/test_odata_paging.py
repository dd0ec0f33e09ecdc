"""Pages that the service cuts, and pages that we cut: by key, else by $skip."""

import re
from typing import Any

import pytest

from tests.integration.sources.odata import page, pages, rows, source
from tests.odata_server import ODataServer
from tests.odd_service import Answer, Request, odd_service
from tidewell.errors import SourceBroken
from tidewell.sources.odata import client
from tidewell.sources.protocol import Comparison


@pytest.mark.parametrize("paging", ["Server", "Client"])
def test_a_real_service_gives_every_row_once_whoever_cuts(shop: ODataServer, paging: str) -> None:
    where = (Comparison("ID", ">", "96000"), Comparison("ID", "<=", "99000"))
    found = rows(source(shop.url, Paging=paging), "Orders", columns=("customer",), where=where)
    assert len(found) == 3000
    assert list(found[0]) == ["customer"]
    items = rows(source(shop.url, Paging=paging, PageSize="7"), "Items")
    assert len({(row["order_ID"], row["position"]) for row in items}) == len(items) == 50


def capped(total: int, most: int, key: str = "ID") -> Any:
    """A service that gives at most so many rows whatever is asked for, and no next links."""

    def answer(request: Request) -> Answer:
        after = re.search(rf"{key} gt (\d+)", request.query.get("$filter", ""))
        start = int(after[1]) + 1 if after else int(request.query.get("$skip", "0"))
        ids = range(start, min(start + min(most, int(request.query["$top"])), total))
        return page(*ids)

    return answer


def test_a_service_without_next_links_is_read_by_key_to_its_end() -> None:
    with odd_service(capped(total=95, most=10)) as service:
        found = rows(source(service.url, Paging="Client", PageSize="30"), columns=("name",))
        assert [row["name"] for row in found] == [f"n{n}" for n in range(95)]
        asked = [one.query for one in service.asked if one.path.endswith("Things")]
    assert asked[0] == {"$select": "name,ID", "$top": "30", "$orderby": "ID"}
    assert asked[1]["$filter"] == "(ID gt 9)"
    assert "$skip" not in asked[1]


def test_a_key_that_cannot_be_compared_is_paged_by_skip() -> None:
    properties = '<Property Name="name" Type="Edm.String"/>'
    with odd_service(capped(total=25, most=10), properties) as service:
        service.metadata = service.metadata.replace('"ID" Type="Edm.Int32"', '"ID" Type="Edm.Byte"')
        service.metadata = service.metadata.replace(
            '<Property Name="ID" Type="Edm.Byte" Nullable="false"/>',
            '<Property Name="ID" Type="Edm.Guid" Nullable="false"/>',
        )
        found = rows(source(service.url, Paging="Client"), columns=("name",))
        asked = [one.query for one in service.asked if one.path.endswith("Things")]
    assert len(found) == 25
    assert [one.get("$skip", "0") for one in asked] == ["0", "10", "20", "25"]
    assert all(one["$orderby"] == "ID" for one in asked)


@pytest.mark.parametrize("order", [(), ("name",)])
def test_windows_that_begin_with_the_same_values_are_told_apart_by_their_keys(
    order: tuple[str, ...],
) -> None:
    def answer(request: Request) -> Answer:
        start = int(request.query.get("$skip", "0"))
        wanted = request.query["$select"].split(",")
        all_ = [{"ID": f"{n:032x}", "name": "DE"} for n in range(25)]
        part = all_[start : start + int(request.query["$top"])]
        return Answer({"value": [{name: row[name] for name in wanted} for row in part]})

    with odd_service(answer) as service:
        service.metadata = service.metadata.replace('"ID" Type="Edm.Int32"', '"ID" Type="Edm.Guid"')
        opened = source(service.url, Paging="Client", PageSize="10")
        assert rows(opened, columns=("name",), order=order) == [{"name": "DE"}] * 25


def test_rows_without_a_key_may_be_the_same() -> None:
    same = [{"name": "DE"}] * 10
    answers = [Answer({"value": same}), Answer({"value": same}), page()]
    with odd_service(pages(*answers)) as service:
        service.metadata = service.metadata.replace('<PropertyRef Name="ID"/>', "")
        found = rows(source(service.url, Paging="Client"), columns=("name",))
    assert len(found) == 20


@pytest.mark.parametrize(
    ("row", "said"), [({"name": "n1"}, "left out the property 'ID'"), ("n1", "no JSON object")]
)
def test_a_row_without_its_key_is_told(row: Any, said: str) -> None:
    with (
        odd_service(lambda _: Answer({"value": [row]})) as service,
        pytest.raises(SourceBroken, match=said),
    ):
        rows(source(service.url, Paging="Client"), columns=("name",))


def test_a_limit_ends_the_pages_that_we_cut() -> None:
    with odd_service(capped(total=95, most=10)) as service:
        found = rows(source(service.url, Paging="Client", PageSize="30"), limit=15)
        asked = [one.query for one in service.asked if one.path.endswith("Things")]
    assert [row["ID"] for row in found] == list(range(15))
    assert [one["$top"] for one in asked] == ["15", "5"]


def test_a_condition_stands_beside_the_key() -> None:
    where = (Comparison("ID", "<=", "90"),)
    with odd_service(pages(page(1, 2), page())) as service:
        rows(source(service.url, Paging="Client"), where=where)
        assert service.asked[-1].query["$filter"] == "(ID le 90) and ((ID gt 2))"


def test_a_next_link_within_our_own_page_is_followed() -> None:
    link = {"@odata.nextLink": "Things?$skiptoken=2"}
    with odd_service(pages(page(1, 2, **link), page(3), page())) as service:
        found = rows(source(service.url, Paging="Client"))
        assert [row["ID"] for row in found] == [1, 2, 3]
        assert service.asked[-1].query["$filter"] == "(ID gt 3)"


def test_a_service_that_gives_the_same_page_for_ever_is_found_out() -> None:
    with (
        odd_service(lambda _: page(1, 2)) as service,
        pytest.raises(SourceBroken, match="same page"),
    ):
        rows(source(service.url, Paging="Client"))


def test_an_answer_over_the_bound_is_asked_for_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LARGEST_ANSWER_BYTES", 20_000)

    def answer(request: Request) -> Answer:
        if "$top" not in request.query:  # It takes no notice of odata.maxpagesize.
            return page(*range(5000))
        return capped(total=95, most=50)(request)

    with odd_service(answer) as service:
        assert len(rows(source(service.url))) == 95
        with pytest.raises(SourceBroken, match="PageSize"):
            rows(source(service.url, Paging="Server"))
