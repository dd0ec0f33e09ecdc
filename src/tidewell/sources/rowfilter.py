"""The `filter` of a caching job: one SQL condition over the columns of a source's table.

It is read by sqlglot and may hold comparisons, arithmetic, and functions of a list that can neither
read a file nor run a program. What a source surely judges as we do is pushed down to it, and
DuckDB, shut off from everything, judges the rest over each Arrow batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ClassVar

import pyarrow as pa
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError

from tidewell.errors import InvalidRequest
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column, Comparison, Operator
from tidewell.sources.residual import typed

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

_OPERATORS: dict[type[exp.Expr], Operator] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_MIRRORED: dict[Operator, Operator] = {
    "=": "=",
    "<>": "<>",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}

_MOMENT_TYPES = (
    exp.DataType.Type.DATE,
    exp.DataType.Type.TIMESTAMP,
    exp.DataType.Type.TIMESTAMPNTZ,
    exp.DataType.Type.TIMESTAMPTZ,
)


@dataclass(frozen=True)
class RowFilter:
    """A filter bound to the columns of a table.

    `pushed` are comparisons that the source judges as we do or more leniently; `rest` is what
    DuckDB has to judge over the columns `needs`, as its SQL; None: nothing is left to judge.
    """

    pushed: tuple[Comparison, ...]
    rest: str | None
    needs: tuple[str, ...]
    columns: tuple[str, ...]
    """All columns that the filter names, in the table's order."""


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


def bind(text: str, columns: Sequence[Column]) -> RowFilter:
    """The filter over these columns. Raises InvalidRequest that names a column that is not there.

    Whether its types agree is found out by DuckDB (`RowTest`).
    """
    condition = parse(text)
    by_name = {column.name: column for column in columns}
    for node in condition.find_all(exp.Column):
        name = _known(node, by_name)
        node.replace(exp.column(exp.to_identifier(name, quoted=True)))
    named = _names([condition])
    pushed, rest = [], []
    for part in _conjuncts(condition):
        comparison = _comparison(part, by_name)
        if comparison is not None:
            pushed.append(comparison)
        # Equality of text is pushed down for speed only: a source may not tell cases apart.
        if comparison is None or _is_text(by_name[comparison.column].type):
            rest.append(part)
    needs = _names(rest)
    if len({name.casefold() for name in needs}) < len(needs):
        raise InvalidRequest.of(FIELD, "names columns that differ only by case: name one of them")
    return RowFilter(
        tuple(pushed),
        exp.and_(*rest).sql(dialect="duckdb", comments=False) if rest else None,
        tuple(column.name for column in columns if column.name in needs),
        tuple(column.name for column in columns if column.name in named),
    )


def _known(node: exp.Column, by_name: dict[str, Column]) -> str:
    """The name of a column as the source spells it; case matters only where it has to."""
    if node.table:
        raise InvalidRequest.of(FIELD, f"name columns alone, not {node.sql()[:60]!r}")
    if node.name in by_name:
        return str(node.name)
    alike = [name for name in by_name if name.casefold() == node.name.casefold()]
    if len(alike) == 1:
        return alike[0]
    raise InvalidRequest.of(
        FIELD,
        f"the source's table has no column {node.name[:60]!r}{near_names(node.name, by_name)}",
    )


def _names(conditions: Iterable[exp.Expr]) -> set[str]:
    return {node.name for one in conditions for node in one.find_all(exp.Column)}


def _conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.And):
        return [*_conjuncts(condition.left), *_conjuncts(condition.right)]
    return [condition]


def _comparison(part: exp.Expr, by_name: dict[str, Column]) -> Comparison | None:
    """The comparison that a source can judge as we would; None: it might judge otherwise."""
    operator = _OPERATORS.get(type(part))
    if operator is None:
        return None
    left, right = part.this, part.expression
    if isinstance(right, exp.Column):
        left, right, operator = right, left, _MIRRORED[operator]
    if not isinstance(left, exp.Column):
        return None
    kind = by_name[left.name].type
    value = _value(right, kind, operator)
    if value is None:
        return None
    try:
        typed(value, kind)
    except (pa.ArrowException, ArithmeticError):
        return None  # more digits than the column holds: DuckDB knows what that means
    return Comparison(left.name, operator, value)


def _value(node: exp.Expr, kind: pa.DataType, operator: Operator) -> str | None:
    """The text of a literal at the precision of the column."""
    sign = ""
    if isinstance(node, exp.Neg):
        sign, node = "-", node.this
    if isinstance(node, exp.Cast) and node.to.this in _MOMENT_TYPES:
        node = node.this
    if not isinstance(node, exp.Literal):
        return None
    text = str(node.this)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_float64(kind):
        plain = not node.is_string and text.replace(".", "", 1).isdigit()
        return sign + text if plain else None
    if not node.is_string or sign:
        return None
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        return _moment(text, kind)
    return text if operator == "=" and _is_text(kind) else None


def _moment(text: str, kind: pa.DataType) -> str | None:
    try:
        if pa.types.is_date32(kind):
            return date.fromisoformat(text).isoformat()
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if kind.tz is None:
        return None if moment.tzinfo else moment.isoformat()
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


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
