"""What is written at a source takes effect once, however often its run is executed.

A run can be executed again after its worker died, and nobody then knows whether it had committed.
So the target holds a table (`TABLE`) with a row for each job: the newest attempt that has begun,
and the last run that has committed, written in the same transaction as its effect. Where no such
table can be made, a run is executed once at most: a second attempt fails and says so.
"""

from typing import Any

from tidewell.errors import FencedOut, WriteUncertain
from tidewell.sources.protocol import Once, Trace

TABLE = "tidewell_written"
"""The table's name, in the schema of the table that is written to."""


def check_unfenced(once: Once, why: str, trace: Trace) -> None:
    """Go on without the table, in a first attempt only. Raises WriteUncertain."""
    if once.again:
        raise WriteUncertain(
            "An earlier attempt of this run was cut off and may have written; the target has no "
            f"table {TABLE} that would tell ({why}). Look at the target, then run the job again."
        )
    trace(1, f"The target holds no table {TABLE} ({why}): this run is executed once at most.")


def earlier_effect(once: Once, row: tuple[Any, ...], trace: Trace) -> int | None:
    """The rows that this run has affected already; None where it has still to be executed.

    `row` is the job's: attempt, run and rows. Raises FencedOut where a newer attempt has begun.
    """
    attempt, run_id, rows = row
    if run_id is not None and str(run_id) == str(once.run_id):
        trace(1, "An earlier attempt of this run has committed; nothing to do.")
        return int(rows)
    if int(attempt) > once.attempt:
        raise FencedOut
    return None
