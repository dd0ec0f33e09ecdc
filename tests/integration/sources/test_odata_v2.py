"""OData 2 as services write it; what a real one says is in tests/conformance/drivers."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from tests.integration.sources.odata import pages, rows, source
from tests.odd_service import Answer, odd_service
from tidewell.errors import SourceBroken
from tidewell.sources.protocol import Comparison

PROPERTIES = """
<Property Name="at" Type="Edm.DateTime"/><Property Name="zoned" Type="Edm.DateTimeOffset"/>
<Property Name="clock" Type="Edm.Time"/><Property Name="big" Type="Edm.Int64"/>
<Property Name="price" Type="Edm.Decimal" Precision="20" Scale="4"/>
<Property Name="ratio" Type="Edm.Double"/><Property Name="small" Type="Edm.Byte"/>
<Property Name="day" Type="Edm.DateTime" sap:display-format="Date"
  xmlns:sap="http://www.sap.com/Protocols/SAPData"/>
"""
NONE = dict.fromkeys(("at", "zoned", "clock", "big", "price", "ratio", "small", "day"))
EMPTY = Answer({"d": {"results": []}})


def test_values_are_read_as_version_2_writes_them() -> None:
    first = {
        "ID": 1,
        "at": "/Date(1577836800123)/",
        "zoned": "/Date(1577840400000+0060)/",
        "clock": "PT13H20M5.25S",
        "big": "9007199254740993",
        "price": "12345678901234.5678",
        "ratio": "1.5E-7",
        "small": "7",
        "day": "/Date(-86400000)/",
        "__metadata": {"uri": "…"},
    }
    second = NONE | {"ID": 2, "ratio": "INF", "at": "/Date(-1)/", "zoned": "/Date(0-0090)/"}
    answers = pages(Answer({"d": {"results": [first, second]}}), EMPTY)
    with odd_service(answers, PROPERTIES, "V2") as service:
        found = rows(source(service.url))
    assert found[0] == {
        "ID": 1,
        "at": datetime(2020, 1, 1, 0, 0, 0, 123_000),  # noqa: DTZ001 - a column without a zone
        "zoned": datetime(2020, 1, 1, tzinfo=UTC),
        "clock": time(13, 20, 5, 250_000),
        "big": 9007199254740993,
        "price": Decimal("12345678901234.5678"),
        "ratio": 1.5e-7,
        "small": 7,
        "day": date(1969, 12, 31),
    }
    assert found[1]["ratio"] == float("inf")
    assert found[1]["zoned"] == datetime(1970, 1, 1, 1, 30, tzinfo=UTC)


def test_rows_may_stand_in_d_itself_and_the_next_page_in_its_link() -> None:
    row = NONE | {"ID": 1}
    link = {"d": {"results": [row], "__next": "Things?$skiptoken=1"}}
    with odd_service(pages(Answer(link), Answer({"d": [NONE | {"ID": 2}]}), EMPTY), PROPERTIES,
                     "V2") as service:  # fmt: skip
        assert [one["ID"] for one in rows(source(service.url))] == [1, 2]
        asked = [one for one in service.asked if one.path.endswith("Things")]
    assert asked[0].query["$format"] == "json"
    assert asked[0].query["$orderby"] == "ID"
    assert asked[1].query == {"$skiptoken": "1"}
    assert asked[2].query["$filter"] == "(ID gt 2)"
    assert asked[0].headers["maxdataserviceversion"] == "2.0"
    assert "prefer" not in asked[0].headers


def test_literals_carry_their_type() -> None:
    where = (
        Comparison("at", ">=", "2020-01-31T10:00:00.123"),
        Comparison("zoned", "<", "2020-01-31T10:00:00Z"),
        Comparison("big", "=", "7"),
        Comparison("price", ">", "1.50"),
        Comparison("day", "<=", "2020-01-31"),
        Comparison("small", "<>", "3"),
    )
    with odd_service(lambda _: EMPTY, PROPERTIES, "V2") as service:
        rows(source(service.url), where=where)
        assert service.asked[-1].query["$filter"] == (
            "at ge datetime'2020-01-31T10:00:00.123' and zoned lt "
            "datetimeoffset'2020-01-31T10:00:00Z' and big eq 7L and price gt 1.50M and "
            "day le datetime'2020-01-31T00:00:00'"
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [("at", "/Date(soon)/"), ("at", "2020-13-01"), ("clock", "13:20"), ("big", "1.5")],
)
def test_a_value_that_is_none_is_named(name: str, value: str) -> None:
    body = {"d": {"results": [NONE | {"ID": 1, name: value}]}}
    with (
        odd_service(lambda _: Answer(body), PROPERTIES, "V2") as service,
        pytest.raises(SourceBroken, match=name),
    ):
        rows(source(service.url))


def test_a_version_that_is_not_the_services_is_told() -> None:
    with odd_service(lambda _: EMPTY, PROPERTIES, "V2") as service:
        assert rows(source(service.url, ODataVersion="2.0")) == []
        with pytest.raises(SourceBroken, match="ODataVersion"):
            rows(source(service.url, ODataVersion="4.0"))


def test_an_error_of_version_2_is_told_in_its_own_words() -> None:
    error = {"error": {"code": "5", "message": {"lang": "en", "value": "No such field"}}}
    with (
        odd_service(lambda _: Answer(error, 400), PROPERTIES, "V2") as service,
        pytest.raises(SourceBroken, match="No such field"),
    ):
        rows(source(service.url))
