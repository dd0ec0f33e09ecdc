"""Where a MySQL table can be cut, so that several processes read a part of it each."""

from typing import Any

import pymysql
from psycopg import sql

from tidewell.sources.protocol import Split
from tidewell.state.statements import statements

_SQL = statements("tidewell.sources.mysql", "splitting.sql")


def split(
    connection: "pymysql.Connection[Any]",
    name: tuple[str, str],
    column: str,
    ranges: int,
    least: int,
) -> Split:
    """Evenly between both ends of a column of whole numbers: MySQL gives no sample of a table."""
    parts = {"table": sql.Identifier(*name), "column": sql.Identifier(column)}
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(_SQL["estimate"]).format(**parts).as_string())
        titles = [title[0] for title in cursor.description or ()]
        plan = cursor.fetchone() or ()
        rows = int(dict(zip(titles, plan, strict=True)).get("rows") or 0)
        if rows < least:
            return Split(rows)
        cursor.execute(sql.SQL(_SQL["ends"]).format(**parts).as_string())
        low, high = cursor.fetchone() or (None, None)
    return Split(rows, between(low, high, ranges))


def between(low: int | None, high: int | None, ranges: int) -> tuple[str, ...]:
    """Bounds that cut the numbers from `low` to `high` into ranges of the same width."""
    if low is None or high is None:
        return ()
    bounds = {low + (high - low + 1) * number // ranges for number in range(1, ranges)}
    return tuple(str(bound) for bound in sorted(bounds - {low}))
