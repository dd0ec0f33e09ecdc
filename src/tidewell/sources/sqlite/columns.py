"""The columns of SQLite tables: what is declared, checked against what really stands in them.

SQLite lets a value of any kind stand in any column ("Datatypes In SQLite", §1). A column whose
values all keep to its declaration has the declared type; any other is text, as SQLite writes its
values, so that none is lost.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import pyarrow as pa
from psycopg import sql

from tidewell.sources.forward import moves_forward
from tidewell.sources.protocol import Column
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.sqlite", "catalogue.sql")
_LENGTH = re.compile(r"CHAR\w*\s*\((\d+)\)")
_PRECISION = re.compile(r"(?:DECIMAL|NUMERIC)\s*\((\d+)(?:\s*,\s*(\d+))?\)")
_DIGITS_OF_A_DOUBLE = 15
_NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")

Ask = Callable[[sql.Composed], tuple[Any, ...]]
"""Runs a SELECT of one row."""

AS_IT_IS: LiteralString = "{}"
AS_TEXT: LiteralString = "CASE typeof({0}) WHEN 'blob' THEN hex({0}) ELSE CAST({0} AS TEXT) END"


@dataclass(frozen=True)
class Declared:
    """A column as the catalogue has it."""

    name: str
    type: str
    not_null: bool
    key: int
    indexed: bool
    strict: bool


@dataclass(frozen=True)
class SQLiteColumn:
    """A column, how it is selected, and how its values come.

    `first` is a literal of the kind (integer, real, text, blob) that its values travel as.
    `written` is how its times are written as text, where all are written in one way, so that they
    can be compared as text: `2026-01-31T10:00:00.000Z`.
    """

    column: Column
    first: LiteralString
    expression: LiteralString = AS_IT_IS
    written: str | None = None


def columns_of(declared: Sequence[Declared], table: sql.Identifier, ask: Ask) -> list[SQLiteColumn]:
    """The columns of a table, from one look at all its values."""
    unsure = [one for one in declared if not one.strict]
    classes: dict[str, tuple[str | None, str | None]] = {}
    if unsure:
        answers = [
            sql.SQL(_SQL[name]).format(column=sql.Identifier(one.name))
            for one in unsure
            for name in ("least_class", "greatest_class")
        ]
        found = ask(
            sql.SQL(_SQL["classes"]).format(answers=sql.SQL(", ").join(answers), table=table)
        )
        pairs = zip(found[0::2], found[1::2], strict=True)
        classes = {one.name: pair for one, pair in zip(unsure, pairs, strict=True)}
    return [_column(one, classes.get(one.name, (None, None)), table, ask) for one in declared]


def _column(
    one: Declared, classes: tuple[str | None, str | None], table: sql.Identifier, ask: Ask
) -> SQLiteColumn:
    found = {name for name in classes if name is not None}
    if not found:
        found = {_affinity(one.type)}
    name = sql.Identifier(one.name)
    kind = one.type.upper()
    if found == {"integer"}:
        if "BOOL" in kind and not _asked(ask, "booleans", column=name, table=table):
            return _made(one, pa.bool_(), "0")
        exact = _decimal(kind, name, table, ask)
        return exact(one) if exact else _made(one, pa.int64(), "0")
    if found <= {"integer", "real"}:
        exact = _decimal(kind, name, table, ask)
        if exact:
            return exact(one)
        if found == {"real"}:
            return _made(one, pa.float64(), "0.0")
        return _made(one, _NUMERIC, "''", AS_TEXT)
    if found == {"text"}:
        times = _times(one, kind, name, table, ask)
        return times or _made(one, pa.string(), "''")
    if found == {"blob"}:
        return _made(one, pa.binary(), "x''")
    return _made(one, pa.string(), "''", AS_TEXT)


def _affinity(declared: str) -> str:
    """The kind that a column prefers ("Datatypes In SQLite", §3.1), where it holds nothing."""
    kind = declared.upper()
    if "INT" in kind or "BOOL" in kind:
        return "integer"
    if any(part in kind for part in ("REAL", "FLOA", "DOUB", "DECIMAL", "NUMERIC")):
        return "real"
    return "blob" if "BLOB" in kind else "text"


def _times(
    one: Declared, kind: str, name: sql.Identifier, table: sql.Identifier, ask: Ask
) -> SQLiteColumn | None:
    """A column of dates or times, where it is declared so and every text of it is one."""
    if not ("DATE" in kind or "TIME" in kind):
        return None
    (
        shortest,
        longest,
        dates,
        moments,
        separator,
        other_separator,
        zone,
        other_zone,
        odd,
        digits,
    ) = ask(sql.SQL(_SQL["times"]).format(column=name, table=table))
    if shortest is None:
        # Nothing stands in it yet: as SQLite's own functions would write it.
        return _made(one, pa.date32() if kind == "DATE" else pa.timestamp("us"), "''")
    if dates:
        return _made(one, pa.date32(), "''", written="2026-01-31")
    zones_mixed = (zone == "") != (other_zone == "")
    if not moments or odd or digits > len(".123456") or zones_mixed:
        return None
    alike = shortest == longest and separator == other_separator and zone == other_zone
    same_as_utc = zone in ("", "Z", "+00:00")
    written = None
    if alike and same_as_utc:
        written = f"2026-01-31{separator}10:00:00{'.000000'[:digits]}{zone}"
    return _made(one, pa.timestamp("us", "UTC" if zone else None), "''", written=written)


def _decimal(
    kind: str, name: sql.Identifier, table: sql.Identifier, ask: Ask
) -> Callable[[Declared], SQLiteColumn] | None:
    """DECIMAL(p, s), where every value is such a number; SQLite keeps them as doubles."""
    match = _PRECISION.search(kind)
    if match is None:
        return None
    precision, scale = int(match[1]), int(match[2] or 0)
    if not 0 < precision <= _DIGITS_OF_A_DOUBLE or scale > precision:
        return None
    beyond = _asked(
        ask,
        "decimals",
        column=name,
        table=table,
        scale=sql.Literal(scale),
        bound=sql.Literal(10 ** (precision - scale)),
    )
    if beyond:
        return None
    return lambda one: _made(one, pa.decimal128(precision, scale), "0.0")


def _asked(ask: Ask, statement: str, **parts: sql.Composable) -> bool:
    return bool(ask(sql.SQL(_SQL[statement]).format(**parts))[0])


def _made(
    one: Declared,
    kind: pa.DataType,
    first: LiteralString,
    expression: LiteralString = AS_IT_IS,
    written: str | None = None,
) -> SQLiteColumn:
    column = Column(
        name=one.name,
        type=kind,
        nullable=not one.not_null and not one.key,
        key_position=one.key - 1 if one.key else None,
        moves_forward=moves_forward(one.name, kind, indexed=one.indexed),
    )
    return SQLiteColumn(column, first, expression, written)
