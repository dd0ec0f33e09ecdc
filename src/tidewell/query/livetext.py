"""A bound statement as DuckDB runs it."""

from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from tidewell.query.binding import Bound
from tidewell.query.places import failure, refused
from tidewell.query.typing import is_a

_DIVISIONS = (exp.Div, exp.IntDiv, exp.Mod)
_ESCAPE = "\\"
"""What PostgreSQL escapes in a pattern by where a statement does not say."""
_DECIMAL, _WHOLE_DECIMAL = "decimal(38, 12)", "decimal(38, 0)"
"""What a decimal without a precision is. DuckDB's would have three digits after the point; a
product of two of these has 14 before it."""
_BY_ZERO = "division by zero"
"""PostgreSQL's own words."""


def statement_of(bound: Bound) -> str:
    """The statement as DuckDB runs it, over readers that are named by the keys of their uses."""
    query = bound.query.copy()
    # What is replaced takes its parts along: parts come before what they are part of.
    for node in reversed(list(query.walk(bfs=False))):
        if isinstance(node, exp.Column) and "apart" in node.meta:
            node.set("this", exp.to_identifier(node.meta["apart"], quoted=True))
        elif isinstance(node, exp.Div) and node.meta.get("whole"):
            node.replace(exp.IntDiv(this=node.this, expression=node.expression))
        elif isinstance(node, exp.Cast) and node.to.this in exp.DataType.TEXT_TYPES:
            _cut(node)
        elif isinstance(node, exp.Cast) and node.to.is_type("decimal") and not node.to.expressions:
            _keep_digits(node)
        elif isinstance(node, exp.Extract):
            _extract(node)
        elif isinstance(node, exp.Like | exp.ILike):
            _escape(node)
        elif isinstance(node, exp.SimilarTo):
            raise refused(node, "SIMILAR TO needs tables that are cached: use LIKE or REGEXP_LIKE")
    # The other way round, so that what a check repeats has no checks in it.
    for node in list(query.walk(bfs=False)):
        if isinstance(node, _DIVISIONS):
            _refuse_zero(node)
    try:
        return query.sql(dialect="duckdb", comments=False, unsupported_level=ErrorLevel.IMMEDIATE)
    except UnsupportedError as error:
        raise failure(str(error).rstrip(".")) from error


def _escape(node: exp.Like | exp.ILike) -> None:
    """DuckDB has no sign that escapes by itself."""
    pattern = node.expression
    plain = isinstance(pattern, exp.Literal) and _ESCAPE not in pattern.this
    if not plain and not isinstance(node.parent, exp.Escape):
        node.replace(exp.Escape(this=node.copy(), expression=exp.Literal.string(_ESCAPE)))


def _cut(cast: exp.Cast) -> None:
    """DuckDB has no lengths of texts: a cast would not cut."""
    lengths = cast.to.expressions[:1]
    if lengths:
        cast.set("to", exp.DataType.build("text"))
        cast.replace(exp.Left(this=cast.copy(), expression=lengths[0].this.copy()))


def _keep_digits(cast: exp.Cast) -> None:
    """A decimal that tells its precision stays as it is."""
    value = cast.this
    known = value.type
    if known and known.is_type("decimal") and known.expressions:
        cast.replace(value)
    else:
        whole = is_a(value, exp.DataType.INTEGER_TYPES)
        cast.set("to", exp.DataType.build(_WHOLE_DECIMAL if whole else _DECIMAL, dialect="duckdb"))


def _extract(node: exp.Extract) -> None:
    if node.expression.is_type("timestamptz"):
        # Of a time without a zone DuckDB tells it: the session is in UTC, as all times are.
        node.set("expression", exp.cast(node.expression, "timestamp"))
    if node.name.upper() == "SECOND":
        # DuckDB's has no fraction.
        node.set("this", exp.var("MICROSECONDS"))
        millionth = exp.Literal.number("0.000001")
        node.replace(exp.paren(exp.Mul(this=node.copy(), expression=millionth)))


def _refuse_zero(node: exp.Binary) -> None:
    """DuckDB divides by zero: NULL comes out, or an infinity. PostgreSQL and the reference's SQL do
    not; NULL divided by zero is NULL everywhere."""
    divisor = node.expression.unnest()
    if isinstance(divisor, exp.Literal) and not divisor.is_string and float(divisor.this):
        return
    zero = exp.EQ(this=exp.paren(node.expression), expression=exp.Literal.number(0))
    known = exp.Not(this=exp.Is(this=exp.paren(node.this), expression=exp.Null()))
    error = exp.Anonymous(this="error", expressions=[exp.Literal.string(_BY_ZERO)])
    checked = exp.Case(
        ifs=[exp.If(this=exp.And(this=zero, expression=known), true=error)],
        default=node.expression,
    )
    node.set("expression", checked)
