"""A table that is made anew beside the one that stands, and takes its place.

Where most rows of a refresh differ, writing all of them into a new table costs a first load, and
leaves no dead rows behind. It is another table to PostgreSQL, so that is done only where nobody
would notice: nothing hangs on the one that stands, and the new one is the same in all but its rows
(docs/decisions/0019-a-table-anew.md).
"""

import time
from collections.abc import Sequence
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from tidewell.cache import shape
from tidewell.cache.address import Connection
from tidewell.cache.alter import Alteration, TableStatements, Trace
from tidewell.cache.grants import give_grants, grants
from tidewell.cache.hidden import drop_hidden, hidden_place, may_hide
from tidewell.cache.plan import Fence, LoadPlan, Place
from tidewell.cache.shape import LoadedColumn
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "anew.sql")
_TABLE_SQL = statements("tidewell.cache", "table.sql")
_LOOKS, _NEAR_SECONDS = 5, 0.002
"""The shortest way to the server and back: there are some ten of them while readers wait."""
_LOCK_MILLISECONDS, _IDLE_MILLISECONDS = 50, 1000
_TRIES, _BETWEEN_SECONDS = 40, 0.25
_FLUSH_SECONDS, _FLUSHED_AGAIN_SECONDS = 2.0, 0.05
_NOT_SO = (psycopg.ProgrammingError, psycopg.InternalError)
"""What says that it cannot be done here: no permission, a name that is taken, an event trigger."""
_NOT_TOLD = (*_NOT_SO, psycopg.errors.ObjectNotInPrerequisiteState)
"""The same of questions about the server's log, which some servers do not have."""


class _Parts(NamedTuple):
    """What a table consists of, by name, in an order that two of the same portrait share."""

    indexes: list[str]
    constraints: list[str]
    comments: dict[str, str]


