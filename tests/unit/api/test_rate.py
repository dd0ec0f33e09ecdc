"""The bound on how often an account calls."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.api.rate import RateLimit
from tidewell.errors import TooManyRequests

ME, ANOTHER = uuid4(), uuid4()


def test_a_minutes_calls_may_come_at_once_and_the_next_has_to_wait() -> None:
    limit = RateLimit(60, lambda: 0.0)
    for _ in range(60):
        limit.spend(ME)
    with pytest.raises(TooManyRequests) as refused:
        limit.spend(ME)
    assert refused.value.retry_after == 1
    limit.spend(ANOTHER)


def test_without_a_bound_nobody_waits() -> None:
    limit = RateLimit(0, lambda: 0.0)
    for _ in range(10_000):
        limit.spend(ME)


@given(
    per_minute=st.integers(1, 1000),
    steps=st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=200),
)
def test_no_minute_sees_more_than_two_allowances_and_who_waits_is_let_in(
    per_minute: int, steps: list[float]
) -> None:
    now = 0.0
    limit = RateLimit(per_minute, lambda: now)
    let_in: list[float] = []
    for step in steps:
        now += step
        try:
            limit.spend(ME)
        except TooManyRequests as refused:
            now += refused.retry_after
            limit.spend(ME)
        let_in.append(now)
    for at in let_in:
        assert sum(at <= other < at + 60 for other in let_in) <= 2 * per_minute
