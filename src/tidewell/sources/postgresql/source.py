"""A source over a PostgreSQL database: the catalogue, and rows over binary COPY."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from tidewell.errors import SourceNotFound, SourceRefused, Stopped
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.forward import moves_forward
from tidewell.sources.interruptible import Interruptible
from tidewell.sources.near import near_names
from tidewell.sources.postgresql.copy import CopyDecoder
from tidewell.sources.postgresql.copying import copied_rows
from tidewell.sources.postgresql.once import Fence
from tidewell.sources.postgresql.session import Connection, connect, end, in_words
from tidewell.sources.postgresql.splitting import can_split, split
from tidewell.sources.postgresql.types import Travel, travel
from tidewell.sources.postgresql.writing import write_batches
from tidewell.sources.protocol import (
    Column,
    Environment,
    Once,
    Reading,
    ReadRequest,
    Split,
    SplittableSource,
    Table,
    WritableSource,
)
from tidewell.sources.server import ServerAddress
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.postgresql", "catalogue.sql")


@dataclass(frozen=True)
class _Known:
    column: Column
    travel: Travel


class PostgreSQLSource(WritableSource, SplittableSource):
    """Tables and views of a database. Not shared between threads, except for `cancel`.

    All readings are of one moment: that of the first look at the catalogue, or one that was joined.
    """

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._address = ServerAddress.of(values)
        self._environment = environment
        self._waiting = Interruptible()
        self._main: Connection | None = None
        self._snapshot = ""
        self._open: list[Connection] = []

    def test(self) -> None:
        """The server accepts the user, and there is something to read."""
        if not self.schemas():
            raise SourceRefused(
                f"The user {self._address.user} may read no schema of {self._address.database}."
            )

    def schemas(self) -> list[str]:
        """The schemas that the user may use, `public` first."""
        return [name for (name,) in self._rows("schemas")]

    def tables(self, schema: str) -> list[Table]:
        """The tables and views that the user may read."""
        self._need_schema(schema)
        return [
            Table(schema, name, kind, remarks)
            for name, kind, remarks in self._rows("tables", schema=schema)
        ]

    def columns(self, schema: str, table: str) -> list[Column]:
        """The columns that the user may read."""
        return [one.column for one in self._known(schema, table)]

    def read(self, request: ReadRequest) -> Reading:
        """Read over binary COPY; every part of a request is pushed down."""
        known = {one.column.name: one for one in self._known(request.schema, request.table)}
        wanted = [known[name] for name in columns_asked_for(request, known)]
        decoder = CopyDecoder(
            pa.schema([pa.field(one.column.name, one.travel.type) for one in wanted]),
            [one.travel.decode for one in wanted],
        )
        statement = self._statement(request, known, [wanted[n] for n in decoder.order])
        self._environment.trace(2, statement.as_string())
        batches = self._batches(self._connection_of_the_moment(), statement, decoder)
        reader = pa.RecordBatchReader.from_batches(decoder.schema, batches)
        return Reading(reader, ordered=True, limited=True)

    def split(self, schema: str, table: str, column: str, ranges: int, least: int) -> Split | None:
        """Cut a table at the quantiles of a sample; all its ranges are of one moment."""
        kinds = {one.column.name: one.column.type for one in self._known(schema, table)}
        if not can_split(kinds[column]):
            return None
        connection = self._catalogue()
        with self._errors():
            return self._waiting.call(
                lambda: split(connection, (schema, table), column, ranges, least, self._snapshot)
            )

    def join(self, moment: str) -> None:
        """Read what another opening sees, for as long as that one is open."""
        self._snapshot = moment

    def execute(self, statement: str, once: Once | None = None) -> int:
        """Run one INSERT, UPDATE or DELETE, in a transaction of its own; the rows affected."""
        self._environment.trace(2, statement)

        def write(connection: Connection) -> int:
            # A prepared statement can be only one.
            return max(connection.execute(statement.encode(), prepare=True).rowcount, 0)

        return self._written(once, write)

    def insert(
        self,
        schema: str,
        table: str,
        columns: Sequence[str],
        batches: pa.RecordBatchReader,
        once: Once | None = None,
    ) -> int:
        """Add rows, all of them or none; their number."""
        known = {one.column.name: one for one in self._known(schema, table)}
        wanted = columns_asked_for(ReadRequest(schema, table, tuple(columns)), known)
        statement = sql.SQL(_SQL["add_rows"]).format(
            table=sql.Identifier(schema, table),
            columns=sql.SQL(", ").join(sql.Identifier(name) for name in wanted),
        )
        self._environment.trace(2, statement.as_string())
        return self._written(
            once,
            lambda connection: write_batches(
                connection, statement, wanted, batches, self._waiting.check
            ),
        )

    def cancel(self) -> None:
        """End a running read or statement."""
        self._waiting.interrupt()
        for connection in list(self._open):
            end(connection)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._open:
            with suppress(psycopg.Error):
                connection.close()
        self._open.clear()
        self._main = None

    def _statement(
        self, request: ReadRequest, known: Mapping[str, _Known], wanted: Sequence[_Known]
    ) -> sql.Composed:
        conditions: list[sql.Composable] = [sql.SQL("true")]
        for comparison in request.where:
            # An untyped literal takes the type of the column it is compared with.
            conditions.append(
                sql.SQL("{} {} {}").format(
                    _compared(known[comparison.column]),
                    sql.SQL(comparison.operator),
                    sql.Literal(comparison.value),
                )
            )
        names = [_compared(known[name]) for name in request.order]
        order, limit = sql.Composed([]), sql.Composed([])
        if names:
            order = sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(names))
        if request.limit is not None:
            limit = sql.SQL(" LIMIT {}").format(sql.Literal(request.limit))
        values = [
            sql.SQL(one.travel.expression).format(sql.Identifier(one.column.name)) for one in wanted
        ]
        return sql.SQL(_SQL["rows"]).format(
            values=sql.SQL(", ").join(values),
            table=sql.Identifier(request.schema, request.table),
            conditions=sql.SQL(" AND ").join(conditions),
            order=order,
            limit=limit,
        )

    def _batches(
        self, connection: Connection, statement: sql.Composed, decoder: CopyDecoder
    ) -> Iterator[pa.RecordBatch]:
        try:
            with self._errors():
                for rows, begins in copied_rows(connection, statement, self._address):
                    yield decoder.batch(rows, begins)
                    self._waiting.check()
                    if connection.closed:  # its descriptor may be another's by now
                        raise psycopg.OperationalError("the connection was closed")
        finally:
            if connection in self._open:
                self._open.remove(connection)
            connection.close()

    def _known(self, schema: str, table: str) -> list[_Known]:
        rows = self._rows("columns", schema=schema, table=table)
        if not rows:
            tables = [one.name for one in self.tables(schema)]
            raise SourceNotFound(
                f"The schema {schema} has no table {table[:60]!r} that can be read"
                f"{near_names(table, tables)}."
            )
        return [_known(*row) for row in rows]

    def _need_schema(self, schema: str) -> None:
        schemas = self.schemas()
        if schema not in schemas:
            raise SourceNotFound(
                f"{self._address.database} has no schema {schema[:60]!r} that can be read"
                f"{near_names(schema, schemas)}."
            )

    def _rows(self, name: str, **parameters: str) -> list[tuple[Any, ...]]:
        connection = self._catalogue()
        with self._errors():
            return self._waiting.call(
                lambda: connection.execute(_SQL[name], parameters or None).fetchall(),
                seconds=self._address.timeout + 1,
            )

    def _catalogue(self) -> Connection:
        """The connection that holds the moment."""
        if self._main is None:
            self._main = self._connect()
            with self._errors():
                self._main.execute(_SQL["begin"])
                if self._snapshot:
                    self._import_snapshot(self._main)
                else:
                    row = self._main.execute(_SQL["export_snapshot"]).fetchone()
                    self._snapshot = str(row[0]) if row else ""
        return self._main

    def _connection_of_the_moment(self) -> Connection:
        """Another connection that sees the same: each reading has one of its own."""
        self._catalogue()
        connection = self._connect()
        with self._errors():
            connection.execute(_SQL["begin"])
            self._import_snapshot(connection)
        return connection

    def _import_snapshot(self, connection: Connection) -> None:
        snapshot = sql.Literal(self._snapshot)
        connection.execute(sql.SQL(_SQL["import_snapshot"]).format(snapshot=snapshot))

    def _written(self, once: Once | None, write: Callable[[Connection], int]) -> int:
        """The rows that a write affects, now or in an earlier attempt of its run."""
        with self._writing() as connection:
            fence = Fence(connection, once, self._environment.trace)
            with connection.transaction():
                rows = fence.earlier()
                if rows is None:
                    rows = write(connection)
                    fence.note(rows)
                return rows

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A connection of its own, outside the moment that is read."""
        connection = self._connect()
        try:
            with self._errors():
                yield connection
        finally:
            self._open.remove(connection)
            connection.close()

    def _connect(self) -> Connection:
        address, rules = self._address, self._environment.egress
        connection = self._waiting.call(lambda: connect(address, rules), psycopg.Connection.close)
        self._open.append(connection)
        self._waiting.check()
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
    type_name: str,
    builtin: bool,
    category: str,
    modifier: int,
    not_null: bool,
    key_position: int | None,
    indexed: bool,
    remarks: str,
) -> _Known:
    how = travel(type_name, builtin=builtin, category=category, modifier=modifier)
    column = Column(
        name=name,
        type=how.type,
        nullable=not not_null,
        length=how.length,
        key_position=key_position,
        moves_forward=moves_forward(name, how.type, indexed=indexed),
        remarks=remarks,
    )
    return _Known(column, how)


def _compared(one: _Known) -> sql.Composed:
    return sql.SQL(one.travel.compared).format(sql.Identifier(one.column.name))
