"""A run of a caching job, from the source to the commit on the cache."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from tidewell.cache import CacheAddress, CacheTarget
from tidewell.cache.plan import CacheColumn, Fence, LoadPlan, Mode, Place, Receipt, Standing
from tidewell.egress import EgressRules
from tidewell.errors import SourceBroken, SourceNotFound, Stopped
from tidewell.runs.log import RunLog
from tidewell.runs.messages import Backend, CachingTask, Message, Progress
from tidewell.runs.watermark import Watermark
from tidewell.sources import registry
from tidewell.sources.protocol import Column, Comparison, Environment, ReadRequest, Source
from tidewell.sources.residual import apply_residual

Emit = Callable[[Message], None]


class CachingRun:
    """One execution of a caching job; `cancel` ends it from another thread."""

    def __init__(self, task: CachingTask, emit: Emit, log: RunLog) -> None:
        self._task = task
        self._emit = emit
        self._log = log
        self._cancelled = False
        self._source: Source | None = None
        self._target: CacheTarget | None = None

    def cancel(self) -> None:
        """End the run: what is open on either side is cancelled, nothing is committed."""
        self._cancelled = True
        for opened in (self._source, self._target):
            if opened is not None:
                opened.cancel()

    def execute(self) -> Receipt:
        """Read, load and commit. Raises a TidewellError; the cached table is then as it was."""
        task = self._task
        started = time.monotonic()
        self._log(1, f"Run {task.run_id} starts, attempt {task.attempt}: {self._origin()}")
        environment = Environment(
            file_roots=tuple(Path(root) for root in task.file_roots),
            egress=EgressRules.parse(task.egress),
            trace=self._log,
        )
        with registry.driver(task.driver).open(task.source, environment) as source:
            self._source = source
            self._check()
            columns = self._columns(source)
            target = CacheTarget.connect(
                CacheAddress(**task.cache),
                Fence(task.job_id, task.run_id, task.attempt),
                Place(task.cache_schema, task.cache_table),
                trace=self._log,
            )
            self._target = target
            try:
                self._emit(Backend(target.backend_pid))
                self._check()
                receipt = self._load(source, target, columns)
            finally:
                target.close()
        seconds = time.monotonic() - started
        self._log(
            1,
            f"Committed in {seconds:.1f} s: {receipt.rows_read} rows read, {receipt.inserted} "
            f"inserted, {receipt.updated} updated, {receipt.deleted} deleted, "
            f"{receipt.bytes_copied} bytes.",
        )
        return receipt

    def _load(self, source: Source, target: CacheTarget, columns: list[Column]) -> Receipt:
        task = self._task
        standing = target.standing()
        if standing.committed is not None:
            self._log(1, "An earlier attempt of this run has already committed; nothing to do.")
            return standing.committed
        key = self._key(columns)
        mode = self._mode(standing, key)
        watermark = self._watermark(columns, standing if mode == "incremental" else None)
        where: tuple[Comparison, ...] = ()
        if mode == "incremental" and watermark and watermark.lower_bound is not None:
            where = (Comparison(watermark.column, ">=", watermark.lower_bound),)
        self._log(
            1,
            f"Plan: {'increment' if where else 'full refresh'} of {len(columns)} columns into "
            f"{task.cache_schema}.{task.cache_table}"
            + (f", key {', '.join(key)}" if key else ", no key")
            + (f", {where[0].column} >= {where[0].value}" if where else ""),
        )
        reading = source.read(
            ReadRequest(
                task.source_schema,
                task.source_table,
                columns=tuple(column.name for column in columns),
                where=where,
            )
        )

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in reading.batches:
                self._check()
                kept = apply_residual(batch, reading.residual)
                if watermark:
                    watermark.see(kept)
                yield kept

        receipt = target.load(
            LoadPlan(
                mode=mode,
                columns=tuple(
                    CacheColumn(c.name, c.type, c.nullable, c.length, c.remarks) for c in columns
                ),
                key=key,
                time_column=task.time_column or None,
                truncate_strings=task.truncate_strings,
                origin=self._origin(),
            ),
            batches(),
            watermark=lambda: watermark.text if watermark else None,
            progress=lambda rows, size: self._emit(Progress(rows, size)),
        )
        for note in receipt.notes:
            self._log(1, note)
        if watermark and watermark.nulls:
            self._log(
                1,
                f"{watermark.nulls} rows have no value in {watermark.column}: only full refreshes "
                "see changes of such rows.",
            )
        return receipt

    def _check(self) -> None:
        if self._cancelled:
            raise Stopped

    def _origin(self) -> str:
        task = self._task
        return f"{task.connection_name} ({task.driver}) {task.source_schema}.{task.source_table}"

    def _columns(self, source: Source) -> list[Column]:
        """The columns to cache, in the source's order."""
        columns = source.columns(self._task.source_schema, self._task.source_table)
        asked = self._task.columns
        if asked is None:
            return columns
        missing = set(asked) - {column.name for column in columns}
        if missing:
            raise SourceNotFound(
                f"The source's table has no column {', '.join(sorted(missing))}: correct the "
                "job's columns."
            )
        needed = set(asked) | {self._task.time_column} | set(self._task.merge_keys or ())
        return [c for c in columns if c.name in needed or c.key_position is not None]

    def _key(self, columns: list[Column]) -> tuple[str, ...]:
        """The merge key: the job's own, else the source's primary key; perhaps none."""
        if self._task.merge_keys:
            missing = set(self._task.merge_keys) - {column.name for column in columns}
            if missing:
                raise SourceNotFound(
                    f"The source's table has no column {', '.join(sorted(missing))}: correct the "
                    "job's mergeKeys."
                )
            return self._task.merge_keys
        parts = [column for column in columns if column.key_position is not None]
        return tuple(c.name for c in sorted(parts, key=lambda c: c.key_position or 0))

    def _mode(self, standing: Standing, key: tuple[str, ...]) -> Mode:
        task = self._task
        if not task.time_column:
            return "full"
        if not key:
            raise SourceBroken(
                f"{task.source_table} has no primary key, so an increment cannot be merged: give "
                "mergeKeys, or leave timeCheckColumn empty to refresh the whole table each time."
            )
        full_due = (
            task.full_refresh_every is not None
            and standing.loads_since_full + 1 >= task.full_refresh_every
        )
        if (
            task.reload
            or full_due
            or not standing.exists
            or standing.watermark is None
            or standing.time_column != task.time_column
            or standing.key != key
        ):
            return "full"
        return "incremental"

    def _watermark(self, columns: list[Column], standing: Standing | None) -> Watermark | None:
        name = self._task.time_column
        if not name:
            return None
        for column in columns:
            if column.name == name:
                return Watermark(name, column.type, standing.watermark if standing else None)
        raise SourceNotFound(
            f"The source's table has no column {name}: correct the job's timeCheckColumn."
        )
