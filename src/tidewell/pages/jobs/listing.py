"""The list of jobs as the page shows it: states, freshness, filters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from tidewell.jobs.schedule import Interval, Unit, grid_point
from tidewell.pages.jobs.charts import Chart, sparkline
from tidewell.pages.words import about, ago, every, rows, span, took

PAGE = 50
RUNS = 30
# A job is late when its rows are older than two of its intervals.
_DUE, _LATE = 1.25, 2.0
_ACTIVE = ("running", "queued", "retrying")

State = Literal["running", "queued", "retrying", "failed", "stopped", "late", "ok", "off", "never"]
LABELS: dict[State, str] = {
    "running": "Running",
    "queued": "Waiting",
    "retrying": "Trying again",
    "failed": "Failed",
    "stopped": "Stopped",
    "late": "Late",
    "ok": "Fresh",
    "off": "Disabled",
    "never": "Not run yet",
}
RUN_LABELS = {
    "queued": "Waiting",
    "retrying": "Trying again",
    "running": "Running",
    "success": "Succeeded",
    "failed": "Failed",
    "stopped": "Stopped",
}
FILTERS: tuple[State, ...] = ("failed", "late", "running", "ok", "stopped", "off", "never")


@dataclass(frozen=True)
class Freshness:
    """How old a job's rows are: in words, as a share of two intervals (0 to 1), and how bad."""

    text: str
    share: float = 0.0
    level: Literal["fresh", "due", "late", "none"] = "none"


@dataclass(frozen=True)
class JobLine:
    """A job as the list shows it."""

    id: UUID
    name: str
    connection: str
    place: str
    interval: str
    state: State
    detail: str
    freshness: Freshness
    next_run: str
    enabled: bool
    is_active: bool
    spark: Chart | None = None
    error: str = ""

    @property
    def label(self) -> str:
        """The state in a word."""
        return LABELS[self.state]


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed to."""

    search: str = ""
    state: str = ""
    connection: str = ""
    page: int = 1

    def keeps(self, row: Mapping[str, Any], state: State) -> bool:
        """Whether a job is one of those asked for."""
        words = self.search.casefold().split()
        text = f"{row['name']} {row['connection_name']} {row['cache_schema']}".casefold()
        if not all(word in text for word in words):
            return False
        used = row["connection_ids"] or [row["connection_id"]]
        if self.connection and self.connection not in map(str, used):
            return False
        return not self.state or _group(state) == self.state


def interval_of(row: Mapping[str, Any]) -> Interval:
    """A job's interval."""
    return Interval(Unit(row["interval_unit"]), row["interval_value"])


def freshness(row: Mapping[str, Any], success: datetime | None, now: datetime) -> Freshness:
    """How old the rows of a job are, against its interval."""
    if success is None:
        return Freshness("no rows yet")
    age = took(success, now)
    text = ago(success, now)
    if not row["enabled"]:
        return Freshness(text)
    length = took(now, grid_point(now, interval_of(row), 1))
    ratio = age / length
    level: Literal["fresh", "due", "late"] = "fresh"
    if ratio > _DUE:
        level = "late" if ratio > _LATE else "due"
    return Freshness(text, round(min(ratio / _LATE, 1.0), 3), level)


def state_of(row: Mapping[str, Any], fresh: Freshness) -> State:
    """The one word that says how a job stands."""
    active: dict[str, State] = {
        "running": "running",
        "queued": "queued",
        "retrying": "retrying",
    }
    if row["run_state"] in active:
        return active[row["run_state"]]
    if not row["enabled"]:
        return "off"
    if row["run_state"] == "failed":
        return "failed"
    if fresh.level == "late":
        return "late"
    ended: dict[str, State] = {"success": "ok", "stopped": "stopped"}
    return ended.get(row["run_state"], "never")


def attention(state: State) -> int:
    """Where a job stands in the list: what failed first, then what is late, then all others."""
    return {"failed": 0, "retrying": 0, "late": 1}.get(state, 2)


def counts(states: Sequence[State]) -> dict[State, int]:
    """How many jobs each filter of the page would show."""
    return {one: sum(_group(state) == one for state in states) for one in FILTERS}


def line(
    row: Mapping[str, Any],
    state: State,
    fresh: Freshness,
    runs: Sequence[Mapping[str, Any]],
    now: datetime,
) -> JobLine:
    """A job's line, with its newest runs (newest first)."""
    latest = runs[0] if runs else None
    next_run = row["next_run_at"] if row["enabled"] else None
    return JobLine(
        id=row["id"],
        name=row["name"],
        connection=row["connection_name"] or "",
        place=f"{row['cache_schema']}.{row['cache_table']}" if row["cache_table"] else "",
        interval=every(interval_of(row)),
        state=state,
        detail=detail(latest, now) if latest else "",
        freshness=fresh,
        next_run=ago(next_run, now) if next_run else "",
        enabled=row["enabled"],
        is_active=state in _ACTIVE,
        spark=sparkline(runs, RUNS),
        error=_error(latest, state),
    )


def detail(run: Mapping[str, Any], now: datetime) -> str:
    """What is to be said of a run besides its state."""
    if run["state"] == "queued":
        return f"since {about(took(run['queued_at'], now))}"
    if run["state"] == "retrying":
        return ago(run["retry_at"], now) if run["retry_at"] and run["retry_at"] > now else "at once"
    if run["state"] == "running":
        return f"{rows(run['rows_read'])} read, {span(took(run['started_at'], now))}"
    ended = ago(run["finished_at"], now) if run["finished_at"] else ""
    if run["state"] == "success":
        return f"{rows(run['rows_affected'])} written, {ended}"
    return ended


def _group(state: State) -> State:
    """Which filter a state falls under."""
    return "running" if state in _ACTIVE else state


def _error(run: Mapping[str, Any] | None, state: State) -> str:
    """Why the newest run failed, or is tried again."""
    told = {"failed": "error_message", "retrying": "reason"}
    return (run[told[state]] or "") if run and state in told else ""
