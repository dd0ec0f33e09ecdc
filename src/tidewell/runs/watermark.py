"""The watermark: how far a job has read its time-check column.

It is kept as text at the source's own precision and never rounded up, so that `>=` at the next run
finds the edge rows again; their keys make the repetition harmless.
"""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidewell.errors import SourceBroken
from tidewell.sources.residual import typed

OVERLAP = timedelta(seconds=60)
"""How far before the watermark an increment starts to read where the column is a time: rows whose
transaction committed late carry an earlier time than rows that were already read."""


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

    def see(self, batch: pa.RecordBatch) -> None:
        """Take a batch into account."""
        values = batch.column(batch.schema.get_field_index(self.column))
        self.nulls += values.null_count
        greatest = pc.max(values)
        if greatest.is_valid and (
            self._greatest is None or pc.greater(greatest, self._greatest).as_py()
        ):
            self._greatest = greatest

    @property
    def text(self) -> str | None:
        """The greatest value so far, as text; None when there was none."""
        return None if self._greatest is None else as_text(self._greatest, self._kind)

    @property
    def lower_bound(self) -> str | None:
        """Where the next increment starts to read: the watermark, less the overlap of times."""
        if self._greatest is None or not pa.types.is_timestamp(self._kind):
            return self.text
        overlap = pa.scalar(OVERLAP, pa.duration(self._kind.unit))
        return as_text(pc.subtract(self._greatest, overlap), self._kind)


def as_text(value: Any, kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        plain = value.cast(pa.int64()).cast(pa.timestamp(kind.unit)).cast(pa.string())
        return str(plain.as_py()).replace(" ", "T") + ("Z" if kind.tz else "")
    return str(value.as_py())
