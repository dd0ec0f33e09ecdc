"""How jobs, runs and connections look in a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tidewell.client import ConnectionSummary, JobInfo, LogLine, Run

_STYLES = {
    "JOB_SUCCESS": ("green", "ok"),
    "JOB_FAILED": ("bold red", "failed"),
    "JOB_STOPPED": ("yellow", "stopped"),
    "JOB_RUNNING": ("cyan", "running"),
    "JOB_QUEUED": ("blue", "queued"),
    "": ("dim", "never ran"),
}
_WIRE_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
# From how many seconds on, in units of how many.
_AGES = ((2 * 86_400, 86_400, "d"), (3600, 3600, "h"), (60, 60, "min"))


def jobs(
    found: Sequence[JobInfo], now: datetime, at_work: Mapping[str, Run] | None = None
) -> Table:
    """Jobs, a line each; of a run at work, by its job's id, what it has read so far."""
    table = _table("id", "job", "type", "state", "last run", "rows", "took", "next run")
    for one in found:
        last = one.last_run
        run = (at_work or {}).get(one.id)
        reading = run is not None and not run.ended
        table.add_row(
            one.id[:8],
            Text(one.name, overflow="ellipsis"),
            one.job_type,
            _state(last.status) if one.enabled else Text("disabled", "dim"),
            ago(last.date_time, now),
            f"{run.rows_read:,} read" if run and reading else f"{last.rows_affected:,}",
            f"{last.duration} s",
            ago(one.next_run_time, now),
        )
    return table


def job(one: JobInfo) -> Panel:
    """A job's settings."""
    lines = [
        ("id", one.id),
        ("type", one.job_type),
        ("runs", _interval(one)),
        ("enabled", "yes" if one.enabled else "no"),
        ("next run", _time(one.next_run_time)),
        ("state", _state(one.last_run.status).plain),
        *((name, str(value)) for name, value in one.params.items() if value not in ("", None)),
    ]
    grid = Table.grid(padding=(0, 2))
    for name, value in lines:
        grid.add_row(Text(name, "dim"), Text(value))
    return Panel(grid, title=Text(one.name), title_align="left", expand=False)


def runs(found: Sequence[Run], now: datetime) -> Table:
    """Runs, a line each."""
    table = _table("run", "state", "cause", "started", "took", "read", "written", "error")
    for one in found:
        table.add_row(
            one.id[:8],
            _state(one.status),
            one.cause,
            ago(one.started, now),
            f"{one.seconds:.1f} s",
            f"{one.rows_read:,}",
            f"{one.rows_affected:,}",
            Text(one.error.message if one.error else ""),
        )
    return table


def receipt(run: Run) -> Text:
    """What a run did, in a line."""
    speed = f": {run.rows_read / run.seconds:,.0f} rows/s" if run.seconds else ""
    return Text.assemble(
        _state(run.status),
        f" {count(run.rows_read)} read, {run.rows_affected:,} written",
        f" in {run.seconds:.1f} s{speed}",
    )


def connections(found: Sequence[ConnectionSummary]) -> Table:
    """Connections, a line each."""
    table = _table("id", "name", "driver", "status", "external id")
    for one in found:
        table.add_row(
            one.id[:8], Text(one.name), one.data_source, one.status, one.external_id or ""
        )
    return table


def count(number: int) -> str:
    """`1 row`, `1,234 rows`."""
    return "1 row" if number == 1 else f"{number:,} rows"


def rows(columns: Sequence[str], values: Sequence[Sequence[Any]]) -> Table:
    """The rows of a query."""
    table = _table(*columns)
    for row in values:
        table.add_row(*(Text("NULL", "dim") if one is None else Text(str(one)) for one in row))
    return table


def answer(console: Console, told: Mapping[str, Any]) -> None:
    """What a command of the operator's found: a list as a table, else a line for each value."""
    for name, value in told.items():
        if not isinstance(value, list):
            console.print(Text(f"{_words(name)}: ", "dim").append(_plain(value)), soft_wrap=True)
        elif not value:
            console.print(Text(f"No {_words(name)}.", "dim"))
        elif isinstance(value[0], Mapping):
            table = _table(*(_words(column) for column in value[0]))
            table.columns[0].no_wrap = True  # an id, to be copied
            for row in value:
                table.add_row(*(Text(_short(one), overflow="fold") for one in row.values()))
            console.print(table)
        else:
            told_as = Text(", ".join(map(str, value)))
            console.print(Text(f"{_words(name)}: ", "dim").append(told_as), soft_wrap=True)


def log_line(line: LogLine) -> Text:
    """A line of a run's log."""
    return Text.assemble((f"{line.time:%H:%M:%S} ", "dim"), line.message)


def ago(moment: datetime, now: datetime) -> str:
    """A time as seen from now: `3 h ago`, `in 5 min`; a dash where it does not exist."""
    if moment.year == 1:
        return "-"
    seconds = (now - moment) / timedelta(seconds=1)
    for least, size, unit in _AGES:
        if abs(seconds) >= least:
            text = f"{abs(seconds) // size:.0f} {unit}"
            break
    else:
        text = f"{abs(seconds):.0f} s"
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def _words(name: str) -> str:
    """`subAccounts` is `sub-accounts`, `returnHosts` is `return hosts`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return words.replace("sub accounts", "sub-accounts")


def _short(value: Any) -> str:
    """As it stands in a table: of a time its day."""
    text = _plain(value)
    return text[:10] if _WIRE_TIME.fullmatch(text) else text


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        right = name in ("rows", "took", "read", "written")
        table.add_column(Text(name), justify="right" if right else "left")
    return table


def _state(status: str) -> Text:
    style, word = _STYLES.get(status, ("", status))
    return Text(word, style)


def _interval(one: JobInfo) -> str:
    unit = one.interval_unit.lower()
    return f"every {unit}" if one.interval_value == 1 else f"every {one.interval_value} {unit}s"


def _time(moment: datetime) -> str:
    return "-" if moment.year == 1 else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
