"""Statements and rows into a SQLite database, over Python's own module."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from psycopg import sql

from tidewell.errors import SourceRefused, SourceUnavailable, Stopped
from tidewell.sources.as_text import as_text
from tidewell.sources.interruptible import Interruptible
from tidewell.sources.once import earlier_effect
from tidewell.sources.protocol import Once, Trace
from tidewell.state.statements import statements

_BUSY_SECONDS = 10.0
_SQL = statements("tidewell.sources.sqlite", "catalogue.sql")
_ONCE = statements("tidewell.sources.sqlite", "once.sql")
_ALLOWED = {
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_TRANSACTION,
}


class Writer:
    """Writes to a file, one whole transaction for each call; `cancel` from another thread."""

    def __init__(self, file: Path, waiting: Interruptible) -> None:
        self._waiting = waiting
        with _in_words(waiting):
            self._connection = sqlite3.connect(
                f"file:{quote(str(file))}?mode=rw",
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        # No other file can be attached, no setting changed, no extension loaded.
        self._connection.set_authorizer(_authorize)

    def execute(self, statement: str, once: Once | None, trace: Trace) -> int:
        """Run one statement; the rows affected."""
        with self._transaction():
            rows = self._earlier(once, trace)
            if rows is None:
                with closing(self._connection.execute(statement)) as cursor:
                    cursor.fetchall()
                    rows = max(cursor.rowcount, 0)
                self._note(once, rows)
            return rows

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        batches: pa.RecordBatchReader,
        once: Once | None,
        trace: Trace,
    ) -> int:
        """Add all rows; their number."""
        statement = (
            sql.SQL(_SQL["add_rows"])
            .format(
                table=sql.Identifier("main", table),
                columns=sql.SQL(", ").join(sql.Identifier(name) for name in columns),
                marks=sql.SQL(", ").join(sql.SQL("?") for _ in columns),
            )
            .as_string()
        )
        with self._transaction():
            earlier = self._earlier(once, trace)
            if earlier is not None:
                return earlier
            rows = 0
            for batch in batches:
                self._waiting.check()
                values = [_values(column) for column in batch.columns]
                self._connection.executemany(statement, zip(*values, strict=True))
                rows += batch.num_rows
            self._note(once, rows)
        return rows

    def cancel(self) -> None:
        """End what runs."""
        self._connection.interrupt()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _earlier(self, once: Once | None, trace: Trace) -> int | None:
        """Take the job's row; the rows of an earlier effect of the run."""
        if once is None:
            return None
        job_id = str(once.job_id)
        with self._ours():
            self._connection.execute(_ONCE["make"])
            self._connection.execute(_ONCE["begin"], (job_id, once.attempt))
            row = self._connection.execute(_ONCE["hold"], (job_id,)).fetchone()
        return earlier_effect(once, row, trace)

    def _note(self, once: Once | None, rows: int) -> None:
        """Write down the effect."""
        if once is not None:
            values = (once.attempt, str(once.run_id), rows, str(once.job_id))
            with self._ours():
                self._connection.execute(_ONCE["note"], values)

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """Statements of our own, which may make a table."""
        self._connection.set_authorizer(None)
        try:
            yield
        finally:
            self._connection.set_authorizer(_authorize)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _in_words(self._waiting):
            self._waiting.check()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()


def _values(column: pa.Array) -> list[Any]:
    """Values as SQLite keeps them: numbers, text, bytes; times as its own functions write them."""
    kind = column.type
    if pa.types.is_decimal(kind):
        return [None if v is None else _number(v) for v in column.to_pylist()]
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return list(column.cast(pa.string()).to_pylist())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return list(column.to_pylist())
    return list(as_text(column).to_pylist())


def _number(value: Decimal) -> int | str:
    """Text, which a numeric column makes a number of without a detour over a double."""
    return int(value) if value == value.to_integral_value() and abs(value) < 2**63 else str(value)


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


@contextmanager
def _in_words(waiting: Interruptible) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if waiting.interrupted:
            raise Stopped from error
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise SourceUnavailable(f"The database cannot be written now: {error}.") from error
        raise SourceRefused(f"SQLite refuses the statement: {error}.") from error
