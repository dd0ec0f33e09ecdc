"""What to do about an error of a run, in plain words, and which page helps."""

from dataclasses import dataclass
from typing import Literal

Where = Literal["connection", "cache", "settings", "log", ""]


@dataclass(frozen=True)
class Advice:
    """What is wrong, what to do, and the page that it is done on."""

    title: str
    steps: str
    where: Where = ""


_ADVICE = {
    "SOURCE_UNAVAILABLE": Advice(
        "The source does not answer",
        "The run was tried again and gave up. Check that the source is up and reachable; the next "
        "run tries anew by itself.",
        "connection",
    ),
    "SOURCE_REFUSED": Advice(
        "The source does not accept the credentials",
        "Open the connection, correct the credentials, Save & Test, and run the job again.",
        "connection",
    ),
    "SOURCE_NOT_FOUND": Advice(
        "The table or a column is gone from the source",
        "It was renamed or deleted there, or the connection's user may not see it any more. Bring "
        "it back, or delete this job and add one for the new table; for a column, open the "
        "settings.",
        "settings",
    ),
    "SOURCE_BROKEN": Advice(
        "The source answers what it should not",
        "The log tells what it was. With log level 3 the next run also keeps the answers.",
        "log",
    ),
    "WRITE_UNCERTAIN": Advice(
        "It is not known whether the run has written",
        "An earlier attempt was cut off, and the target holds no table that tells. Look at the "
        "target; if nothing is missing there, leave it, else run the job again.",
        "log",
    ),
    "CACHE_UNAVAILABLE": Advice(
        "Your PostgreSQL does not answer",
        "Check that it is up, has room, and lets this service in; the next run tries anew by "
        "itself.",
        "cache",
    ),
    "CACHE_REFUSED": Advice(
        "Your PostgreSQL does not accept the user, or the user lacks a privilege",
        "Correct the cache connection, or grant what the message names, and run the job again.",
        "cache",
    ),
    "CACHE_CONFLICT": Advice(
        "Something else stands where the cached table should be",
        "Rename or drop what the message names, or give the job another place under "
        "More settings (cacheSchema, cacheTable).",
        "settings",
    ),
    "VALUE_DOES_NOT_FIT": Advice(
        "A value does not fit its column",
        "The message names the column. Correct the value at the source, or let long strings be "
        "cut in the job's settings.",
        "settings",
    ),
    "HOST_NOT_FOUND": Advice(
        "The name of a host leads nowhere",
        "Correct the host in the connection; where the name is right, its DNS does not know it.",
        "connection",
    ),
    "EGRESS_REFUSED": Advice(
        "This service may not reach that host",
        "Name a public host, or ask the operator of this service to allow that one "
        "(TIDEWELL_EGRESS_ALLOW).",
        "connection",
    ),
    "SOURCE_ERROR": Advice(
        "The source could not be read",
        "The log tells what it was. Try the connection, and run the job again.",
        "connection",
    ),
    "CACHE_ERROR": Advice(
        "Your PostgreSQL could not be written",
        "The log tells what it was. Try the cache connection, and run the job again.",
        "cache",
    ),
    "RUN_TIMED_OUT": Advice(
        "The run took longer than the job lets it",
        "Under More settings, raise the time limit (timeoutSeconds), or have less read at a time: "
        "a filter, or most rows a run (maxRowsPerRun). A time-check column helps most.",
        "settings",
    ),
    "RUN_LOST": Advice(
        "The workers of this run died, again and again",
        "The operator finds why in the workers' logs; often memory ran out. Then run the job "
        "again.",
        "log",
    ),
    "RUN_PROCESS_DIED": Advice(
        "The process of the run died",
        "Often memory ran out, or a driver crashed; the log and the worker's own log tell more. "
        "The cached table is as it was.",
        "log",
    ),
    "QUERY_PROCESS_DIED": Advice(
        "The process of the query died",
        "Often memory ran out: let the query read less, or raise TIDEWELL_QUERY_MEMORY.",
        "settings",
    ),
    "QUERY_FAILED": Advice(
        "The query cannot be run",
        "The message names the place in its text. Correct the query in the job's settings.",
        "settings",
    ),
    "QUERY_TIMEOUT": Advice(
        "The query took too long",
        "Narrow it, or raise the time limit (timeoutSeconds) under More settings.",
        "settings",
    ),
    "RESULT_TOO_LARGE": Advice(
        "The result has too many rows",
        "Narrow the query with WHERE or LIMIT.",
        "settings",
    ),
    "INTERNAL_ERROR": Advice(
        "A fault of this service",
        "The operator finds it in the server's log. The cached table is as it was; run the job "
        "again.",
        "log",
    ),
    "STOPPED": Advice(
        "Somebody stopped the run", "The cached table is as it was before; run the job again."
    ),
    "FENCED_OUT": Advice(
        "A newer attempt took over", "Nothing is to be done: the newer attempt wrote the rows."
    ),
}
_OTHER = Advice(
    "The run failed", "The log tells more. Run the job again; if it stays, ask for help.", "log"
)


CODES = frozenset(_ADVICE)
"""The codes that there is advice for."""


def advice(code: str | None) -> Advice:
    """The advice for an error's code."""
    return _ADVICE.get(code or "", _OTHER)
