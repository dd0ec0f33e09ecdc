"""What a run reads of a source's table: columns, merge key, filter, bounds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tidewell.cache.plan import CacheColumn
from tidewell.errors import InvalidRequest, SourceBroken, SourceNotFound
from tidewell.runs.messages import CachingTask
from tidewell.runs.watermark import as_text
from tidewell.sources.protocol import Column, Comparison, ReadRequest, SettlingSource, Source
from tidewell.sources.residual import apply_residual

if TYPE_CHECKING:
    from tidewell.sources.rowfilter import RowFilter
    from tidewell.sources.rowtest import RowTest

Where = tuple[Comparison, ...]


def cache_columns(columns: Sequence[Column]) -> tuple[CacheColumn, ...]:
    """Columns of a source as the cache is told them."""
    return tuple(CacheColumn(c.name, c.type, c.nullable, c.length, c.remarks) for c in columns)


class SourceTable:
    """A table of an open source, as one job reads it.

    `check` is called before each batch and raises where the run has to end. Raises SourceErrors.
    """

    def __init__(self, source: Source, task: CachingTask, check: Callable[[], None]) -> None:
        self._source = source
        self._task = task
        self._check = check
        self._all = source.columns(task.source_schema, task.source_table)
        self.columns = self._cached_columns()
        self.key = self._merge_key()
        self._filter: RowFilter | None = None
        self._test: RowTest | None = None
        if task.filter:
            self._filter, self._test = self._judge()

    def rows(self, where: Where) -> Iterator[pa.RecordBatch]:
        """The rows that the job keeps, with the columns to cache."""
        return self._read([column.name for column in self.columns], where)

    def keys(self) -> Iterator[pa.RecordBatch]:
        """The merge keys of all rows that the job keeps."""
        return self._read(list(self.key), ())

    def settled(self, column: str) -> str | None:
        """Up to which number of a column no row can come any more, if the source knows that."""
        if not isinstance(self._source, SettlingSource):
            return None
        return self._source.settled(self._task.source_schema, self._task.source_table, column)

    def bound(self, column: str, after: str | None, most: int) -> str | None:
        """The time of the last of the `most` oldest rows after a watermark; None: all rows fit.

        Rows up to and including this time can be read in one run without tearing apart rows of one
        time. The source is asked for a sorted beginning; one that does not sort, or gives more,
        costs time but no row.
        """
        where = () if after is None else (Comparison(column, ">", after),)
        for limit in (most + 1, None):
            times, nulls = self._oldest(column, where, most + 1, limit)
            if len(times) > most:
                return as_text(times[most - 1], times.type)
            if limit is None or len(times) + nulls < limit:
                return None
            # NULLs came first and used up the limit: look at the whole column once.
        return None

    def _oldest(
        self, column: str, where: Where, most: int, limit: int | None
    ) -> tuple[pa.Array, int]:
        kind = next(one.type for one in self._all if one.name == column)
        oldest = pa.array([], kind)
        nulls = 0
        for batch in self._read([column], where, order=(column,), limit=limit):
            values = batch.column(0)
            nulls += values.null_count
            oldest = pc.take(
                joined := pa.concat_arrays([oldest, values.drop_null()]),
                pc.sort_indices(joined)[:most],
            )
        return oldest, nulls

    def _read(
        self,
        wanted: list[str],
        where: Where,
        order: tuple[str, ...] = (),
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        named = set(wanted) | {one.column for one in where}
        if self._filter:
            named |= set(self._filter.columns)
            where = (*where, *self._filter.pushed)
            limit = None if self._test else limit
        request = ReadRequest(
            self._task.source_schema,
            self._task.source_table,
            columns=tuple(column.name for column in self._all if column.name in named),
            where=where,
            order=order,
            limit=limit,
        )
        reading = self._source.read(request)
        if reading.residual and limit is not None:
            # A limit that came before the comparisons would hide rows that pass them.
            reading = self._source.read(replace(request, limit=None))
        for batch in reading.batches:
            self._check()
            kept = apply_residual(batch, reading.residual)
            if self._test:
                kept = self._test.passing(kept)
            yield kept if kept.schema.names == wanted else kept.select(wanted)

    def _cached_columns(self) -> list[Column]:
        """The columns to cache, in the source's order."""
        asked = self._task.columns
        if asked is None:
            asked = tuple(column.name for column in self._all if not column.pseudo)
        self._need("columns", asked)
        needed = set(asked) | {self._task.time_column} | set(self._task.merge_keys or ())
        return [c for c in self._all if c.name in needed or c.key_position is not None]

    def _merge_key(self) -> tuple[str, ...]:
        """The merge key: the job's own, else the source's primary key; perhaps none."""
        if self._task.merge_keys:
            self._need("mergeKeys", self._task.merge_keys)
            return self._task.merge_keys
        parts = [column for column in self._all if column.key_position is not None]
        return tuple(c.name for c in sorted(parts, key=lambda c: c.key_position or 0))

    def _need(self, param: str, names: tuple[str, ...]) -> None:
        missing = set(names) - {column.name for column in self._all}
        if missing:
            raise SourceNotFound(
                f"The source's table has no column {', '.join(sorted(missing))}: correct the "
                f"job's {param}."
            )

    def _judge(self) -> "tuple[RowFilter, RowTest | None]":
        """The job's filter, and what judges the rows that the source does not."""
        # Only here: most jobs have no filter, and what reads one takes 40 MB.
        from tidewell.sources.rowfilter import bind  # noqa: PLC0415
        from tidewell.sources.rowtest import RowTest  # noqa: PLC0415

        try:
            found = bind(self._task.filter, self._all)
            return found, RowTest(found, self._all) if found.rest else None
        except InvalidRequest as error:
            raise SourceBroken(
                f"The job's filter no longer fits its source: {error.message}"
            ) from (error)
