"""Every call of the client, once: as generators that yield requests and are sent their answers.

The synchronous and the asynchronous client run the same flows; only who waits differs.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from tidewell.client._errors import ApiError, ConnectionFailed
from tidewell.client._models import (
    CacheConnection,
    Connection,
    ConnectionSummary,
    ConnectionTest,
    JobInfo,
    LogLine,
    Run,
    SubAccount,
    TimeCheckColumn,
)
from tidewell.client._result import ARROW_STREAM, QueryResult, parameters_of

_LOG_PAGE = 1000


@dataclass(frozen=True)
class Request:
    """A request to send."""

    method: str
    path: str
    json: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)
    accept: str = "application/json"
    timeout: float | None = None


@dataclass(frozen=True)
class Pause:
    """A wait of some seconds."""

    seconds: float


@dataclass(frozen=True)
class Listen:
    """A stream of server-sent events to open, in place of one that is open.

    It counts as broken after so many seconds without a byte.
    """

    request: Request
    last_event_id: str
    silence: float


@dataclass(frozen=True)
class Hear:
    """The next event of the open stream: a `ServerSentEvent`, or None when there is no more, be
    it that the stream has ended, that it broke, or that it never was one."""


T = TypeVar("T")
Flow = Generator[Request | Pause | Listen | Hear, Any, T]
"""A call: it yields what to do, is sent the answer (an `httpx.Response` for a request), and returns
its result."""


def checked(answer: httpx.Response) -> httpx.Response:
    """An answer that is no error. Raises ApiError, ConnectionFailed."""
    if answer.is_success:
        return answer
    try:
        error = answer.json()["error"]
        wait = answer.headers.get("retry-after", "")
        raise ApiError(
            answer.status_code,
            error["code"],
            error["message"],
            error.get("details", ()),
            error.get("requestId", ""),
            float(wait) if wait.isdigit() else None,
        )
    except (ValueError, KeyError, TypeError):
        raise ConnectionFailed(
            f"{answer.request.url} answered {answer.status_code}, and not as a Job API does: "
            "check the base URL."
        ) from None


def _json(answer: httpx.Response) -> Any:
    try:
        return checked(answer).json()
    except ValueError:
        raise ConnectionFailed(
            f"{answer.request.url} does not answer as a Job API does: check the base URL."
        ) from None


def call(
    method: str, path: str, json: Any = None, query: Mapping[str, Any] | None = None
) -> Flow[Any]:
    """One call, and its answer's body."""
    given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
    return _json((yield Request(method, path, json, given)))


def stream_headers(last_event_id: str) -> dict[str, str]:
    """What asks for a stream of events, from one on."""
    return {
        "Accept": "text/event-stream",
        "Cache-Control": "no-store",
        "Last-Event-ID": last_event_id,
    }


def segment(text: str) -> str:
    """A part of a path."""
    return quote(text, safe="")


