"""What the worker and the run's process say to each other: one JSON object a line over pipes.

The worker sends a `Task`, and perhaps `stop`; the process answers with log lines, progress, and in
the end with exactly one of `done` and `failed`. A run's process says the same to
those that read a part of its table each (`parts.py`); their end is `part_done` or `failed`. The
task holds the credentials that the run needs; they travel only through the pipe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

import orjson

from tidewell.cache.plan import Receipt

STOP = orjson.dumps({"kind": "stop"}) + b"\n"
"""The order to end the run and leave the cached table as it was."""


def trace_line(traceparent: str) -> bytes:
    """Which trace the run of the next line belongs to."""
    return orjson.dumps({"kind": "trace", "traceparent": traceparent}) + b"\n"


@dataclass(frozen=True)
class CachingTask:
    """All that a run of a caching job needs to know.

    `source` and `cache` are connection values (keys spelled as declared); `secrets` are the values
    that no line of the log may show. `reload` asks for a full load whatever the watermark says.
    `retries` and `timeout_seconds` are for the worker. `processes` is how many may load the table
    for the first time, if it has `processes_rows` or more. `attempt` is the fence's number, which
    rises over all runs; `nth` is what people are told: 1 for the run's first attempt.
    """

    run_id: UUID
    job_id: UUID
    attempt: int
    driver: str
    source: Mapping[str, str]
    cache: Mapping[str, Any]
    secrets: tuple[str, ...]
    connection_name: str
    source_schema: str
    source_table: str
    cache_schema: str
    cache_table: str
    verbosity: int = 1
    reload: bool = False
    time_column: str = ""
    truncate_strings: bool = False
    merge_keys: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    full_refresh_every: int | None = None
    filter: str = ""
    detect_deletes: bool = False
    max_rows: int | None = None
    rebuild_on_type_change: bool = False
    retries: int = 0
    timeout_seconds: int | None = None
    processes: int = 1
    processes_rows: int = 1_000_000
    file_roots: tuple[str, ...] = ()
    egress: str = ""
    manifests: str = ""
    nth: int = 1

    def to_line(self) -> bytes:
        """The task as a line of the protocol."""
        return orjson.dumps({"kind": "run", "task": asdict(self)}) + b"\n"

    @classmethod
    def from_message(cls, task: Mapping[str, Any]) -> "CachingTask":
        """The task of a line that has arrived."""
        values = dict(task)
        for name in ("run_id", "job_id"):
            values[name] = UUID(values[name])
        for name in ("secrets", "merge_keys", "columns", "file_roots"):
            values[name] = None if values[name] is None else tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class ScheduledQueryTask:
    """All that a run of a scheduled query needs to know.

    `over` is what a query of the account is run over (`tidewell.query.messages.QueryTask`), with
    the statement. A SELECT goes to its place in the cache, in `write_mode`; a statement that
    writes has no place. `attempt` and `nth` are as of a `CachingTask`; where `nth` is above 1, an
    earlier attempt may have written.
    """

    run_id: UUID
    job_id: UUID
    attempt: int
    over: Mapping[str, Any]
    cache: Mapping[str, Any] | None
    secrets: tuple[str, ...]
    cache_schema: str
    cache_table: str
    write_mode: str
    merge_keys: tuple[str, ...] = ()
    verbosity: int = 1
    retries: int = 0
    timeout_seconds: int | None = None
    nth: int = 1

    def to_line(self) -> bytes:
        """The task as a line of the protocol."""
        return orjson.dumps({"kind": "query", "task": asdict(self)}) + b"\n"

    @classmethod
    def from_message(cls, task: Mapping[str, Any]) -> "ScheduledQueryTask":
        """The task of a line that has arrived."""
        values = dict(task)
        for name in ("run_id", "job_id"):
            values[name] = UUID(values[name])
        for name in ("secrets", "merge_keys"):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class PartTask:
    """One key range of the table of a run, for a process that the run's own one has started.

    `number` counts from 1. The rows are those whose `column` is at least `lower` and less than
    `upper`; None: there is no such bound. `moment` is that of the source's split. `columns` are
    those that the run reads.
    """

    run: CachingTask
    number: int
    column: str
    lower: str | None
    upper: str | None
    moment: str
    columns: tuple[str, ...]

    @property
    def attempt(self) -> int:
        """The run's attempt."""
        return self.run.attempt

    @property
    def verbosity(self) -> int:
        """The verbosity of the run's log."""
        return self.run.verbosity

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no line of the log may show."""
        return self.run.secrets

    def to_line(self) -> bytes:
        """The task as a line of the protocol."""
        return orjson.dumps({"kind": "part", "task": asdict(self)}) + b"\n"

    @classmethod
    def from_message(cls, task: Mapping[str, Any]) -> "PartTask":
        """The task of a line that has arrived."""
        run = CachingTask.from_message(task["run"])
        return cls(**(dict(task) | {"run": run, "columns": tuple(task["columns"])}))


Task = CachingTask | ScheduledQueryTask


def task_of(command: Mapping[str, Any]) -> Task | PartTask | None:
    """The task of a line that brings one; None: the line is another order."""
    match command["kind"]:
        case "run":
            return CachingTask.from_message(command["task"])
        case "query":
            return ScheduledQueryTask.from_message(command["task"])
        case "part":
            return PartTask.from_message(command["task"])
    return None


@dataclass(frozen=True)
class LogLine:
    """A line of the run's log; `at` is ISO 8601, `level` as in the contract's §8."""

    kind: ClassVar[Literal["log"]] = "log"
    at: str
    level: int
    message: str


@dataclass(frozen=True)
class Progress:
    """Rows and bytes that have gone to the cache so far."""

    kind: ClassVar[Literal["progress"]] = "progress"
    rows: int
    bytes: int


@dataclass(frozen=True)
class Backend:
    """The process number of the server that works for this run on the cache."""

    kind: ClassVar[Literal["backend"]] = "backend"
    pid: int


@dataclass(frozen=True)
class Committing:
    """The run sends its COMMIT now: without an answer, the cache has to be asked."""

    kind: ClassVar[Literal["committing"]] = "committing"


@dataclass(frozen=True)
class Done:
    """The run has been committed; the receipt is that of the cache writer."""

    kind: ClassVar[Literal["done"]] = "done"
    rows_affected: int
    rows_read: int
    bytes_copied: int
    receipt: Mapping[str, Any]

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """The last word of a run that has committed."""
        return cls(
            rows_affected=receipt.rows_affected,
            rows_read=receipt.rows_read,
            bytes_copied=receipt.bytes_copied,
            receipt=asdict(receipt),
        )


@dataclass(frozen=True)
class Failed:
    """The run has ended without a commit; `retry_after`: seconds that the source asks for."""

    kind: ClassVar[Literal["failed"]] = "failed"
    code: str
    message: str
    disposition: str
    retry_after: float | None = None


@dataclass(frozen=True)
class PartDone:
    """A range has been committed to the hidden table.

    The digest is that of `tidewell.cache.digest`; `hashes`, its sum, is in digits, because it has
    more than 64 bits. `opened` is when the
    source was opened, in seconds since 1970. `watermark` is the greatest value of the time-check
    column, and `nulls` counts the rows that have none.
    """

    kind: ClassVar[Literal["part_done"]] = "part_done"
    rows: int
    bytes: int
    strings_cut: int
    nul_bytes_replaced: int
    hashes: str
    others: Sequence[int]
    with_nulls: Sequence[int]
    with_rare: Sequence[int]
    opened: float
    watermark: str | None = None
    nulls: int = 0


Message = LogLine | Progress | Backend | Committing | Done | PartDone | Failed
_KINDS: dict[str, type[Message]] = {
    kind.kind: kind for kind in (LogLine, Progress, Backend, Committing, Done, PartDone, Failed)
}


def encode(message: Message) -> bytes:
    """A message as a line of the protocol."""
    return orjson.dumps({"kind": message.kind} | asdict(message)) + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line."""
    values = orjson.loads(line)
    return _KINDS[values.pop("kind")](**values)
