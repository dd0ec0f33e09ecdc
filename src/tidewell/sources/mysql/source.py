"""A source over a MySQL or MariaDB server: the catalogue, and rows as its protocol sends them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pymysql
from psycopg import sql

from tidewell.errors import SourceNotFound, SourceRefused, Stopped
from tidewell.sources.as_text import as_text
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.forward import moves_forward
from tidewell.sources.interruptible import Interruptible
from tidewell.sources.mysql import zero_dates
from tidewell.sources.mysql.once import Fence
from tidewell.sources.mysql.rows import RowConnection, RowDecoder
from tidewell.sources.mysql.session import connect, end, in_words
from tidewell.sources.mysql.splitting import split
from tidewell.sources.mysql.types import AS_IT_IS, BY_BYTES, Travel, travel
from tidewell.sources.near import near_names
from tidewell.sources.protocol import (
    Column,
    Comparison,
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
from tidewell.state.statements import beside_values, statements

_SQL = statements("tidewell.sources.mysql", "catalogue.sql")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True)
class _Known:
    column: Column
    travel: Travel


class MySQLSource(WritableSource, SplittableSource):
    """Tables and views of a server. Not shared between threads, except for `cancel`.

    All readings are of one moment (of InnoDB tables), that of the first look at the catalogue; a
    reading that begins while another one is under way has a moment of its own.
    """

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._address = ServerAddress.of(values)
        self._environment = environment
        self._waiting = Interruptible()
        self._main: RowConnection | None = None
        self._open: list[RowConnection] = []
        self._busy = False
        self._zero_dates = (
            zero_dates.refused
            if values.get("ZeroDatesToNull") == "False"
            else zero_dates.to_null(environment.trace)
        )

    def test(self) -> None:
        """The server accepts the user, and there is something to read."""
        if not self.schemas():
            raise SourceRefused(f"The user {self._address.user} may read no database here.")

    def schemas(self) -> list[str]:
        """The databases that the user may use, the connection's own first."""
        return [name for (name,) in self._rows("schemas", self._address.database)]

    def tables(self, schema: str) -> list[Table]:
        """The tables and views that the user may read."""
        schemas = self.schemas()
        if schema not in schemas:
            raise SourceNotFound(
                f"{self._address.place} has no database {schema[:60]!r} that can be read"
                f"{near_names(schema, schemas)}."
            )
        return [
            Table(schema, name, kind, remarks)
            for name, kind, remarks in self._rows("tables", schema)
        ]

    def columns(self, schema: str, table: str) -> list[Column]:
        """The columns that the user may read."""
        return [one.column for one in self._known(schema, table)]

    def read(self, request: ReadRequest) -> Reading:
        """Read as the server sends the rows; what it compares otherwise than meant stays."""
        known = {one.column.name: one for one in self._known(request.schema, request.table)}
        wanted = [known[name] for name in columns_asked_for(request, known)]
        residual = tuple(one for one in request.where if _condition(known[one.column], one) is None)
        ordered = all(known[name].travel.compared is not None for name in request.order)
        limited = ordered and not residual
        connection = self._free()
        statement, parameters = _statement(request, known, wanted, ordered, limited)
        text = _mogrified(connection, statement, parameters)
        self._environment.trace(2, text)
        decoder = RowDecoder(
            pa.schema([pa.field(one.column.name, one.travel.type) for one in wanted]),
            [one.travel.decode for one in wanted],
        )
        self._busy = True
        batches = self._batches(connection, text, decoder)
        reader = pa.RecordBatchReader.from_batches(decoder.schema, batches)
        return Reading(reader, residual, ordered=ordered, limited=limited)

    def split(self, schema: str, table: str, column: str, ranges: int, least: int) -> Split | None:
        """Cut a table whose key is a whole number; each opening has a moment of its own."""
        kinds = {one.column.name: one.column.type for one in self._known(schema, table)}
        if not pa.types.is_integer(kinds[column]):
            return None
        connection = self._free()
        with self._errors():
            return self._waiting.call(
                lambda: split(connection, (schema, table), column, ranges, least)
            )

    def join(self, moment: str) -> None:
        """There is no moment that two connections can share."""

    def execute(self, statement: str, once: Once | None = None) -> int:
        """Run one INSERT, UPDATE or DELETE, in a transaction of its own; the rows affected."""
        self._environment.trace(2, statement)
        fence = Fence(self._writing, once, self._environment.trace)
        with self._writing() as connection, connection.cursor() as cursor:
            rows = fence.earlier(connection)
            if rows is None:
                rows = max(cursor.execute(statement), 0)
                fence.note(connection, rows)
            return rows

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
        statement = (
            sql.SQL(_SQL["add_rows"])
            .format(
                table=beside_values(schema, table),
                columns=sql.SQL(", ").join(beside_values(name) for name in wanted),
                marks=sql.SQL(", ").join(sql.Placeholder() for _ in wanted),
            )
            .as_string()
        )
        self._environment.trace(2, statement)
        fence = Fence(self._writing, once, self._environment.trace)
        with self._writing(ours=True) as connection, connection.cursor() as cursor:
            earlier = fence.earlier(connection)
            if earlier is not None:
                return earlier
            rows = 0
            for batch in batches:
                self._waiting.check()
                values = [_values(column) for column in batch.columns]
                rows += cursor.executemany(statement, list(zip(*values, strict=True))) or 0
            fence.note(connection, rows)
        return rows

    def cancel(self) -> None:
        """End a running read or statement."""
        self._waiting.interrupt()
        for connection in list(self._open):
            end(connection, self._address, self._environment.egress)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._open:
            with suppress(pymysql.Error, OSError):
                connection.hang_up()
                connection.close()
        self._open.clear()
        self._main = None

    def _batches(
        self, connection: RowConnection, statement: str, decoder: RowDecoder
    ) -> Iterator[pa.RecordBatch]:
        with self._errors():
            for batch in connection.batches(statement, decoder):
                yield batch
                self._waiting.check()
        if connection is self._main:
            self._busy = False

    def _known(self, schema: str, table: str) -> list[_Known]:
        rows = self._rows("columns", *(schema, table) * 3)
        if not rows:
            tables = [one.name for one in self.tables(schema)]
            raise SourceNotFound(
                f"The database {schema} has no table {table[:60]!r} that can be read"
                f"{near_names(table, tables)}."
            )
        known = [self._column(*row[:-1]) for row in rows]
        parts_of_key = rows[0][-1]
        if sum(one.column.key_position is not None for one in known) == parts_of_key:
            return known
        # A part of it may not be read: the rest is the same for many rows.
        return [replace(one, column=replace(one.column, key_position=None)) for one in known]

    def _column(
        self,
        name: str,
        data_type: str,
        full_type: str,
        length: int | None,
        precision: int | None,
        scale: int | None,
        nullable: str,
        extra: str,
        remarks: str,
        key_position: int | None,
        indexed: int,
    ) -> _Known:
        how = travel(
            data_type.lower(),
            full_type.lower(),
            length,
            (precision or 0, scale or 0),
            zero_dates=self._zero_dates,
        )
        forward = moves_forward(name, how.type, indexed=bool(indexed))
        dated = pa.types.is_date(how.type) or pa.types.is_timestamp(how.type)
        column = Column(
            name=name,
            type=how.type,
            # A day that does not exist may stand in a column that is never NULL.
            nullable=nullable == "YES" or dated,
            length=how.length,
            key_position=key_position,
            moves_forward=forward or "on update" in extra.lower(),
            remarks=remarks or "",
        )
        return _Known(column, how)

    def _rows(self, name: str, *parameters: str) -> list[tuple[Any, ...]]:
        connection = self._free()

        def ask() -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(_SQL[name], parameters)
                return list(cursor.fetchall())

        with self._errors():
            return self._waiting.call(ask)

    def _free(self) -> RowConnection:
        """The connection that holds the moment, or another one while it is read from."""
        if self._main is not None and not self._busy:
            return self._main
        connection = self._connect(ours=True)
        with self._errors(), connection.cursor() as cursor:
            cursor.execute(_SQL["isolation"])
            cursor.execute(_SQL["begin"])
        if self._main is None:
            self._main = connection
        return connection

    @contextmanager
    def _writing(self, *, ours: bool = False) -> Iterator[RowConnection]:
        """A transaction of its own on a connection of its own."""
        connection = self._connect(ours=ours)
        try:
            with self._errors():
                connection.begin()
                yield connection
                self._waiting.check()
                connection.commit()
        finally:
            self._open.remove(connection)
            with suppress(pymysql.Error, OSError):
                connection.close()

    def _connect(self, *, ours: bool) -> RowConnection:
        address, rules = self._address, self._environment.egress
        connection = self._waiting.call(
            lambda: connect(address, rules, ours=ours), RowConnection.close
        )
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


