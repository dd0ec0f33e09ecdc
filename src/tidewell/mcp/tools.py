"""The tools: each one calls the API itself, with the token of the request that asked for it.

So an assistant sees what its token sees, under the same limits, and nothing is checked twice.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import FastAPI
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import Field

from tidewell import __version__, clock
from tidewell.client import AsyncClient, ClientError

_MOST_ROWS = 1000
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_STARTS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)

Connection = Annotated[str, Field(description="Name of the connection.")]
Schema = Annotated[str, Field(description="Name of the schema; empty: all.")]
JobId = Annotated[str, Field(description="Id of the job.")]
Asked = Context[Any, Any]


def make_manager(app: FastAPI) -> StreamableHTTPSessionManager:
    """What answers requests, while it runs.

    Without sessions: any node answers any request, and each one is checked like a call of the API.
    """
    server = _server(app)
    # The SDK makes its manager together with an application of its own, which nobody serves.
    server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        # A page that a browser was led to has no token, whatever host it names.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return server.session_manager


def _server(app: FastAPI) -> MCPServer[Any]:
    """The server over an application of ours."""
    server: MCPServer[Any] = MCPServer(
        "Tidewell",
        version=__version__,
        instructions=(
            "Tables of many sources, some of them kept fresh in a PostgreSQL cache by jobs. Query "
            "them as Connection.Schema.Table with one SELECT; look at list_tables and "
            "list_columns first, and at freshness to know how old cached data is."
        ),
    )

    @asynccontextmanager
    async def calling(asked: Asked) -> AsyncIterator[AsyncClient]:
        given = (asked.headers or {}).get("authorization", "")
        transport = httpx.ASGITransport(app)
        token = given.partition(" ")[2]
        async with AsyncClient("http://tidewell.invalid", token, transport=transport) as client:
            try:
                yield client
            except ClientError as error:
                raise ToolError(str(error)) from error

    @server.tool(annotations=_READS)
    async def list_connections(asked: Asked) -> list[dict[str, Any]]:
        """The connections: name, driver, whether it works."""
        async with calling(asked) as client:
            return [
                {"name": one.name, "driver": one.data_source, "status": one.status}
                for one in await client.connections.list()
            ]

    @server.tool(annotations=_READS)
    async def list_tables(
        connection: Connection, asked: Asked, schema: Schema = ""
    ) -> list[dict[str, Any]]:
        """The tables and views of a connection."""
        async with calling(asked) as client:
            return await client.catalogue.tables(connection, schema)

    @server.tool(annotations=_READS)
    async def list_columns(
        connection: Connection,
        schema: Annotated[str, Field(description="Name of the schema.")],
        table: Annotated[str, Field(description="Name of the table.")],
        asked: Asked,
    ) -> list[dict[str, Any]]:
        """The columns of a table with their types."""
        async with calling(asked) as client:
            return await client.catalogue.columns(connection, schema, table)

    @server.tool(annotations=_READS)
    async def freshness(asked: Asked) -> list[dict[str, Any]]:
        """How old the data of each job is, in seconds, and how its latest run ended."""
        now = clock.now()
        async with calling(asked) as client:
            found = []
            for job in await client.jobs.list():
                runs = [one for one in await job.runs(limit=20) if one.status == "JOB_SUCCESS"]
                age = (now - runs[0].finished).total_seconds() if runs else None
                found.append(
                    {
                        "job": job.name,
                        "id": job.id,
                        "ageSeconds": age,
                        "every": f"{job.interval_value} {job.interval_unit}",
                        "lastStatus": job.last_run.status,
                    }
                )
            return found

    @server.tool(annotations=_READS)
    async def query(
        statement: Annotated[str, Field(description="One SELECT over Connection.Schema.Table.")],
        asked: Asked,
        most_rows: Annotated[int, Field(ge=1, le=_MOST_ROWS, description="Rows to give.")] = 100,
    ) -> dict[str, Any]:
        """Run one read-only SQL statement."""
        async with calling(asked) as client:
            result = await client.query(statement)
        rows = [
            [_plain(one) for one in row] for row, _ in zip(result, range(most_rows), strict=False)
        ]
        return {"columns": result.columns, "rows": rows, "allRows": len(result)}

    @server.tool(annotations=_READS)
    async def list_jobs(asked: Asked) -> list[dict[str, Any]]:
        """The jobs: what they copy or run, how often, and how the latest run ended."""
        async with calling(asked) as client:
            return [one.model_dump(mode="json", by_alias=True) for one in await client.jobs.list()]

    @server.tool(annotations=_STARTS)
    async def run_job(job_id: JobId, asked: Asked) -> dict[str, str]:
        """Queue a run of a job now."""
        async with calling(asked) as client:
            return {"runId": await client.jobs.run(job_id)}

    @server.tool(annotations=_STARTS)
    async def stop_job(job_id: JobId, asked: Asked) -> dict[str, bool]:
        """End the queued or running run of a job."""
        async with calling(asked) as client:
            await client.jobs.stop(job_id)
        return {"stopped": True}

    return server


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
