"""What the Job API answers, as typed objects; fields that a newer service adds are kept too."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

ENDED = frozenset({"JOB_SUCCESS", "JOB_FAILED", "JOB_STOPPED"})
"""The statuses of a run that is over."""


class Info(BaseModel):
    """An answer of the service. Times that do not exist are those of the year 1."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")


class LastRun(Info):
    """A job's latest run; `duration` in whole seconds."""

    date_time: datetime
    duration: int
    status: str
    rows_affected: int
    next_run_time: datetime


class JobInfo(Info):
    """A job as the Job API shows it."""

    job_type: str
    id: str
    name: str
    enabled: bool
    created: datetime
    last_modified: datetime
    next_run_time: datetime
    interval_unit: str
    interval_value: int
    log_verbosity: int
    last_run: LastRun
    params: dict[str, Any]


class RunError(Info):
    """Why a run has failed."""

    code: str
    message: str


class Run(Info):
    """One run of a job; `seconds` is exact, `duration` whole seconds."""

    id: str
    job_id: str
    status: str
    cause: str
    attempts: int
    queued: datetime
    started: datetime
    finished: datetime
    duration: int
    seconds: float
    rows_read: int
    rows_affected: int
    bytes_copied: int
    receipt: dict[str, Any] | None = None
    error: RunError | None = None
    state: str
    reason: str
    retry_time: datetime

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.status in ENDED


class LogLine(Info):
    """A line of a run's log; `level` as in a job's logVerbosity."""

    line: int
    time: datetime
    level: int
    message: str


class Connection(Info):
    """A connection to a source, its secrets masked."""

    id: str
    account_id: str
    name: str
    driver: str
    driver_version: str
    connection_string: str
    external_id: str | None = None
    created: datetime
    last_modified: datetime
    is_tested: bool
    status: str


class ConnectionSummary(Info):
    """A connection as the list shows it."""

    id: str
    name: str
    data_source: str
    last_modified: datetime
    external_id: str | None = None
    status: str


class ConnectionTest(Info):
    """Whether a connection works, and if not, why."""

    is_tested: bool
    test_error: str | None = None


class CacheConnection(Info):
    """Where the cached tables of a sub-account stand; the password is masked."""

    id: str
    account_id: str
    name: str
    driver: str
    driver_version: str
    connection_string: str
    created: datetime
    last_modified: datetime
    is_tested: bool
    test_error: str | None = None


class SubAccount(Info):
    """A customer of the vendor."""

    id: str
    external_id: str | None = None
    account_name: str
    created: datetime


class TimeCheckColumn(Info):
    """A column that moves forward when a row changes; its type by the Query API's names."""

    col_name: str
    col_type: str
    is_primary_key: bool


class Webhook(Info):
    """An address that events are told to; `secret` is shown when it is made, and masked later."""

    id: str
    account_id: str
    url: str
    events: list[str]
    enabled: bool
    secret: str
    created: datetime
    last_modified: datetime


class Delivery(Info):
    """An event of a webhook, and what became of it; `status` is the receiver's last answer."""

    id: str
    event: str
    created: datetime
    attempts: int
    status: int | None = None
    error: str | None = None
    delivered: datetime
    next_attempt: datetime
    payload: dict[str, Any]


class QueryEntry(Info):
    """A query that was asked; `duration` in milliseconds."""

    query_id: str
    timestamp: datetime
    query_type: int
    query: str
    credential: str
    drivers: str
    duration: int
    rows_returned: int
    rows_affected: int
    rows_input: int
    log_verbosity: int
    error_code: str
    error_message: str
    user_agent: str


class QueryLog(QueryEntry):
    """A query with the lines of its log."""

    log: list[Any]


class AuditEvent(Info):
    """Something that was written, and by whom."""

    event_type: int
    timestamp: datetime
    target_id: str
    target_name: str
    target_type: int
    user_id: str
    user_name: str
    user_type: int
    action: str
    account_id: str | None = None
    request_id: str