def _statement(
    request: ReadRequest,
    known: Mapping[str, _Known],
    wanted: Sequence[_Known],
    ordered: bool,
    limited: bool,
) -> tuple[sql.Composed, list[str]]:
    conditions: list[sql.Composable] = [sql.SQL("true")]
    parameters: list[str] = []
    for comparison in request.where:
        condition = _condition(known[comparison.column], comparison)
        if condition is not None:
            conditions.append(condition[0])
            parameters += [comparison.value] * condition[1]
    order, limit = sql.Composed([]), sql.Composed([])
    if ordered and request.order:
        names = [_compared(known[name]) for name in request.order]
        order = sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(names))
    if limited and request.limit is not None:
        limit = sql.SQL(" LIMIT {}").format(sql.Literal(request.limit))
    statement = sql.SQL(_SQL["rows"]).format(
        values=sql.SQL(", ").join(
            sql.SQL(one.travel.expression).format(beside_values(one.column.name)) for one in wanted
        ),
        table=beside_values(request.schema, request.table),
        conditions=sql.SQL(" AND ").join(conditions),
        order=order,
        limit=limit,
    )
    return statement, parameters


def _condition(one: _Known, comparison: Comparison) -> tuple[sql.Composed, int] | None:
    """A comparison that is true for exactly the rows that are meant, and how often its value stands
    in it as a parameter; None where there is none."""
    if one.travel.compared is None:
        return None
    kind = one.column.type
    operator = sql.SQL(comparison.operator)
    if one.travel.compared == BY_BYTES:
        # The plain comparison is there for an index; the one by bytes for what it lets through.
        exact = sql.SQL("{} {} CAST(%s AS BINARY)").format(_compared(one), operator)
        if comparison.operator != "=":
            return exact, 1
        name = beside_values(one.column.name)
        return sql.SQL("({} = %s AND {})").format(name, exact), 2
    if pa.types.is_boolean(kind):
        value = {"true": 1, "false": 0}.get(comparison.value.lower())
        if value is None:
            return None
        return sql.SQL("{} {} {}").format(_compared(one), operator, sql.Literal(value)), 0
    if pa.types.is_timestamp(kind):
        moment = sql.SQL("{} {} CAST(REPLACE(REPLACE(%s, 'T', ' '), 'Z', '') AS DATETIME(6))")
        return moment.format(_compared(one), operator), 1
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return sql.SQL("{} {} %s").format(_compared(one), operator), 1
    if not _NUMBER.fullmatch(comparison.value):
        return None
    # As a number, not as a text, which MySQL would compare as a double.
    number = sql.SQL(comparison.value)
    return sql.SQL("{} {} {}").format(_compared(one), operator, number), 0


def _compared(one: _Known) -> sql.Composed:
    return sql.SQL(one.travel.compared or AS_IT_IS).format(beside_values(one.column.name))


def _mogrified(connection: RowConnection, statement: sql.Composed, parameters: list[str]) -> str:
    with connection.cursor() as cursor:
        return str(cursor.mogrify(statement.as_string(), parameters))


def _values(column: pa.Array) -> list[Any]:
    """Values as pymysql writes them: numbers, text, bytes; times without their zone, in UTC."""
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return list(column.to_pylist())
    if pa.types.is_timestamp(kind):
        return list(
            column.cast(pa.int64()).cast(pa.timestamp(kind.unit)).cast(pa.string()).to_pylist()
        )
    return list(as_text(column).to_pylist())
