"""The synchronous client."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from tidewell.client import _flows as flows
from tidewell.client import _flows_around as around
from tidewell.client import _flows_following as following
from tidewell.client._errors import ConnectionFailed
from tidewell.client._flows import Flow, Hear, Listen, Pause, Request, stream_headers
from tidewell.client._models import JobInfo, Run
from tidewell.client._result import QueryResult

P = ParamSpec("P")
T = TypeVar("T")


class Stream:
    """The stream of events that a flow listens to: none at first."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._open = ExitStack()
        self._events: Iterator[ServerSentEvent] = iter(())

    def listen(self, step: Listen) -> None:
        """Open a stream; one that cannot be opened has no events."""
        self.close()
        answer = self._http.stream(
            step.request.method,
            step.request.path,
            headers=stream_headers(step.last_event_id),
            timeout=step.silence,
        )
        with suppress(httpx.HTTPError):
            opened = self._open.enter_context(answer)
            if opened.is_success:
                self._events = EventSource(opened).iter_sse()

    def hear(self) -> ServerSentEvent | None:
        """The next event; None when there is no more."""
        try:
            return next(self._events, None)
        except (httpx.HTTPError, SSEError):
            return None

    def close(self) -> None:
        """End the stream."""
        self._events = iter(())
        self._open.close()


class Session:
    """Sends the requests of flows."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its result."""
        answer: Any = None
        with closing(Stream(self.http)) as stream:
            while True:
                try:
                    step = flow.send(answer)
                except StopIteration as end:
                    result: T = end.value
                    return result
                answer = None
                match step:
                    case Pause():
                        time.sleep(step.seconds)
                    case Listen():
                        stream.listen(step)
                    case Hear():
                        answer = stream.hear()
                    case Request():
                        answer = self._send(step)

    def _send(self, request: Request) -> httpx.Response:
        timeout = httpx.USE_CLIENT_DEFAULT if request.timeout is None else request.timeout
        try:
            return self.http.request(
                request.method,
                request.path,
                json=request.json,
                params=dict(request.query),
                headers={"Accept": request.accept},
                timeout=timeout,
            )
        except httpx.HTTPError as error:
            raise ConnectionFailed(
                f"{self.http.base_url} cannot be reached: {str(error) or type(error).__name__}"
            ) from error


class _Part:
    def __init__(self, session: Session) -> None:
        self._session = session


