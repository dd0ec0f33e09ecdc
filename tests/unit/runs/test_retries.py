"""When a run is tried again."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tidewell.runs.retries import pause

chances = st.floats(0, 1)


@given(st.integers(1, 100), chances)
def test_a_wait_is_between_half_and_all_of_its_step(failures: int, chance: float) -> None:
    step = min(2 * 4 ** (failures - 1), 300)
    assert timedelta(seconds=step / 2) <= pause(failures, None, chance) <= timedelta(seconds=step)


@given(st.integers(1, 5), chances, st.floats(0, 86_400))
def test_a_source_gets_the_time_it_asks_for(failures: int, chance: float, asked: float) -> None:
    assert pause(failures, asked, chance) >= timedelta(seconds=asked)


def test_a_source_cannot_put_a_run_off_for_ever() -> None:
    assert pause(1, 1e12, 0.5) == timedelta(days=1)
