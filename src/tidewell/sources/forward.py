"""Which columns move forward when a row changes: proposals for a job's time check."""

import re

import pyarrow as pa

_CHANGE = re.compile(
    r"(last|date|time|ts|row)?_?(updat|modif|chang|edit|touch|refresh|sync|version|rowver)",
    re.IGNORECASE,
)
_CREATION = re.compile(r"creat|insert|add|birth|start|begin|open|expir|due|end", re.IGNORECASE)
_VERSION = re.compile(r"row_?ver|^ts$|_ts$|timestamp|sequence|_seq$|_lsn$", re.IGNORECASE)


def moves_forward(name: str, kind: pa.DataType, *, indexed: bool = False) -> bool:
    """Whether a column of this name and type is a good time-check column.

    A time whose name speaks of change is one; so is a number that counts a row's versions, and a
    time that is indexed and does not speak of something else.
    """
    if pa.types.is_timestamp(kind):
        return bool(_CHANGE.search(name)) or (indexed and not _CREATION.search(name))
    return pa.types.is_integer(kind) and bool(_VERSION.search(name))
