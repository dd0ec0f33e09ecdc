"""A job as the state database keeps it, and as the Job API shows it (contract §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tidewell.clock import to_wire
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


@dataclass(frozen=True)
class JobSettings:
    """What a client sets: everything about a job but its identity and its times."""

    job_type: str
    name: str
    enabled: bool
    interval: Interval
    log_verbosity: int
    params: Mapping[str, Any]
    connection_id: UUID
    source_schema: str
    source_table: str
    cache_schema: str
    cache_table: str


def duration(started: datetime | None, ended: datetime | None) -> int:
    """Whole seconds between two times; 0 where one of them does not exist."""
    if started is None or ended is None:
        return 0
    return max((ended - started) // timedelta(seconds=1), 0)


def job_to_wire(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The job object of the Job API, from a row of the statements in `queries.sql`."""
    next_run = to_wire(row["next_run_at"] if row["enabled"] else None)
    return {
        "jobType": row["job_type"],
        "id": str(row["id"]),
        "name": row["name"],
        "enabled": row["enabled"],
        "created": to_wire(row["created_at"]),
        "lastModified": to_wire(row["modified_at"]),
        "nextRunTime": next_run,
        "intervalUnit": row["interval_unit"],
        "intervalValue": row["interval_value"],
        "logVerbosity": row["log_verbosity"],
        "lastRun": {
            "dateTime": to_wire(row["run_started_at"]),
            "duration": duration(row["run_started_at"], row["run_finished_at"] or now),
            "status": STATUS.get(row["run_state"], ""),
            "rowsAffected": row["run_rows_affected"] or 0,
            "nextRunTime": next_run,
        },
        "params": {
            **row["params"],
            "sourceConnectionName": row["connection_name"] or "",
            "cacheSchema": row["cache_schema"] or "",
            "cacheTable": row["cache_table"] or "",
        },
    }
