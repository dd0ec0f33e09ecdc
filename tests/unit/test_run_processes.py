"""How many processes load a large table where nobody says so."""

import os

import pytest

from tidewell.settings import Settings


@pytest.mark.parametrize(
    ("processors", "processes"), [(None, 1), (1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (64, 4)]
)
def test_half_of_the_processors_at_most_four(
    monkeypatch: pytest.MonkeyPatch, processors: int | None, processes: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert Settings().most_run_processes() == processes


def test_what_the_operator_says_counts() -> None:
    assert Settings(run_processes=7).most_run_processes() == 7
    assert Settings(run_processes=1).most_run_processes() == 1
