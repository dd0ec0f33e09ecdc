"""Read a cached table into a query that is not wholly cached, as Arrow batches."""

from collections.abc import Iterator, Sequence

import psycopg
import pyarrow as pa
from psycopg import sql

from tidewell.cache.address import CacheAddress, connect, explained
from tidewell.cache.plan import Place
from tidewell.errors import Stopped
from tidewell.query.cached import beginning, conversions
from tidewell.query.result import as_batch
from tidewell.sources.protocol import Comparison, ReadRequest
from tidewell.state.statements import statements

ROWS_AT_ONCE = 8192
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
        with connect(self._address, "tidewell query") as connection:
            connection.autocommit = True
            self._reading.add(connection)
            try:
                if self._cancelled:
                    raise Stopped
                connection.execute(beginning(self._seconds).encode())
                yield from self._batches(connection)
                connection.execute("COMMIT")
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

    def _batches(
        self, connection: psycopg.Connection[tuple[object, ...]]
    ) -> Iterator[pa.RecordBatch]:
        statement = sql.SQL(_SQL["read"]).format(
            columns=_identifiers(self._schema.names),
            table=sql.Identifier(self._place.schema, self._place.table),
            conditions=_conditions(self._request.where),
            limit=sql.SQL("ALL")
            if self._request.limit is None
            else sql.Literal(self._request.limit),
        )
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


def _identifiers(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _conditions(where: Sequence[Comparison]) -> sql.Composable:
    if not where:
        return sql.SQL("true")
    return sql.SQL(" AND ").join(
        sql.SQL("{} {} {}").format(
            sql.Identifier(one.column), sql.SQL(one.operator), sql.Literal(one.value)
        )
        for one in where
    )
