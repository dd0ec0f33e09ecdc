"""Days that do not exist, which MySQL can hold: 0000-00-00, and 2026-00-00 or 2026-02-00."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from tidewell.counted import counted
from tidewell.errors import SourceBroken
from tidewell.sources.fields import Fields
from tidewell.sources.protocol import Trace

_NO_DAY = r"^(0000|\d{4}-00|\d{4}-\d{2}-00)"


def to_null(trace: Trace) -> Callable[[Fields, pa.Array], pa.Array]:
    """Replaces such days by NULL, and tells how many."""

    def replace(fields: Fields, values: pa.Array) -> pa.Array:
        odd = pc.match_substring_regex(values, _NO_DAY)
        count = pc.sum(odd).as_py() or 0
        told = counted(count, "value is no day", "values are no days")
        trace(1, f"In {fields.name} {told} (0000-00-00), which comes as NULL.")
        return pc.if_else(odd, pa.scalar(None, values.type), values)

    return replace


def refused(fields: Fields, values: pa.Array) -> pa.Array:
    """Raises SourceBroken."""
    odd = values.filter(pc.match_substring_regex(values, _NO_DAY))
    raise SourceBroken(
        f"The column {fields.name} holds {odd[0].as_py() if len(odd) else 'a day'}, which is no "
        "day: set ZeroDatesToNull=True, or correct it in the source."
    )
