"""A connector's spec as connection keys, and a connection's values as its config."""

import pytest

from tidewell.errors import SourceRefused
from tidewell.sources.declarative.keys import Spec

SPEC = Spec(
    {
        "type": "object",
        "required": ["start_date", "credentials", "site"],
        "properties": {
            "site": {"type": "string", "title": "Site", "description": "See <a href='x'>here</a>."},
            "start_date": {"type": "string"},
            "pages": {"type": "integer", "default": 10},
            "deep": {"type": "boolean", "default": False},
            "ids": {"type": "array", "items": {"type": "integer"}},
            "extra": {"type": "object"},
            "region": {"type": "string", "enum": ["EU", "US"]},
            "proxy": {
                "type": "object",
                "required": ["host"],
                "properties": {"host": {"type": "string"}},
            },
            "credentials": {
                "type": "object",
                "oneOf": [
                    {
                        "required": ["kind", "api_key"],
                        "properties": {
                            "kind": {"type": "string", "const": "key"},
                            "api_key": {"type": "string", "airbyte_secret": True},
                        },
                    },
                    {
                        "required": ["kind", "token"],
                        "properties": {
                            "kind": {"type": "string", "const": "oauth"},
                            "token": {"type": "string", "airbyte_secret": True},
                        },
                    },
                ],
            },
        },
    }
)


def test_keys_are_flat_with_what_the_spec_says_of_them() -> None:
    keys = {key.name: key for key in SPEC.keys}
    assert {n for n, key in keys.items() if key.required} == {"site", "start_date"}
    assert {n for n, key in keys.items() if key.secret} == {
        "credentials.api_key",
        "credentials.token",
    }
    assert keys["credentials.kind"].choices == ("key", "oauth")
    assert keys["credentials.kind"].only_with == ()
    assert keys["credentials.api_key"].only_with == ("credentials.kind=key",)
    assert keys["credentials.token"].only_with == ("credentials.kind=oauth",)
    assert keys["region"].choices == ("EU", "US")
    assert keys["pages"].default == "10"
    assert keys["deep"].default == "false"
    assert keys["site"].help == "Site. See here."
    assert keys["Timeout"].default == "60"


def test_values_become_the_config_that_the_connector_wants() -> None:
    values = {
        "site": "a.example",
        "pages": "7",
        "deep": "TRUE",
        "ids": "1, 2",
        "extra": '{"a": [1]}',
        "proxy.host": "p",
        "credentials.kind": "key",
        "credentials.api_key": "k;1=",
        "Timeout": "5",
    }
    assert SPEC.config(values) == {
        "site": "a.example",
        "pages": 7,
        "deep": True,
        "ids": [1, 2],
        "extra": {"a": [1]},
        "proxy": {"host": "p"},
        "credentials": {"kind": "key", "api_key": "k;1="},
    }


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("pages", "many", "pages must be a whole number"),
        ("deep", "perhaps", "deep must be true or false"),
        ("ids", "[1", "ids must be a list"),
        ("extra", "{", "extra must be a JSON object"),
    ],
)
def test_a_value_that_does_not_fit_names_its_key(name: str, value: str, said: str) -> None:
    with pytest.raises(SourceRefused, match=said):
        SPEC.config({name: value})
