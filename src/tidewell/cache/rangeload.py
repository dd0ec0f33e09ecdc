"""One range of a table, into the hidden table of its load, in a session of its own."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

import psycopg
import pyarrow as pa
from psycopg import sql

from tidewell.cache import shape
from tidewell.cache.address import CacheAddress, Connection, connect, explained
from tidewell.cache.alter import TableStatements, Trace
from tidewell.cache.copying import send
from tidewell.cache.digest import Digest
from tidewell.cache.hidden import hidden_place
from tidewell.cache.plan import Fence, LoadPlan
from tidewell.cache.ranges import Loaded
from tidewell.cache.wire import CopyStream, Fitting
from tidewell.errors import Stopped
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")
_CANCEL_SECONDS = 1.0


class RangeLoad:
    """Loads one range. Not shared between threads, except for `cancel`."""

    def __init__(
        self, connection: Connection, address: CacheAddress, fence: Fence, trace: Trace
    ) -> None:
        self._connection = connection
        self._address = address
        self._statements = TableStatements(connection, hidden_place(fence), trace)
        self._cancelled = threading.Event()

    @classmethod
    def connect(cls, address: CacheAddress, fence: Fence, *, trace: Trace) -> Self:
        """Open the session. Raises CacheError."""
        return cls(connect(address, fence.session_name), address, fence, trace)

    def cancel(self) -> None:
        """End what the server does for us, from another thread; the load then raises Stopped."""
        self._cancelled.set()
        with suppress(psycopg.Error, OSError):
            self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def close(self) -> None:
        """Close the session; what was not committed is gone."""
        self._connection.close()

    def run(
        self,
        plan: LoadPlan,
        batches: Iterable[pa.RecordBatch],
        progress: Callable[[int, int], None],
    ) -> Loaded:
        """COPY all batches and commit. Raises CacheError, Stopped, or what the batches raise."""
        columns = list(shape.loaded_columns(plan.columns).values())
        names = [column.name for column in columns]
        fitting = Fitting(plan.columns, plan.key, truncate_strings=plan.truncate_strings)
        utf8 = self._connection.info.parameter_status("server_encoding") == "UTF8"
        digest = Digest(list(zip(names, fitting.held, strict=True)), utf8=utf8)
        stream = CopyStream(fitting, digest)
        statement = sql.SQL(_SQL["copy"]).format(
            table=self._statements.table, columns=shape.identifiers(names)
        )
        self._statements.tell(statement)
        with self._errors():
            send(
                self._connection,
                statement,
                stream,
                fitting.fitted(batches),
                lambda: progress(fitting.counts.rows, stream.bytes),
            )
            self._connection.commit()
        return Loaded(fitting.counts, stream.bytes, digest.read, digest.row_hash.seen)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if self._cancelled.is_set():
                raise Stopped from error
            raise explained(error, self._address) from error
