"""History is forgotten after its time, each kind by its setting, in small transactions."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.integration.runs.nodes import NOW, Node, node
from tidewell.runs.retention import forget
from tidewell.settings import Settings

__all__ = ["node"]

DAYS = range(1, 41)
FILL = {
    "runs": """
INSERT INTO run (id, account_id, job_id, state, cause, queued_at, started_at, finished_at,
                 changed_at)
SELECT gen_random_uuid(), %(account_id)s, %(job_id)s, 'success', 'request', at, at, at, at
  FROM unnest(%(times)s::timestamptz[]) AS at""",
    "log_lines": """
INSERT INTO run_log (run_id, at, level, message)
SELECT id, finished_at, 1, 'read' FROM run WHERE account_id = %(account_id)s""",
    "queries": """
INSERT INTO query_log (id, account_id, at, milliseconds, query, credential, drivers,
                       rows_returned, user_agent)
SELECT gen_random_uuid(), %(account_id)s, at, 1, 'SELECT 1', 'token', '', 1, 'curl'
  FROM unnest(%(times)s::timestamptz[]) AS at""",
    "webhook": """
INSERT INTO webhook (id, account_id, url, sealed, created_at, modified_at)
SELECT %(account_id)s, %(account_id)s, 'https://x.example', '', now(), now()""",
    "deliveries": """
INSERT INTO webhook_delivery (id, webhook_id, account_id, event, payload, created_at, delivered_at)
SELECT gen_random_uuid(), %(account_id)s, %(account_id)s, 'run.failed', '{}', at, at
  FROM unnest(%(times)s::timestamptz[]) AS at""",
    "audit_events": """
INSERT INTO audit_event (at, parent_id, account_id, action, target_id, target_name, request_id)
SELECT at, parent_id, account.id, 'job.created', account.id, 'people', 'request'
  FROM account, unnest(%(times)s::timestamptz[]) AS at WHERE account.id = %(account_id)s""",
    "queue": """
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, status)
SELECT 'runs', 'execute_run', 0, '{}', 'succeeded' FROM unnest(%(times)s::timestamptz[])""",
}
COUNT = {
    "runs": "SELECT count(*) FROM run",
    "log_lines": "SELECT count(*) FROM run_log",
    "queries": "SELECT count(*) FROM query_log",
    "deliveries": "SELECT count(*) FROM webhook_delivery",
    "audit_events": "SELECT count(*) FROM audit_event",
    "queue": "SELECT count(*) FROM procrastinate_jobs",
    "changes": "SELECT count(*) FROM run_change",
    "events": "SELECT count(*) FROM procrastinate_events",
}
# Which setting keeps which kind.
SETTINGS = {
    "runs": "keep_run_days",
    "log_lines": "keep_log_days",
    "queries": "keep_query_days",
    "deliveries": "keep_delivery_days",
    "audit_events": "keep_audit_days",
}
ALL_LONG = dict.fromkeys(SETTINGS.values(), 3650)


async def fill(node: Node) -> UUID:
    """One of each kind a day, 40 days back, half a day before midday."""
    account_id = await node.account()
    (job_id,) = await node.jobs(account_id, 1)
    values: dict[str, Any] = {
        "account_id": account_id,
        "job_id": job_id,
        "times": [NOW - timedelta(days=days - 0.5) for days in DAYS],
    }
    async with node.database.transaction() as connection:
        for statement in FILL.values():
            await connection.execute(statement.encode(), values)
    return account_id


async def counts(node: Node) -> dict[str, int]:
    found = {}
    async with node.database.transaction() as connection:
        for name, statement in COUNT.items():
            row = await (await connection.execute(statement.encode())).fetchone()
            assert row is not None
            found[name] = row["count"]
    return found


@pytest.mark.parametrize(("kind", "setting"), SETTINGS.items())
async def test_each_kind_is_kept_as_long_as_its_setting_says(
    node: Node, kind: str, setting: str
) -> None:
    await fill(node)
    before = await counts(node)
    # Four rows a transaction: the thirty that are too old take eight of them.
    done = await forget(node.database, Settings(**(ALL_LONG | {setting: 10})), NOW, batch=4)
    after = await counts(node)
    assert done == dict.fromkeys(done, 0) | {kind: 30, "queue": 40}
    assert after[kind] == 10
    others = set(SETTINGS) - {kind} - ({"log_lines"} if kind == "runs" else set())
    assert {one: after[one] for one in others} == {one: before[one] for one in others}


async def test_what_hangs_on_a_row_goes_with_it(node: Node) -> None:
    await fill(node)
    await forget(node.database, Settings(**(ALL_LONG | {"keep_run_days": 10})), NOW, batch=7)
    left = await counts(node)
    assert left["log_lines"] == left["runs"] == left["changes"] == 10
    assert left["queue"] == left["events"] == 0


async def test_a_job_keeps_its_last_success_for_as_long_as_it_fails(node: Node) -> None:
    """Since when its rows stand is read from there, also by the queries."""
    await fill(node)
    async with node.database.transaction() as connection:
        await connection.execute(FAILED_SINCE, {"at": NOW - timedelta(days=20)})
    short = Settings(**(ALL_LONG | {"keep_run_days": 10}))
    await forget(node.database, short, NOW, batch=7)
    assert (await counts(node))["runs"] == 11
    async with node.database.transaction() as connection:
        kept = await (await connection.execute(SUCCESSES)).fetchall()
    assert [NOW - row["finished_at"] for row in kept] == [timedelta(days=20.5)]


FAILED_SINCE = "UPDATE run SET state = 'failed' WHERE finished_at > %(at)s"
SUCCESSES = "SELECT finished_at FROM run WHERE state = 'success'"
OLDEST = "SELECT min(finished_at) FROM run"


async def test_what_is_not_over_stays_whatever_its_age(node: Node) -> None:
    await fill(node)
    async with node.database.transaction() as connection:
        await connection.execute(
            f"UPDATE run SET state = 'running' WHERE finished_at = ({OLDEST})"  # noqa: S608
        )
        await connection.execute("UPDATE webhook_delivery SET next_attempt_at = now()")
        await connection.execute("UPDATE procrastinate_jobs SET status = 'todo'")
    short = Settings(**dict.fromkeys(SETTINGS.values(), 1))
    await forget(node.database, short, NOW, batch=7)
    left = await counts(node)
    # The newest run, and the one that works.
    assert (left["runs"], left["log_lines"]) == (2, 2)
    assert (left["deliveries"], left["queue"]) == (40, 40)
    assert (left["queries"], left["audit_events"]) == (1, 1)
