"""Judge the rows of Arrow batches by what is left of a filter, in a DuckDB that can open nothing.

DuckDB gives one truth value a row; the rows themselves never pass through it, so that their values
and types stay what the source gave.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
from psycopg import sql

from tidewell.errors import SourceBroken
from tidewell.sources.protocol import Column
from tidewell.sources.rowfilter import RowFilter
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources", "rowtest.sql")


class RowTest:
    """Judges batches; a batch has at least the columns that the filter needs.

    Raises SourceBroken where the filter is no condition over the types of these columns.
    """

    def __init__(self, row_filter: RowFilter, columns: Sequence[Column]) -> None:
        self._needs = row_filter.needs
        self._duck = duckdb.connect(
            config={
                "memory_limit": "256MB",
                "temp_directory": "",
                "threads": 1,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
            }
        )
        for setting in ("utc", "shut", "lock"):
            self._duck.execute(_SQL[setting])
        condition = sql.SQL(row_filter.rest or "TRUE")
        self._statement = sql.SQL(_SQL["judge"]).format(condition=condition).as_string()
        types = {column.name: column.type for column in columns}
        none = pa.schema([pa.field(name, types[name]) for name in self._needs]).empty_table()
        judged = self._judge(none)
        if not pa.types.is_boolean(judged.type):
            raise SourceBroken(f"The filter gives {judged.type}, not true or false.")

    def passing(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows for which the filter is true; NULL is not true, as in SQL."""
        judged = self._judge(pa.Table.from_batches([batch]).select(self._needs))
        return batch.filter(judged.combine_chunks(), null_selection_behavior="drop")

    def _judge(self, rows: pa.Table) -> pa.ChunkedArray:
        # A filter without columns is judged too, once a row.
        counted = pa.table({"": pa.nulls(len(rows))}) if not self._needs else _readable(rows)
        self._duck.register("batch", counted)
        try:
            return self._duck.execute(self._statement).to_arrow_table().column(0)
        except duckdb.Error as error:
            said = str(error).split("\n", maxsplit=1)[0][:300]
            raise SourceBroken(f"The filter cannot be judged: {said}") from error


def _readable(rows: pa.Table) -> pa.Table:
    """The values as DuckDB reads them: numbers that Arrow has no type for become doubles."""
    for position, field in enumerate(rows.schema):
        kind = field.type
        values = rows.column(position)
        if isinstance(kind, pa.OpaqueType):
            text = pa.chunked_array([one.storage for one in values.chunks], kind.storage_type)
            values = text.cast(pa.float64()) if kind.type_name == "numeric" else text
        elif pa.types.is_decimal256(kind) or pa.types.is_float16(kind):
            values = values.cast(pa.float64())
        else:
            continue
        rows = rows.set_column(position, field.name, values)
    return rows
