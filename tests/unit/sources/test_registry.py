"""The registry: what is installed, and what brings a driver whose packages are missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tidewell.errors import InvalidRequest
from tidewell.sources import registry

METADATA = """Metadata-Version: 2.4
Name: tidewell-whales
Version: 1.0
Requires-Dist: pyarrow
Requires-Dist: a-package-that-nobody-has>=2; extra == "deep"
Requires-Dist: pyarrow; extra == "shallow"
Provides-Extra: deep
Provides-Extra: shallow
"""
ENTRY_POINTS = """[tidewell.sources]
Whales = whales:DRIVER [deep]
Dolphins = whales:DRIVER [shallow]
Porpoises = porpoises_that_are_not_there:DRIVER
"""


@pytest.fixture
def whales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of three drivers: one lacks its extra, one has it, one cannot be imported."""
    folder = tmp_path / "tidewell_whales-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    (folder / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "whales.py").write_text("DRIVER = 'a driver'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.forget()
    yield
    monkeypatch.undo()
    registry.forget()


@pytest.mark.usefixtures("whales")
def test_a_driver_whose_extra_is_missing_says_what_brings_it() -> None:
    assert "Whales" not in registry.names()
    with pytest.raises(InvalidRequest) as refused:
        registry.driver("whales")
    assert "a-package-that-nobody-has" in refused.value.message
    assert "pip install 'tidewell-whales[deep]'" in refused.value.message


@pytest.mark.usefixtures("whales")
def test_a_driver_that_has_its_extra_is_listed_and_found_without_case() -> None:
    assert "Dolphins" in registry.names()
    assert registry.driver("DOLPHINS") == "a driver"


@pytest.mark.usefixtures("whales")
def test_a_driver_that_cannot_be_imported_says_what_is_missing() -> None:
    with pytest.raises(InvalidRequest, match="porpoises_that_are_not_there"):
        registry.driver("Porpoises")


def test_an_unknown_driver_is_told_with_a_near_name() -> None:
    with pytest.raises(InvalidRequest, match="did you mean OData"):
        registry.driver("ODatta")


@pytest.mark.parametrize("name", registry.names())
def test_what_a_key_belongs_to_is_a_value_that_another_key_can_have(name: str) -> None:
    keys = {key.name: key for key in registry.driver(name).keys}
    for key in keys.values():
        for condition in key.only_with:
            other, _, value = condition.partition("=")
            assert other in keys, f"{key.name} belongs to {condition}, and there is no such key"
            choices = keys[other].choices
            assert value in choices if choices else value.endswith("*"), f"{key.name}: {condition}"
            assert not key.required, f"{key.name} is required, and only with {condition}"
            assert other != key.name


@pytest.mark.parametrize("name", registry.names())
def test_each_way_to_sign_in_has_the_keys_that_it_takes_and_no_secret_counts_for_all(
    name: str,
) -> None:
    keys = registry.driver(name).keys
    schemes = next((key.choices for key in keys if key.name == "AuthScheme"), ())
    named = {one.partition("=")[2] for key in keys for one in key.only_with if "Auth" in one}
    assert named == set(schemes) - {"None"}
    if schemes:
        anyway = {key.name for key in keys if key.secret and not key.only_with}
        assert anyway <= {"CustomHeaders", "Config"}
