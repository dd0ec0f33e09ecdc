"""Run a whole statement in the customer's PostgreSQL, where all its tables are cached."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from weakref import WeakKeyDictionary

import orjson
import psycopg
import pyarrow as pa
from psycopg import sql
from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from tidewell.cache.address import CacheAddress, Connection, explained
from tidewell.cache.names import LONGEST_BYTES, column_names, fitted
from tidewell.cache.plan import Place
from tidewell.errors import QueryFailed, QueryTimeout, Stopped
from tidewell.query.binding import Bound
from tidewell.query.places import failure
from tidewell.query.plans import Plan
from tidewell.query.result import Chunk, Result, ResultColumn, base64_of
from tidewell.query.sessions import SESSIONS
from tidewell.query.typing import WIDE, is_a
from tidewell.sources.protocol import Column
from tidewell.state.statements import statements

ROWS_AT_ONCE = 2000
_SQL = statements("tidewell.query", "cached.sql")
_CANCEL_SECONDS = 1.0
_STATEMENT_FAULTS = ("22", "42", "0A", "21", "2F", "54")
"""Classes of SQLSTATE that the statement or its values are to blame for."""

_DECLARATION = re.compile(
    r"(?P<base>[a-z ]+?)(?:\((?P<first>\d+)(?:,(?P<second>\d+))?\))?(?P<zone> with(?:out)? .*)?"
)
_PLAIN: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "uuid": pa.uuid(),
    "bytea": pa.binary(),
    "jsonb": pa.json_(),
    "json": pa.json_(),
}
_BY_NUMBER: dict[int, pa.DataType] = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    700: pa.float32(),
    701: pa.float64(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
    2950: pa.uuid(),
}
"""The Arrow types of PostgreSQL's own (pg_type.dat)."""
_NUMERIC = 1700
_JSON = (114, 3802)
_WIDEST, _WIDE_SCALE = 38, 16
"""A computed numeric tells no precision; this holds 22 digits before the point."""


def arrow_type(declared: str) -> tuple[pa.DataType, int | None]:
    """The Arrow type and the length in characters of a type as `format_type` writes it."""
    match = _DECLARATION.fullmatch(declared)
    if match is None:
        return pa.string(), None
    base = match["base"] + (match["zone"] or "") if match["base"] == "timestamp" else match["base"]
    if base == "time":
        return pa.time64("us"), None
    if base == "numeric":
        return _decimal(match["first"], match["second"]), None
    if base in ("character varying", "character"):
        return pa.string(), int(match["first"]) if match["first"] else None
    return _PLAIN.get(base, pa.string()), None


@dataclass(frozen=True)
class StoredColumns:
    """The columns of a cached table by their source's names, and those that the cache calls
    otherwise."""

    columns: tuple[Column, ...]
    stored: Mapping[str, str]


def _stored_columns(rows: Sequence[tuple[Any, ...]]) -> StoredColumns:
    columns: list[Column] = []
    stored: dict[str, str] = {}
    for _, name, declared, nullable, key, source_name in rows:
        kind, length = arrow_type(declared)
        # A comment is a person's to change: it counts only where it explains the cached name.
        explained = source_name and column_names([source_name])[source_name] == name
        if explained and source_name != name:
            stored[source_name] = name
        columns.append(Column(source_name if explained else name, kind, nullable, length, key))
    return StoredColumns(tuple(columns), stored)


def _by_place(
    places: Sequence[Place], rows: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[Place, StoredColumns]]:
    for number, own in groupby(rows, key=lambda row: row[0]):
        listed = [row[1:] for row in own]
        loaded = [row for row in listed if row[0] is not None]
        yield places[number - 1], _stored_columns(loaded or listed)


_KNOWN: WeakKeyDictionary[Connection, dict[Place, tuple[tuple[str, ...], StoredColumns]]] = (
    WeakKeyDictionary()
)
"""What a session has learnt of its cache: columns, with the version of each table."""


