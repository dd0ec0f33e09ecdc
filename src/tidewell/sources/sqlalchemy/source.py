"""A source over a database that SQLAlchemy knows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, NoSuchTableError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tidewell.errors import (
    SourceBroken,
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    Stopped,
)
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.forward import moves_forward
from tidewell.sources.interruptible import Interruptible
from tidewell.sources.near import near_names
from tidewell.sources.protocol import (
    Column,
    Comparison,
    Environment,
    Reading,
    ReadRequest,
    Source,
    Table,
)
from tidewell.sources.sqlalchemy.dialects import Server, place_of
from tidewell.sources.sqlalchemy.guarded import guarded
from tidewell.sources.sqlalchemy.types import Kind, kind_of, length_of, value_of

T = TypeVar("T")

ROWS_AT_ONCE = 1024
_OPERATORS = {
    "=": sa.Column.__eq__,
    "<>": sa.Column.__ne__,
    "<": sa.Column.__lt__,
    "<=": sa.Column.__le__,
    ">": sa.Column.__gt__,
    ">=": sa.Column.__ge__,
}
_NOT_THE_CUSTOMERS = {"information_schema", "pg_catalog", "mysql", "performance_schema", "sys"}
_LOGIN = ("28", "1045", "1698", "ORA-01017", "password authentication failed", "Access denied")


@dataclass(frozen=True)
class _Known:
    column: Column
    kind: Kind
    at: sa.Column[Any]


class SQLAlchemySource(Source):
    """Tables and views of a database. Not shared between threads, except for `cancel`.

    Each reading is of one moment, where the database has an isolation level for that.
    """

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        timeout = values["Timeout"]
        if not (
            timeout.isascii()
            and timeout.isdigit()
            and len(timeout) < 6
            and 1 <= int(timeout) <= 86_400
        ):
            raise SourceRefused("Timeout must be a number from 1 to 86400.")
        self._place = place_of(values["URL"], int(timeout))
        self._user = values.get("User") or None
        self._password = values.get("Password") or None
        self._environment = environment
        self._waiting = Interruptible()
        self._open: list[sa.Connection] = []
        self._results: dict[sa.Connection, sa.CursorResult[Any]] = {}
        self._known_tables: dict[tuple[str, str], list[_Known]] = {}

    def test(self) -> None:
        """The server accepts the user, and there is something to read."""
        if not self.schemas():
            raise SourceRefused(f"There is no schema that {self._user or 'this user'} may read.")

    def schemas(self) -> list[str]:
        """The schemas, the connection's own first."""

        def ask() -> list[str]:
            with self._connected() as connection:
                inspector = sa.inspect(connection)
                first = inspector.default_schema_name
                names = [n for n in inspector.get_schema_names() if n not in _NOT_THE_CUSTOMERS]
                return sorted(names, key=lambda name: (name != first, name))

        return self._called(ask)

    def tables(self, schema: str) -> list[Table]:
        """Tables and views."""
        schemas = self.schemas()
        if schema not in schemas:
            raise SourceNotFound(
                f"The database has no schema {schema[:60]!r}{near_names(schema, schemas)}."
            )

        def ask() -> list[Table]:
            with self._connected() as connection:
                inspector = sa.inspect(connection)
                found = [Table(schema, name) for name in inspector.get_table_names(schema)]
                views = [Table(schema, name, "view") for name in inspector.get_view_names(schema)]
                return sorted((*found, *views), key=lambda one: one.name)

        return self._called(ask)

    def columns(self, schema: str, table: str) -> list[Column]:
        """The columns in the table's own order."""
        return [one.column for one in self._columns(schema, table)]

    def read(self, request: ReadRequest) -> Reading:
        """Read by batches of ROWS_AT_ONCE; texts and moments are compared once more here."""
        known = {one.column.name: one for one in self._columns(request.schema, request.table)}
        wanted = [known[name] for name in columns_asked_for(request, known)]
        statement, residual = _statement(request, known, wanted)
        ordered = all(known[name].kind.exact for name in request.order)
        limited = ordered and not residual
        if ordered and request.order:
            statement = statement.order_by(*(known[name].at for name in request.order))
        if limited and request.limit is not None:
            statement = statement.limit(request.limit)
        schema = pa.schema([pa.field(one.column.name, one.column.type) for one in wanted])
        reader = pa.RecordBatchReader.from_batches(schema, self._batches(statement, wanted, schema))
        return Reading(reader, residual, ordered=ordered, limited=limited)

    def cancel(self) -> None:
        """End a running read."""
        self._waiting.interrupt()

    def close(self) -> None:
        """Close the connections."""

        def close() -> None:
            for one in list(self._open):
                self._end(one)

        self._waiting.afterwards(close)

    @cached_property
    def _judged(self) -> Server:
        """The server by the address that the rules allow."""
        host = self._place.judged(self._environment.egress)
        return replace(self._place.server, host=host)

    @cached_property
    def _engine(self) -> sa.Engine:
        place = self._place
        allowed = place.allowed
        server = self._judged
        query = {}
        database: str | None = place.database or None
        if place.name.startswith("oracle") and database:
            query, database = {"service_name": database}, None
        url = sa.URL.create(
            place.name,
            username=self._user,
            password=self._password,
            host=server.host,
            port=server.port,
            database=database,
            query=query,
        )
        return sa.create_engine(
            url,
            connect_args=dict(allowed.arguments(server)),
            poolclass=NullPool,
            hide_parameters=True,
            **({"isolation_level": allowed.isolation} if allowed.isolation else {}),
        )

    def _begun(self) -> sa.Connection:
        with guarded(self._environment.egress, self._judged.host, self._judged.port):
            connection = self._engine.connect()
        self._open.append(connection)
        for statement in self._place.allowed.session:
            connection.exec_driver_sql(statement)
        return connection

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        connection = self._begun()
        try:
            yield connection
        finally:
            self._open.remove(connection)
            with suppress(SQLAlchemyError):
                connection.close()

    def _called(self, ask: Callable[[], T]) -> T:
        with self._errors():
            return self._waiting.call(ask)

    def _columns(self, schema: str, name: str) -> list[_Known]:
        if (schema, name) not in self._known_tables:

            def ask() -> sa.Table | None:
                with self._connected() as connection:
                    with suppress(NoSuchTableError):
                        return sa.Table(
                            sa.quoted_name(name, quote=True),
                            sa.MetaData(),
                            schema=sa.quoted_name(schema, quote=True),
                            autoload_with=connection,
                            resolve_fks=False,
                        )
                    return None

            found = self._called(ask)
            if found is None:
                tables = [one.name for one in self.tables(schema)]
                raise SourceNotFound(
                    f"The schema {schema} has no table {name[:60]!r}{near_names(name, tables)}."
                )
            indexed = {i.columns[0].name for i in found.indexes if len(i.columns)}
            key = [one.name for one in found.primary_key.columns]
            self._known_tables[schema, name] = [
                _known(one, key, indexed=one.name in indexed) for one in found.columns
            ]
        return self._known_tables[schema, name]

    def _batches(
        self, statement: sa.Select[Any], wanted: Sequence[_Known], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        with self._errors():
            connection = self._waiting.call(self._begun)
            streaming = connection.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE)
            self._environment.trace(2, str(statement.compile(connection)))
            result = self._waiting.call(lambda: streaming.execute(statement))
            self._results[connection] = result
            rows = result.partitions(ROWS_AT_ONCE)
            try:
                while (part := self._waiting.call(lambda: next(rows, None))) is not None:
                    columns = list(zip(*part, strict=True))
                    arrays = [
                        _array(one, values) for one, values in zip(wanted, columns, strict=True)
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
                    self._waiting.check()
            finally:
                self._waiting.afterwards(partial(self._end, connection))

    def _end(self, connection: sa.Connection) -> None:
        result = self._results.pop(connection, None)
        with suppress(Exception):
            if result is not None:
                result.close()
        with suppress(Exception):
            connection.close()
        if connection in self._open:
            self._open.remove(connection)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            if self._waiting.interrupted:
                raise Stopped from error
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> SourceError:
        server = self._place.server
        beneath = error.orig if isinstance(error, DBAPIError) else error
        said = " ".join(str(beneath).split())[:400]
        if self._password:
            said = said.replace(self._password, "***")
        if any(mark in said for mark in _LOGIN[1:]):
            return SourceRefused(
                f"{server.host}:{server.port} does not accept the user or the password."
            )
        if isinstance(error, OperationalError | OSError):
            return SourceUnavailable(f"{server.host}:{server.port} cannot be read now: {said}")
        if isinstance(error, DBAPIError):
            return SourceRefused(f"The source refuses the statement: {said}")
        return SourceBroken(f"The source cannot be read: {said}")


def _known(one: sa.Column[Any], key: Sequence[str], *, indexed: bool) -> _Known:
    kind = kind_of(one.type)
    column = Column(
        name=one.name,
        type=kind.type,
        nullable=bool(one.nullable),
        length=length_of(one.type),
        key_position=key.index(one.name) if one.name in key else None,
        moves_forward=moves_forward(one.name, kind.type, indexed=indexed),
        remarks=one.comment or "",
    )
    return _Known(column, kind, one)


def _statement(
    request: ReadRequest, known: Mapping[str, _Known], wanted: Sequence[_Known]
) -> tuple[sa.Select[Any], tuple[Comparison, ...]]:
    # Labels of our own: what a name is made of is no concern of the result's.
    statement = sa.select(*(one.at.label(f"c{n}") for n, one in enumerate(wanted)))
    residual = []
    for comparison in request.where:
        one = known[comparison.column]
        value = value_of(comparison, one.kind)
        if value is not None:
            statement = statement.where(_OPERATORS[comparison.operator](one.at, value))
        if value is None or not one.kind.exact:
            residual.append(comparison)
    return statement, tuple(residual)


def _array(one: _Known, values: Sequence[Any]) -> pa.Array:
    try:
        return one.kind.array(one.column.type, values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise SourceBroken(
            f"A value of the column {one.column.name} is no {one.column.type}: {said}"
        ) from error
