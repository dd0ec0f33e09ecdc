"""Rows into a PostgreSQL table, over COPY."""

import io
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from tidewell.sources.as_text import as_text
from tidewell.sources.postgresql.session import Connection

_OPTIONS = pyarrow.csv.WriteOptions(include_header=False)


def write_batches(
    connection: Connection,
    statement: sql.Composed,
    columns: Sequence[str],
    batches: pa.RecordBatchReader,
    check: Callable[[], None],
) -> int:
    """COPY all batches; the rows that the server confirms. `check` may raise before each batch."""
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for batch in batches:
                check()
                copy.write(_csv(batch, columns))
        return cursor.rowcount


def _csv(batch: pa.RecordBatch, columns: Sequence[str]) -> bytes:
    """Lines of CSV: text is always quoted, so that an empty text is no NULL."""
    arrays = [as_text(values) for values in batch.columns]
    out = io.BytesIO()
    pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(arrays, list(columns)), out, _OPTIONS)
    return out.getvalue()
