"""Bars as inline SVG: only geometry; the style sheet gives the colours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidewell.pages import words
from tidewell.pages.words import span, stamp, took

_KINDS = {
    "success": "ok",
    "failed": "bad",
    "stopped": "off",
    "queued": "now",
    "running": "now",
    "retrying": "now",
}
_NAMES = {
    "success": "succeeded",
    "failed": "failed",
    "stopped": "stopped",
    "queued": "waiting",
    "running": "running",
    "retrying": "trying again",
}
_LOWEST = 0.12
_SEEN = 0.6


@dataclass(frozen=True)
class Bar:
    """One bar: where it stands and how high it is (0 to 1 of the chart), its class and its text."""

    x: float
    width: float
    height: float
    kind: str
    text: str


@dataclass(frozen=True)
class Chart:
    """Bars from old to new, what they say in words, and what the highest one stands for."""

    bars: tuple[Bar, ...]
    summary: str
    highest: str = ""


def sparkline(runs: Sequence[Mapping[str, Any]], slots: int) -> Chart:
    """The newest runs at a glance: how long each took, and how it ended."""
    seconds = [took(run["started_at"], run["finished_at"]) for run in runs]
    # A long run among short ones must not flatten them all, and a failure is seen however quick.
    heights = [math.log1p(value) for value in seconds]
    most = max(heights, default=0.0)
    heights = [
        max(height, most * (_SEEN if run["state"] == "failed" else _LOWEST))
        for run, height in zip(runs, heights, strict=True)
    ]
    return Chart(_bars(runs, heights, seconds, slots, _told_time), _summary(runs))


def durations(runs: Sequence[Mapping[str, Any]], slots: int) -> Chart:
    """How long the runs took."""
    seconds = [took(run["started_at"], run["finished_at"]) for run in runs]
    highest = f"up to {span(max(seconds, default=0.0))}"
    return Chart(_bars(runs, seconds, seconds, slots, _told_time), _summary(runs), highest)


def rows(runs: Sequence[Mapping[str, Any]], slots: int) -> Chart:
    """How many rows the runs wrote."""
    counts = [float(run["rows_affected"]) for run in runs]
    highest = f"up to {words.rows(int(max(counts, default=0)))}"
    return Chart(_bars(runs, counts, counts, slots, _told_rows), _summary(runs), highest)


def _bars(
    runs: Sequence[Mapping[str, Any]],
    heights: Sequence[float],
    values: Sequence[float],
    slots: int,
    told: Any,
) -> tuple[Bar, ...]:
    """The runs come newest first, and stand at the right."""
    step = 100 / slots
    most = max(heights, default=0.0) or 1.0
    bars = []
    for place, (run, height, value) in enumerate(zip(runs, heights, values, strict=True)):
        bars.append(
            Bar(
                x=round(100 - (place + 1) * step, 3),
                width=round(step * 0.72, 3),
                height=round(_LOWEST + (1 - _LOWEST) * height / most, 3),
                kind=_KINDS[run["state"]],
                text=f"{stamp(run['queued_at'])}: {_NAMES[run['state']]}, {told(value)}",
            )
        )
    return tuple(reversed(bars))


def _told_time(seconds: float) -> str:
    return span(seconds)


def _told_rows(count: float) -> str:
    return f"{words.rows(int(count))} written"


def _summary(runs: Sequence[Mapping[str, Any]]) -> str:
    if not runs:
        return "No run yet"
    counts: dict[str, int] = {}
    for run in runs:
        counts[run["state"]] = counts.get(run["state"], 0) + 1
    told = ", ".join(f"{count} {_NAMES[state]}" for state, count in counts.items())
    return f"Last {len(runs)} runs: {told}" if len(runs) > 1 else f"One run: {told}"
