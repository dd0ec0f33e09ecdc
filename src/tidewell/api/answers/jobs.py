"""Jobs and their runs (contract §4, §7), as the API answers them."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from tidewell.api.answers.base import CONNECTION, JOB, RUN, Answer, Id, Time

Status = Literal["JOB_QUEUED", "JOB_RUNNING", "JOB_SUCCESS", "JOB_FAILED", "JOB_STOPPED"]

_JOB: dict[str, Any] = {
    "jobType": "Caching",
    "id": JOB,
    "name": "Categories",
    "enabled": True,
    "created": "2026-03-02T08:00:00.000Z",
    "lastModified": "2026-03-02T08:00:00.000Z",
    "nextRunTime": "2026-03-02T09:00:00.000Z",
    "intervalUnit": "Hour",
    "intervalValue": 1,
    "logVerbosity": 1,
    "lastRun": {
        "dateTime": "2026-03-02T08:00:00.412Z",
        "duration": 3,
        "status": "JOB_SUCCESS",
        "rowsAffected": 8,
        "nextRunTime": "2026-03-02T09:00:00.000Z",
    },
    "params": {
        "timeCheckColumn": "",
        "autoTruncateStrings": "false",
        "sourceConnection": CONNECTION,
        "sourceName": "OData1",
        "sourceSchema": "OData",
        "sourceTable": "Categories",
        "sourceConnectionName": "OData1",
        "cacheSchema": "OData1",
        "cacheTable": "Categories",
    },
}
_RUN: dict[str, Any] = {
    "id": RUN,
    "jobId": JOB,
    "status": "JOB_SUCCESS",
    "cause": "schedule",
    "attempts": 1,
    "queued": "2026-03-02T08:00:00.101Z",
    "started": "2026-03-02T08:00:00.412Z",
    "finished": "2026-03-02T08:00:03.703Z",
    "duration": 3,
    "seconds": 3.291,
    "rowsRead": 8,
    "rowsAffected": 8,
    "bytesCopied": 1204,
    "receipt": {"mode": "full"},
    "error": None,
    "state": "success",
    "reason": "Its rows are committed.",
    "retryTime": "0001-01-01T00:00:00Z",
}


class LastRun(Answer):
    """The run that waits or works, else the latest that ended."""

    date_time: Time
    """When it began."""
    duration: int
    """Whole seconds; 0 where there is none."""
    status: Literal[Status, ""]
    """`""`: the job never ran and is not queued."""
    rows_affected: int
    """Rows written: inserted, updated and deleted."""
    next_run_time: Time
    """When the job runs next by itself."""


class Job(Answer):
    """A job: what is copied, and when."""

    job_type: Literal["Caching", "ScheduledQuery"]
    id: Id
    name: str
    """A caching job is named after its table."""
    enabled: bool
    """A job that is not enabled never runs."""
    created: Time
    last_modified: Time
    next_run_time: Time
    """When it runs next by itself."""
    interval_unit: Literal["Minute", "Hour", "Day", "Week", "Month"]
    interval_value: int
    """How many units lie between two runs."""
    log_verbosity: int
    """1 (a run's outline) to 5 (the source's low-level trace)."""
    last_run: LastRun
    params: dict[str, Any]
    """As they were sent, with `sourceConnectionName`, `cacheSchema` and `cacheTable`."""


class Jobs(Answer):
    """Jobs, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"jobs": [_JOB]}]})

    jobs: list[Job]


class TimeCheckColumn(Answer):
    """A column that moves forward when a row changes."""

    col_name: str
    col_type: str
    """Its type by the names of the Query API."""
    is_primary_key: bool


class TimeCheckColumns(Answer):
    """The columns that an incremental job can follow, best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": [
                        {"colName": "modifiedAt", "colType": "TIMESTAMP", "isPrimaryKey": False}
                    ]
                }
            ]
        }
    )

    columns: list[TimeCheckColumn]


class ValidJob(Answer):
    """The job passed all checks; nothing was made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"valid": True, "cacheSchema": "OData1", "cacheTable": "Categories"}]
        }
    )

    valid: bool
    cache_schema: str
    """Where its table would stand."""
    cache_table: str


class QueuedRun(Answer):
    """The run that is queued, or that was queued or running already."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"runId": RUN}]})

    run_id: Id


class RunError(Answer):
    """Why a run failed."""

    code: str
    message: str
    """What is wrong and what to do."""


class RunRecord(Answer):
    """A run: one execution of a job."""

    id: Id
    job_id: Id
    status: Status
    cause: str
    """What queued it: `create`, `schedule` or `request`."""
    attempts: int
    """How often a worker began it."""
    queued: Time
    started: Time
    finished: Time
    duration: int
    """Whole seconds."""
    seconds: float
    """The exact duration."""
    rows_read: int
    rows_affected: int
    """Rows written: inserted, updated and deleted."""
    bytes_copied: int
    receipt: dict[str, Any] | None
    """What was read and what stands in the cache, counted on both sides; null: none yet."""
    error: RunError | None
    """Why it failed; null: it did not."""
    state: Literal["queued", "running", "retrying", "success", "failed", "stopped"]
    """Where it stands exactly; `retrying` has the status `JOB_QUEUED`."""
    reason: str
    """Why it stands there."""
    retry_time: Time
    """When it is tried again."""


class RunChange(Answer):
    """A change of a run's state."""

    model_config = ConfigDict(populate_by_name=True)

    time: Time
    from_: Annotated[str, Field(alias="from")]
    """The state before; empty: the run began with it."""
    to: str
    attempt: int
    """The number of the attempt that was the newest then; 0: none yet."""
    reason: str


class RunWithChanges(RunRecord):
    """A run, and how it came to where it stands."""

    changes: list[RunChange]
    """Every change of its state, in order."""


class Run(Answer):
    """One run."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"run": _RUN | {"changes": []}}]})

    run: RunWithChanges


class Runs(Answer):
    """Runs of a job, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"runs": [_RUN]}]})

    runs: list[RunRecord]


class LogLine(Answer):
    """A line of a run's log."""

    line: int
    """Its number, for `after`."""
    time: Time
    level: int
    """The log verbosity from which on it is written."""
    message: str


class RunLog(Answer):
    """Lines of a run's log, in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "lines": [
                        {
                            "line": 1,
                            "time": "2026-03-02T08:00:00.412Z",
                            "level": 1,
                            "message": "full refresh of OData.Categories",
                        }
                    ]
                }
            ]
        }
    )

    lines: list[LogLine]
