"""Whether the table of a run is read by several processes, and where it is cut."""

from dataclasses import dataclass
from itertools import pairwise

from tidewell.runs.messages import CachingTask, PartTask
from tidewell.runs.reading import SourceTable
from tidewell.runs.watermark import Watermark
from tidewell.sources.protocol import Comparison, Source, Split, SplittableSource


@dataclass(frozen=True)
class Ranges:
    """The ranges of a column that a table is read in."""

    column: str
    split: Split

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.split.bounds) + 1

    def tasks(self, task: CachingTask, table: SourceTable) -> list[PartTask]:
        """What each process is told."""
        bounds = (None, *self.split.bounds, None)
        return [
            PartTask(task, number, self.column, lower, upper, self.split.moment, shape(table))
            for number, (lower, upper) in enumerate(pairwise(bounds), start=1)
        ]


def ranges(
    source: Source, table: SourceTable, task: CachingTask, watermark: Watermark | None
) -> Ranges | None:
    """The ranges of a table that one process would take too long for; None: one does it."""
    if task.processes == 1 or task.max_rows is not None or not isinstance(source, SplittableSource):
        return None
    first = next((one for one in table.columns if one.key_position == 0), None)
    # A row without a value is in no range. Rows of one merge key have to be in the same.
    if first is None or first.nullable or first.name not in table.key[:1]:
        return None
    split = source.split(
        task.source_schema, task.source_table, first.name, task.processes, task.processes_rows
    )
    if split is None or not split.bounds:
        return None
    if watermark is not None and not split.moment and not watermark.overlaps:
        # What one process reads later may carry the watermark past what another one has missed.
        return None
    return Ranges(first.name, split)


def shape(table: SourceTable) -> tuple[str, ...]:
    """The columns of a table that a run reads, to compare."""
    return tuple(f"{one.name} {one.type} {one.length}" for one in table.columns)


def where(task: PartTask) -> tuple[Comparison, ...]:
    """The comparisons that are true for the rows of a part."""
    found = []
    if task.lower is not None:
        found.append(Comparison(task.column, ">=", task.lower))
    if task.upper is not None:
        found.append(Comparison(task.column, "<", task.upper))
    return tuple(found)
