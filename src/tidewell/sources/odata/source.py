"""A source over an OData service."""

from collections.abc import Iterator, Mapping
from functools import cached_property

import pyarrow as pa

from tidewell.errors import SourceBroken, SourceNotFound, Stopped
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.near import near_names
from tidewell.sources.odata.literals import can_push_down, comparison, is_exact
from tidewell.sources.odata.metadata import EntitySet, Property, read_metadata
from tidewell.sources.odata.service import Page, Service
from tidewell.sources.odata.types import arrow_type, to_array
from tidewell.sources.protocol import Column, Environment, Reading, ReadRequest, Source, Table

SCHEMA = "OData"
_LONGEST_SELECT = 1500
"""Characters; many servers take no URL much longer than 2,000. Then all properties are asked."""


class ODataSource(Source):
    """Entity sets as the tables of one schema. Not shared between threads, except `cancel`."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._service = Service(values, environment)
        self._cancelled = False

    def test(self) -> None:
        """The service answers these credentials and describes itself."""
        self._service.document()
        if not self._sets:
            raise SourceNotFound("The service has no entity set.")

    def schemas(self) -> list[str]:
        """The one schema."""
        return [SCHEMA]

    def tables(self, schema: str) -> list[Table]:
        """The entity sets."""
        return [Table(SCHEMA, one.name, remarks=one.remarks) for one in self._sets.values()]

    def columns(self, schema: str, table: str) -> list[Column]:
        """The structural properties of an entity set."""
        return [
            Column(
                name=one.name,
                type=arrow_type(one),
                nullable=one.nullable,
                length=one.max_length if one.type == "Edm.String" else None,
                key_position=one.key_position,
                moves_forward=one.type == "Edm.DateTimeOffset",
                remarks=one.remarks,
            )
            for one in self._set(schema, table).properties
        ]

    def read(self, request: ReadRequest) -> Reading:
        """Read page by page; $select, $filter, $orderby and $top are the service's work."""
        entity_set = self._set(request.schema, request.table)
        by_name = {one.name: one for one in entity_set.properties}
        wanted = [by_name[name] for name in columns_asked_for(request, by_name)]
        pushed = [one for one in request.where if can_push_down(by_name[one.column], one)]
        residual = tuple(
            one for one in request.where if one not in pushed or not is_exact(by_name[one.column])
        )
        options = _options(request, wanted, limited=not residual)
        if pushed:
            options["$filter"] = " and ".join(
                comparison(by_name[one.column], one) for one in pushed
            )
        schema = pa.schema([pa.field(one.name, arrow_type(one)) for one in wanted])
        pages = self._service.pages(entity_set.name, options)
        return Reading(
            pa.RecordBatchReader.from_batches(schema, self._batches(pages, wanted, schema)),
            residual,
            ordered=True,
            limited=request.limit is not None and not residual,
        )

    def cancel(self) -> None:
        """End a running read."""
        self._cancelled = True
        self._service.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

    @cached_property
    def _sets(self) -> dict[str, EntitySet]:
        return read_metadata(self._service.metadata())

    def _set(self, schema: str, name: str) -> EntitySet:
        if schema != SCHEMA:
            raise SourceNotFound(f"An OData service has one schema, {SCHEMA}, not {schema[:60]!r}.")
        found = self._sets.get(name)
        if found is None:
            raise SourceNotFound(
                f"The service has no entity set {name[:60]!r}{near_names(name, self._sets)}."
            )
        return found

    def _batches(
        self, pages: Iterator[Page], wanted: list[Property], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        decimals = [one.name for one in wanted if one.type == "Edm.Decimal"]
        for page in pages:
            if self._cancelled:
                raise Stopped
            try:
                rows = page.rows
                if any(isinstance(row[name], float) for name in decimals for row in rows):
                    rows = page.digit_by_digit()
                arrays = [to_array(one, [row[one.name] for row in rows]) for one in wanted]
            except KeyError as error:
                raise SourceBroken(f"The service left out the property {error} of a row.") from None
            except TypeError:
                raise SourceBroken("The service gave a row that is no JSON object.") from None
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _options(request: ReadRequest, wanted: list[Property], *, limited: bool) -> dict[str, str]:
    options = {}
    select = ",".join(one.name for one in wanted)
    if len(select) <= _LONGEST_SELECT:
        options["$select"] = select
    if request.order:
        options["$orderby"] = ",".join(request.order)
    if request.limit is not None and limited:
        options["$top"] = str(request.limit)
    return options
