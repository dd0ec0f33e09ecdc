"""A list of jobs: the same as each job alone, and the same number of statements however long."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from tests.product import Customer, Vendor, key_pair
from tidewell import clock
from tidewell.accounts import repository as accounts
from tidewell.api.app import create_app
from tidewell.cli.node import open_node
from tidewell.connections import repository as connections
from tidewell.connections.repository import ConnectionSettings
from tidewell.settings import Settings
from tidewell.state.schema import upgrade
from tidewell.state.statements import statements

_SQL = statements("tests.integration.api", "runs.sql")
MOMENT = datetime(2026, 3, 2, 8, 0, 0, 999_999, UTC)


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A customer of an application in this process."""
    upgrade(database_url)
    private, public = key_pair()
    parent_id, account_id = uuid4(), uuid4()
    async with open_node(Settings(home=tmp_path), database_url) as node:
        async with node.database.transaction() as connection:
            now = clock.now()
            await accounts.create_parent(connection, parent_id, "V", public.decode(), now, "k")
            await accounts.create_account(connection, account_id, parent_id, "C", None, now)
            settings = ConnectionSettings("Office", "Files", "sealed", None)
            await connections.insert(connection, account_id, uuid4(), settings, now)
        vendor = Vendor(str(parent_id), "k", private, public)
        token = Customer("", vendor, str(account_id)).token()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(node)),
            base_url="http://tidewell",
            headers={"Authorization": f"Bearer {token}"},
        ) as made:
            yield made


def add_jobs(url: str, count: int) -> list[UUID]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(_SQL["add_jobs"], {"count": count, "now": MOMENT}).fetchall()
    return [row[0] for row in rows]


def add_run(
    url: str, job_id: UUID, state: str, started: datetime | None, seconds: float | None
) -> None:
    finished = started + timedelta(seconds=seconds) if started and seconds is not None else None
    with psycopg.connect(url) as connection:
        connection.execute(
            _SQL["add_run"],
            {"job_id": job_id, "state": state, "started": started, "finished": finished},
        )


async def test_a_job_in_the_list_is_the_job_itself(
    client: httpx.AsyncClient, database_url: str
) -> None:
    """The list is written by another statement, in every state of a run, to the millisecond."""
    ids = add_jobs(database_url, 7)
    add_run(database_url, ids[1], "queued", None, None)
    add_run(database_url, ids[2], "running", MOMENT, None)
    add_run(database_url, ids[3], "success", MOMENT, 59.9995)
    add_run(database_url, ids[4], "failed", MOMENT, 0)
    add_run(database_url, ids[5], "stopped", MOMENT, 86_400 * 40)
    add_run(database_url, ids[6], "success", MOMENT, -3)

    listed = (await client.get("/api/job/list")).json()["jobs"]
    alone = [(await client.get(f"/api/job/{job_id}")).json()["jobs"][0] for job_id in ids]

    running = listed[2]["lastRun"].pop("duration"), alone[2]["lastRun"].pop("duration")
    assert 0 < running[0] <= running[1] <= running[0] + 60
    assert listed == alone
    assert [job["lastRun"]["status"] for job in listed] == [
        *("", "JOB_QUEUED", "JOB_RUNNING", "JOB_SUCCESS", "JOB_FAILED", "JOB_STOPPED"),
        "JOB_SUCCESS",
    ]
    assert [job["lastRun"]["duration"] for job in listed[3:]] == [59, 0, 86_400 * 40, 0]
    assert listed[0]["created"] == "2026-03-02T08:00:00.999Z"


@pytest.mark.parametrize("path", ["/api/job/list", "/api/poweredby/connection/list"])
async def test_a_list_of_many_takes_as_many_statements_as_one_of_few(
    client: httpx.AsyncClient, database_url: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    asked: list[Any] = []
    execute = psycopg.AsyncCursor.execute

    async def counted(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(query)
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    counts, lengths = [], []
    for more in (1, 1, 500):
        add_jobs(database_url, more)
        asked.clear()
        answer = await client.get(path)
        assert answer.status_code == 200
        counts.append(len(asked))
        lengths += [len(listed) for listed in answer.json().values()]
    assert counts[1] == counts[2] <= 6, asked
    assert lengths == ([1, 2, 502] if path == "/api/job/list" else [1, 1, 1])


def looked_through(url: str, statement: LiteralString, values: dict[str, Any]) -> set[str]:
    """The tables that a statement reads from one end to the other."""

    def of(node: dict[str, Any]) -> set[str]:
        own = {node["Relation Name"]} if node["Node Type"] == "Seq Scan" else set()
        return own.union(*(of(inner) for inner in node.get("Plans", [])))

    with psycopg.connect(url) as connection:
        ((plans,),) = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}", values).fetchall()
    return of(plans[0]["Plan"])


@pytest.mark.parametrize("name", ["list_jobs", "list_jobs_as_text"])
async def test_a_list_looks_at_nothing_of_other_accounts(
    client: httpx.AsyncClient, database_url: str, name: str
) -> None:
    """Else the list of one account takes the longer the more others there are."""
    add_jobs(database_url, 100)
    with psycopg.connect(database_url) as connection:
        ((account_id, parent_id),) = connection.execute("SELECT id, parent_id FROM account")
        crowd = {"accounts": 4000, "jobs": 1, "parent_id": parent_id}
        connection.execute(statements("tests", "crowd.sql")["add_crowd"], crowd)
        connection.execute("ANALYZE")
    values = {"account_id": account_id, "id": None, "connection_ids": None, "now": MOMENT}
    statement = statements("tidewell.jobs", "queries.sql")[name]

    assert looked_through(database_url, statement, values) <= {"run"}  # it is empty
