"""A source over an OData service."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, cast

import pyarrow as pa

from tidewell.errors import SourceBroken, SourceNotFound, Stopped
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.near import near_names
from tidewell.sources.odata.client import Client, positive
from tidewell.sources.odata.columnar import ColumnarReader
from tidewell.sources.odata.dialects import (
    METADATA_HEADERS,
    Dialect,
    dialect,
    version_headers,
)
from tidewell.sources.odata.literals import push
from tidewell.sources.odata.metadata import EntitySet, Metadata, Property, read_metadata
from tidewell.sources.odata.paging import Cutter, Page, Pages, Wanted
from tidewell.sources.odata.types import arrow_type, needs_digits, to_array
from tidewell.sources.protocol import Column, Environment, Reading, ReadRequest, Source, Table

SCHEMA = "OData"
ROWS_AT_ONCE = 8192
_LONGEST_SELECT = 1500
"""Characters; many servers take no URL much longer than 2,000. Then all properties are asked."""


class ODataSource(Source):
    """Entity sets as the tables of one schema. Not shared between threads, except `cancel`."""

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._page_size = positive(values, "PageSize")
        self._wanted_version = values["ODataVersion"]
        self._cutter = cast(Cutter, values["Paging"])
        self._client = Client(values, environment)
        self._patient = environment.patient
        self._cancelled = False

    def test(self) -> None:
        """The service describes itself, and answers these credentials."""
        self._metadata = self._ask_metadata(patient=False)
        if not self._sets:
            raise SourceNotFound("The service has no entity set.")
        root = self._client.url("", self._dialect.options)
        self._client.get(root, self._dialect.headers, patient=False)

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
                moves_forward=one.type in ("Edm.DateTimeOffset", "Edm.DateTime"),
                remarks=one.remarks,
            )
            for one in self._set(schema, table).properties
        ]

    def read(self, request: ReadRequest) -> Reading:
        """Read page by page; $select, $filter, $orderby and $top are the service's work."""
        entity_set = self._set(request.schema, request.table)
        by_name = {one.name: one for one in entity_set.properties}
        wanted = [by_name[name] for name in columns_asked_for(request, by_name)]
        filters, residual = [], []
        for one in request.where:
            pushed = push(by_name[one.column], one, self._dialect.version)
            if pushed is not None:
                filters.append(pushed.text)
            if pushed is None or not pushed.exact:
                residual.append(one)
        # How texts are ordered is the service's own affair.
        ordered = all(by_name[name].type != "Edm.String" for name in request.order)
        limited = request.limit is not None and ordered and not residual
        names = tuple(one.name for one in wanted)
        pages = Pages(
            self._client,
            self._dialect,
            self._cutter,
            self._page_size,
            Wanted(
                entity_set,
                select=names if len(",".join(names)) <= _LONGEST_SELECT else (),
                filter=" and ".join(filters),
                order=request.order,
                limit=request.limit if limited else None,
            ),
            ColumnarReader(wanted) if self._dialect.version == "V4" else None,
        )
        schema = pa.schema([pa.field(one.name, arrow_type(one)) for one in wanted])
        batches = pa.RecordBatchReader.from_batches(schema, self._batches(pages, wanted, schema))
        return Reading(batches, tuple(residual), ordered=ordered, limited=limited)

    def cancel(self) -> None:
        """End a running read."""
        self._cancelled = True
        self._client.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @cached_property
    def _metadata(self) -> Metadata:
        return self._ask_metadata(patient=self._patient)

    def _ask_metadata(self, *, patient: bool) -> Metadata:
        headers = METADATA_HEADERS | version_headers(self._wanted_version)
        found = read_metadata(
            self._client.get(self._client.url("$metadata"), headers, patient=patient)
        )
        wanted = self._wanted_version
        if wanted != "AUTO" and found.version != f"V{wanted[0]}":
            raise SourceBroken(f"The service speaks OData {found.version}: set ODataVersion=AUTO.")
        return found

    @cached_property
    def _dialect(self) -> Dialect:
        return dialect(self._metadata.version, self._page_size, self._wanted_version)

    @property
    def _sets(self) -> dict[str, EntitySet]:
        return self._metadata.entity_sets

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
        self, pages: Pages, wanted: list[Property], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        exact = [one.name for one in wanted if needs_digits(one)]
        for page in pages:
            columns = page.columns()
            if columns is not None:
                yield from self._cut(columns)
                continue
            rows = _rows(page, exact)
            for start in range(0, len(rows), ROWS_AT_ONCE):
                self._check()
                part = rows[start : start + ROWS_AT_ONCE]
                arrays = [
                    to_array(one, values)
                    for one, values in zip(wanted, _by_column(part, wanted), strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _cut(self, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        for start in range(0, rows.num_rows, ROWS_AT_ONCE):
            self._check()
            yield rows.slice(start, ROWS_AT_ONCE)

    def _check(self) -> None:
        if self._cancelled:
            raise Stopped


def _rows(page: Page, exact: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a page; digit by digit where a float would lose some."""
    try:
        if any(isinstance(row[name], float) for name in exact for row in page.rows):
            return page.digit_by_digit()
    except KeyError as error:
        raise SourceBroken(f"The service left out the property {error} of a row.") from None
    except TypeError:
        raise SourceBroken("The service gave a row that is no JSON object.") from None
    return page.rows


def _by_column(rows: list[dict[str, Any]], wanted: list[Property]) -> Sequence[Sequence[Any]]:
    """The rows turned into columns, in C."""
    names = [one.name for one in wanted]
    try:
        if len(names) == 1:
            return [list(map(itemgetter(names[0]), rows))]
        return list(zip(*map(itemgetter(*names), rows), strict=True))
    except KeyError as error:
        raise SourceBroken(f"The service left out the property {error} of a row.") from None
    except TypeError:
        raise SourceBroken("The service gave a row that is no JSON object.") from None
