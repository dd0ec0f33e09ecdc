"""Times, spans, numbers and names as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from tidewell.jobs.schedule import Interval, Unit
from tidewell.pages.fields import label_of
from tidewell.pages.words import about, ago, every, number, rows, size, span

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (7, "7 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3_569, "59 min"),
        (3_599, "1 h"),
        (47 * 3600, "47 h"),
        (172_799, "2 days"),
        (30 * 86_400, "30 days"),
    ],
)
def test_a_span_in_its_largest_unit_never_fills_the_next(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_what_was_and_what_will_be() -> None:
    assert ago(NOW - timedelta(minutes=5), NOW) == "5 min ago"
    assert ago(NOW + timedelta(hours=3), NOW) == "in 3 h"
    assert ago(NOW - timedelta(seconds=2), NOW) == "just now"


def test_spans_numbers_and_sizes() -> None:
    assert [span(one) for one in (0.42, 12, 185, 3_840)] == [
        "0.4 s",
        "12 s",
        "3 min 5 s",
        "1 h 4 min",
    ]
    assert number(1_234_567) == "1,234,567"
    assert [rows(one) for one in (0, 1, 2_000)] == ["0 rows", "1 row", "2,000 rows"]
    assert [size(one) for one in (999, 4_200_000, 10**13)] == ["999 B", "4.2 MB", "10.0 TB"]
    assert every(Interval(Unit.HOUR, 1)) == "every hour"
    assert every(Interval(Unit.MINUTE, 15)) == "every 15 minutes"


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("URL", "URL"),
        ("OAuthAccessTokenURL", "OAuth access token URL"),
        ("OAuthClientId", "OAuth client ID"),
        ("ODataVersion", "OData version"),
        ("APIKey", "API key"),
        ("AWSAccessKey", "AWS access key"),
        ("Data Source", "Data source"),
        ("PageSize", "Page size"),
        ("User", "User name"),
        ("credentials.auth_type", "Credentials auth type"),
    ],
)
def test_a_key_of_a_driver_in_words(key: str, label: str) -> None:
    assert label_of(key) == label
