"""How MySQL tells whether a run has written already (`tidewell.sources.once`)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from psycopg import sql
from pymysql import err

from tidewell.sources.mysql.rows import RowConnection
from tidewell.sources.once import TABLE, check_unfenced, earlier_effect
from tidewell.sources.protocol import Once, Trace
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.mysql", "once.sql")
_MISSING_PRIVILEGE = {1044, 1142, 1227, 1290, 1792}
_TRANSACTIONAL = "innodb"

Connecting = Callable[[], AbstractContextManager[RowConnection]]


class Fence:
    """The job's row, from before the write's transaction to its end."""

    def __init__(self, connecting: Connecting, once: Once | None, trace: Trace) -> None:
        """Make the table where it can be made. Raises WriteUncertain.

        `connecting` gives a connection of its own: making a table ends a transaction.
        """
        self._once = once
        self._trace = trace
        self._table = _identifier(once.schema if once else "", TABLE)
        self._holds = once is not None and self._made(connecting, once)

    def earlier(self, connection: RowConnection) -> int | None:
        """Take the job's row, first thing in the transaction; the rows of an earlier effect."""
        if self._once is None or not self._holds:
            return None
        job_id = str(self._once.job_id)
        with connection.cursor() as cursor:
            cursor.execute(self._text("begin"), (job_id, self._once.attempt))
            cursor.execute(self._text("hold"), (job_id,))
            row = cursor.fetchone()
        return earlier_effect(self._once, row, self._trace) if row else None

    def note(self, connection: RowConnection, rows: int) -> None:
        """Write down the effect, last thing in the transaction."""
        if self._once is not None and self._holds:
            once = self._once
            values = (once.attempt, str(once.run_id), rows, str(once.job_id))
            with connection.cursor() as cursor:
                cursor.execute(self._text("note"), values)

    def _made(self, connecting: Connecting, once: Once) -> bool:
        with connecting() as connection, connection.cursor() as cursor:
            cursor.execute(_SQL["engine"], (once.schema, once.table))
            row: Any = cursor.fetchone()
            engine = str(row[0] or "") if row else ""
            if engine.lower() != _TRANSACTIONAL:
                check_unfenced(once, f"its engine is {engine or 'unknown'}", self._trace)
                return False
            try:
                cursor.execute(self._text("make"))
            except (err.OperationalError, err.ProgrammingError) as error:
                if error.args[0] not in _MISSING_PRIVILEGE:
                    raise
                check_unfenced(once, str(error.args[1]), self._trace)
                return False
        return True

    def _text(self, name: str) -> str:
        return sql.SQL(_SQL[name]).format(table=self._table).as_string()


def _identifier(*names: str) -> sql.SQL:
    """A name in backticks, which stand in any session: the customer's has its own settings."""
    quoted = ("`" + name.replace("`", "``").replace("%", "%%") + "`" for name in names)
    return sql.SQL(".".join(quoted))
