"""`tidewell job`: jobs and their runs, from a terminal or a script."""

import functools
import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from tidewell import clock
from tidewell.cli import completing, finding, tables, watching
from tidewell.cli.calling import Calling, calls, plain
from tidewell.client import LogLine, Run
from tidewell.client import RunFailed as Failed
from tidewell.errors import InvalidRequest

job_app = typer.Typer(help="Jobs and their runs.", no_args_is_help=True, add_completion=False)

Job = Annotated[
    str,
    typer.Argument(
        help="Id of the job, the beginning of it, or its name.", autocompletion=completing.jobs
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the run; exit code 3 if it fails.")]
Every = Annotated[str, typer.Option(help='Interval, as "15 minutes", "1 hour", "1 month".')]
Param = Annotated[
    list[str] | None,
    typer.Option("--param", help="A further param of the contract, NAME=VALUE. May be repeated."),
]
_UNITS = ("Minute", "Hour", "Day", "Week", "Month")


@job_app.command("list")
@calls
async def list_jobs(calling: Calling) -> None:
    """All jobs, with how fresh they are."""
    found = await calling.client.jobs.list()
    none = "No jobs yet: `tidewell job create` makes one."
    calling.answer(
        found,
        lambda: calling.console.print(tables.jobs(found, clock.now()) if found else none),
    )


@job_app.command("show")
@calls
async def show_job(calling: Calling, job: Job) -> None:
    """One job with its latest runs."""
    found = await finding.job(calling, job)
    runs = await found.runs(limit=10)
    shown = {"job": plain(found), "runs": plain(runs)}

    def show() -> None:
        calling.console.print(tables.job(found))
        calling.console.print(tables.runs(runs, clock.now()) if runs else "It has not run yet.")

    calling.answer(shown, show)


@job_app.command("create")
@calls
async def create_job(
    calling: Calling,
    connection: Annotated[
        str,
        typer.Option(
            help="Connection to copy from: id or name.", autocompletion=completing.connections
        ),
    ] = "",
    table: Annotated[str, typer.Option(help="Table to copy.")] = "",
    schema: Annotated[str, typer.Option(help="Its schema; empty: the one that has it.")] = "",
    query: Annotated[str, typer.Option(help="Instead of a table: one SQL statement.")] = "",
    name: Annotated[str, typer.Option(help="Name of a job with --query.")] = "",
    every: Every = "1 hour",
    time_column: Annotated[str, typer.Option(help="Column that moves forward.")] = "",
    key: Annotated[
        list[str] | None, typer.Option(help="Merge key, where the source has none. Repeatable.")
    ] = None,
    at: Annotated[str, typer.Option(help="First run, ISO 8601; empty: now.")] = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not run it yet.")] = False,
    verbosity: Annotated[int, typer.Option(min=1, max=5, help="How much its log says.")] = 1,
    param: Param = None,
    wait: Wait = False,
) -> None:
    """Make a job: a caching job of --connection and --table, or a scheduled query of --query."""
    unit, value = _interval(every)
    common: dict[str, Any] = {
        "interval_unit": unit,
        "interval_value": value,
        "merge_keys": key,
        "enabled": not disabled,
        "log_verbosity": verbosity,
        "defined_next_run": _moment(at),
    }
    jobs = calling.client.jobs
    if query:
        made = await jobs.create_scheduled_query(name, query, **common, **_params(param))
    else:
        if not connection or not table:
            raise InvalidRequest("Give --connection and --table, or --query.")
        source = await finding.connection(calling, connection)
        made = await jobs.create(
            source.id,
            schema or await finding.schema(calling, source, table),
            table,
            time_check_column=time_column,
            **common,
            **_params(param),
        )
    if wait:
        await _ended(calling, await made.wait(progress=not calling.as_json))
    else:
        calling.answer(made, lambda: calling.console.print(tables.job(made)))


@job_app.command("update")
@calls
async def update_job(
    calling: Calling,
    job: Job,
    every: Annotated[str, typer.Option(help="New interval.")] = "",
    at: Annotated[str, typer.Option(help="Next run, ISO 8601.")] = "",
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether it runs by itself.")
    ] = None,
    verbosity: Annotated[
        int | None, typer.Option(min=1, max=5, help="How much its log says.")
    ] = None,
    param: Param = None,
) -> None:
    """Change a job; what is not given stays."""
    if not (every or at or param) and enable is None and verbosity is None:
        raise InvalidRequest("Say what to change: see `tidewell job update --help`.")
    found = await finding.job(calling, job)
    changes: dict[str, Any] = {"params": _params(param)}
    if every:
        changes["intervalUnit"], changes["intervalValue"] = _interval(every)
    if moment := _moment(at):
        changes["definedNextRun"] = clock.to_wire(moment)
    if enable is not None:
        changes["enabled"] = enable
    if verbosity is not None:
        changes["logVerbosity"] = verbosity
    changed = await calling.client.jobs.update(found.id, **changes)
    calling.answer(changed, lambda: calling.console.print(tables.job(changed)))


@job_app.command("run")
@calls
async def run_job(calling: Calling, job: Job, wait: Wait = False) -> None:
    """Queue a run now."""
    found = await finding.job(calling, job)
    run_id = await calling.client.jobs.run(found.id)
    if wait:
        await _ended(calling, await found.wait(progress=not calling.as_json))
    else:
        calling.answer({"runId": run_id}, lambda: calling.console.print(f"Queued: run {run_id}"))


@job_app.command("stop")
@calls
async def stop_job(calling: Calling, job: Job) -> None:
    """End the job's queued or running run."""
    found = await finding.job(calling, job)
    was_active = found.last_run.status in ("JOB_QUEUED", "JOB_RUNNING")
    await found.stop()
    told = "is stopped." if was_active else "had no run to stop."
    calling.answer({}, lambda: calling.console.print(f"{found.name} {told}"))


@job_app.command("delete")
@calls
async def delete_job(
    calling: Calling,
    job: Job,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a job and drop its cached table."""
    found = await finding.job(calling, job)
    if not yes and not calling.as_json:
        typer.confirm(f"Delete the job {found.name} and drop its cached table?", abort=True)
    await found.delete()
    calling.answer({}, lambda: calling.console.print(f"{found.name} is deleted."))


@job_app.command("logs")
@calls
async def logs_of_job(
    calling: Calling,
    job: Job,
    run: Annotated[str, typer.Option(help="Id of a run; empty: the newest.")] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")
    ] = False,
) -> None:
    """The log of a job's newest run, or of another one."""
    found = await finding.job(calling, job)
    if not run:
        newest = await found.runs(limit=1)
        if not newest:
            raise InvalidRequest(f"{found.name} has not run yet.")
        run = newest[0].id
    show = functools.partial(_show_line, calling)
    if follow:
        await calling.client.runs.wait(run, on_line=show)
        return
    for line in await calling.client.runs.log(run):
        show(line)


@job_app.command("watch")
@calls
async def watch_jobs(calling: Calling) -> None:
    """All jobs, kept up to date on the screen until Ctrl-C; with --json a line at each change."""
    await watching.watch(calling)


async def _ended(calling: Calling, run: Run) -> None:
    calling.answer(run, lambda: calling.console.print(tables.receipt(run)))
    if run.status != "JOB_SUCCESS":
        raise Failed(run)


def _show_line(calling: Calling, line: LogLine) -> None:
    calling.answer(line, lambda: calling.console.print(tables.log_line(line), soft_wrap=True))
    sys.stdout.flush()


def _interval(text: str) -> tuple[str, int]:
    number, _, word = text.strip().partition(" ")
    if not word:
        number, word = "1", number
    for unit in _UNITS:
        if word.strip().lower() in (unit.lower(), f"{unit.lower()}s") and number.isdigit():
            return unit, int(number)
    raise InvalidRequest(
        f'{text!r} is no interval: write "15 minutes", "1 hour", "2 days", "1 week" or "1 month".'
    )


def _moment(text: str) -> datetime | None:
    try:
        return clock.from_wire(text) if text else None
    except ValueError:
        raise InvalidRequest(f"{text!r} is no ISO 8601 time, as 2030-01-31T06:00:00Z.") from None


def _params(texts: list[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidRequest(f"{text!r} is no NAME=VALUE.")
        found[name] = value
    return found
