"""A run of a caching job, from the source to the commit on the cache."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import pyarrow as pa
from opentelemetry.trace import SpanKind

from tidewell import clock, tracing
from tidewell.cache import CacheAddress
from tidewell.cache.plan import CacheColumn, Fence, LoadPlan, Mode, Place, Receipt, Standing
from tidewell.cache.ranges import Loaded
from tidewell.cache.target import CacheTarget
from tidewell.counted import counted
from tidewell.errors import CacheConflict, SourceBroken, Stopped
from tidewell.failpoint import reached
from tidewell.runs.log import RunLog
from tidewell.runs.messages import (
    Backend,
    CachingTask,
    Committing,
    Message,
    PartTask,
    Progress,
)
from tidewell.runs.opening import open_source
from tidewell.runs.parts import Parts, loaded
from tidewell.runs.ranges import ranges
from tidewell.runs.reading import SourceTable, cache_columns
from tidewell.runs.unchanged import SourceVersion
from tidewell.runs.watermark import Watermark, watermark_of
from tidewell.sources.protocol import Comparison, Source, VersionedSource

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
        self._parts: Parts | None = None

    def cancel(self) -> None:
        """End the run: what is open on either side is cancelled, nothing is committed."""
        self._cancelled = True
        if self._parts is not None:
            self._parts.wake()
        for opened in (self._source, self._target):
            if opened is not None:
                opened.cancel()

    def execute(self) -> Receipt:
        """Read, load and commit. Raises a TidewellError; the cached table is then as it was."""
        task = self._task
        started = time.monotonic()
        self._log(1, f"Run {task.run_id} starts, attempt {task.nth}: {self._origin()}")
        with open_source(task, self._log) as source:
            self._source = source
            self._check()
            # A source that may not have to be read is asked later.
            may_wait = isinstance(source, VersionedSource)
            table = None if may_wait else SourceTable(source, task, self._check)
            target = CacheTarget.connect(
                CacheAddress(**task.cache),
                Fence(task.job_id, task.run_id, task.attempt),
                Place(task.cache_schema, task.cache_table),
                trace=self._log,
            )
            self._target = target
            whole = False
            try:
                self._emit(Backend(target.backend_pid))
                self._check()
                with tracing.span("load cache", kind=SpanKind.CLIENT) as made:
                    receipt = self._loaded(source, table, target)
                    made.set_attribute("tidewell.rows_read", receipt.rows_read)
                    made.set_attribute("tidewell.rows_affected", receipt.rows_affected)
                whole = True
            finally:
                target.close(whole=whole)
        seconds = time.monotonic() - started
        self._log(
            1,
            f"Committed in {seconds:.1f} s: {counted(receipt.rows_read, 'row')} read, "
            f"{receipt.inserted} inserted, {receipt.updated} updated, {receipt.deleted} deleted, "
            f"{counted(receipt.bytes_copied, 'byte')}.",
        )
        return receipt

    def upkeep(self) -> None:
        """What is left to do for the cached table when the run has been answered."""
        if self._target is not None:
            self._target.upkeep()

    def _loaded(self, source: Source, table: SourceTable | None, target: CacheTarget) -> Receipt:
        """Load what there is to load: nothing where that can be told without reading."""
        standing = target.standing()
        if standing.committed is not None:
            self._log(1, "An earlier attempt of this run has already committed; nothing to do.")
            return standing.committed
        version = SourceVersion(source, self._task)
        if standing.exists and not self._task.reload:
            since = target.unchanged(version.before_reading)
            self._check()
            if since is not None:
                return self._commit_unchanged(target, standing, since)
        if self._is_full_for_certain(standing):
            # Only such a load knows the version of all rows.
            version.before_reading()
        table = table or SourceTable(source, self._task, self._check)
        return self._load(source, table, target, standing, version)

    def _commit_unchanged(
        self, target: CacheTarget, standing: Standing, since: datetime
    ) -> Receipt:
        note = f"The source has not changed since {clock.to_wire(since)}; nothing was read."
        self._log(1, note)
        mode: Mode = "full" if self._is_full_for_certain(standing) else "incremental"
        receipt = Receipt(mode, watermark=standing.watermark, notes=(note,))
        target.commit_unchanged(receipt, lambda: self._emit(Committing()))
        return receipt

    def _load(
        self,
        source: Source,
        table: SourceTable,
        target: CacheTarget,
        standing: Standing,
        version: SourceVersion,
    ) -> Receipt:
        task = self._task
        columns = cache_columns(table.columns)
        rebuilt = self._type_changes(target, columns)
        mode = "full" if rebuilt else self._mode(standing, table.key)
        stored = standing.watermark if mode == "incremental" else None
        watermark = watermark_of(task.time_column, table.columns, stored)
        if watermark:
            watermark.hold(table.settled(watermark.column))
        where = self._where(table, watermark, mode, standing)
        cut = None if standing.exists else ranges(source, table, task, watermark)
        if cut and not target.may_load_in_ranges():
            cut = None
        self._log(
            1,
            f"Plan: {'increment' if mode == 'incremental' else 'full refresh'} of "
            f"{counted(len(columns), 'column')} into {task.cache_schema}.{task.cache_table}"
            + (f", key {', '.join(table.key)}" if table.key else ", no key")
            + "".join(f", {one.column} {one.operator} {one.value}" for one in where)
            + (f", filter {task.filter}" if task.filter else "")
            + (f", in {cut.count} ranges of {cut.column}" if cut else ""),
        )

        def batches() -> Iterator[pa.RecordBatch]:
            began, started = clock.now(), time.monotonic()
            with tracing.span("read source", kind=SpanKind.CLIENT, driver=task.driver):
                for batch in table.rows(where):
                    if watermark:
                        watermark.see(batch)
                    yield batch
            # What is changed while a part of `maxRowsPerRun` is read, is after that part.
            if watermark and not any(one.operator == "<=" for one in where):
                watermark.has_read(began, time.monotonic() - started)
            reached("after read")

        plan = LoadPlan(
            mode=mode,
            columns=columns,
            key=table.key,
            time_column=task.time_column or None,
            truncate_strings=task.truncate_strings,
            origin=self._origin(),
            rebuild=rebuilt,
        )
        if cut:
            receipt = target.load_in_ranges(
                plan,
                lambda: self._load_parts(cut.tasks(task, table), watermark),
                watermark=lambda: watermark.text if watermark else None,
                progress=self._progress,
                committing=lambda: self._emit(Committing()),
            )
        else:
            detects = task.detect_deletes and mode == "incremental"
            receipt = target.load(
                plan,
                batches(),
                keys=table.keys if detects else None,
                fresh=lambda: watermark.after if watermark else 0,
                watermark=lambda: watermark.text if watermark else None,
                version=version.after_reading,
                progress=self._progress,
                committing=lambda: self._emit(Committing()),
            )
        for note in receipt.notes:
            self._log(1, note)
        if watermark and watermark.nulls:
            self._log(
                1,
                f"{counted(watermark.nulls, 'row has', 'rows have')} no value in "
                f"{watermark.column}: only full refreshes see changes of such rows.",
            )
        return receipt

    def _load_parts(self, tasks: Sequence[PartTask], watermark: Watermark | None) -> list[Loaded]:
        """Have each range loaded by a process of its own."""
        self._parts = Parts(tasks, self._emit, self._progress, self._check)
        done = self._parts.run()
        if watermark:
            for one in done:
                watermark.take(one.watermark, one.nulls)
        return [loaded(one) for one in done]

    def _type_changes(self, target: CacheTarget, columns: tuple[CacheColumn, ...]) -> bool:
        """Whether the table has to be rebuilt because no type holds old and new values.

        Raises CacheConflict where the job does not allow that; nothing has been read then.
        """
        changes = target.type_changes(columns)
        if not changes:
            return False
        said = "; ".join(f"{one.name} was {one.cached} and is {one.loaded} now" for one in changes)
        if not self._task.rebuild_on_type_change:
            raise CacheConflict(
                f"The source has changed the type of columns in a way that no wider type follows: "
                f"{said}. Set onTypeChange to rebuild to load the table anew with the new types, "
                "or change the source back."
            )
        self._log(1, f"Types have changed, so the table is loaded anew: {said}.")
        return True

    def _where(
        self, table: SourceTable, watermark: Watermark | None, mode: Mode, standing: Standing
    ) -> tuple[Comparison, ...]:
        """From where to where the rows are read: an increment, or a first load in parts."""
        if watermark is None:
            return ()
        where: tuple[Comparison, ...] = ()
        if mode == "incremental" and watermark.lower_bound is not None:
            where = (Comparison(watermark.column, ">=", watermark.lower_bound),)
        most = self._task.max_rows
        if most is None or (mode == "full" and standing.exists):
            return where
        bound = table.bound(watermark.column, watermark.text, most)
        if bound is None:
            return where
        self._log(
            1,
            f"maxRowsPerRun: this run reads the {most} oldest new rows and those of the same "
            f"{watermark.column}, up to {bound}; the next run goes on from there.",
        )
        return (*where, Comparison(watermark.column, "<=", bound))

    def _progress(self, rows: int, size: int) -> None:
        # Between two statements of a load there is nothing to cancel in the server.
        self._check()
        self._emit(Progress(rows, size))

    def _check(self) -> None:
        if self._cancelled:
            raise Stopped

    def _origin(self) -> str:
        task = self._task
        return f"{task.connection_name} ({task.driver}) {task.source_schema}.{task.source_table}"

    def _mode(self, standing: Standing, key: tuple[str, ...]) -> Mode:
        task = self._task
        if task.time_column and not key:
            raise SourceBroken(
                f"{task.source_table} has no primary key, so an increment cannot be merged: give "
                "mergeKeys, or leave timeCheckColumn empty to refresh the whole table each time."
            )
        if self._is_full_for_certain(standing) or standing.key != key:
            return "full"
        return "incremental"

    def _is_full_for_certain(self, standing: Standing) -> bool:
        """Whether all rows are read, whatever the source's key is."""
        task = self._task
        full_due = (
            task.full_refresh_every is not None
            and standing.loads_since_full + 1 >= task.full_refresh_every
        )
        return (
            not task.time_column
            or task.reload
            or full_due
            or not standing.exists
            or standing.watermark is None
            or standing.time_column != task.time_column
        )
