"""The watermark: how far a job has read its time-check column.

It is kept as text at the source's own precision and never rounded up, so that `>=` at the next run
finds the edge rows again; their keys make the repetition harmless.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidewell.errors import SourceBroken, SourceNotFound
from tidewell.sources.protocol import Column
from tidewell.sources.residual import typed

OVERLAP = timedelta(seconds=60)
"""How far before the watermark an increment starts to read where the column is a time: rows whose
transaction committed late carry an earlier time than rows that were already read."""

_DAY = 24 * 60 * 60
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def can_be_watermark(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type has an order that a watermark can follow."""
    return bool(
        pa.types.is_timestamp(kind)
        or pa.types.is_date(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
    )


class Watermark:
    """The greatest value of a column over the batches that pass by, starting from a stored one."""

    def __init__(self, column: str, kind: pa.DataType, stored: str | None) -> None:
        if not can_be_watermark(kind):
            raise SourceBroken(
                f"The column {column} is of type {kind}, which has no order to follow: choose a "
                "time, date or number column as timeCheckColumn."
            )
        self.column = column
        self.nulls = 0
        self._kind = kind
        self._greatest: Any = None if stored is None else typed(stored, kind)
        self._stored = self._greatest
        self._settled: Any = None
        self.after = 0
        """Rows that passed by whose value is greater than the stored one."""

    def hold(self, settled: str | None) -> None:
        """Go no further than a number after which rows may still be committed, nor ever back."""
        self._settled = None if settled is None else typed(settled, self._kind)

    def see(self, batch: pa.RecordBatch) -> None:
        """Take a batch into account."""
        values = batch.column(batch.schema.get_field_index(self.column))
        self.nulls += values.null_count
        if self._stored is not None:
            self.after += pc.sum(pc.greater(values, self._stored)).as_py() or 0
        greatest = pc.max(values)
        if greatest.is_valid and (
            self._greatest is None or pc.greater(greatest, self._greatest).as_py()
        ):
            self._greatest = greatest

    def take(self, text: str | None, nulls: int) -> None:
        """Take into account what another one has come to."""
        self.nulls += nulls
        greatest = None if text is None else typed(text, self._kind)
        if greatest is not None and (
            self._greatest is None or pc.greater(greatest, self._greatest).as_py()
        ):
            self._greatest = greatest

    def has_read(self, began: datetime, seconds: float) -> None:
        """Take into account how long it took to read all rows that there were, from `began` on.

        A source that is read in pages may change a row that was read already, and then one of the
        last page, which is later still. Seen from the greatest time the first change was at most
        as long ago as the read took, by the source's own clock. So a read that the overlap does
        not cover moves the watermark to that point only, and never back. Where the greatest time
        is a day before the read, whatever the clocks say, nothing was changed meanwhile.
        """
        if self._greatest is None or not self.overlaps:
            return
        if seconds <= OVERLAP.total_seconds() / 6:
            return
        if self._greatest.value / _UNITS[self._kind.unit] < began.timestamp() - _DAY:
            return
        took = pa.scalar(timedelta(seconds=ceil(seconds)), pa.duration(self._kind.unit))
        self._greatest = pc.subtract(self._greatest, took)
        if self._stored is not None and pc.less(self._greatest, self._stored).as_py():
            self._greatest = self._stored

    @property
    def overlaps(self) -> bool:
        """Whether the next increment starts before the watermark."""
        return bool(pa.types.is_timestamp(self._kind))

    @property
    def text(self) -> str | None:
        """The greatest value so far, or up to where it is settled; None when there was none."""
        reached = self._greatest
        if reached is None:
            return None
        if self._settled is not None and pc.less(self._settled, reached).as_py():
            reached = self._settled
            if self._stored is not None and pc.less(reached, self._stored).as_py():
                reached = self._stored
        return as_text(reached, self._kind)

    @property
    def lower_bound(self) -> str | None:
        """Where the next increment starts to read: the watermark, less the overlap of times."""
        if self._greatest is None or not self.overlaps:
            return self.text
        overlap = pa.scalar(OVERLAP, pa.duration(self._kind.unit))
        return as_text(pc.subtract(self._greatest, overlap), self._kind)


def watermark_of(
    name: str, columns: Sequence[Column], stored: str | None = None
) -> Watermark | None:
    """The watermark of a job's time-check column; None where it has none.

    Raises SourceNotFound where the source's table has no such column.
    """
    if not name:
        return None
    for column in columns:
        if column.name == name:
            return Watermark(name, column.type, stored)
    raise SourceNotFound(
        f"The source's table has no column {name}: correct the job's timeCheckColumn."
    )


def as_text(value: Any, kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        plain = value.cast(pa.int64()).cast(pa.timestamp(kind.unit)).cast(pa.string())
        return str(plain.as_py()).replace(" ", "T") + ("Z" if kind.tz else "")
    return str(value.as_py())