def _call(flow: Callable[P, Flow[T]]) -> Callable[Concatenate[_Part, P], T]:
    def call(part: _Part, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return part._session.run(flow(*args, **kwargs))

    call.__doc__ = flow.__doc__
    return call


def _job_call(flow: Callable[P, Flow[JobInfo]]) -> Callable[Concatenate[_Part, P], "Job"]:
    def call(part: _Part, /, *args: P.args, **kwargs: P.kwargs) -> Job:
        return Job.of(part._session.run(flow(*args, **kwargs)), part._session)

    call.__doc__ = flow.__doc__
    return call


class Job(JobInfo):
    """A job, with what can be done with it."""

    _session: Session

    @classmethod
    def of(cls, info: JobInfo, session: Session) -> "Job":
        """The job of an answer, able to call again."""
        job = cls.model_validate(info.model_dump())
        job._session = session
        return job

    def refresh(self) -> "Job":
        """The job as it stands now."""
        return Job.of(self._session.run(flows.get_job(self.id)), self._session)

    def run(self) -> "Job":
        """Queue a run now; `wait` then waits for it."""
        self._session.run(flows.run_job(self.id))
        return self

    def stop(self) -> None:
        """End its queued or running run."""
        self._session.run(flows.stop_job(self.id))

    def delete(self) -> None:
        """Forget the job and drop its cached table."""
        self._session.run(flows.delete_job(self.id))

    def wait(self, *, timeout: float | None = None, progress: bool = False) -> Run:
        """The newest run when it has ended; `timeout` in seconds. Raises RunFailed, WaitTimeout."""
        return self._session.run(following.wait_for_job(self, timeout=timeout, progress=progress))

    def runs(self, limit: int = 50) -> list[Run]:
        """Its runs, newest first."""
        return self._session.run(flows.list_runs(self.id, limit))


class Jobs(_Part):
    """Calls on jobs."""

    get = _job_call(flows.get_job)
    create = _job_call(flows.create_job)
    create_scheduled_query = _job_call(flows.create_scheduled_query)
    update = _job_call(flows.update_job)
    delete = _call(flows.delete_job)
    run = _call(flows.run_job)
    stop = _call(flows.stop_job)
    validate = _call(flows.validate_job)
    time_check_columns = _call(flows.time_check_columns)
    runs = _call(flows.list_runs)

    def list(self) -> list[Job]:
        """All jobs of the sub-account, oldest first."""
        return [Job.of(one, self._session) for one in self._session.run(flows.list_jobs())]


class Runs(_Part):
    """Calls on runs."""

    get = _call(flows.get_run)
    log = _call(flows.log_of_run)
    wait = _call(following.wait_for_run)


class Connections(_Part):
    """Calls on connections."""

    list = _call(flows.list_connections)
    create = _call(flows.create_connection)
    get = _call(flows.get_connection)
    update = _call(flows.update_connection)
    test = _call(flows.check_connection)
    delete = _call(flows.delete_connection)
    drivers = _call(flows.list_drivers)


class Cache(_Part):
    """Calls on the cache connection."""

    set = _call(flows.set_cache)


class Catalogue(_Part):
    """What there is to be queried."""

    catalogs = _call(flows.catalogs)
    schemas = _call(flows.schemas)
    tables = _call(flows.tables)
    columns = _call(flows.columns)
    primary_keys = _call(flows.primary_keys)


class Accounts(_Part):
    """Calls of the vendor on its sub-accounts."""

    list = _call(flows.list_accounts)
    create = _call(flows.create_account)
    get = _call(flows.get_account)
    update = _call(flows.update_account)
    delete = _call(flows.delete_account)


class Webhooks(_Part):
    """Calls on webhooks."""

    list = _call(around.list_webhooks)
    create = _call(around.create_webhook)
    get = _call(around.get_webhook)
    update = _call(around.update_webhook)
    delete = _call(around.delete_webhook)
    test = _call(around.try_webhook)
    deliveries = _call(around.list_deliveries)


class Links(_Part):
    """Links to the hosted pages, for a customer to open."""

    cache = _call(flows.cache_form_link)
    connection = _call(around.connection_link)
    edit_connection = _call(around.edit_link)
    jobs = _call(around.jobs_link)


class Logs(_Part):
    """What was asked, and what was written."""

    queries = _call(around.list_queries)
    query = _call(around.get_query)
    audit = _call(around.list_audit)


class Client:
    """A client of the Job API at `base_url`, with a token (JWT) of a vendor.

    `timeout` in seconds for each request; `options` go to httpx.Client.
    """

    def __init__(self, base_url: str, token: str, *, timeout: float = 30.0, **options: Any) -> None:
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
            **options,
        )
        self._session = Session(self._http)
        self.jobs = Jobs(self._session)
        self.runs = Runs(self._session)
        self.connections = Connections(self._session)
        self.cache = Cache(self._session)
        self.accounts = Accounts(self._session)
        self.catalogue = Catalogue(self._session)
        self.webhooks = Webhooks(self._session)
        self.links = Links(self._session)
        self.logs = Logs(self._session)

    def query(
        self, statement: str, parameters: dict[str, Any] | None = None, **options: Any
    ) -> QueryResult:
        """Run one SELECT over `Connection.Schema.Table`; see `tidewell.client` for an example.

        `options` are `default_catalog`, `default_schema` and `timeout` (seconds).
        """
        return self._session.run(flows.query(statement, parameters, **options))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
