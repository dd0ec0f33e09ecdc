"""A run that is followed to its end: by server-sent events, or by asking again and again.

Events cost the service less and come sooner. But a proxy may keep them back until the stream has
ended, and a stream may break: what does not come that way is asked for.
"""

import json
import time
from collections.abc import Callable

from httpx_sse import ServerSentEvent

from tidewell.client._errors import RunFailed, WaitTimeout
from tidewell.client._flows import (
    Flow,
    Hear,
    Listen,
    Pause,
    Request,
    get_run,
    list_runs,
    log_of_run,
    segment,
)
from tidewell.client._models import JobInfo, LogLine, Run
from tidewell.client._watching import Nobody, Watching, shown

_POLL_SECONDS = 0.25
_FIRST_SILENCE = 3.0  # a stream begins with where the run stands: what is silent then, is kept back
_SILENCE = 20.0  # the service says each 15 s that it is still there
_NO_LINES = "9" * 18  # as if every line of the log had been seen

OnLine = Callable[[LogLine], None]


def wait_for_run(
    run_id: str,
    *,
    timeout: float | None = None,
    watching: Watching | None = None,
    on_line: OnLine | None = None,
    after: int = 0,
) -> Flow[Run]:
    """The run when it has ended, `timeout` in seconds. Raises WaitTimeout.

    `on_line` is called with each line of its log that comes after the line `after`.
    """
    following = _Following(run_id, timeout, watching or Nobody(), on_line, after)
    run = yield from following.asked()
    if not run.ended:
        run = yield from following.heard(run)
    while not run.ended:
        if following.left() <= 0:
            raise WaitTimeout(f"The run {run_id} has not ended within {timeout} s.")
        yield Pause(_POLL_SECONDS)
        run = yield from following.asked()
    return run


def wait_for_job(
    job: JobInfo, *, timeout: float | None = None, progress: bool = False
) -> Flow[Run]:
    """The job's newest run when it has ended; `progress` shows a bar meanwhile.

    Raises RunFailed, WaitTimeout.
    """
    runs = yield from list_runs(job.id, limit=1)
    if not runs:
        raise WaitTimeout(f"The job {job.name} has not been queued yet: call run() first.")
    with shown(job.name, progress) as watching:
        run = yield from wait_for_run(runs[0].id, timeout=timeout, watching=watching)
    if run.status != "JOB_SUCCESS":
        raise RunFailed(run)
    return run


class _Following:
    """Where somebody who follows a run is."""

    def __init__(
        self,
        run_id: str,
        timeout: float | None,
        watching: Watching,
        on_line: OnLine | None,
        after: int,
    ) -> None:
        self._run_id = run_id
        self._ends_at = float("inf") if timeout is None else time.monotonic() + timeout
        self._watching = watching
        self._on_line = on_line
        self._after = after

    def left(self) -> float:
        """The seconds until the caller's patience ends."""
        return self._ends_at - time.monotonic()

    def asked(self) -> Flow[Run]:
        """The run as it stands, with the lines of its log up to then."""
        run = yield from get_run(self._run_id)
        self._watching.see(run)
        if self._on_line is not None:
            for line in (yield from log_of_run(self._run_id, self._after)):
                self._line(line)
        return run

    def heard(self, run: Run) -> Flow[Run]:
        """The run when the stream of its events has told its end, or has nothing to tell."""
        silence = _FIRST_SILENCE
        # A silent stream is noticed `silence` later: nobody listens longer than the patience.
        while self.left() > _SILENCE:
            last_id = _NO_LINES if self._on_line is None else str(self._after)
            request = Request("GET", f"/api/run/{segment(self._run_id)}/events")
            yield Listen(request, last_id, silence)
            came = False
            while (event := (yield Hear())) is not None:
                came = True
                run = self._event(event, run)
                if event.event == "end":
                    return run
                if self.left() <= _SILENCE:
                    break
            if not came:
                break
            silence = _SILENCE
            yield Pause(_POLL_SECONDS)
        return run

    def _event(self, event: ServerSentEvent, run: Run) -> Run:
        if event.event == "log" and self._on_line is not None:
            self._line(LogLine.model_validate_json(event.data))
        elif event.event == "progress":
            seen = json.loads(event.data)
            run = run.model_copy(
                update={"rows_read": seen["rowsRead"], "bytes_copied": seen["bytesCopied"]}
            )
            self._watching.see(run)
        elif event.event in ("state", "end"):
            run = Run.model_validate_json(event.data)
            self._watching.see(run)
        return run

    def _line(self, line: LogLine) -> None:
        self._after = line.line
        if self._on_line is not None:
            self._on_line(line)
