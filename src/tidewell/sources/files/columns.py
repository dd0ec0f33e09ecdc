"""The columns of files: types that hold every value, and the selection that gives them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, LiteralString

import duckdb
import pyarrow as pa
from psycopg import sql

from tidewell.sources.files.dates import AS_SEEN, MOMENTS, formats
from tidewell.sources.protocol import Column, ReadRequest
from tidewell.state.statements import statements

FILE = "__tidewell_file"
"""The column in which DuckDB tells the file of a row."""

_SQL = statements("tidewell.sources.files", "relation.sql")
_NUMBERED = re.compile(r"_\d+$")
_WHOLE_NUMBERS = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "HUGEINT")
_QUESTIONS = (
    dict.fromkeys(_WHOLE_NUMBERS, "leading_zero")
    | dict.fromkeys(("DATE", *MOMENTS), "no_year_first")
    | {"DOUBLE": "many_digits"}
)
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
    """A column, its type in DuckDB, and how its values are given.

    `is_text_cell`: of a sheet, whose cells are of several types, so that they are read as text.
    `dates`: how the dates of a CSV file are written, where DuckDB could take them for others.
    """

    column: Column
    duck: str
    given: Literal["as is", "text", "json"] = "as is"
    is_text_cell: bool = False
    dates: str = AS_SEEN


def columns_of(
    duck: duckdb.DuckDBPyConnection, relation: LiteralString, parameters: dict[str, Any]
) -> list[FileColumn]:
    """The columns of a relation."""
    statement = _composed("describe", relation=sql.SQL(relation))
    described = [
        (name, kind)
        for name, kind, *_ in duck.execute(statement, parameters).fetchall()
        if name != FILE
    ]
    return columns_of_types(duck, described)


def columns_of_types(
    duck: duckdb.DuckDBPyConnection, described: Sequence[tuple[str, str]]
) -> list[FileColumn]:
    """The columns of these names and types of DuckDB's."""
    arrow = _arrow_types(duck, [kind for _, kind in described])
    return [_column(name, kind, arrow[kind]) for name, kind in described]


def without_loss(
    duck: duckdb.DuckDBPyConnection,
    columns: Sequence[FileColumn],
    relation: LiteralString,
    parameters: dict[str, Any],
) -> list[FileColumn]:
    """CSV has no types, so a number is one only where nothing is lost: a column with leading
    zeros is text, and one with more digits than a double keeps is an exact number. A date is one
    only where all files tell in which order day and month stand.
    """
    kinds = {one.column.name: one.duck for one in columns}

    def told(questions: Mapping[str, str]) -> dict[str, Any]:
        return _told(duck, relation, parameters, questions)

    doubts = told({name: _QUESTIONS[kind] for name, kind in kinds.items() if kind in _QUESTIONS})
    lossy = {name for name, loses in doubts.items() if loses}
    dated = [name for name in kinds if name in lossy and kinds[name] in ("DATE", *MOMENTS)]
    known = formats(kinds, told(dict.fromkeys(dated, "date_parts")))
    return [
        replace(one, dates=dates)
        if (dates := known.get(one.column.name))
        else _as_written(one)
        if one.column.name in lossy
        else one
        for one in columns
    ]


def format_of_dates(columns: Iterable[FileColumn]) -> str:
    """How the dates of CSV files are read."""
    return next((one.dates for one in columns if one.dates != AS_SEEN), AS_SEEN)


def without_lost_cells(
    duck: duckdb.DuckDBPyConnection, columns: Sequence[FileColumn], parameters: dict[str, Any]
) -> list[FileColumn]:
    """A sheet's column has the type of its first cell; where another cell does not fit, the column
    is text."""
    if not columns:
        return []
    answers = [
        sql.SQL(_SQL["lost_cell"]).format(column=sql.Identifier(one.column.name)) for one in columns
    ]
    statement = _composed(
        "excel_side_by_side",
        columns=sql.SQL(", ").join(answers),
        typed=sql.SQL(_SQL["excel"]),
        text=sql.SQL(_SQL["excel_as_text"]),
    )
    row = duck.execute(statement, parameters).fetchone() or ()
    return [
        FileColumn(Column(one.column.name, pa.string()), "VARCHAR", is_text_cell=True)
        if lost
        else one
        for one, lost in zip(columns, row, strict=True)
    ]