def time_of(moment: datetime) -> str:
    """A time as the API takes it. Raises ValueError where it has no time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} needs a time zone")
    return moment.astimezone(UTC).isoformat()


# Jobs


def list_jobs() -> Flow[list[JobInfo]]:
    """All jobs of the sub-account, oldest first."""
    found = yield from call("GET", "/api/job/list")
    return [JobInfo.model_validate(one) for one in found["jobs"]]


def get_job(job_id: str) -> Flow[JobInfo]:
    """One job."""
    return _job((yield from call("GET", f"/api/job/{segment(job_id)}")))


def create_job(
    connection: Connection | str,
    source_schema: str,
    source_table: str,
    *,
    interval_unit: str = "Hour",
    interval_value: int = 1,
    time_check_column: str = "",
    merge_keys: Sequence[str] | None = None,
    enabled: bool = True,
    log_verbosity: int = 1,
    defined_next_run: datetime | None = None,
    **params: Any,
) -> Flow[JobInfo]:
    """Make a caching job; without `defined_next_run` its first run is queued at once.

    `params` are further params of the contract, in its spelling: `cacheTable="orders"`.
    """
    if isinstance(connection, str):
        connection = yield from get_connection(connection)
    all_params: dict[str, Any] = {
        "sourceConnection": connection.id,
        "sourceName": connection.name,
        "sourceSchema": source_schema,
        "sourceTable": source_table,
        "timeCheckColumn": time_check_column,
    }
    if merge_keys:
        all_params["mergeKeys"] = [{"colName": name, "isPrimaryKey": True} for name in merge_keys]
    body = _body(
        "Caching", interval_unit, interval_value, enabled, log_verbosity, defined_next_run
    ) | {"params": all_params | params}
    return _job((yield from call("POST", "/api/job/create", body)))


def create_scheduled_query(
    name: str,
    query: str,
    *,
    interval_unit: str = "Hour",
    interval_value: int = 1,
    destination_schema: str = "",
    destination_table: str = "",
    write_mode: str = "",
    merge_keys: Sequence[str] | None = None,
    enabled: bool = True,
    log_verbosity: int = 1,
    defined_next_run: datetime | None = None,
    **params: Any,
) -> Flow[JobInfo]:
    """Make a job that runs one SQL statement; `write_mode` is replace, append or merge."""
    all_params: dict[str, Any] = {"name": name, "query": query}
    if merge_keys:
        all_params["mergeKeys"] = [{"colName": one, "isPrimaryKey": True} for one in merge_keys]
    for param, value in (
        ("destinationSchema", destination_schema),
        ("destinationTable", destination_table),
        ("writeMode", write_mode),
    ):
        if value:
            all_params[param] = value
    body = _body(
        "ScheduledQuery", interval_unit, interval_value, enabled, log_verbosity, defined_next_run
    ) | {"params": all_params | params}
    return _job((yield from call("POST", "/api/job/create", body)))


def update_job(job_id: str, **changes: Any) -> Flow[JobInfo]:
    """Change a job: what is not given stays. Names are the contract's (`intervalValue=2`);
    `params` replaces single params."""
    old = yield from get_job(job_id)
    params = {name: value for name, value in old.params.items() if name != "sourceConnectionName"}
    body = {
        "jobType": old.job_type,
        "intervalUnit": old.interval_unit,
        "intervalValue": old.interval_value,
        "logVerbosity": old.log_verbosity,
        "enabled": old.enabled,
        **{name: value for name, value in changes.items() if name != "params"},
        "params": params | changes.get("params", {}),
    }
    return _job((yield from call("PUT", f"/api/job/{segment(job_id)}/update", body)))


def delete_job(job_id: str) -> Flow[None]:
    """End a run of the job, drop its cached table, forget it."""
    yield from call("DELETE", f"/api/job/{segment(job_id)}/delete")


def run_job(job_id: str) -> Flow[str]:
    """Queue a run now; returns its id, or that of the run that waits or works already."""
    answer = yield from call("POST", f"/api/job/{segment(job_id)}/run")
    return str(answer["runId"])


def stop_job(job_id: str) -> Flow[None]:
    """End the job's queued or running run."""
    yield from call("POST", f"/api/job/{segment(job_id)}/stop")


def validate_job(body: Mapping[str, Any]) -> Flow[dict[str, Any]]:
    """All checks of create, in the contract's own shape; nothing is made."""
    answer: dict[str, Any] = yield from call("POST", "/api/job/validate", dict(body))
    return answer


def time_check_columns(
    connection_id: str, source_schema: str, source_table: str
) -> Flow[list[TimeCheckColumn]]:
    """The columns of a table that move forward, best first."""
    query = {
        "sourceConnection": connection_id,
        "sourceSchema": source_schema,
        "sourceTable": source_table,
    }
    answer = yield from call("GET", "/api/job/timeCheckColumns", query=query)
    return [TimeCheckColumn.model_validate(one) for one in answer["columns"]]


def _job(answer: Mapping[str, Any]) -> JobInfo:
    return JobInfo.model_validate(answer["jobs"][0])


