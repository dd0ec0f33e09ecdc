"""What a load does to the table itself: follow the source's columns and types, keys, comments."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from tidewell import clock
from tidewell.cache import shape
from tidewell.cache.address import Connection
from tidewell.cache.bookkeeping import BOOKS
from tidewell.cache.plan import LoadPlan, Place, TypeChange
from tidewell.cache.shape import LoadedColumn
from tidewell.errors import CacheConflict, CacheRefused
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")
_COMMENT = "Tidewell keeps this copy of"

Trace = Callable[[int, str], None]


class TableStatements:
    """The statements of `table.sql` on one cached table, told to the run's log."""

    def __init__(self, connection: Connection, place: Place, trace: Trace) -> None:
        self.table = sql.Identifier(place.schema, place.table)
        self._connection = connection
        self._trace = trace

    def execute(self, name: str, **parts: sql.Composable) -> psycopg.Cursor[Any]:
        """Execute a statement by name; `table` is the cached one unless another is given."""
        return self.run(sql.SQL(_SQL[name]).format(**({"table": self.table} | parts)))

    def run(self, statement: sql.Composed) -> psycopg.Cursor[Any]:
        """Execute a statement of another file."""
        self.tell(statement)
        return self._connection.execute(statement)

    def tell(self, statement: sql.Composed) -> None:
        """Show a statement in the log at verbosity 2, without our comments."""
        lines = statement.as_string(self._connection).splitlines()
        self._trace(2, "\n".join(line for line in lines if not line.startswith("-- ")))


def make_schema(connection: Connection, place: Place, made: TableStatements) -> bool:
    """Make the schema of a place; False where it stands already. Raises CacheRefused."""
    at = {"schema": place.schema}
    row = connection.execute(_SQL["schema_exists"], at).fetchone()
    if row and row[0]:
        return False
    connection.execute(BOOKS["lock_creation"])
    row = connection.execute(_SQL["schema_exists"], at).fetchone()
    if row and row[0]:
        return False
    try:
        made.execute("make_schema", schema=sql.Identifier(place.schema))
    except psycopg.errors.InsufficientPrivilege as error:
        raise CacheRefused(
            f"The cache's user may not make the schema {place.schema}: make it for that user, give "
            "cacheSchema to name one that is its own, or grant CREATE on the database."
        ) from error
    return True


class Alteration:
    """Brings a standing table to the shape that a load needs; `notes` are told to people."""

    def __init__(
        self,
        connection: Connection,
        place: Place,
        plan: LoadPlan,
        columns: dict[str, LoadedColumn],
        job_id: UUID,
        statements: TableStatements,
        changes: list[str],
    ) -> None:
        self._connection = connection
        self._place = place
        self._plan = plan
        self._columns = columns
        self._job_id = job_id
        self._execute = statements.execute
        self._changes = changes
        self._key = [columns[name].name for name in plan.key]

    def adapt(self) -> tuple[shape.Standing, set[str]]:
        """Follow the source's schema: add its new columns, widen types that grew, and give columns
        that lose their values new types. Returns the shape then, and the columns of the last kind.
        """
        standing = shape.look(self._connection, self._place)
        found = shape.differences(
            self._connection, self._place, standing, list(self._columns.values())
        )
        if not found:
            return standing, set()
        for column in found.new:
            self._execute(
                "add_column",
                column=sql.Identifier(column.name),
                type=shape.declared(column.declared),
            )
            self._changes.append(f"New column {column.name} ({column.declared}).")
        self.comment_columns(found.new)
        for name, now, wanted in found.widened:
            self._retype("change_type", TypeChange(name, now, wanted))
            self._changes.append(f"The column {name} was widened from {now} to {wanted}.")
        if found.changed and not self._plan.rebuild:
            names = ", ".join(one.name for one in found.changed)
            raise CacheConflict(
                f"The type of {names} has changed while the run began: run it again."
            )
        for change in (*found.empty, *found.changed):
            self._drop_key_of(change.name)
            self._retype("retype_empty", change)
            self._changes.append(
                f"The column {change.name} is {change.loaded} now, was {change.cached}."
            )
        retyped = {one.name for one in found.changed}
        return shape.look(self._connection, self._place), retyped

    def _retype(self, statement: str, change: TypeChange) -> None:
        try:
            self._execute(
                statement,
                column=sql.Identifier(change.name),
                type=shape.declared(change.loaded),
            )
        except psycopg.errors.FeatureNotSupported as error:
            raise CacheConflict(
                f"The source's column {change.name} no longer fits {change.cached}, and "
                f"{change.loaded} cannot be set because "
                f"{error.diag.message_detail or 'a view depends on it'}: drop that view, let the "
                "job run, and make it again."
            ) from error

    def _drop_key_of(self, column: str) -> None:
        """A key over a column that loses its values cannot stay; it is made again after the load.

        Raises CacheConflict where a foreign key depends on it.
        """
        found = shape.primary_key(self._connection, self._place)
        if found is None or column not in found[1]:
            return
        self._execute("drop_constraint", constraint=sql.Identifier(found[0]))
        for name in sorted(found[1]):
            self._execute("drop_not_null", column=sql.Identifier(name))

    def ensure_key(self) -> None:
        """The key of a table that stands: primary where its owner has no other."""
        if (
            not self._key
            or frozenset(self._key) in shape.look(self._connection, self._place).unique
        ):
            return
        free = shape.primary_key(self._connection, self._place) is None
        self._execute("add_key" if free else "add_unique", key=shape.identifiers(self._key))

    def index(self, column: str | None) -> None:
        """An index on the time column, unless one stands."""
        if column and not shape.leads_an_index(self._connection, self._place, column):
            self._execute("add_index", column=sql.Identifier(column))

    def drop_old_key(self, old_key: list[str]) -> None:
        """The key of the job has changed: the old one no longer holds."""
        found = shape.primary_key(self._connection, self._place)
        old = {self._columns[name].name if name in self._columns else name for name in old_key}
        if found is None or found[1] != old or found[1] == set(self._key):
            return
        self._execute("drop_constraint", constraint=sql.Identifier(found[0]))
        for name in sorted(found[1] - set(self._key)):
            self._execute("drop_not_null", column=sql.Identifier(name))

    def comment_table(self) -> None:
        """Where the table comes from, when, and by which job; a comment of people stays."""
        standing = shape.comment(self._connection, self._place)
        if standing is not None and not standing.startswith(_COMMENT):
            return
        text = (
            f"{_COMMENT} {self._plan.origin} (job {self._job_id}); last change "
            f"{clock.to_wire(clock.now())}."
        )
        self._execute("comment_table", text=sql.Literal(text.replace("\0", "")))

    def comment_columns(self, columns: Sequence[LoadedColumn]) -> None:
        """What the source says of new columns, and where they come from."""
        sources = {column.name: name for name, column in self._columns.items()}
        for column in columns:
            text = (
                f"{column.remarks} " if column.remarks else ""
            ) + f"[{self._plan.origin}, column {sources[column.name]}; job {self._job_id}]"
            self._execute(
                "comment_column",
                column=sql.Identifier(column.name),
                text=sql.Literal(text.replace("\0", "")),
            )
