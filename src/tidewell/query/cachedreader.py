"""Read a cached table into a query that is not wholly cached, as Arrow batches."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

import psycopg
import pyarrow as pa
from psycopg import sql

from tidewell.cache.address import CacheAddress, connect, explained
from tidewell.cache.plan import Place
from tidewell.errors import Stopped
from tidewell.query.cached import beginning, conversions
from tidewell.query.result import as_batch
from tidewell.sources.postgresql.copy import CopyDecoder, Decoder
from tidewell.sources.postgresql.copying import copied_rows
from tidewell.sources.postgresql.numeric import decimal
from tidewell.sources.postgresql.types import travel
from tidewell.sources.protocol import Comparison, ReadRequest
from tidewell.sources.server import ServerAddress
from tidewell.state.statements import statements

ROWS_AT_ONCE = 8192
_NUMERIC = 1700
_TRAVELS = {
    16: "bool",
    17: "bytea",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    700: "float4",
    701: "float8",
    1042: "bpchar",
    1043: "varchar",
    1082: "date",
    1083: "time",
    1114: "timestamp",
    1184: "timestamptz",
    2950: "uuid",
}
"""PostgreSQL's own types (pg_type.dat) whose binary form a source decodes."""
_SQL = statements("tidewell.query", "cached.sql")


class CachedTable:
    """A cached table as a stream, with columns, comparisons and a limit pushed down."""

    def __init__(
        self,
        address: CacheAddress,
        place: Place,
        request: ReadRequest,
        schema: pa.Schema,
        seconds: float,
    ) -> None:
        self._address = address
        self._place = place
        self._request = request
        self._schema = schema
        self._seconds = seconds
        self._reading: set[psycopg.Connection[tuple[object, ...]]] = set()
        self._cancelled = False

    @property
    def schema(self) -> pa.Schema:
        """The columns that are read."""
        return self._schema

    def read(self) -> Iterator[pa.RecordBatch]:
        """The rows of the request, in a session of their own."""
        with closing(connect(self._address, "tidewell query")) as connection:
            connection.autocommit = True
            self._reading.add(connection)
            try:
                if self._cancelled:
                    raise Stopped
                connection.execute(beginning(self._seconds).encode())
                decoders = self._decoders(connection)
                if decoders is None:
                    yield from self._batches(connection)
                else:
                    yield from self._copied(connection, decoders)
            except psycopg.Error as error:
                if self._cancelled:
                    raise Stopped from error
                raise explained(error, self._address) from error
            finally:
                self._reading.discard(connection)

    def cancel(self) -> None:
        """End every read that is going on, from another thread."""
        self._cancelled = True
        for connection in list(self._reading):
            connection.cancel_safe(timeout=1.0)

    def _statement(self, form: str, columns: Iterable[sql.Composable]) -> sql.Composed:
        limit = self._request.limit
        return sql.SQL(_SQL[form]).format(
            columns=sql.SQL(", ").join(columns),
            table=sql.Identifier(self._place.schema, self._place.table),
            conditions=_conditions(self._request.where),
            limit=sql.SQL("ALL") if limit is None else sql.Literal(limit),
        )

    def _decoders(self, connection: psycopg.Connection[tuple[object, ...]]) -> list[Decoder] | None:
        """What decodes the columns from binary rows; None: one is of a type that nothing does."""
        nothing = _SQL["described"].replace(
            "{statement}",
            self._statement("read", map(sql.Identifier, self._schema.names)).as_string(connection),
        )
        described = connection.execute(nothing.encode()).description or ()
        found = [
            _decoder(one, field.type) for one, field in zip(described, self._schema, strict=True)
        ]
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else None

    def _copied(
        self, connection: psycopg.Connection[tuple[object, ...]], decoders: Sequence[Decoder]
    ) -> Iterator[pa.RecordBatch]:
        """Rows as a source in PostgreSQL gives them (decision 9), many times as fast as objects."""
        decoder = CopyDecoder(self._schema, decoders)
        statement = self._statement("copied", [_sent(self._schema.field(n)) for n in decoder.order])
        server = ServerAddress(
            *(self._address.host, self._address.port, self._address.user, self._address.database),
            *("", self._address.sslmode, None, math.ceil(self._seconds)),
        )
        for rows, begins in copied_rows(connection, statement, server):
            yield decoder.batch(rows, begins)

    def _batches(
        self, connection: psycopg.Connection[tuple[object, ...]]
    ) -> Iterator[pa.RecordBatch]:
        statement = self._statement("read", map(sql.Identifier, self._schema.names))
        with connection.cursor() as cursor:
            chunk: list[tuple[object, ...]] = []
            convert = None
            for row in cursor.stream(statement, binary=True, size=2000):
                convert = convert or conversions(cursor.description or ())
                chunk.append(row)
                if len(chunk) == ROWS_AT_ONCE:
                    yield as_batch(convert(chunk), self._schema)
                    chunk = []
            if chunk and convert:
                yield as_batch(convert(chunk), self._schema)


def _decoder(described: psycopg.Column, kind: pa.DataType) -> Decoder | None:
    if described.type_code == _NUMERIC and pa.types.is_decimal(kind):
        exact = (described.precision, described.scale or 0) == (kind.precision, kind.scale)
        return decimal(kind.precision, kind.scale) if exact else None
    if described.type_code not in _TRAVELS:
        return None
    known = travel(_TRAVELS[described.type_code], builtin=True, category="", modifier=-1)
    return known.decode if known.type == kind else None


def _sent(field: pa.Field) -> sql.Composable:
    column = sql.Identifier(field.name)
    if pa.types.is_decimal(field.type):
        return sql.SQL(_SQL["without_nan"]).format(column=column)
    return column


def _conditions(where: Sequence[Comparison]) -> sql.Composable:
    if not where:
        return sql.SQL("true")
    return sql.SQL(" AND ").join(
        sql.SQL("{} {} {}").format(
            sql.Identifier(one.column), sql.SQL(one.operator), sql.Literal(one.value)
        )
        for one in where
    )
