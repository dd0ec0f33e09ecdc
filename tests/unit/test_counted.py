"""Numbers of things as people write them."""

import pytest

from tidewell.counted import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12_000, "12000 rows")]
)
def test_one_is_singular_and_all_else_plural(count: int, text: str) -> None:
    assert counted(count, "row") == text


def test_the_verb_comes_along() -> None:
    assert counted(1, "job uses", "jobs use") == "1 job uses"
    assert counted(2, "job uses", "jobs use") == "2 jobs use"
