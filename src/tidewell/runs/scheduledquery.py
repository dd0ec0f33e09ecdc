"""A run of a scheduled query: a SELECT into a table of the cache, or a statement at its source."""

import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from tidewell import scratch
from tidewell.cache import CacheAddress
from tidewell.cache.plan import CacheColumn, Fence, LoadPlan, Mode, Place, Receipt
from tidewell.cache.target import CacheTarget
from tidewell.counted import counted
from tidewell.errors import QueryFailed, SourceBroken, Stopped
from tidewell.failpoint import reached
from tidewell.query.engine import Answer, Engine
from tidewell.query.live import computable
from tidewell.query.messages import QueryTask
from tidewell.query.opening import engine_of
from tidewell.query.reading import Statement, parsed_statement
from tidewell.query.result import as_batch
from tidewell.query.writing import Change, Insertion, bind_write, is_writing
from tidewell.runs.log import RunLog
from tidewell.runs.messages import Backend, Committing, Message, Progress, ScheduledQueryTask
from tidewell.sources.protocol import Once, WritableSource

_MODES: dict[str, Mode] = {"replace": "full", "append": "append", "merge": "incremental"}


class ScheduledQueryRun:
    """One execution of a scheduled query; `cancel` ends it from another thread."""

    def __init__(
        self, task: ScheduledQueryTask, emit: Callable[[Message], None], log: RunLog
    ) -> None:
        self._task = task
        self._emit = emit
        self._log = log
        self._cancelled = False
        self._opened: list[Engine | CacheTarget | WritableSource] = []
        self._target: CacheTarget | None = None

    def cancel(self) -> None:
        """End the run: what is open on either side is cancelled, nothing is committed."""
        self._cancelled = True
        for one in list(self._opened):
            one.cancel()

    def execute(self) -> Receipt:
        """Run the statement and commit. Raises a TidewellError; nothing is written then."""
        task, started = self._task, time.monotonic()
        self._log(1, f"Run {task.run_id} starts, attempt {task.nth}: a scheduled query.")
        over = QueryTask.from_message(task.over)
        with tempfile.TemporaryDirectory(prefix="query-", dir=scratch.folder()) as spill:
            engine = engine_of(over, spill, self._log, patient=True)
            self._opened.append(engine)
            try:
                self._check()
                statement = parsed_statement(over.text)
                if is_writing(statement):
                    receipt = self._write(engine, bind_write(statement, engine.catalog))
                else:
                    receipt = self._select(engine, over.text)
            finally:
                engine.close()
        self._log(
            1,
            f"Committed in {time.monotonic() - started:.1f} s: "
            f"{counted(receipt.rows_read, 'row')} read, "
            f"{receipt.inserted} inserted, {receipt.updated} updated, {receipt.deleted} deleted.",
        )
        return receipt

    def upkeep(self) -> None:
        """What is left to do for the table when the run has been answered."""
        if self._target is not None:
            self._target.upkeep()

    def _select(self, engine: Engine, text: str) -> Receipt:
        """The rows of a SELECT into its table, under the fence of this attempt."""
        task = self._task
        if task.cache is None:
            raise QueryFailed("The query has no place in the cache: update the job.")
        target = CacheTarget.connect(
            CacheAddress(**task.cache),
            Fence(task.job_id, task.run_id, task.attempt),
            Place(task.cache_schema, task.cache_table),
            trace=self._log,
        )
        self._opened.append(target)
        self._target = target
        whole = False
        try:
            self._emit(Backend(target.backend_pid))
            self._check()
            standing = target.standing()
            if standing.committed is not None:
                self._log(1, "An earlier attempt of this run has committed; nothing to do.")
                return standing.committed
            answer = engine.run(text, {})
            self._tell(engine, answer)
            receipt = target.load(
                self._plan(answer),
                self._batches(answer),
                watermark=lambda: None,
                progress=self._progress,
                committing=lambda: self._emit(Committing()),
            )
            whole = True
        finally:
            target.close(whole=whole)
        for note in receipt.notes:
            self._log(1, note)
        return receipt

    def _progress(self, rows: int, size: int) -> None:
        # Between two statements of a load there is nothing to cancel in the server.
        self._check()
        self._emit(Progress(rows, size))

    def _plan(self, answer: Answer) -> LoadPlan:
        columns = tuple(
            CacheColumn(
                one.output.label,
                one.type,
                length=one.output.column.length if one.output.column else None,
            )
            for one in answer.result.columns
        )
        labels = [one.name for one in columns]
        if len({label.casefold() for label in labels}) < len(labels):
            raise QueryFailed(
                f"Columns of the result have the same name ({', '.join(labels)}): give each one of "
                "its own with AS."
            )
        by_folded = {label.casefold(): label for label in labels}
        missing = [name for name in self._task.merge_keys if name.casefold() not in by_folded]
        if missing:
            raise QueryFailed(f"The result has no column {missing[0]}: correct the mergeKeys.")
        merging = self._task.write_mode == "merge"
        key = tuple(by_folded[name.casefold()] for name in self._task.merge_keys) if merging else ()
        return LoadPlan(
            mode=_MODES[self._task.write_mode],
            columns=columns,
            key=key,
            origin="the result of a scheduled query",
            rebuild=self._task.write_mode == "replace",
        )

    def _batches(self, answer: Answer) -> Iterator[pa.RecordBatch]:
        for chunk in answer.result.chunks:
            self._check()
            yield as_batch(chunk, answer.result.schema)
        reached("after read")

    def _tell(self, engine: Engine, answer: Answer) -> None:
        where = f"{self._task.cache_schema}.{self._task.cache_table}"
        self._log(
            1,
            f"Plan: {self._task.write_mode} {where} with "
            f"{counted(len(answer.result.columns), 'column')}, "
            f"from {', '.join(answer.drivers) or 'no source'}"
            + (
                f", cached tables as of {answer.refreshed_at:%Y-%m-%d %H:%M:%S} or later"
                if answer.refreshed_at
                else ""
            )
            + ".",
        )

    def _write(self, engine: Engine, written: Insertion | Change) -> Receipt:
        """A statement at its own connection, in one transaction there."""
        connection = engine.catalog.connection(written.target.connection_id)
        source = connection.open()
        if not isinstance(source, WritableSource):
            raise QueryFailed(f"{connection.name} cannot be written to; its driver only reads.")
        self._opened.append(source)
        self._check()
        where = written.target.full_name
        once = Once(
            self._task.job_id,
            self._task.run_id,
            self._task.attempt,
            self._task.nth > 1,
            written.target.schema,
            written.target.table,
        )
        if isinstance(written, Change):
            text = written.text(connection.dialect())
            self._log(1, f"Plan: the statement runs at {where}.")
            self._log(2, text)
            rows = source.execute(text, once)
            deleted = written.is_deletion
            return Receipt(
                mode="incremental",
                updated=0 if deleted else rows,
                deleted=rows if deleted else 0,
            )
        self._log(1, f"Plan: rows are inserted into {where}.")
        answer = engine.run_read(Statement(self._task.over["text"], written.select), {})
        schema = pa.schema([pa.field(one.name, computable(one.type)) for one in written.columns])
        reader = pa.RecordBatchReader.from_batches(schema, self._fitted(answer, schema))
        names = [one.name for one in written.columns]
        rows = source.insert(written.target.schema, written.target.table, names, reader, once)
        return Receipt(mode="append", rows_read=rows, rows_staged=rows, inserted=rows)

    def _fitted(self, answer: Answer, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT as the columns that they go into."""
        for batch in self._batches(answer):
            try:
                arrays: list[Any] = [
                    _cast(column, field.type)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
            except pa.ArrowInvalid as error:
                raise SourceBroken(f"A value does not fit its column: {error}") from error
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _check(self) -> None:
        if self._cancelled:
            raise Stopped


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    return column.cast(kind)
