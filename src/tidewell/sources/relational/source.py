"""A source that answers SELECTs: what is the same for all of them."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from tidewell.errors import SourceBroken, SourceNotFound
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column, Reading, ReadRequest, Source, Table, Trace
from tidewell.sources.relational.statement import Dialect, Travel, select

ROWS_AT_ONCE = 8192


class RelationalSource(Source):
    """Tables and views. Not shared between threads, except for `cancel`.

    A driver says what stands in the catalogue, how a statement is asked, and how its rows come.
    """

    _dialect: Dialect
    _trace: Trace
    _place: str
    """What holds the schemas, for messages."""

    @abstractmethod
    def _known_schemas(self) -> list[str]:
        """The schemas, the usual one first."""

    @abstractmethod
    def _known_tables(self, schema: str) -> list[Table]:
        """The tables and views of a schema that is there."""

    @abstractmethod
    def _known_columns(self, schema: str, table: str) -> Sequence[Travel]:
        """The columns of a table; none where there is no such table."""

    @abstractmethod
    def _batches(self, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows of a statement, whose columns will have the types of a schema."""

    def test(self) -> None:
        """The source answers, and has at least one table to read."""
        if not any(self._known_tables(schema) for schema in self._known_schemas()):
            raise SourceNotFound(f"{self._place} has no table that can be read.")

    def schemas(self) -> list[str]:
        """The schemas that can be read, the usual one first."""
        return self._known_schemas()

    def tables(self, schema: str) -> list[Table]:
        """The tables and views that can be read."""
        schemas = self._known_schemas()
        if schema not in schemas:
            raise SourceNotFound(
                f"{self._place} has no schema {schema[:60]!r} that can be read"
                f"{near_names(schema, schemas)}."
            )
        return self._known_tables(schema)

    def columns(self, schema: str, table: str) -> list[Column]:
        """The columns in the source's own order."""
        return [one.column for one in self._columns(schema, table)]

    def read(self, request: ReadRequest) -> Reading:
        """Read by batches; what the source would compare otherwise than is meant stays."""
        columns = self._columns(request.schema, request.table)
        known = {one.column.name: one for one in columns}
        chosen = select(self._dialect, known, request)
        self._trace(2, chosen.text)
        schema = pa.schema([pa.field(one.column.name, one.column.type) for one in chosen.columns])
        batches = (typed(batch, schema) for batch in self._batches(chosen.text, schema))
        return Reading(
            pa.RecordBatchReader.from_batches(schema, batches),
            chosen.residual,
            ordered=chosen.ordered,
            limited=chosen.limited,
        )

    def _columns(self, schema: str, table: str) -> Sequence[Travel]:
        found = self._known_columns(schema, table)
        if not found:
            tables = [one.name for one in self.tables(schema)]
            raise SourceNotFound(
                f"The schema {schema} has no table {table[:60]!r} that can be read"
                f"{near_names(table, tables)}."
            )
        return found


def batch_of(
    columns: Iterable[Sequence[Any]],
    schema: pa.Schema,
    array_of: Callable[[pa.DataType, Sequence[Any]], pa.Array],
) -> pa.RecordBatch:
    """The batch of some columns' values. Raises SourceBroken for one that is not of its type."""
    arrays = []
    for field, values in zip(schema, columns, strict=True):
        try:
            arrays.append(array_of(field.type, values))
        except (pa.ArrowException, ValueError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            raise SourceBroken(
                f"A value of the column {field.name} is no {field.type}: {said}"
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same values under the names and types that were told."""
    arrays = []
    for values, field in zip(batch.columns, schema, strict=True):
        try:
            arrays.append(_as(values, field.type))
        except (pa.ArrowException, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise SourceBroken(
                f"A value of the column {field.name} is no {field.type}: {said}"
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _as(values: Any, kind: pa.DataType) -> pa.Array:
    if values.type == kind:
        return values
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, values.cast(kind.storage_type))
    return values.cast(kind)
