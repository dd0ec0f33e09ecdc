"""The Python client of the Job API, synchronous and asynchronous.

    from tidewell.client import Client

    with Client("https://tidewell.example", token) as client:
        shop = client.connections.create("Shop", "OData", "URL=https://example.com/odata/v4/shop")
        job = client.jobs.create(shop, "OData", "Orders", time_check_column="modifiedAt")
        job.wait(progress=True)
        orders = client.query("SELECT * FROM Shop.OData.Orders").to_arrow()

`AsyncClient` has the same calls, to be awaited. Every call may raise an `ApiError` (the service
refused it; its code, message and fields are the contract's) or a `ConnectionFailed`.
"""

from tidewell.client._asynchronous import AsyncClient, AsyncJob
from tidewell.client._errors import ApiError, ClientError, ConnectionFailed, RunFailed, WaitTimeout
from tidewell.client._models import (
    AuditEvent,
    CacheConnection,
    Connection,
    ConnectionSummary,
    ConnectionTest,
    Delivery,
    Info,
    JobInfo,
    LastRun,
    LogLine,
    QueryEntry,
    QueryLog,
    Run,
    RunError,
    SubAccount,
    TimeCheckColumn,
    Webhook,
)
from tidewell.client._result import QueryResult
from tidewell.client._synchronous import Client, Job

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncJob",
    "AuditEvent",
    "CacheConnection",
    "Client",
    "ClientError",
    "Connection",
    "ConnectionFailed",
    "ConnectionSummary",
    "ConnectionTest",
    "Delivery",
    "Info",
    "Job",
    "JobInfo",
    "LastRun",
    "LogLine",
    "QueryEntry",
    "QueryLog",
    "QueryResult",
    "Run",
    "RunError",
    "RunFailed",
    "SubAccount",
    "TimeCheckColumn",
    "WaitTimeout",
    "Webhook",
]
