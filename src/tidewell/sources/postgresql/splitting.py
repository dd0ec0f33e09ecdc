"""Where a PostgreSQL table can be cut, so that several processes read a part of it each."""

from contextlib import suppress

import psycopg
import pyarrow as pa
from psycopg import sql

from tidewell.sources.postgresql.session import Connection
from tidewell.sources.protocol import Split
from tidewell.state.statements import beside_values, statements

_SQL = statements("tidewell.sources.postgresql", "splitting.sql")
_SAMPLED_ROWS = 100_000
"""Rows whose quantiles are the bounds: with them the ranges differ by a few per cent. Rows of one
page are alike, so that some thousand pages count and not the rows."""


def can_split(kind: pa.DataType) -> bool:
    """Whether a column's values have one order wherever they are compared: a text may not."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind)
        or kind == pa.uuid()
    )


def split(
    connection: Connection,
    name: tuple[str, str],
    column: str,
    ranges: int,
    least: int,
    moment: str,
) -> Split | None:
    """The bounds of a table whose rows the planner estimates at `least` or more.

    None where the server cannot take a sample: some speak PostgreSQL's protocol and are others.
    """
    with (
        suppress(psycopg.ProgrammingError, psycopg.NotSupportedError),
        connection.transaction(),
    ):
        parts = {"table": sql.Identifier(*name), "column": sql.Identifier(column)}
        plan = connection.execute(sql.SQL(_SQL["estimate"]).format(**parts)).fetchone()
        rows = int(plan[0][0]["Plan"]["Plan Rows"]) if plan else 0
        if rows < least:
            return Split(rows)
        share = min(100.0, 100.0 * _SAMPLED_ROWS / max(rows, 1))
        statement = sql.SQL(_SQL["bounds"]).format(
            table=beside_values(*name), column=beside_values(column), share=sql.Literal(share)
        )
        quantiles = [number / ranges for number in range(1, ranges)]
        found = connection.execute(statement, {"quantiles": quantiles}).fetchall()
        return Split(rows, tuple(_as_compared(bound) for (bound,) in found), moment)
    return None


def _as_compared(bound: str) -> str:
    """A bound as the value of a comparison: times as ISO 8601 writes them."""
    return bound.replace(" ", "T", 1).replace("+00", "Z")
