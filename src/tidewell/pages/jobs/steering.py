"""Run, stop, enable, disable and delete, one job or many, as the list and a job's page do it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from tidewell.api.services import Services, removal
from tidewell.errors import Conflict, InvalidRequest, RequestError
from tidewell.jobs import repository as jobs
from tidewell.jobs.job import JobSettings
from tidewell.jobs.settings import JobBody
from tidewell.pages.jobs.listing import interval_of
from tidewell.pages.jobs.showing import changes_of
from tidewell.pages.visits import Visit

Deed = Literal["run", "stop", "enable", "disable", "delete"]
DONE: dict[Deed, str] = {
    "run": "queued to run",
    "stop": "stopped",
    "enable": "enabled",
    "disable": "disabled",
    "delete": "deleted",
}


@dataclass(frozen=True)
class Problem:
    """A job for which it could not be done, and why."""

    name: str
    message: str


def deed_of(text: str) -> Deed:
    """What a form asks for. Raises InvalidRequest."""
    for deed in get_args(Deed):
        if text == deed:
            return deed  # type: ignore[no-any-return]  # get_args knows no types
    raise InvalidRequest("Choose what to do with the jobs.")


async def chosen(node: Services, visit: Visit, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The account's jobs of these ids; what is none of them is left out."""
    wanted = set(texts)
    async with node.database.transaction() as connection:
        rows = await jobs.listed(connection, visit.account_id, visit.connection_ids)
    return [row for row in rows if str(row["id"]) in wanted]


async def steer(
    node: Services, visit: Visit, deed: Deed, rows: Sequence[Mapping[str, Any]]
) -> list[Problem]:
    """Do it for each job; what fails for one holds no other back."""
    problems = []
    for row in rows:
        try:
            await _steer(node, visit, deed, row)
        except RequestError as error:
            problems.append(Problem(row["name"], error.message))
    return problems


async def _steer(node: Services, visit: Visit, deed: Deed, row: Mapping[str, Any]) -> None:
    changes, job_id = changes_of(node, visit), row["id"]
    if deed == "run":
        if not row["enabled"]:
            raise Conflict("It is disabled, so it does not run: enable it first.")
        await changes.run(visit.account_id, job_id)
    elif deed == "stop":
        await changes.stop(visit.account_id, job_id)
    elif deed == "delete":
        await removal(node, visit.author).job(visit.account_id, job_id)
    elif row["enabled"] != (deed == "enable"):
        settings, body = as_they_are(row)
        enabled = deed == "enable"
        await changes.update(
            visit.account_id,
            job_id,
            replace(settings, enabled=enabled),
            body.model_copy(update={"enabled": enabled}),
        )


def as_they_are(row: Mapping[str, Any]) -> tuple[JobSettings, JobBody]:
    """A job's settings as they are stored, and as the body that would make them."""
    known = {one.name: row[one.name] for one in fields(JobSettings) if one.name != "interval"}
    return JobSettings(interval=interval_of(row), **known), body_of(row)


def body_of(row: Mapping[str, Any], **changed: Any) -> JobBody:
    """The body of an update that leaves a job as it is, save what is changed."""
    return JobBody.model_validate(
        {
            "jobType": row["job_type"],
            "intervalUnit": row["interval_unit"],
            "intervalValue": row["interval_value"],
            "logVerbosity": row["log_verbosity"],
            "enabled": row["enabled"],
            "params": row["params"],
        }
        | changed
    )