def _body(
    kind: str, unit: str, value: int, enabled: bool, verbosity: int, first: datetime | None
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "jobType": kind,
        "intervalUnit": unit,
        "intervalValue": value,
        "logVerbosity": verbosity,
        "enabled": enabled,
    }
    if first is not None:
        body["definedNextRun"] = time_of(first)
    return body


# Runs


def list_runs(job_id: str, limit: int = 50, before: datetime | None = None) -> Flow[list[Run]]:
    """A job's runs, newest first."""
    query = {"limit": limit, "before": time_of(before) if before else None}
    answer = yield from call("GET", f"/api/job/{segment(job_id)}/runs", query=query)
    return [Run.model_validate(one) for one in answer["runs"]]


def get_run(run_id: str) -> Flow[Run]:
    """One run."""
    answer = yield from call("GET", f"/api/run/{segment(run_id)}")
    return Run.model_validate(answer["run"])


def log_of_run(run_id: str, after: int = 0) -> Flow[list[LogLine]]:
    """The lines of a run's log that come after a given one."""
    lines: list[LogLine] = []
    while True:
        query = {"after": lines[-1].line if lines else after, "limit": _LOG_PAGE}
        answer = yield from call("GET", f"/api/run/{segment(run_id)}/log", query=query)
        page = [LogLine.model_validate(one) for one in answer["lines"]]
        lines += page
        if len(page) < _LOG_PAGE:
            return lines


# Connections


def set_cache(connection_string: str) -> Flow[CacheConnection]:
    """Create or replace the PostgreSQL that the cached tables stand in."""
    body = {"connectionString": connection_string}
    answer = yield from call("POST", "/api/job/cacheConnection", body)
    return CacheConnection.model_validate(answer["connection"])


def cache_form_link(redirect_url: str) -> Flow[str]:
    """A link to the form in which a person fills in the cache connection."""
    body = {"redirectURL": redirect_url}
    answer = yield from call("POST", "/api/job/cacheConnection/formLink", body)
    return str(answer["redirectURL"])


def list_connections(driver: str = "", external_id: str = "") -> Flow[list[ConnectionSummary]]:
    """The sub-account's connections, perhaps only some."""
    query = {"driver": driver, "externalId": external_id}
    answer = yield from call("GET", "/api/poweredby/connection/list", query=query)
    return [ConnectionSummary.model_validate(one) for one in answer["connections"]]


def create_connection(
    name: str, driver: str, connection_string: str, external_id: str | None = None
) -> Flow[Connection]:
    """Make a connection to a source."""
    body = _connection_body(name, driver, connection_string, external_id)
    return _connection((yield from call("POST", "/api/connections", body)))


def get_connection(connection_id: str) -> Flow[Connection]:
    """One connection."""
    return _connection((yield from call("GET", f"/api/connections/{segment(connection_id)}")))


def update_connection(
    connection_id: str,
    name: str,
    driver: str,
    connection_string: str,
    external_id: str | None = None,
) -> Flow[Connection]:
    """Replace a connection's values; a masked secret keeps the stored one."""
    body = _connection_body(name, driver, connection_string, external_id)
    path = f"/api/connections/{segment(connection_id)}"
    return _connection((yield from call("PUT", path, body)))


def check_connection(connection_id: str) -> Flow[ConnectionTest]:
    """Try a connection."""
    answer = yield from call("POST", f"/api/connections/{segment(connection_id)}/test")
    return ConnectionTest.model_validate(answer)


def delete_connection(connection_id: str, *, force: bool = False) -> Flow[None]:
    """Delete a connection; with `force` its jobs and their cached tables too."""
    query = {"force": "true" if force else ""}
    path = f"/api/poweredby/connection/delete/{segment(connection_id)}"
    yield from call("DELETE", path, query=query)


def list_drivers() -> Flow[list[str]]:
    """The drivers that the service has."""
    answer = yield from call("GET", "/api/poweredby/sources/list")
    return [str(one["dataSource"]) for one in answer["dataSources"]]


