"""What is told: the events of a run, written in the transaction that ends it.

An event that was written is sent sooner or later (`sender.py`); one that was rolled back never was.
Bodies and signatures are those of Standard Webhooks (https://www.standardwebhooks.com).
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Json

from tidewell.clock import to_wire
from tidewell.state.database import Connection
from tidewell.state.statements import statements

_SQL = statements("tidewell.webhooks", "queries.sql")


class Event(StrEnum):
    """The types of events."""

    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    RUN_RECOVERED = "run.recovered"
    SCHEMA_CHANGED = "schema.changed"
    JOB_LATE = "job.late"
    TEST = "webhook.test"


ABOUT = {
    Event.RUN_SUCCEEDED: "A run has ended well.",
    Event.RUN_FAILED: "A run has failed, after all its attempts.",
    Event.RUN_RECOVERED: "A run has ended well, and the one before it had failed.",
    Event.SCHEMA_CHANGED: "A run has followed its source: columns are new, gone or wider.",
    Event.JOB_LATE: "A job's data is older than twice its interval.",
    Event.TEST: "Somebody tries the webhook.",
}


async def announce_end(
    connection: Connection, account_id: UUID, run_id: UUID, now: datetime
) -> None:
    """Write the events of a run that has just ended, where anybody wants to be told."""
    row = await _row(connection, "ended_run", account_id=account_id, run_id=run_id)
    if row is None:
        return
    events = []
    if row["state"] == "success":
        events.append(Event.RUN_SUCCEEDED)
        if row["state_before"] == "failed":
            events.append(Event.RUN_RECOVERED)
    elif row["state"] == "failed":
        events.append(Event.RUN_FAILED)
    changes = (row["receipt"] or {}).get("schema_changes") or []
    if changes:
        events.append(Event.SCHEMA_CHANGED)
    about = _about(row)
    for event in events:
        data = about | ({"changes": changes} if event is Event.SCHEMA_CHANGED else {})
        await _write(connection, account_id, event, data, now)


async def announce_late(connection: Connection, now: datetime, limit: int) -> int:
    """Write an event for each job that has become late; returns how many have."""
    cursor = await connection.execute(_SQL["late_jobs"], {"now": now, "limit": limit})
    rows = await cursor.fetchall()
    for row in rows:
        data = {
            "jobId": str(row["id"]),
            "jobName": row["name"],
            "accountId": str(row["account_id"]),
            "freshAt": to_wire(row["fresh_at"]),
            "intervalUnit": row["interval_unit"],
            "intervalValue": row["interval_value"],
        }
        await _write(connection, row["account_id"], Event.JOB_LATE, data, now)
        await connection.execute(
            _SQL["note_late"], {"account_id": row["account_id"], "job_id": row["id"], "now": now}
        )
    return len(rows)


async def announce_test(
    connection: Connection, account_id: UUID, webhook_id: UUID, now: datetime
) -> UUID:
    """Write a test event for one webhook; returns the delivery's id."""
    delivery_id = uuid4()
    await connection.execute(
        _SQL["insert_delivery"],
        {
            "id": delivery_id,
            "account_id": account_id,
            "webhook_id": webhook_id,
            "event": Event.TEST,
            "payload": Json(_payload(Event.TEST, {"accountId": str(account_id)}, now)),
            "now": now,
        },
    )
    return delivery_id


async def _write(
    connection: Connection, account_id: UUID, event: Event, data: Mapping[str, Any], now: datetime
) -> None:
    await connection.execute(
        _SQL["insert_deliveries"],
        {
            "account_id": account_id,
            "event": event,
            "payload": Json(_payload(event, data, now)),
            "now": now,
        },
    )


def _payload(event: Event, data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {"type": event, "timestamp": to_wire(now), "data": dict(data)}


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    error = None
    if row["error_code"]:
        error = {"code": row["error_code"], "message": row["error_message"]}
    return {
        "jobId": str(row["job_id"]),
        "jobName": row["name"],
        "accountId": str(row["account_id"]),
        "runId": str(row["id"]),
        "started": to_wire(row["started_at"]),
        "finished": to_wire(row["finished_at"]),
        "rowsRead": row["rows_read"],
        "rowsAffected": row["rows_affected"],
        "error": error,
    }


async def _row(connection: Connection, name: str, **values: Any) -> dict[str, Any] | None:
    return await (await connection.execute(_SQL[name], values)).fetchone()
