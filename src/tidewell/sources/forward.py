"""Which columns move forward when a row changes: proposals for a job's time check."""

import re
from collections.abc import Iterable

import pyarrow as pa

from tidewell.sources.protocol import Column

_CHANGE = re.compile(
    r"(last|date|time|ts|row)?_?(updat|modif|chang|edit|touch|refresh|sync|version|rowver)",
    re.IGNORECASE,
)
_CREATION = re.compile(r"creat|insert|add|birth|start|begin|open|expir|due|end", re.IGNORECASE)
_VERSION = re.compile(r"row_?ver|^ts$|_ts$|timestamp|sequence|_seq$|_lsn$", re.IGNORECASE)


def moves_forward(name: str, kind: pa.DataType, *, indexed: bool = False) -> bool:
    """Whether a column of this name and type is a good time-check column.

    A time whose name speaks of change is one; so is a number that counts a row's versions, and a
    time that is indexed and does not speak of something else. A number is given when the row is
    written: one that is committed after greater ones were read waits for the next full refresh,
    except where the source is a SettlingSource.
    """
    if pa.types.is_timestamp(kind):
        return bool(_CHANGE.search(name)) or (indexed and not _CREATION.search(name))
    return pa.types.is_integer(kind) and bool(_VERSION.search(name))


def best_first(columns: Iterable[Column]) -> list[Column]:
    """The columns that a driver proposes for a time check, the one to take first at the beginning.

    A name that speaks of change comes before one that says nothing, that before one that speaks of
    a beginning or an end; times before numbers; a part of the key comes last, for it never changes.
    """

    def rank(column: Column) -> tuple[bool, bool, bool, bool]:
        return (
            column.key_position is not None,
            not _CHANGE.search(column.name),
            bool(_CREATION.search(column.name)),
            not pa.types.is_timestamp(column.type),
        )

    return sorted((column for column in columns if column.moves_forward), key=rank)
