"""How PostgreSQL tells whether a run has written already (`tidewell.sources.once`)."""

import psycopg
from psycopg import sql

from tidewell.sources.once import TABLE, check_unfenced, earlier_effect
from tidewell.sources.postgresql.session import Connection
from tidewell.sources.protocol import Once, Trace
from tidewell.state.statements import beside_values, statements

_SQL = statements("tidewell.sources.postgresql", "once.sql")


class Fence:
    """The job's row, from before the write's transaction to its end."""

    def __init__(self, connection: Connection, once: Once | None, trace: Trace) -> None:
        """Make the table where it can be made. Raises WriteUncertain."""
        self._connection = connection
        self._once = once
        self._trace = trace
        self._names = (once.schema, TABLE) if once else (TABLE,)
        self._holds = once is not None and self._made(once)

    def earlier(self) -> int | None:
        """Take the job's row, first thing in the transaction; the rows of an earlier effect."""
        if self._once is None or not self._holds:
            return None
        values = {"job_id": self._once.job_id, "attempt": self._once.attempt}
        self._execute("begin", values)
        row = self._execute("hold", values).fetchone()
        return earlier_effect(self._once, row, self._trace) if row else None

    def note(self, rows: int) -> None:
        """Write down the effect, last thing in the transaction."""
        if self._once is not None and self._holds:
            self._execute(
                "note",
                {
                    "job_id": self._once.job_id,
                    "attempt": self._once.attempt,
                    "run_id": self._once.run_id,
                    "rows": rows,
                },
            )

    def _made(self, once: Once) -> bool:
        try:
            names = {"schema": once.schema, "name": TABLE}
            stands = self._execute("stands", names).fetchone()
            self._execute("may_use" if stands and stands[0] else "make")
            return True
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
            return True  # somebody else has just made it
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as no:
            check_unfenced(once, str(no).strip().splitlines()[0], self._trace)
            return False

    def _execute(
        self, name: str, values: dict[str, object] | dict[str, str] | None = None
    ) -> psycopg.Cursor[tuple[object, ...]]:
        table = sql.Identifier(*self._names) if values is None else beside_values(*self._names)
        return self._connection.execute(sql.SQL(_SQL[name]).format(table=table), values)
