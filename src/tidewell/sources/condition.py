"""The text of a caching job's `filter`: one SQL condition, of what a filter may hold.

It is read by sqlglot and may hold comparisons, arithmetic, and functions of a list that can neither
read a file nor run a program.
"""

from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError

from tidewell.errors import InvalidRequest

FIELD = "params.filter"
LONGEST = 10_000
"""Characters of a filter."""


class FilterDialect(DuckDB):
    """DuckDB's SQL, in which brackets and backticks quote names as well as double quotes."""

    class Tokenizer(DuckDB.Tokenizer):
        """Names as people of other databases write them."""

        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ['"', "`", ("[", "]")]


_LOGIC: tuple[type[exp.Expr], ...] = (exp.And, exp.Or, exp.Not, exp.Paren, exp.Boolean, exp.Null)
_VALUES: tuple[type[exp.Expr], ...] = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.DataType,
    exp.DataTypeParam,
    exp.Tuple,
)
_PREDICATES: tuple[type[exp.Expr], ...] = (
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ),
    *(exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Escape),
)
_ARITHMETIC: tuple[type[exp.Expr], ...] = (
    exp.Neg,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.IntDiv,
    exp.Mod,
    exp.DPipe,
)
_FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.Abs: "abs",
    exp.Case: "case",
    exp.If: "if",
    exp.Cast: "cast",
    exp.TryCast: "try_cast",
    exp.Ceil: "ceil",
    exp.Coalesce: "coalesce",
    exp.Concat: "concat",
    exp.Contains: "contains",
    exp.CurrentDate: "current_date",
    exp.CurrentTimestamp: "current_timestamp",
    exp.TimestampTrunc: "date_trunc",
    exp.DateTrunc: "date_trunc",
    exp.Day: "day",
    exp.EndsWith: "ends_with",
    exp.Extract: "extract",
    exp.Floor: "floor",
    exp.Greatest: "greatest",
    exp.Interval: "interval",
    exp.Least: "least",
    exp.Left: "left",
    exp.Length: "length",
    exp.Lower: "lower",
    exp.Month: "month",
    exp.Nullif: "nullif",
    exp.RegexpLike: "regexp_matches",
    exp.Replace: "replace",
    exp.Right: "right",
    exp.Round: "round",
    exp.StartsWith: "starts_with",
    exp.StrPosition: "position",
    exp.Substring: "substring",
    exp.Trim: "trim",
    exp.Upper: "upper",
    exp.Year: "year",
}
_PARTS: tuple[type[exp.Expr], ...] = (exp.Var,)
"""What some of the above are written with: units of time."""
_NOW = "now"
_ALLOWED: tuple[type[exp.Expr], ...] = (
    *_LOGIC,
    *_VALUES,
    *_PREDICATES,
    *_ARITHMETIC,
    *_FUNCTIONS,
    *_PARTS,
)


def parse(text: str) -> exp.Expr:
    """The condition itself. Raises InvalidRequest where it is not one allowed condition."""
    if len(text) > LONGEST:
        raise InvalidRequest.of(FIELD, f"is longer than {LONGEST} characters")
    try:
        found = FilterDialect().parse_into(exp.Condition, text)
    except SqlglotError as error:
        raise InvalidRequest.of(FIELD, f"is not a SQL condition: {_place(error)}") from None
    except RecursionError:
        raise InvalidRequest.of(FIELD, "is nested too deeply") from None
    if len(found) != 1 or found[0] is None:
        raise InvalidRequest.of(FIELD, "must be one SQL condition, without a semicolon")
    for node in found[0].walk():
        is_now = isinstance(node, exp.Anonymous) and node.name.lower() == _NOW
        if not is_now and not isinstance(node, _ALLOWED):
            raise InvalidRequest.of(FIELD, _refusal(node))
    return exp.paren(found[0], copy=False)


def _refusal(node: exp.Expr) -> str:
    if isinstance(node, exp.Query | exp.Subquery | exp.Exists):
        return "a filter holds no subquery"
    if isinstance(node, exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name().lower()
        allowed = ", ".join(sorted({*_FUNCTIONS.values(), _NOW}))
        return f"the function {name[:60]} is not allowed; these are: {allowed}"
    return f"{node.sql(dialect='duckdb')[:60]!r} has no place in a filter"


def _place(error: SqlglotError) -> str:
    """What sqlglot says and where, without its terminal colours."""
    for one in getattr(error, "errors", ()):
        near = str(one.get("highlight") or "")[:60]
        what = str(one.get("description"))
        if what.startswith("Required keyword"):
            what = "something is missing"
        where = f"line {one.get('line')}, column {one.get('col')}"
        return f"{what} ({where}{f', at {near!r}' if near else ''})"
    return str(error)[:200]
