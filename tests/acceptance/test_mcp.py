"""The MCP server at `/mcp`, spoken to by the official SDK's own client."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.conftest import CacheDatabase
from tests.product import Customer
from tidewell.client import AsyncClient


@asynccontextmanager
async def session(customer: Customer, **claims: Any) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {customer.token(**claims)}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        streamable_http_client(f"{customer.base_url}/mcp", http_client=http) as (read, write, *_),
        ClientSession(read, write) as running,
    ):
        await running.initialize()
        yield running


async def call(running: ClientSession, name: str, **arguments: Any) -> Any:
    answer = await running.call_tool(name, arguments)
    assert not answer.is_error, answer.content
    found = answer.structured_content
    assert found is not None
    return found.get("result", found)


async def test_an_assistant_looks_queries_and_runs(
    customer: Customer,
    cache: CacheDatabase,
    connection_id: str,
) -> None:
    api = AsyncClient(customer.base_url, customer.token())
    async with api, session(customer) as running:
        job = await api.jobs.create(connection_id, "Files", "people")
        await job.wait(timeout=60)
        tools = {tool.name: tool for tool in (await running.list_tools()).tools}
        assert set(tools) == {
            *("list_connections", "list_tables", "list_columns", "freshness"),
            *("query", "list_jobs", "run_job", "stop_job"),
        }
        assert all(tool.description for tool in tools.values())
        assert [one["name"] for one in await call(running, "list_connections")] == ["Office"]
        [table] = await call(running, "list_tables", connection="Office")
        assert "people" in table.values()
        columns = await call(
            running, "list_columns", connection="Office", schema="Files", table="people"
        )
        assert {"id", "name"} <= {value for row in columns for value in row.values()}
        found = await call(
            running,
            "query",
            statement="SELECT id, name FROM Office.Files.people ORDER BY id",
            most_rows=2,
        )
        assert found == {
            "columns": ["id", "name"],
            "rows": [[1, "Ada"], [2, "Grace"]],
            "allRows": 3,
        }
        [fresh] = await call(running, "freshness")
        assert 0 <= fresh["ageSeconds"] < 300
        run = await call(running, "run_job", job_id=job.id)
        assert (await api.runs.get(run["runId"])).job_id == job.id
        await call(running, "stop_job", job_id=job.id)
        assert [one["id"] for one in await call(running, "list_jobs")] == [job.id]


async def test_what_the_api_refuses_is_told(customer: Customer, cache: CacheDatabase) -> None:
    async with session(customer) as running:
        for name, arguments in (
            ("query", {"statement": "DROP TABLE x"}),
            ("run_job", {"job_id": "36b2c04f-70f4-44a1-876a-29e42237ee63"}),
        ):
            answer = await running.call_tool(name, arguments)
            assert answer.is_error
            assert "Traceback" not in json.dumps([one.model_dump() for one in answer.content])


@pytest.mark.parametrize("token", ["", "Bearer x", "Basic dTpw"])
def test_without_a_token_there_is_nothing(customer: Customer, token: str) -> None:
    headers = {"Authorization": token} if token else {}
    for method in ("GET", "POST", "DELETE"):
        answer = httpx.request(method, f"{customer.base_url}/mcp", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "UNAUTHENTICATED"


def test_a_token_without_a_sub_account_is_not_enough(customer: Customer) -> None:
    with customer.client_of(sub=None) as vendor:
        assert vendor.post("/mcp", json={}).status_code == 403
