"""A part of a run in a process of its own: one key range, from the source to the hidden table."""

from collections.abc import Callable, Iterator

import pyarrow as pa

from tidewell import clock
from tidewell.cache import CacheAddress
from tidewell.cache.plan import Fence, LoadPlan
from tidewell.cache.rangeload import RangeLoad
from tidewell.errors import SourceUnavailable, Stopped
from tidewell.failpoint import reached
from tidewell.runs.log import RunLog
from tidewell.runs.messages import Message, PartDone, PartTask, Progress
from tidewell.runs.opening import open_source
from tidewell.runs.ranges import shape, where
from tidewell.runs.reading import SourceTable, cache_columns
from tidewell.runs.watermark import Watermark, watermark_of
from tidewell.sources.protocol import Source, SplittableSource


class PartRun:
    """One execution of a part; `cancel` ends it from another thread."""

    def __init__(self, task: PartTask, emit: Callable[[Message], None], log: RunLog) -> None:
        self._task = task
        self._emit = emit
        self._log = log
        self._cancelled = False
        self._source: Source | None = None
        self._load: RangeLoad | None = None

    def cancel(self) -> None:
        """End the part: what is open on either side is cancelled."""
        self._cancelled = True
        for opened in (self._source, self._load):
            if opened is not None:
                opened.cancel()

    def upkeep(self) -> None:
        """Nothing: the run itself looks after the table."""

    def execute(self) -> PartDone:
        """Read, load and commit one range. Raises a TidewellError."""
        task, run = self._task, self._task.run
        with open_source(run, self._log) as source:
            self._source = source
            self._check()
            if task.moment and isinstance(source, SplittableSource):
                source.join(task.moment)
            table = SourceTable(source, run, self._check)
            opened = clock.now().timestamp()
            if shape(table) != task.columns:
                raise SourceUnavailable("The source's table has changed while the run began.")
            watermark = watermark_of(run.time_column, table.columns)
            fence = Fence(run.job_id, run.run_id, run.attempt)
            load = RangeLoad.connect(CacheAddress(**run.cache), fence, trace=self._log)
            self._load = load
            try:
                self._check()
                plan = LoadPlan(
                    "full",
                    cache_columns(table.columns),
                    table.key,
                    truncate_strings=run.truncate_strings,
                )
                loaded = load.run(plan, self._batches(table, watermark), self._progress)
            finally:
                load.close()
        return PartDone(
            rows=loaded.counts.rows,
            bytes=loaded.bytes,
            strings_cut=loaded.counts.strings_cut,
            nul_bytes_replaced=loaded.counts.nul_bytes_replaced,
            hashes=str(loaded.sums.hashes),
            others=loaded.sums.others,
            with_nulls=loaded.seen.nulls,
            with_rare=loaded.seen.rare,
            opened=opened,
            watermark=watermark.text if watermark else None,
            nulls=watermark.nulls if watermark else 0,
        )

    def _batches(self, table: SourceTable, watermark: Watermark | None) -> Iterator[pa.RecordBatch]:
        for batch in table.rows(where(self._task)):
            if watermark:
                watermark.see(batch)
            yield batch
        reached("after read of a part")

    def _progress(self, rows: int, size: int) -> None:
        self._check()
        self._emit(Progress(rows, size))

    def _check(self) -> None:
        if self._cancelled:
            raise Stopped
