"""The columns of files: types that hold every value, and the selection that gives them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, LiteralString

import duckdb
import pyarrow as pa
from psycopg import sql

from tidewell.sources.protocol import Column, ReadRequest
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.files", "relation.sql")
_WHOLE_NUMBERS = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "HUGEINT")
_QUESTIONS = dict.fromkeys(_WHOLE_NUMBERS, "leading_zero") | {"DOUBLE": "many_digits"}
_NESTED = ("STRUCT", "MAP", "UNION", "JSON", "VARIANT")
_NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
# What is given as text, and what that text is: Arrow has no type of DuckDB's own here.
_AS_TEXT = {
    "HUGEINT": _NUMERIC,
    "UHUGEINT": _NUMERIC,
    "BIGNUM": _NUMERIC,
    "BIT": pa.string(),
    "TIME WITH TIME ZONE": pa.string(),
}


@dataclass(frozen=True)
class FileColumn:
    """A column, its type in DuckDB, and how its values are given."""

    column: Column
    duck: str
    given: Literal["as is", "text", "json"] = "as is"


def columns_of(
    duck: duckdb.DuckDBPyConnection, relation: LiteralString, parameters: dict[str, Any]
) -> list[FileColumn]:
    """The columns of a relation."""
    statement = _composed("describe", relation=sql.SQL(relation))
    described = [(name, kind) for name, kind, *_ in duck.execute(statement, parameters).fetchall()]
    arrow = _arrow_types(duck, [kind for _, kind in described])
    return [_column(name, kind, arrow[kind]) for name, kind in described]


def without_loss(
    duck: duckdb.DuckDBPyConnection,
    columns: Sequence[FileColumn],
    relation: LiteralString,
    parameters: dict[str, Any],
) -> list[FileColumn]:
    """CSV has no types, so a number is one only where nothing is lost: a column with leading
    zeros is text, and one with more digits than a double keeps is an exact number."""
    doubtful = [one for one in columns if one.duck in _QUESTIONS]
    if not doubtful:
        return list(columns)
    answers = sql.SQL(", ").join(
        sql.SQL(_SQL[_QUESTIONS[one.duck]]).format(column=sql.Identifier(one.column.name))
        for one in doubtful
    )
    statement = _composed("answers", answers=answers, relation=sql.SQL(relation))
    row = duck.execute(statement, parameters).fetchone() or ()
    lossy = {one.column.name for one, loses in zip(doubtful, row, strict=True) if loses}
    return [_as_written(one) if one.column.name in lossy else one for one in columns]


def selection(
    relation: LiteralString, columns: Sequence[FileColumn], request: ReadRequest
) -> tuple[str, dict[str, Any]]:
    """The SELECT of a request and its parameters."""
    by_name = {one.column.name: one for one in columns}
    parameters: dict[str, Any] = {}
    conditions: list[sql.Composable] = [sql.SQL("true")]
    for position, comparison in enumerate(request.where):
        parameters[f"value{position}"] = comparison.value
        conditions.append(
            sql.SQL("{} {} CAST({} AS {})").format(
                sql.Identifier(comparison.column),
                sql.SQL(comparison.operator),
                sql.SQL(f"$value{position}"),
                sql.SQL(by_name[comparison.column].duck),
            )
        )
    statement = _composed(
        "selection" if request.limit is None else "limited_selection",
        values=sql.SQL(", ").join(
            _value(by_name[name]) for name in request.columns or tuple(by_name)
        ),
        relation=sql.SQL(relation),
        conditions=sql.SQL(" AND ").join(conditions),
        limit=sql.Literal(request.limit),
    )
    return statement, parameters


def _column(name: str, kind: str, arrow: pa.DataType) -> FileColumn:
    if kind in _AS_TEXT:
        return FileColumn(Column(name, _AS_TEXT[kind]), kind, "text")
    if kind.startswith(_NESTED) or kind.endswith("]"):
        return FileColumn(Column(name, pa.json_()), kind, "json")
    forward = pa.types.is_timestamp(arrow) or pa.types.is_date(arrow)
    return FileColumn(Column(name, arrow, moves_forward=forward), kind)


def _arrow_types(duck: duckdb.DuckDBPyConnection, kinds: Sequence[str]) -> dict[str, pa.DataType]:
    distinct = list(dict.fromkeys(kinds))
    casts = sql.SQL(", ").join(sql.SQL("CAST(NULL AS {})").format(sql.SQL(one)) for one in distinct)
    schema = duck.execute(_composed("types", casts=casts)).to_arrow_reader(1).schema
    return dict(zip(distinct, schema.types, strict=True))


def _as_written(one: FileColumn) -> FileColumn:
    exact = _NUMERIC if one.duck == "DOUBLE" else pa.string()
    return FileColumn(replace(one.column, type=exact), "VARCHAR")


def _value(one: FileColumn) -> sql.Composed:
    name = sql.Identifier(one.column.name)
    shapes: dict[str, LiteralString] = {
        "as is": "{0}",
        "text": "CAST({0} AS VARCHAR) AS {0}",
        "json": "to_json({0}) AS {0}",
    }
    return sql.SQL(shapes[one.given]).format(name)


def _composed(name: str, **parts: sql.Composable) -> str:
    """A statement with its parts; DuckDB quotes identifiers as PostgreSQL does."""
    return sql.SQL(_SQL[name]).format(**parts).as_string()
