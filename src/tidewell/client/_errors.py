"""What a call of the client may raise.

ClientError
├── ApiError           the service answered with an error
├── ConnectionFailed   it did not answer, or not as this API does
├── RunFailed          a run that was waited for has failed or was stopped
└── WaitTimeout        a run has not ended in the time that the caller gave it
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidewell.client._models import Run


class ClientError(Exception):
    """The base of all errors of the client."""


class ApiError(ClientError):
    """The service's own error: `status`, `code`, `message`, the `details` by field, `request_id`.

    `retry_after` is in seconds, None where the service did not say.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Sequence[Mapping[str, Any]] = (),
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = [dict(one) for one in details]
        self.request_id = request_id
        self.retry_after = retry_after


class ConnectionFailed(ClientError):
    """The service cannot be reached, or what answers there is no Job API."""


class RunFailed(ClientError):
    """A run ended without success; `run` has its error and figures."""

    def __init__(self, run: "Run") -> None:
        super().__init__(run.error.message if run.error else f"The run ended as {run.status}.")
        self.run = run


class WaitTimeout(ClientError):
    """The run goes on, but the caller's patience has ended."""
