"""Apply to a batch the comparisons that a driver could not push down to its source."""

from collections.abc import Callable, Sequence
from datetime import time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidewell.sources.protocol import Comparison, Operator

_FUNCTIONS: dict[Operator, Callable[[Any, Any], Any]] = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def apply_residual(batch: pa.RecordBatch, comparisons: Sequence[Comparison]) -> pa.RecordBatch:
    """The rows for which every comparison is true; a NULL makes none true, as in SQL."""
    for comparison in comparisons:
        values = batch.column(batch.schema.get_field_index(comparison.column))
        value = typed(comparison.value, values.type)
        batch = batch.filter(
            _FUNCTIONS[comparison.operator](values, value), null_selection_behavior="drop"
        )
    return batch


def typed(text: str, kind: pa.DataType) -> pa.Scalar:
    """The value that a comparison's text stands for in a column of this type, exactly."""
    if pa.types.is_timestamp(kind):
        plain = pa.scalar(text.removesuffix("Z")).cast(pa.timestamp(kind.unit))
        return plain.cast(pa.int64()).cast(kind)
    if pa.types.is_time(kind):
        return pa.scalar(time.fromisoformat(text), kind)
    if pa.types.is_decimal(kind):
        return pa.scalar(Decimal(text), kind)
    return pa.scalar(text).cast(kind)
