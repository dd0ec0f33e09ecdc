"""Connection strings: what is written comes back, and what cannot be is named."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.connections import strings
from tidewell.errors import InvalidRequest
from tidewell.sources import registry
from tidewell.sources.protocol import Key

KEYS = (
    Key("Server", "", required=True),
    Key("Port", "", default="5432"),
    Key("Password", "", secret=True),
    Key("Mode", "", choices=("Fast", "Slow")),
)

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))
values = texts.filter(lambda text: text != "")
names = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ_ ", min_size=1).map(str.strip).filter(bool)


@given(st.dictionaries(names, texts, max_size=6))
def test_what_is_written_comes_back(pairs: dict[str, str]) -> None:
    unique = {name.lower(): (name, value) for name, value in pairs.items()}
    given_pairs = dict(unique.values())
    assert strings.split(strings.write(given_pairs)) == given_pairs


@given(values, st.sampled_from(["", "jdbc:cdata:postgresql:", " JDBC:CData:PostgreSQL:"]))
def test_a_password_may_hold_anything(password: str, prefix: str) -> None:
    for quote in "'\"":
        quoted = quote + password.replace(quote, quote * 2) + quote
        found = strings.parse(f"{prefix}server=x;PASSWORD={quoted};", KEYS)
        assert found == {"Server": "x", "Port": "5432", "Password": password}


@given(texts)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidRequest):
        strings.parse(text, KEYS)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        (" ; ;; ", {}),
        ("a=1", {"a": "1"}),
        (" A = 1 ; b=2;", {"A": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a=x=y==", {"a": "x=y=="}),
        ("a=it's", {"a": "it's"}),
        ('a=\'it\'\'s; ok=1\';b="say ""hi"""', {"a": "it's; ok=1", "b": 'say "hi"'}),
        ("a='';b=\"\"", {"a": "", "b": ""}),
        ("a='  kept  '", {"a": "  kept  "}),
        ("jdbc:cdata:odata:URL=http://h/?a=b", {"URL": "http://h/?a=b"}),
    ],
)
def test_pairs(text: str, pairs: dict[str, str]) -> None:
    assert strings.split(text) == pairs


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Server", "key=value"),
        ("Server=x;junk", "key=value"),
        ("=x", "without a key"),
        ("Server='x", "quote of Server is not closed"),
        ("Server='x'y", "after the closing quote of Server"),
        ("Server=x;SERVER=y", "twice"),
        ("Server=x;Pasword=y", "'Pasword'; did you mean Password?"),
        ("Port=1", "Server is missing"),
        ("Server=", "Server is missing"),
        ("Server=x;Mode=Medium", "Mode must be one of Fast, Slow"),
        ("Server=a\0b", "NUL"),
    ],
)
def test_what_cannot_be_is_named(text: str, part: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        strings.parse(text, KEYS)
    assert part in caught.value.message


def test_no_message_shows_a_value() -> None:
    for text in ("Server=x;Password='hush", "Server=x;Password='hush'hush", "Password=hush"):
        with pytest.raises(InvalidRequest) as caught:
            strings.parse(text, KEYS)
        assert "hush" not in caught.value.message


def test_defaults_choices_and_empty_values() -> None:
    assert strings.parse("server=x;mode=fAST", KEYS) == {
        "Server": "x",
        "Port": "5432",
        "Mode": "Fast",
    }
    assert strings.parse("server=x;port=", KEYS) == {"Server": "x"}


def test_secrets_are_masked_and_a_mask_brings_the_stored_one_back() -> None:
    stored = strings.parse("server=x;password=hush", KEYS)
    shown = strings.masked(stored, KEYS)
    assert "hush" not in strings.write(shown)
    again = strings.parse(strings.write(shown), KEYS)
    assert strings.unmasked(again, stored, KEYS) == stored


CONNECTOR = (
    Key("shop", "Its name is part of the host's."),
    Key("region", "So may any other be.", default="eu"),
    Key("api_key", "", secret=True),
    Key("token", "", secret=True),
    Key("Timeout", "", neutral=True),
)
STORED = {"shop": "mine", "api_key": "k", "token": "t", "Timeout": "60"}


@pytest.mark.parametrize(
    ("changes", "astray"),
    [
        ({}, []),
        ({"Timeout": "5", "region": "eu"}, []),
        ({"shop": "evil"}, ["api_key", "token"]),
        ({"region": "us"}, ["api_key", "token"]),
        ({"shop": "evil", "api_key": "new"}, ["token"]),
        ({"shop": "evil", "api_key": "new", "token": "new"}, []),
        # A secret, too, may be read by what tells where requests go.
        ({"api_key": "evil.example"}, ["token"]),
    ],
)
def test_a_connectors_secrets_stay_while_nothing_says_where_they_go(
    changes: dict[str, str], astray: list[str]
) -> None:
    sent = strings.masked(STORED, CONNECTOR) | changes
    assert strings.sent_elsewhere(sent, STORED, CONNECTOR) == astray


PLACES = {
    *("URL", "URI", "Server", "Port", "Endpoint", "OAuthAccessTokenURL", "Data Source"),
    *("Manifest", "Config"),
}


@pytest.mark.parametrize("driver", ["Files", "MySQL", "OData", "REST", "Snowflake"])
def test_of_our_own_drivers_these_keys_say_where_secrets_go(driver: str) -> None:
    keys = registry.driver(driver).keys
    secret = Key("Other", "", secret=True)
    stored = {key.name: "a" for key in keys} | {"Other": "hush"}
    kept = stored | {"Other": strings.MASK}
    telling = {
        key.name
        for key in keys
        if strings.sent_elsewhere(kept | {key.name: "b"}, stored, (*keys, secret))
    }
    assert telling == {key.name for key in keys} & PLACES
