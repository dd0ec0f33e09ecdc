"""A job as the state database keeps it, and as the Job API shows it (contract §4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from tidewell.clock import SENTINEL, to_wire
from tidewell.jobs.schedule import Interval

STATUS = {
    "queued": "JOB_QUEUED",
    "running": "JOB_RUNNING",
    "retrying": "JOB_QUEUED",
    "success": "JOB_SUCCESS",
    "failed": "JOB_FAILED",
    "stopped": "JOB_STOPPED",
}
"""How the Job API names the states of a run; for it, one that waits for its next try is queued."""

_PARAMS = 14
"""Where the params stand among the columns of `list_jobs_as_text`."""


@dataclass(frozen=True)
class JobSettings:
    """What a client sets: everything about a job but its identity and its times."""

    job_type: str
    name: str
    enabled: bool
    interval: Interval
    log_verbosity: int
    params: Mapping[str, Any]
    connection_id: UUID | None
    """Of a scheduled query: the only connection that it names; None where they are several."""
    connection_ids: Sequence[UUID] | None
    """The connections of a scheduled query that names several."""
    source_schema: str | None
    source_table: str | None
    cache_schema: str | None
    """None: it writes nothing to the cache."""
    cache_table: str | None

    @property
    def uses(self) -> Sequence[UUID]:
        """All the connections that it needs."""
        return [self.connection_id] if self.connection_id else self.connection_ids or []


def duration(started: datetime | None, ended: datetime | None) -> int:
    """Whole seconds between two times; 0 where one of them does not exist."""
    if started is None or ended is None:
        return 0
    return max((ended - started) // timedelta(seconds=1), 0)


def job_to_wire(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The job object of the Job API, from a row of the statement `list_jobs`."""
    started = row["run_started_at"]
    return _job(
        row["job_type"],
        str(row["id"]),
        row["name"],
        row["enabled"],
        to_wire(row["created_at"]),
        to_wire(row["modified_at"]),
        to_wire(row["next_run_at"] if row["enabled"] else None),
        row["interval_unit"],
        row["interval_value"],
        row["log_verbosity"],
        to_wire(started),
        duration(started, row["run_finished_at"] or now),
        row["run_state"],
        row["run_rows_affected"],
        row["params"],
        row["connection_name"],
        row["cache_schema"],
        row["cache_table"],
    )


def job_of_texts(row: tuple[Any, ...]) -> dict[str, Any]:
    """The same, from a row of the statement `list_jobs_as_text`."""
    values = list(row)
    values[_PARAMS] = orjson.loads(values[_PARAMS])
    return _job(*values)


def _job(
    job_type: str,
    job_id: str,
    name: str,
    enabled: bool,
    created: str,
    modified: str,
    next_run: str | None,
    interval_unit: str,
    interval_value: int,
    log_verbosity: int,
    run_started: str | None,
    run_seconds: int | None,
    run_state: str | None,
    run_rows_affected: int | None,
    params: Mapping[str, Any],
    connection_name: str | None,
    cache_schema: str | None,
    cache_table: str | None,
) -> dict[str, Any]:
    return {
        "jobType": job_type,
        "id": job_id,
        "name": name,
        "enabled": enabled,
        "created": created,
        "lastModified": modified,
        "nextRunTime": next_run or SENTINEL,
        "intervalUnit": interval_unit,
        "intervalValue": interval_value,
        "logVerbosity": log_verbosity,
        "lastRun": {
            "dateTime": run_started or SENTINEL,
            "duration": run_seconds or 0,
            "status": STATUS.get(run_state or "", ""),
            "rowsAffected": run_rows_affected or 0,
            "nextRunTime": next_run or SENTINEL,
        },
        "params": {
            **params,
            "sourceConnectionName": connection_name or "",
            "cacheSchema": cache_schema or "",
            "cacheTable": cache_table or "",
        },
    }
