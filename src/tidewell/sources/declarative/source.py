"""A source over a declarative connector."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import pyarrow as pa
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from tidewell.errors import (
    SourceBroken,
    SourceNotFound,
    SourceRefused,
    SourceUnavailable,
    Stopped,
    TidewellError,
)
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.declarative import http, pushdown
from tidewell.sources.declarative.driver import Connection
from tidewell.sources.declarative.inference import inferred_schema
from tidewell.sources.declarative.reading import BATCH_ROWS
from tidewell.sources.declarative.reading import Reading as Records
from tidewell.sources.declarative.streams import Streams, own_statuses
from tidewell.sources.declarative.types import arrow_type, to_array
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column, Environment, Reading, ReadRequest, Source, Table

MOST_CONNECTIONS = 10
_SHORTEST_SECRET = 3


class DeclarativeSource(Source):
    """Streams as the tables of one schema. Not shared between threads, except for `cancel`."""

    def __init__(self, connection: Connection, environment: Environment) -> None:
        self._connection = connection
        self._secrets = _spellings(connection.secrets)
        self._schemas: dict[str, list[Column]] = {}
        self._cursors: dict[str, str | None] = {}
        self._http = http.Http(
            environment.egress,
            environment.trace,
            self._masked,
            own_statuses=frozenset(own_statuses(connection.manifest)),
            timeout=connection.timeout,
            connections=MOST_CONNECTIONS,
            headers=connection.headers,
            headers_for=connection.headers_for,
            private=connection.private,
        )

    def test(self) -> None:
        """The first page of the stream that the manifest names for it can be read."""
        with self._working():
            names = self._streams.checked_names() or self._names[:1]
            if not names:
                raise SourceNotFound("The connector has no stream.")
            self._sample(self._streams.stream(names[0]), 1)

    def schemas(self) -> list[str]:
        """The one schema, named after the driver."""
        return [self._connection.schema]

    def tables(self, schema: str) -> list[Table]:
        """The streams."""
        self._expect_schema(schema)
        return [Table(schema, name) for name in self._names]

    def columns(self, schema: str, table: str) -> list[Column]:
        """The properties of a stream's schema, or of its first records where it has none."""
        self._expect_schema(schema)
        if table not in self._names:
            raise SourceNotFound(
                f"{schema} has no table {table[:60]!r}{near_names(table, self._names)}."
            )
        if table not in self._schemas:
            with self._working():
                self._schemas[table] = self._described(table)
        return self._schemas[table]

    def read(self, request: ReadRequest) -> Reading:
        """Read page by page; a lower bound of the cursor is the service's work where it can be.

        Every comparison stays in `residual`: services are not exact about the edge.
        """
        columns = {one.name: one for one in self.columns(request.schema, request.table)}
        wanted = [columns[name] for name in columns_asked_for(request, columns)]
        with self._working():
            pushed = pushdown.plan(
                self._streams.config_of(request.table),
                self._cursors[request.table],
                columns,
                request.where,
            )
            state = {request.table: pushed.state} if pushed.state else None
            stream = self._streams.stream(request.table, pushed.parameters, state)
            workers = self._streams.workers()
        self._http.attempts = http.ATTEMPTS
        limit = None if request.where or request.order else request.limit
        schema = pa.schema([pa.field(one.name, one.type) for one in wanted])
        records = Records(stream, self._http, workers, self._plain)
        return Reading(
            pa.RecordBatchReader.from_batches(
                schema, self._batches(records, wanted, schema, limit)
            ),
            request.where,
            limited=limit is not None,
        )

    def cancel(self) -> None:
        """End a running read; it raises Stopped."""
        self._http.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @cached_property
    def _streams(self) -> Streams:
        made = self._connection
        return Streams(
            made.manifest,
            made.config,
            trusted=made.trusted,
            strict=made.strict,
            own=made.own,
        )

    @cached_property
    def _names(self) -> list[str]:
        with self._working():
            return self._streams.stream_names()

    def _described(self, table: str) -> list[Column]:
        stream = self._streams.stream(table)
        self._cursors[table] = stream.cursor_field
        schema = stream.get_json_schema()
        if not schema.get("properties"):
            schema = inferred_schema(self._sample(stream, BATCH_ROWS))
        properties = schema["properties"]
        described = stream.as_airbyte_stream()
        key = [path[0] for path in described.source_defined_primary_key or () if len(path) == 1]
        if not set(key) <= set(properties):
            key = []
        config = self._streams.config_of(table)
        said = config.get("$parameters") or {}
        forward = {*(said.get("since") or ()), *(said.get("forward") or ())}
        return [
            Column(
                name=name,
                type=(kind := arrow_type(one)),
                nullable=name not in key,
                length=one.get("maxLength") if kind == pa.string() else None,
                key_position=key.index(name) if name in key else None,
                moves_forward=(name in forward and kind != pa.json_())
                or (name == stream.cursor_field and pushdown.follows(config, kind)),
                remarks=str(one.get("description") or ""),
            )
            for name, said_of_it in properties.items()
            # Some schemas name a property and say nothing of it.
            for one in [said_of_it if isinstance(said_of_it, Mapping) else {}]
        ]

    def _sample(self, stream: Any, rows: int) -> list[Mapping[str, Any]]:
        """The first records of a stream."""
        found: list[Mapping[str, Any]] = []
        for partition in stream.generate_partitions():
            for record in partition.read():
                found.append(record.data)
                if len(found) == rows:
                    return found
        return found

    def _batches(
        self, records: Records, wanted: list[Column], schema: pa.Schema, limit: int | None
    ) -> Iterator[pa.RecordBatch]:
        left = limit
        for rows in records.batches():
            kept = rows if left is None else rows[:left]
            if kept:
                yield pa.RecordBatch.from_arrays(
                    [to_array(c.name, c.type, [row.get(c.name) for row in kept]) for c in wanted],
                    schema=schema,
                )
            if left is not None:
                left -= len(kept)
                if left <= 0:
                    return

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Work of the CDK in this thread; what it raises is told in our words."""
        with self._http.active():
            try:
                yield
            except TidewellError:
                raise
            except Exception as error:
                raise self._plain(error) from error

    def _plain(self, error: Exception) -> Exception:
        """An error of the CDK, or of a connector's own code, as one of this program's."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, TidewellError):
                return cause
            cause = cause.__cause__ or cause.__context__
        if self._http.stopping.is_set():
            return Stopped()
        answer = self._http.last_answer
        if answer is not None and answer.status_code >= 400:
            return self._status_error(answer)
        told = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        said = self._masked(" ".join(str(told).split()))[:400]
        kind = error.failure_type if isinstance(error, AirbyteTracedException) else None
        if kind == FailureType.config_error:
            return SourceRefused(f"The connector does not accept its settings: {said}")
        if kind == FailureType.transient_error:
            return SourceUnavailable(said)
        return SourceBroken(f"The connector failed: {said}")

    def _status_error(self, answer: Any) -> TidewellError:
        host, status = urlsplit(answer.url).netloc.rpartition("@")[2], answer.status_code
        said = self._masked(http.reason(answer))
        if status in (401, 403):
            return SourceRefused(f"{host} does not accept the credentials ({status}): {said}")
        if status in (404, 410):
            path = self._masked(urlsplit(answer.url).path)
            return SourceNotFound(f"{host} has nothing at {path} ({status}): {said}")
        if status == 429 or status >= 500:
            return SourceUnavailable(f"{host} is busy or broken ({status}): {said}")
        return SourceBroken(f"{host} refuses the request ({status}): {said}")

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "********")
        return text

    def _expect_schema(self, schema: str) -> None:
        if schema != self._connection.schema:
            raise SourceNotFound(
                f"This source has one schema, {self._connection.schema}, not {schema[:60]!r}."
            )


def _spellings(secrets: tuple[str, ...]) -> list[str]:
    """Secrets in every form that a request may carry them in, the longest first."""
    forms = set()
    for secret in secrets:
        forms |= {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
    return sorted((one for one in forms if len(one) >= _SHORTEST_SECRET), key=len, reverse=True)
