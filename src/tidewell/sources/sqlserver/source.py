"""A source over a SQL Server database: the catalogue, and rows by Microsoft's Arrow reader."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from tidewell.errors import Stopped
from tidewell.sources.forward import moves_forward
from tidewell.sources.interruptible import Interruptible
from tidewell.sources.protocol import Column, Environment, SettlingSource, Table
from tidewell.sources.relational.source import ROWS_AT_ONCE, RelationalSource
from tidewell.sources.relational.statement import Dialect, Travel, double_quoted, plain_text
from tidewell.sources.server import ServerAddress
from tidewell.sources.sqlserver.session import connect, in_words
from tidewell.sources.sqlserver.types import travel
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.sqlserver", "catalogue.sql")
_ALLOWS_SNAPSHOTS = 1
_VERSION = "timestamp"
"""What the catalogue calls a rowversion."""


def text(value: str) -> str:
    """A text: Unicode, and without a line that ends in a backslash, which T-SQL would join."""
    return "(N" + plain_text(value).replace("\\\n", "\\' + N'\n") + ")"


DIALECT = Dialect(
    double_quoted,
    text,
    lambda schema, table: f"{double_quoted(schema)}.{double_quoted(table)}",
    top=True,
)


class SQLServerSource(RelationalSource, SettlingSource):
    """Tables and views of a database. Not shared between threads, except for `cancel`.

    A reading is of one moment where the database allows snapshots (ALLOW_SNAPSHOT_ISOLATION); else
    it sees what is committed while it goes on.
    """

    _dialect = DIALECT

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._address = ServerAddress.of(values)
        self._place = f"The database {self._address.database}"
        self._rules = environment.egress
        self._trace = environment.trace
        self._waiting = Interruptible()
        self._main: Any = None
        self._open: list[Any] = []
        self._versions: set[tuple[str, str, str]] = set()
        """The rowversions that were seen: schema, table, column."""

    def settled(self, schema: str, table: str, column: str) -> str | None:
        """Of a rowversion: what comes before the versions of all transactions under way."""
        if (schema, table, column) not in self._versions:
            return None
        return str(self._rows("settled")[0][0])

    def cancel(self) -> None:
        """End a running read."""
        self._waiting.interrupt()

    def close(self) -> None:
        """Close the connections."""

        def close() -> None:
            for one in self._open:
                with suppress(Exception):
                    one.close()
            self._open.clear()

        self._waiting.afterwards(close)

    def _known_schemas(self) -> list[str]:
        return [name for (name,) in self._rows("schemas")]

    def _known_tables(self, schema: str) -> list[Table]:
        rows = self._rows("tables", schema)
        return [Table(schema, name, kind, remarks or "") for name, kind, remarks in rows]

    def _known_columns(self, schema: str, table: str) -> Sequence[Travel]:
        rows = self._rows("columns", schema, table)
        self._versions |= {(schema, table, row[0]) for row in rows if row[1] == _VERSION}
        return [_known(*row) for row in rows]

    def _batches(self, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with self._errors():
            connection = self._waiting.call(self._connected)

            def start() -> Any:
                return connection.cursor().execute(statement).arrow_reader(ROWS_AT_ONCE)

            reader = self._waiting.call(start)
            while (batch := self._waiting.call(lambda: next(reader, None))) is not None:
                yield batch
                self._waiting.check()
            self._open.remove(connection)
            connection.close()

    def _rows(self, name: str, *parameters: str) -> list[tuple[Any, ...]]:
        def ask() -> list[tuple[Any, ...]]:
            if self._main is None:
                self._main = self._connected()
            cursor = self._main.cursor()
            cursor.execute(_SQL[name], parameters)
            return [tuple(row) for row in cursor.fetchall()]

        with self._errors():
            return self._waiting.call(ask)

    def _connected(self) -> Any:
        connection = connect(self._address, self._rules)
        self._open.append(connection)
        with in_words(self._address):
            cursor = connection.cursor()
            milliseconds = self._address.timeout * 1000
            cursor.execute(_SQL["lock_timeout"].format(milliseconds=milliseconds))
            state = cursor.execute(_SQL["snapshot_state"]).fetchone()
            if state is not None and state[0] == _ALLOWS_SNAPSHOTS:
                cursor.execute(_SQL["snapshot"])
                connection.setautocommit(False)
            cursor.close()
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with in_words(self._address):
                yield
        except Exception as error:
            if self._waiting.interrupted:
                raise Stopped from error
            raise


def _known(
    name: str,
    type_name: str | None,
    max_length: int,
    precision: int,
    scale: int,
    nullable: bool,
    key_position: int | None,
    indexed: int,
    remarks: str | None,
) -> Travel:
    how = travel(type_name or "", max_length, precision, scale)
    is_version = type_name == _VERSION
    column = Column(
        name=name,
        type=how.type,
        nullable=bool(nullable),
        length=how.length,
        key_position=key_position,
        moves_forward=is_version or moves_forward(name, how.type, indexed=bool(indexed)),
        remarks=remarks or "",
    )
    return Travel(
        column, how.expression, how.compared, how.cast, inexact=how.inexact, operators=how.operators
    )
