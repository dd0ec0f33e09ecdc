"""Every error of Tidewell, as one tree.

    TidewellError                     code, HTTP status, and what a run does with it
    ├── RequestError                  a client's call cannot be done as it is
    │   ├── InvalidRequest       400  the body or a parameter is wrong (with the fields)
    │   ├── Unauthenticated      401  who calls is not proven
    │   ├── Forbidden            403  who calls may not do this
    │   ├── NotFound             404  no such object in this account
    │   ├── Conflict             409  the state forbids the call
    │   ├── PayloadTooLarge      413  the body is over the limit
    │   ├── TooManyRequests      429  this account calls too often (with the seconds to wait)
    │   ├── QueryFailed          400  a query cannot be run (with the place in its text)
    │   │   ├── QueryTimeout          it took longer than it may
    │   │   └── ResultTooLarge        it has more rows than one answer may have
    │   └── TooManyQueries       429  the account runs as many as it may
    ├── Unavailable              503  our own database is out of reach
    ├── SourceError                   reading the customer's source
    │   ├── SourceUnavailable         it does not answer, or says "later"         → try again
    │   ├── SourceRefused             it does not accept the credentials          → fail
    │   ├── SourceNotFound            no such schema, table or column             → fail
    │   └── SourceBroken              it answers what it should not               → fail
    ├── CacheError                    writing the customer's cache
    │   ├── CacheUnavailable          it does not answer, restarts, is too full   → try again
    │   ├── CacheRefused              credentials or privileges are not accepted  → fail
    │   ├── CacheConflict             something else stands where we would write  → fail
    │   └── ValueDoesNotFit           a value has no place in its column          → fail
    ├── RunTimedOut                   the job's timeoutSeconds are over            → fail
    ├── FencedOut                     a newer attempt of this job has taken over  → fail
    └── Stopped                       somebody asked the run to end               → stop

The class docstring is the default message. A message says what is wrong and what to do, and holds
no secret: it is shown to people and stored with the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Disposition(StrEnum):
    """What a run does when it meets an error."""

    FAIL = "fail"
    RETRY = "retry"
    STOP = "stop"


@dataclass(frozen=True)
class Detail:
    """One field that is to blame: its path in the body (`params.sourceTable`) and what is wrong."""

    field: str
    message: str


class TidewellError(Exception):
    """Something went wrong inside Tidewell; the server's log has more under this request id."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    disposition: ClassVar[Disposition] = Disposition.FAIL

    def __init__(self, message: str | None = None, *, details: Sequence[Detail] = ()) -> None:
        self.message = message or " ".join((type(self).__doc__ or type(self).__name__).split())
        self.details = tuple(details)
        super().__init__(self.message)


class RequestError(TidewellError):
    """The request cannot be done as it is."""

    code = "BAD_REQUEST"
    status = 400


class InvalidRequest(RequestError):
    """The request is not valid; the details name each field."""

    code = "INVALID_REQUEST"

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidRequest":
        """An error that blames one field."""
        return cls(f"{field}: {message}", details=[Detail(field, message)])


class Unauthenticated(RequestError):
    """Send a valid token: Authorization: Bearer <JWT>."""

    code = "UNAUTHENTICATED"
    status = 401


class Forbidden(RequestError):
    """This token may not do that."""

    code = "FORBIDDEN"
    status = 403


class NotFound(RequestError):
    """There is no such object in this account."""

    code = "NOT_FOUND"
    status = 404

    @classmethod
    def of(cls, kind: str) -> "NotFound":
        """An error about one object, the same for every id: it tells nothing of others' ids."""
        return cls(f"There is no such {kind} in this account.")


class Conflict(RequestError):
    """The current state forbids this call."""

    code = "CONFLICT"
    status = 409


class PayloadTooLarge(RequestError):
    """The body is over 1 MiB; send less."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413


class TooManyRequests(RequestError):
    """This account calls too often."""

    code = "TOO_MANY_REQUESTS"
    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"This account calls too often: wait {retry_after} s.")
        self.retry_after = retry_after
        """Seconds until a call is answered again."""


class QueryFailed(RequestError):
    """The query cannot be run."""

    code = "QUERY_FAILED"


class QueryTimeout(QueryFailed):
    """The query took longer than its timeout; narrow it, or give it more seconds (at most 300)."""

    code = "QUERY_TIMEOUT"


class ResultTooLarge(QueryFailed):
    """The result has more rows than one answer may have; narrow the query with WHERE or LIMIT."""

    code = "RESULT_TOO_LARGE"


class TooManyQueries(RequestError):
    """This account runs as many queries at a time as it may; wait for one to end."""

    code = "TOO_MANY_QUERIES"
    status = 429


class Unavailable(TidewellError):
    """Tidewell's own database is out of reach; try again in a few seconds."""

    code = "UNAVAILABLE"
    status = 503
    disposition = Disposition.RETRY


class SourceError(TidewellError):
    """The source could not be read."""

    code = "SOURCE_ERROR"
    status = 400


class SourceUnavailable(SourceError):
    """The source does not answer; check that it is up and reachable from here."""

    code = "SOURCE_UNAVAILABLE"
    disposition = Disposition.RETRY

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the source asks us to wait (its Retry-After), where it said so."""


class SourceRefused(SourceError):
    """The source does not accept the credentials; correct them in the connection."""

    code = "SOURCE_REFUSED"


class SourceNotFound(SourceError):
    """The source has no such schema, table or column."""

    code = "SOURCE_NOT_FOUND"


class SourceBroken(SourceError):
    """The source answered something that its protocol does not allow."""

    code = "SOURCE_BROKEN"


class WriteUncertain(SourceError):
    """An earlier attempt of this run may have written."""

    code = "WRITE_UNCERTAIN"


class CacheError(TidewellError):
    """The cache could not be written."""

    code = "CACHE_ERROR"
    status = 400


class CacheUnavailable(CacheError):
    """The cache does not answer; check that its PostgreSQL is up and reachable from here."""

    code = "CACHE_UNAVAILABLE"
    disposition = Disposition.RETRY


class CacheRefused(CacheError):
    """The cache does not accept the credentials, or the user lacks a privilege."""

    code = "CACHE_REFUSED"


class CacheConflict(CacheError):
    """Something that Tidewell did not make stands where the cached table should be."""

    code = "CACHE_CONFLICT"


class ValueDoesNotFit(CacheError):
    """A value of the source does not fit its column in the cache."""

    code = "VALUE_DOES_NOT_FIT"


class RunTimedOut(TidewellError):
    """The run took longer than the job's timeoutSeconds; the cached table is as it was before."""

    code = "RUN_TIMED_OUT"


class RunProcessDied(TidewellError):
    """The process of the run died; the cached table is as it was before."""

    code = "RUN_PROCESS_DIED"
    disposition = Disposition.RETRY


class FencedOut(TidewellError):
    """A newer attempt of this job has taken over; this one wrote nothing."""

    code = "FENCED_OUT"


class Stopped(TidewellError):
    """The run was stopped; the cached table is as it was before."""

    code = "STOPPED"
    disposition = Disposition.STOP
