"""Which keys of a connection may change while it stays the same source.

All others make its jobs begin with a full load: a key that is forgotten here costs time, a wrong
one costs rows. A token or a key of an API is its account, so it is not among them.
"""

from typing import Any

import pytest

from tidewell.connections.strings import is_same_source
from tidewell.sources import registry
from tidewell.sources.protocol import Key

NEUTRAL = {
    *("Password", "OAuthClientSecret", "AWSAccessKey", "AWSSecretKey", "AWSSessionToken"),
    *("UseSSL", "SSLMode", "SSLServerCert", "Timeout", "PageSize", "BillingProjectId"),
    *("Warehouse", "PrivateKey", "PrivateKeyPassword"),
}
OWN = {name for name in registry.names() if not name.startswith("airbyte")}


@pytest.mark.parametrize("driver", sorted(OWN))
def test_a_drivers_neutral_keys_are_these_and_no_others(driver: str) -> None:
    keys = registry.driver(driver).keys
    assert {key.name for key in keys if key.neutral} == {key.name for key in keys} & NEUTRAL


@pytest.mark.parametrize("driver", sorted(OWN))
def test_each_other_key_makes_it_another_source(driver: str) -> None:
    keys = registry.driver(driver).keys
    values = {key.name: "a" for key in keys}
    for key in keys:
        for other in (values | {key.name: "b"}, without(values, key)):
            assert is_same_source(values, other, keys) is key.neutral, key.name
            assert is_same_source(other, values, keys) is key.neutral, key.name
    assert is_same_source(values, dict(values), keys)


def test_an_empty_value_is_none() -> None:
    assert is_same_source({"URL": ""}, {}, (Key("URL", ""),))


def without(values: dict[str, str], key: Any) -> dict[str, str]:
    return {name: value for name, value in values.items() if name != key.name}