class Anew:
    """The new table of a load, until it takes its place."""

    def __init__(
        self,
        connection: Connection,
        fence: Fence,
        place: Place,
        plan: LoadPlan,
        columns: dict[str, LoadedColumn],
        order: Sequence[str],
        trace: Trace,
    ) -> None:
        """`columns` are those of the load by their source names, `order` is that of their own."""
        self._connection = connection
        self._old = place
        self._hidden = hidden_place(fence)
        self._new = Place(place.schema, f"{self._hidden.table}_new")
        by_name = {column.name: column for column in columns.values()}
        self._columns = [by_name[name] for name in order]
        time_column = columns.get(plan.time_column or "")
        self._time_column = time_column.name if time_column else None
        self._statements = TableStatements(connection, self._new, trace)
        self._alteration = Alteration(
            connection, self._new, plan, columns, fence.job_id, self._statements, []
        )
        self._portrait: str | None = None
        self._comment: str | None = None
        self.table = self._statements.table

    def is_possible(self) -> bool:
        """Whether a new table would be the same as the one that stands, for all that people see."""
        if (
            self._old.schema == self._hidden.schema
            or not may_hide(self._connection)
            or not self._is_near()
            or not self._ask("is_free", self._old)
            or not self._ask("is_alone", self._old)
        ):
            return False
        self._portrait = self._ask("portrait", self._old)
        try:
            with self._connection.transaction(force_rollback=True):
                self._is_flushed(self._written())  # here a server says that it does not tell
                self.make()
                self.furnish()
                same = bool(self._ask("portrait", self._new) == self._portrait)
                drop_hidden(self._connection, self._new)
                return same
        except _NOT_TOLD:
            return False

    def make(self) -> None:
        """Make it, empty."""
        self._statements.execute("make_table", definitions=shape.definitions(self._columns))

    def furnish(self) -> None:
        """Give it all that the one that stands has: key, index, grants, comments."""
        self._alteration.ensure_key()
        self._alteration.index(self._time_column)
        wanted = grants(self._connection, self._old)
        give_grants(self._connection, self._statements, self._new, wanted)
        self._comment = shape.comment(self._connection, self._old)
        if self._comment is not None:
            self._statements.execute("comment_table", text=sql.Literal(self._comment))
        self._alteration.comment_table()
        for column, text in self._parts(self._old).comments.items():
            self._statements.execute(
                "comment_column", column=sql.Identifier(column), text=sql.Literal(text)
            )

    def take_place(self) -> bool:
        """Put it into its place, and the other one where nobody looks; the caller commits soon.

        False: readers left no gap for it, or something hangs on the other one by now. Then all is
        as it was, and this table is gone.
        """
        self._wait_for_disk()
        for _ in range(_TRIES):
            again = False
            try:
                if self._swap():
                    return True
            except psycopg.errors.LockNotAvailable:
                again = True
            except _NOT_SO:
                pass
            self._connection.execute(_SQL["undo_swap"])
            if not again:
                break
            self._connection.execute(_SQL["wait"], {"seconds": _BETWEEN_SECONDS})
        drop_hidden(self._connection, self._new)
        return False

    def _swap(self) -> bool:
        script = sql.SQL(";\n").join(self._script())
        self._statements.tell(script)
        told: list[Any] = []
        with self._connection.cursor() as cursor:
            cursor.execute(script)
            while True:
                if cursor.description:
                    told += cursor.fetchone() or ()
                if not cursor.nextset():
                    return told == [True, self._portrait, self._comment]

    def _script(self) -> list[sql.Composable]:
        """One message. The old table is looked at once more, now that nobody can touch it."""

        def line(name: str, **parts: sql.Composable) -> sql.Composed:
            return sql.SQL(_SQL[name]).format(**parts)

        def within(place: Place, name: str) -> sql.Identifier:
            return sql.Identifier(place.schema, name)

        old, new, hidden = self._old, self._new, self._hidden
        were, are = self._parts(old), self._parts(new)
        table = within(old, old.table)
        lines: list[sql.Composable] = [
            line("begin_swap"),
            line("wait_at_most", milliseconds=sql.Literal(_LOCK_MILLISECONDS)),
            line("idle_at_most", milliseconds=sql.Literal(_IDLE_MILLISECONDS)),
            line("lock", table=table),
            self._filled(_SQL["is_alone"]),
            self._filled(_SQL["portrait"]),
            self._filled(_TABLE_SQL["table_comment"]),
        ]
        for number, name in enumerate(were.indexes):
            aside = sql.Identifier(f"{hidden.table}_{number}")
            lines.append(line("rename_index", index=within(old, name), to=aside))
        aside, schema = within(old, hidden.table), sql.Identifier(hidden.schema)
        lines += [
            line("rename_table", table=table, to=sql.Identifier(hidden.table)),
            line("put_away", table=aside, schema=schema),
            line("rename_table", table=self.table, to=sql.Identifier(old.table)),
        ]
        for now, then in zip(are.indexes, were.indexes, strict=True):
            lines.append(line("rename_index", index=within(new, now), to=sql.Identifier(then)))
        for now, then in zip(are.constraints, were.constraints, strict=True):
            parts = {"constraint": sql.Identifier(now), "to": sql.Identifier(then)}
            lines.append(line("rename_constraint", table=table, **parts))
        return [*lines, line("wait_again")]

    def _filled(self, statement: LiteralString) -> sql.SQL:
        """A question about the old table without parameters: a message of several takes none."""
        text: Any = psycopg.ClientCursor(self._connection).mogrify(statement, self._old.names)
        return sql.SQL(text)

    def _wait_for_disk(self) -> None:
        """What was written is on the server's disk before anybody has to wait for the COMMIT."""
        written = self._written()
        until = time.monotonic() + _FLUSH_SECONDS
        while not self._is_flushed(written) and time.monotonic() < until:
            self._connection.execute(_SQL["wait"], {"seconds": _FLUSHED_AGAIN_SECONDS})

    def _written(self) -> str | None:
        row = self._connection.execute(_SQL["written"]).fetchone()
        return row[0] if row else None

    def _is_flushed(self, written: str | None) -> bool:
        row = self._connection.execute(_SQL["is_flushed"], {"lsn": written}).fetchone()
        return bool(row and row[0])

    def _is_near(self) -> bool:
        for _ in range(_LOOKS):
            started = time.monotonic()
            self._connection.execute(_SQL["near"])
            if time.monotonic() - started < _NEAR_SECONDS:
                return True
        return False

    def _parts(self, place: Place) -> _Parts:
        row = self._connection.execute(_SQL["parts"], place.names).fetchone()
        return _Parts(*row) if row else _Parts([], [], {})

    def _ask(self, name: str, place: Place) -> Any:
        row = self._connection.execute(_SQL[name], place.names).fetchone()
        return row[0] if row else None
