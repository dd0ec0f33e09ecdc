"""Runs and their log lines as the API shows them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic.alias_generators import to_camel

from tidewell.clock import to_wire
from tidewell.jobs.job import STATUS, duration


def run_to_wire(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A run; `seconds` is exact, `duration` whole seconds as in a job's lastRun."""
    started, ended = row["started_at"], row["finished_at"]
    seconds = ((ended or now) - started) / timedelta(seconds=1) if started else 0.0
    error = None
    if row["error_code"]:
        error = {"code": row["error_code"], "message": row["error_message"]}
    receipt = None
    if row["receipt"]:
        receipt = {to_camel(name): value for name, value in row["receipt"].items()}
    return {
        "id": str(row["id"]),
        "jobId": str(row["job_id"]),
        "status": STATUS[row["state"]],
        "cause": row["cause"],
        "attempts": row["attempts"],
        "queued": to_wire(row["queued_at"]),
        "started": to_wire(started),
        "finished": to_wire(ended),
        "duration": duration(started, ended or now),
        "seconds": round(max(seconds, 0.0), 3),
        "rowsRead": row["rows_read"],
        "rowsAffected": row["rows_affected"],
        "bytesCopied": row["bytes_copied"],
        "receipt": receipt,
        "error": error,
        "state": row["state"],
        "reason": row["reason"] or "",
        "retryTime": to_wire(row["retry_at"]),
    }


def change_to_wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """A change of a run's state (docs/run-life.md)."""
    return {
        "time": to_wire(row["at"]),
        "from": row["from_state"] or "",
        "to": row["to_state"],
        "attempt": row["attempt"] or 0,
        "reason": row["reason"] or "",
    }


def log_line_to_wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a run's log."""
    return {
        "line": row["line"],
        "time": to_wire(row["at"]),
        "level": row["level"],
        "message": row["message"],
    }
