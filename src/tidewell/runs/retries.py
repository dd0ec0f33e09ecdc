"""When an attempt that failed for a passing reason is tried again: pure arithmetic."""

from datetime import timedelta

_FIRST_SECONDS = 2.0
_FACTOR = 4.0
_LONGEST_SECONDS = 300.0
_LONGEST_ASKED_SECONDS = 24 * 3600.0


def pause(failures: int, retry_after: float | None, chance: float) -> timedelta:
    """How long to wait after so many failed attempts of a run (1: the first has failed).

    Exponential up to five minutes, and of that at least half; `chance` (0 to 1) says how much of
    the other half, so that runs that failed together do not come back together. A source that
    asks for a longer wait (Retry-After, RFC 9110 §10.2.3) gets it, up to a day.
    """
    full = min(_FIRST_SECONDS * _FACTOR ** min(failures - 1, 10), _LONGEST_SECONDS)
    own = full / 2 + full / 2 * chance
    asked = min(retry_after or 0.0, _LONGEST_ASKED_SECONDS)
    return timedelta(seconds=max(own, asked))
