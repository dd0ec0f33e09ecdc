"""A source over a project of BigQuery: the catalogue by its lists, rows by queries."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tidewell.errors import SourceNotFound, SourceUnavailable, Stopped
from tidewell.sources.bigquery.client import Client
from tidewell.sources.bigquery.types import array_of, kind_of
from tidewell.sources.forward import moves_forward
from tidewell.sources.protocol import Column, Environment, Table
from tidewell.sources.relational.source import RelationalSource, batch_of
from tidewell.sources.relational.statement import Dialect, Travel, escaped_text

ROWS_AT_ONCE = 2000
"""Of a page; BigQuery itself ends pages at 10 MB."""
_WAIT_MS = 10_000


def quoted(name: str) -> str:
    """A name in backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


class BigQuerySource(RelationalSource):
    """Tables and views of a project's datasets. Not shared between threads, except for `cancel`.

    Each reading is of one moment: that at which its query begins.
    """

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        self._project = values["ProjectId"]
        self._only = values.get("DatasetId", "")
        self._pays = values.get("BillingProjectId") or self._project
        self._place = f"The project {self._project}"
        self._trace = environment.trace
        self._client = Client(values, environment)
        self._cancelled = False
        project = quoted(self._project)
        self._dialect = Dialect(
            quoted,
            escaped_text,
            lambda schema, table: f"{project}.{quoted(schema)}.{quoted(table)}",
        )

    def cancel(self) -> None:
        """End a running read."""
        self._cancelled = True
        self._client.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _known_schemas(self) -> list[str]:
        found = self._client.listed("datasets", "projects", self._project, "datasets")
        names = [one["datasetReference"]["datasetId"] for one in found]
        return sorted(name for name in names if not self._only or name == self._only)

    def _known_tables(self, schema: str) -> list[Table]:
        path = ("projects", self._project, "datasets", schema, "tables")
        return [
            Table(
                schema,
                one["tableReference"]["tableId"],
                "view" if "VIEW" in one.get("type", "") else "table",
            )
            for one in self._client.listed("tables", *path)
        ]

    def _known_columns(self, schema: str, table: str) -> Sequence[Travel]:
        if schema not in self._known_schemas():
            return []
        path = ("projects", self._project, "datasets", schema, "tables", table)
        try:
            found = self._client.get(*path)
        except SourceNotFound:
            return []
        key = (found.get("tableConstraints") or {}).get("primaryKey") or {}
        names = list(key.get("columns", ()))
        return [_travel(one, names) for one in found.get("schema", {}).get("fields", ())]

    def _batches(self, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        body = {
            "query": statement,
            "useLegacySql": False,
            "maxResults": ROWS_AT_ONCE,
            "timeoutMs": _WAIT_MS,
            "formatOptions": {"useInt64Timestamp": True},
        }
        page = self._client.post("projects", self._pays, "queries", body=body)
        while True:
            if page.get("errors") and not page.get("jobComplete"):
                raise SourceUnavailable(f"BigQuery reports: {page['errors'][0].get('message')}")
            if page.get("rows"):
                # The page goes before the next one comes.
                rows = page.pop("rows")
                cells = ([cell["v"] for cell in row["f"]] for row in rows)
                yield batch_of(zip(*cells, strict=True), schema, array_of)
                del rows
                if self._cancelled:
                    raise Stopped
            token = page.get("pageToken", "")
            if page.get("jobComplete") and not token:
                return
            job = page["jobReference"]
            options = {
                "maxResults": str(ROWS_AT_ONCE),
                "timeoutMs": str(_WAIT_MS),
                "formatOptions.useInt64Timestamp": "true",
            }
            if token:
                options["pageToken"] = token
            if job.get("location"):
                options["location"] = job["location"]
            page = self._client.get("projects", self._pays, "queries", job["jobId"], **options)


def _travel(field: Mapping[str, Any], key: Sequence[str]) -> Travel:
    kind = kind_of(field)
    name = field["name"]
    column = Column(
        name=name,
        type=kind.type,
        nullable=field.get("mode") != "REQUIRED",
        length=int(field["maxLength"]) if field.get("maxLength") else None,
        key_position=key.index(name) if name in key else None,
        moves_forward=moves_forward(name, kind.type),
        remarks=field.get("description", ""),
    )
    return Travel(column, kind.expression, kind.compared, kind.cast)