def _connection(answer: Mapping[str, Any]) -> Connection:
    return Connection.model_validate(answer["connection"])


def _connection_body(
    name: str, driver: str, connection_string: str, external_id: str | None
) -> dict[str, Any]:
    body = {"name": name, "driver": driver, "connectionString": connection_string}
    return body if external_id is None else body | {"externalId": external_id}


# Sub-accounts


def list_accounts() -> Flow[list[SubAccount]]:
    """The vendor's sub-accounts."""
    answer = yield from call("GET", "/api/poweredby/account/list")
    return [SubAccount.model_validate(one) for one in answer["accounts"]]


def create_account(name: str, external_id: str | None = None) -> Flow[SubAccount]:
    """Make a sub-account."""
    body = {"accountName": name} | ({"externalId": external_id} if external_id else {})
    made = yield from call("POST", "/api/poweredby/account/create", body)
    return (yield from get_account(made["accountId"]))


def get_account(id_or_external_id: str) -> Flow[SubAccount]:
    """One sub-account, by its id or the vendor's own."""
    path = f"/api/poweredby/account/{segment(id_or_external_id)}"
    return SubAccount.model_validate((yield from call("GET", path)))


def update_account(account_id: str, **changes: str | None) -> Flow[SubAccount]:
    """Change `accountName` or `externalId` of a sub-account."""
    path = f"/api/poweredby/account/update/{segment(account_id)}"
    return SubAccount.model_validate((yield from call("PUT", path, changes)))


def delete_account(account_id: str) -> Flow[None]:
    """Delete a sub-account with all that it has."""
    yield from call("DELETE", f"/api/poweredby/account/delete/{segment(account_id)}")


# SQL


def query(
    statement: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    default_catalog: str = "",
    default_schema: str = "",
    timeout: int = 60,
) -> Flow[QueryResult]:
    """Run one SELECT; `parameters` are bound to `@name`, `timeout` is in seconds (1 to 300)."""
    body: dict[str, Any] = {"query": statement, "timeout": timeout}
    if parameters:
        body["parameters"] = parameters_of(parameters)
    if default_catalog:
        body["defaultCatalog"] = default_catalog
    if default_schema:
        body["defaultSchema"] = default_schema
    request = Request("POST", "/api/query", body, accept=ARROW_STREAM, timeout=timeout + 10.0)
    answer = checked((yield request))
    return QueryResult(answer.content)


# The catalogue: rows as dicts, named as the service names their columns


def catalogs() -> Flow[list[dict[str, Any]]]:
    """The connections that can be queried."""
    return _rows((yield from call("GET", "/api/catalogs")))


def schemas(catalog: str = "") -> Flow[list[dict[str, Any]]]:
    """The schemas of connections."""
    return _rows((yield from call("GET", "/api/schemas", query={"catalogName": catalog})))


def tables(catalog: str = "", schema: str = "") -> Flow[list[dict[str, Any]]]:
    """The tables and views of connections."""
    query = {"catalogName": catalog, "schemaName": schema}
    return _rows((yield from call("GET", "/api/tables", query=query)))


def columns(catalog: str = "", schema: str = "", table: str = "") -> Flow[list[dict[str, Any]]]:
    """The columns of tables."""
    query = {"catalogName": catalog, "schemaName": schema, "tableName": table}
    return _rows((yield from call("GET", "/api/columns", query=query)))


def primary_keys(
    catalog: str = "", schema: str = "", table: str = ""
) -> Flow[list[dict[str, Any]]]:
    """The primary keys of tables."""
    query = {"catalogName": catalog, "schemaName": schema, "tableName": table}
    return _rows((yield from call("GET", "/api/primaryKeys", query=query)))


def _rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    [result] = answer["results"]
    names = [column["columnName"] for column in result["schema"]]
    return [dict(zip(names, row, strict=True)) for row in result["rows"]]