def side_by_side(columns: Sequence[FileColumn]) -> LiteralString:
    """The relation of a sheet: each column typed, or as text where cells would be lost."""
    if not columns:
        return _SQL["excel"]
    is_mixed = any(one.is_text_cell for one in columns)
    sheet = _both(columns) if is_mixed else sql.SQL(_SQL["excel"])
    return _composed(
        "excel_rows",
        sheet=sheet,
        holds_something=sql.SQL(" OR ").join(
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(one.column.name)) for one in columns
        ),
    )


def _both(columns: Sequence[FileColumn]) -> sql.Composable:
    parts = [
        sql.SQL("{}.{}").format(
            sql.SQL("text" if one.is_text_cell else "typed"), sql.Identifier(one.column.name)
        )
        for one in columns
    ]
    return sql.SQL(_SQL["excel_side_by_side"]).format(
        columns=sql.SQL(", ").join(parts),
        typed=sql.SQL(_SQL["excel"]),
        text=sql.SQL(_SQL["excel_as_text"]),
    )


def names_are_keys(names: Iterable[str]) -> bool:
    """Whether JSON can be read by these names: DuckDB calls keys that differ by their case only
    `a` and `A_1`, and values that are no objects `json`."""
    folded = [name.casefold() for name in names]
    renamed = any(_NUMBERED.sub("", name) in folded for name in folded if _NUMBERED.search(name))
    return bool(folded) and not renamed and folded != ["json"]


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of batches after `plain`."""
    return pa.schema([(one.name, _plain_type(one.type)) for one in schema])


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """DuckDB keeps the other types whole by Arrow's extensions, and gives truth values as bytes."""
    if not any(one.type == pa.bool8() for one in batch.schema):
        return batch
    columns = [
        one.storage.cast(pa.bool_()) if one.type == pa.bool8() else one for one in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=plain_schema(batch.schema))


def as_literal(path: Path) -> str:
    """A path that DuckDB does not take for a glob."""
    text = str(path)
    for sign in ("[", "*", "?"):
        text = text.replace(sign, f"[{sign}]")
    return text


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
    # The first rows of an order that is not kept would be others.
    limit = None if request.order else request.limit
    statement = _composed(
        "selection" if limit is None else "limited_selection",
        values=sql.SQL(", ").join(
            _value(by_name[name]) for name in request.columns or tuple(by_name)
        ),
        relation=sql.SQL(relation),
        conditions=sql.SQL(" AND ").join(conditions),
        limit=sql.Literal(limit),
    )
    return statement, parameters


def scanning(columns: Sequence[FileColumn], paths: Sequence[Path]) -> LiteralString | None:
    """Columns of Parquet files, for another DuckDB; None where it would not read the same."""
    if any(one.given != "as is" for one in columns):
        return None
    if any(as_literal(path) != str(path) for path in paths):
        return None
    return _composed(
        "parquet_scan",
        values=sql.SQL(", ").join(sql.Identifier(one.column.name) for one in columns),
        files=sql.SQL(", ").join(sql.Literal(str(path)) for path in paths),
    )


def _told(
    duck: duckdb.DuckDBPyConnection,
    relation: LiteralString,
    parameters: dict[str, Any],
    questions: Mapping[str, str],
) -> dict[str, Any]:
    """The answers to questions about columns, by their names; in one pass."""
    if not questions:
        return {}
    answers = sql.SQL(", ").join(
        sql.SQL(_SQL[question]).format(column=sql.Identifier(name))
        for name, question in questions.items()
    )
    statement = _composed("answers", answers=answers, relation=sql.SQL(relation))
    row = duck.execute(statement, parameters).fetchone() or ()
    return dict(zip(questions, row, strict=True))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return pa.bool_() if kind == pa.bool8() else kind


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
    return dict(zip(distinct, map(_plain_type, schema.types), strict=True))


def _as_written(one: FileColumn) -> FileColumn:
    exact = _NUMERIC if one.duck == "DOUBLE" else pa.string()
    return FileColumn(replace(one.column, type=exact, moves_forward=False), "VARCHAR")


def _value(one: FileColumn) -> sql.Composed:
    name = sql.Identifier(one.column.name)
    shapes: dict[str, LiteralString] = {
        "as is": "{0}",
        "text": "CAST({0} AS VARCHAR) AS {0}",
        "json": "to_json({0}) AS {0}",
    }
    return sql.SQL(shapes[one.given]).format(name)


def _composed(name: str, **parts: sql.Composable) -> LiteralString:
    """A statement with its parts; DuckDB quotes identifiers as PostgreSQL does."""
    return sql.SQL(_SQL[name]).format(**parts).as_string()
