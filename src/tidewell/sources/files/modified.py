"""The pseudo-column `_modified`: when the file of a row was last changed.

A job that follows it reads only the files that have changed. It is given where it is asked for by
name, so that a file that was merely touched does not change every cached row.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

import pyarrow as pa
from psycopg import sql

from tidewell.sources.files.columns import FILE, FileColumn
from tidewell.sources.files.store import LocalCopy
from tidewell.sources.protocol import Column, Comparison
from tidewell.sources.residual import apply_residual
from tidewell.state.statements import statements

MODIFIED = "_modified"
_KIND = pa.timestamp("us", "UTC")
TIMES = FileColumn(
    Column(
        MODIFIED,
        _KIND,
        moves_forward=True,
        pseudo=True,
        remarks="When the file of the row was last changed.",
    ),
    "TIMESTAMP WITH TIME ZONE",
)
_SQL = statements("tidewell.sources.files", "relation.sql")


def column_of_times(columns: Sequence[Column]) -> list[Column]:
    """The pseudo-column, unless the files have one of their own by that name."""
    return [] if any(one.name.lower() == MODIFIED for one in columns) else [TIMES.column]


def satisfies(modified: datetime | None, where: Sequence[Comparison]) -> bool:
    """Whether the rows of a file with this time satisfy comparisons with it."""
    if not where:
        return True
    batch = pa.record_batch([pa.array([modified], _KIND)], names=[MODIFIED])
    return bool(apply_residual(batch, where).num_rows)


def some_files(
    relation: LiteralString, parameters: dict[str, Any], copies: Sequence[LocalCopy]
) -> tuple[LiteralString, dict[str, Any]]:
    """The rows of some files only; DuckDB opens no other. Columns stay those of all files."""
    names = {f"kept{position}": str(copy.path) for position, copy in enumerate(copies)}
    statement = sql.SQL(_SQL["of_files"]).format(
        relation=sql.SQL(relation),
        file=sql.Identifier(FILE),
        kept=sql.SQL(", ").join(sql.SQL(f"${name}") for name in names),
    )
    return _made(statement), parameters | names


def with_times(
    relation: LiteralString, parameters: dict[str, Any], copies: Sequence[LocalCopy]
) -> tuple[LiteralString, dict[str, Any]]:
    """The rows with the time of their file."""
    times = [None if one.modified is None else one.modified.isoformat() for one in copies]
    if len(copies) == 1:
        statement = sql.SQL(_SQL["with_time"]).format(relation=sql.SQL(relation))
        return _made(statement), parameters | {"time": times[0]}
    statement = sql.SQL(_SQL["with_times"]).format(relation=sql.SQL(relation))
    more = {"times_of": [str(one.path) for one in copies], "times": times}
    return _made(statement), parameters | more


def _made(statement: sql.Composed) -> LiteralString:
    """Made of our own text, parameters and quoted identifiers."""
    return statement.as_string()