class CacheSession:
    """A session on a customer's cache that reads only. Not shared between threads but `cancel`."""

    def __init__(self, address: CacheAddress, timeout_seconds: float) -> None:
        self._address = address
        self._timeout = timeout_seconds
        self._opened: Connection | None = None
        self._cancelled = False
        self._failed = False
        self._streaming = False

    def columns(self, places: Sequence[Place]) -> dict[Place, StoredColumns]:
        """The columns of cached tables, in the order in which their jobs load them.

        A table that is not there any more is left out.
        """
        at = {
            "schemas": [place.schema for place in places],
            "tables": [place.table for place in places],
        }
        known = _KNOWN.setdefault(self._connection, {})
        with self._errors():
            told = self._connection.execute(_SQL["versions"], at).fetchall()
            versions = {places[number - 1]: tuple(map(str, rest)) for number, *rest in told}
            if any(known.get(one, ("",))[0] != version for one, version in versions.items()):
                rows = self._connection.execute(_SQL["columns"], at).fetchall()
                found = dict(_by_place(places, rows))
                known.update({one: (versions[one], found[one]) for one in found})
        return {one: known[one][1] for one in versions if one in known}

    def run(self, plan: Plan, values: Sequence[Any], *, schema_only: bool) -> Result:
        """Run a statement over cached tables; rows come as they are taken."""
        chunks = self._rows(plan.text, values, schema_only=schema_only)
        columns = next(chunks)
        return Result(
            tuple(
                ResultColumn(output, kind)
                for output, kind in zip(plan.outputs, columns, strict=True)
            ),
            chunks,
        )

    def explained(self, plan: Plan, values: Sequence[Any]) -> list[str]:
        """PostgreSQL's own plan of a statement, a line each."""
        text = _SQL["explain"].replace("{statement}", plan.text)
        with self._errors(), psycopg.RawCursor(self._connection) as cursor:
            return [row[0] for row in cursor.execute(text.encode(), values).fetchall()]

    def cancel(self) -> None:
        """End a running statement, from another thread; it then raises Stopped."""
        self._cancelled = True
        if self._opened is not None:
            with suppress(psycopg.Error, OSError):
                self._opened.cancel_safe(timeout=_CANCEL_SECONDS)

    def close(self) -> None:
        """Let the session go."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            # A cancellation may arrive late, and would meet the next query; rows that nobody has
            # taken are still in the session.
            whole = not (self._cancelled or self._failed or self._streaming)
            SESSIONS.end(self._address, opened, whole=whole)

    @property
    def _connection(self) -> Connection:
        if self._opened is None:
            self._opened = SESSIONS.begin(self._address, beginning(self._timeout))
        return self._opened

    def _rows(self, text: str, values: Sequence[Any], *, schema_only: bool) -> Iterator[Any]:
        """First the types of the columns, then chunks of rows.

        A stream without any row tells no columns either: then they are asked for apart.
        """
        without_rows = _SQL["described"].replace("{statement}", text)
        self._streaming = True
        with self._errors(), psycopg.RawCursor(self._connection) as cursor:
            asked = without_rows if schema_only else text
            rows = cursor.stream(asked.encode(), values, binary=True, size=ROWS_AT_ONCE)
            chunk = [row for row in [next(rows, None)] if row is not None]
            if not chunk:
                cursor.execute(without_rows.encode(), values)
            described = cursor.description or []
            yield [_type(one) for one in described]
            convert = conversions(described)
            for row in rows:
                chunk.append(row)
                if len(chunk) >= ROWS_AT_ONCE:
                    yield convert(chunk)
                    chunk = []
            if chunk:
                yield convert(chunk)
            self._streaming = False

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.DataError as error:
            self._failed = True
            raise _blamed(error) from error
        except psycopg.Error as error:
            self._failed = True
            if self._cancelled:
                raise Stopped from error
            if error.sqlstate == "57014":
                raise QueryTimeout from error
            if (error.sqlstate or "").startswith(_STATEMENT_FAULTS) and error.sqlstate != "42501":
                raise _blamed(error) from error
            raise explained(error, self._address) from error


def beginning(seconds: float) -> str:
    """What begins the transaction of a query, whose statements may take so long."""
    milliseconds = sql.Literal(int(seconds * 1000))
    return sql.SQL(_SQL["begin"]).format(milliseconds=milliseconds).as_string()


def statement_of(bound: Bound) -> str:
    """The statement as PostgreSQL runs it, over the places of its tables."""
    places = {use.key: use.named.copy.place for use in bound.uses if use.named.copy}

    query = bound.query.copy()
    # What is replaced takes its parts along: parts come before what they are part of.
    for node in reversed(list(query.walk(bfs=False))):
        if isinstance(node, exp.Table) and node.name in places:
            place = places[node.name]
            node.set("this", exp.to_identifier(place.table, quoted=True))
            node.set("db", exp.to_identifier(place.schema, quoted=True))
        elif isinstance(node, exp.Identifier) and len(node.name.encode()) > LONGEST_BYTES:
            # PostgreSQL would cut it itself, and take two such names for one.
            node.set("this", fitted(node.name))
        elif isinstance(node, exp.Round | exp.Trunc) and node.args.get("decimals"):
            _with_digits(node)
        elif isinstance(node, exp.Div) and node.meta.get("whole") and is_a(node, {WIDE}):
            # It may be one of numerics here, which would have a fraction.
            node.replace(exp.IntDiv(this=node.this, expression=node.expression))
        elif isinstance(node, exp.Log) and node.name == "10":
            # With a base PostgreSQL takes numerics only; its base is 10 where none is given.
            node.replace(exp.Log(this=node.expression))
        elif isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.GroupConcat):
            # PostgreSQL has the order of a list among its arguments.
            node.this.set("this", _ordered(node.this.this, node.expression))
            node.replace(node.this)
    try:
        return query.sql(dialect="postgres", comments=False, unsupported_level=ErrorLevel.IMMEDIATE)
    except UnsupportedError as error:
        raise failure(str(error).rstrip(".")) from error


def _ordered(values: exp.Expr, order: exp.Order) -> exp.Order:
    order.set("this", values)
    return order


def _with_digits(node: exp.Round | exp.Trunc) -> None:
    """PostgreSQL rounds numerics only to digits after the point."""
    floats = {exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT}
    was_float = is_a(node.this, floats)
    node.set("this", exp.cast(node.this, "decimal"))
    if was_float:
        node.replace(exp.cast(node.copy(), "double"))


def _decimal(precision: Any, scale: Any) -> pa.DataType:
    if precision is None or int(precision) > _WIDEST:
        return pa.decimal128(_WIDEST, _WIDE_SCALE)
    return pa.decimal128(int(precision), int(scale or 0))


def _type(described: psycopg.Column) -> pa.DataType:
    if described.type_code == _NUMERIC:
        return _decimal(described.precision, described.scale)
    if described.type_code in _JSON:
        return pa.json_()
    return _BY_NUMBER.get(described.type_code, pa.string())


def conversions(described: Sequence[psycopg.Column]) -> Any:
    """What turns rows of psycopg's values into ours; most results need nothing."""
    texts = [
        position
        for position, one in enumerate(described)
        if _type(one) == pa.string() and one.type_code not in (19, 25, 1042, 1043)
    ]
    documents = [position for position, one in enumerate(described) if one.type_code in _JSON]

    def convert(chunk: list[Any]) -> Chunk:
        if not texts and not documents:
            return chunk
        rows = [list(row) for row in chunk]
        for row in rows:
            for position in texts:
                row[position] = None if row[position] is None else _text(row[position])
            for position in documents:
                if row[position] is not None:
                    row[position] = orjson.dumps(row[position]).decode()
        return rows

    return convert


def _text(value: Any) -> str:
    return base64_of(value) if isinstance(value, bytes) else str(value)


def _blamed(error: psycopg.Error) -> QueryFailed:
    said = " ".join((error.diag.message_primary or str(error)).split())[:300]
    return failure(said.rstrip("."))
