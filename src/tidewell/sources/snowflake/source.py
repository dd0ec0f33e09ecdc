"""A source over a database of Snowflake: its INFORMATION_SCHEMA, and rows by the SQL API."""

import re
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from tidewell.errors import SourceNotFound, SourceRefused
from tidewell.sources.forward import moves_forward
from tidewell.sources.protocol import Column, Environment, Table
from tidewell.sources.relational.source import ROWS_AT_ONCE, RelationalSource, batch_of
from tidewell.sources.relational.statement import Dialect, Travel, double_quoted, escaped_text
from tidewell.sources.snowflake.client import Client, Row
from tidewell.sources.snowflake.types import array_of, kind_of
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.snowflake", "catalogue.sql")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_QUOTED_NAME = re.compile(r'"((?:[^"]|"")+)"')
_KEY_COLUMN, _KEY_SEQUENCE = 4, 5
"""Where SHOW PRIMARY KEYS has them."""

DIALECT = Dialect(
    double_quoted,
    escaped_text,
    lambda schema, table: f"{double_quoted(schema)}.{double_quoted(table)}",
)


class SnowflakeSource(RelationalSource):
    """Tables and views of a database. Not shared between threads, except for `cancel`.

    Each reading is of one moment: that at which its statement begins.
    """

    _dialect = DIALECT

    def __init__(self, values: Mapping[str, str], environment: Environment) -> None:
        named = {name: values.get(name, "").strip() for name in ("Database", "Warehouse", "Role")}
        context = {
            name.lower(): _name(name, said)
            for name, said in named.items()
            if said or name == "Database"
        }
        only = values.get("Schema", "").strip()
        self._only = _name("Schema", only) if only else ""
        self._place = f"The database {context['database']}"
        self._trace = environment.trace
        self._client = Client(values, environment, context)

    def cancel(self) -> None:
        """End a running read, also on its warehouse."""
        self._client.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _known_schemas(self) -> list[str]:
        names = [row[0] or "" for row in self._rows(_SQL["schemas"])]
        return [name for name in names if self._only in ("", name)]

    def _known_tables(self, schema: str) -> list[Table]:
        return [
            Table(schema, name or "", "view" if kind == "view" else "table", remarks or "")
            for name, kind, remarks in self._rows(_SQL["tables"], schema)
        ]

    def _known_columns(self, schema: str, table: str) -> Sequence[Travel]:
        found = self._rows(_SQL["columns"], schema, table) if self._is_read(schema) else []
        key = self._key(schema, table) if found else []
        return [_travel(row, key) for row in found]

    def _is_read(self, schema: str) -> bool:
        return self._only in ("", schema)

    def _key(self, schema: str, table: str) -> list[str]:
        statement = _SQL["key"].format(schema=double_quoted(schema), table=double_quoted(table))
        try:
            parts = self._rows(statement)
        except SourceNotFound:
            return []  # a view
        return [
            row[_KEY_COLUMN] or ""
            for row in sorted(parts, key=lambda row: int(row[_KEY_SEQUENCE] or 0))
        ]

    def _rows(self, statement: str, *texts: str) -> list[Row]:
        return [row for rows in self._client.rows(statement, *texts) for row in rows]

    def _batches(self, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for rows in self._client.rows(statement):
            while rows:
                some = rows[:ROWS_AT_ONCE]
                del rows[:ROWS_AT_ONCE]
                yield batch_of(zip(*some, strict=True), schema, array_of)
                self._client.check()


def _name(key: str, said: str) -> str:
    """A name as Snowflake reads it in SQL: without quotes it is in upper case."""
    if quoted := _QUOTED_NAME.fullmatch(said):
        return quoted[1].replace('""', '"')
    if _PLAIN_NAME.fullmatch(said):
        return said.upper()
    raise SourceRefused(
        f"{key} must be a name, in double quotes where it has other characters than letters, "
        'digits, _ and $: "my shop".'
    )


def _travel(row: Row, key: Sequence[str]) -> Travel:
    name, type_name, length, precision, scale, nullable, collation, remarks = row
    kind = kind_of(
        type_name or "",
        length=_whole(length),
        precision=_whole(precision),
        scale=_whole(scale),
        collation=collation,
    )
    column = Column(
        name=name or "",
        type=kind.type,
        nullable=nullable != "NO",
        length=kind.length,
        key_position=key.index(name) if name in key else None,
        moves_forward=moves_forward(name or "", kind.type),
        remarks=remarks or "",
    )
    return Travel(
        column,
        kind.expression,
        kind.compared,
        kind.cast,
        inexact=kind.inexact,
        operators=kind.operators,
    )


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)
