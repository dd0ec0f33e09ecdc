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
        "It was renamed or deleted there, or its user may not see it any more. Correct the job, or "
        "delete it.",
        "settings",
    ),
    "SOURCE_BROKEN": Advice(
        "The source answers what it should not",
        "The log tells what it was. With log level 3 the next run also keeps the answers.",
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
        "Rename or drop what the message names, or give the job another place.",
        "settings",
    ),
    "VALUE_DOES_NOT_FIT": Advice(
        "A value does not fit its column",
        "The message names the column. Correct the value at the source, or let long strings be "
        "cut in the job's settings.",
        "settings",
    ),
    "FENCED_OUT": Advice(
        "A newer attempt took over", "Nothing is to be done: the newer attempt wrote the rows."
    ),
}
_OTHER = Advice(
    "The run failed", "The log tells more. Run the job again; if it stays, ask for help.", "log"
)


def advice(code: str | None) -> Advice:
    """The advice for an error's code."""
    return _ADVICE.get(code or "", _OTHER)
