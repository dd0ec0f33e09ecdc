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
