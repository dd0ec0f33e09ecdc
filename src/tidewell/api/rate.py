"""How often an account may call: a bound that the operator sets, the same for every account."""

import math
import time
from collections.abc import Callable
from uuid import UUID

from tidewell.errors import TooManyRequests

_WINDOW_SECONDS = 60.0
_MOST_REMEMBERED = 10_000


class RateLimit:
    """At most so many calls in any minute, for each account; 0: no bound.

    The generic cell rate algorithm: one number an account, the time at which its allowance will be
    whole again. A process counts for itself, so that no call waits for another node.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = _WINDOW_SECONDS / per_minute if per_minute else 0.0
        self._clock = clock
        self._whole_at: dict[UUID, float] = {}

    def spend(self, account_id: UUID) -> None:
        """Count a call. Raises TooManyRequests when it is one too many."""
        if not self._interval:
            return
        now = self._clock()
        whole_at = max(self._whole_at.get(account_id, now), now) + self._interval
        # A hair's breadth, because many small intervals do not add up to a minute exactly.
        wait = whole_at - now - _WINDOW_SECONDS - self._interval / 1000
        if wait > 0:
            raise TooManyRequests(math.ceil(wait))
        self._whole_at[account_id] = whole_at
        if len(self._whole_at) > _MOST_REMEMBERED:
            self._whole_at = {key: at for key, at in self._whole_at.items() if at > now}
