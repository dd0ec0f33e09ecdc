from dataclasses import dataclass

import httpx
import pyarrow as pa

from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused, Stopped
from tidewell.sources.asked import columns_asked_for
from tidewell.sources.near import near_names
from tidewell.sources.pinned import PinnedTransport, network_error
from tidewell.sources.protocol import Column, Key, Reading, Source, Table


class JSONPages(Source):
    def __init__(self, values, environment):
        self._cancelled, self._transport = False, PinnedTransport(environment.egress)
        self._client = httpx.Client(
            base_url=values["URL"],
            headers={"Authorization": f"Bearer {values.get('Token', '')}"},
            timeout=float(values["Timeout"]),
            transport=self._transport,
        )

    def _get(self, path, **parameters):
        try:
            answer = self._client.get(path, params=parameters)
        except httpx.TransportError as error:
            raise Stopped if self._cancelled else network_error(error, "The service") from error
        if answer.status_code in (401, 403):
            raise SourceRefused("The service does not accept the Token.")
        if not answer.is_success:
            raise SourceBroken(f"The service answered {answer.status_code} for {path}.")
        return answer.json()

    def test(self):
        self._get("/tables")

    def schemas(self):
        return ["JSON"]

    def tables(self, schema):
        return [Table("JSON", name) for name in self._get("/tables")]

    def columns(self, schema, table):
        known = self._get("/tables")
        if schema != "JSON" or table not in known:
            raise SourceNotFound(f"There is no table {table}{near_names(table, known)}.")
        return [
            Column(name, pa.type_for_alias(kind), moves_forward=kind.startswith("timestamp"))
            for name, kind in known[table].items()
        ]

    def read(self, request):
        types = {one.name: one.type for one in self.columns(request.schema, request.table)}
        schema = pa.schema([(name, types[name]) for name in columns_asked_for(request, types)])
        batches = pa.RecordBatchReader.from_batches(schema, self._batches(request.table, schema))
        return Reading(batches, residual=request.where)  # what is not pushed down is told

    def _batches(self, table, schema):
        offset = 0
        while rows := self._get("/rows", table=table, offset=offset):
            yield pa.record_batch(
                [pa.array([row[one.name] for row in rows]).cast(one.type) for one in schema],
                schema=schema,
            )
            offset += len(rows)

    def cancel(self):
        self._cancelled = True
        self._transport.cut()

    def close(self):
        self._client.close()


@dataclass(frozen=True)
class JSONPagesDriver:
    name = "JSONPages"
    dialect = ""  # it runs no SQL of its own
    several_schemas = False
    keys = (
        Key("URL", "Root of the service, as https://host/api.", required=True),
        Key("Token", "Access token.", secret=True),
        Key("Timeout", "Seconds that the service may be silent.", default="60"),
    )
    open = staticmethod(JSONPages)


DRIVER = JSONPagesDriver()
