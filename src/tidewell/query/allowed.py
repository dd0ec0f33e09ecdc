"""What a statement may be made of. Everything else is refused, whatever an engine would say.

The engines have functions that read files, reach networks, run programs, show settings or wait;
new ones come with every release. So nothing is forbidden here: what is not listed is not allowed.
"""

import re

from sqlglot import exp

from tidewell.query.places import refused

_SHAPES = (
    exp.Select, exp.Union, exp.Except, exp.Intersect, exp.Subquery, exp.With, exp.CTE,
    exp.From, exp.Join, exp.Where,
    exp.Group, exp.GroupingSets, exp.Rollup, exp.Cube, exp.Having, exp.Qualify, exp.Order,
    exp.Ordered, exp.Limit, exp.Fetch, exp.LimitOptions, exp.Offset, exp.Distinct, exp.Values,
    exp.Tuple, exp.Table, exp.TableAlias, exp.Alias, exp.Column, exp.Identifier, exp.Star,
    exp.Window, exp.WindowSpec, exp.WithinGroup, exp.Filter, exp.IgnoreNulls, exp.RespectNulls,
    exp.Literal, exp.Boolean, exp.Null, exp.Var, exp.DataType, exp.DataTypeParam, exp.Paren,
    exp.Interval, exp.IntervalSpan, exp.Parameter, exp.National, exp.RawString, exp.Dot,
)  # fmt: skip
_OPERATORS = (
    exp.And, exp.Or, exp.Xor, exp.Not, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod,
    exp.Neg, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ,
    exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.SimilarTo, exp.Escape, exp.DPipe,
    exp.Exists, exp.Any, exp.All, exp.Case, exp.If, exp.Cast, exp.BitwiseAnd, exp.BitwiseOr,
    exp.BitwiseXor, exp.BitwiseNot, exp.RegexpLike,
)  # fmt: skip
_FUNCTIONS = (
    # Aggregates and windows
    exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Stddev, exp.StddevPop, exp.StddevSamp,
    exp.Variance, exp.VariancePop, exp.Corr, exp.CovarPop, exp.CovarSamp, exp.GroupConcat,
    exp.LogicalAnd, exp.LogicalOr, exp.Grouping, exp.PercentileCont, exp.PercentileDisc, exp.Mode,
    exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag,
    exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue, exp.RegrCount, exp.RegrSlope,
    # Text
    exp.Upper, exp.Lower, exp.Initcap, exp.Length, exp.Substring, exp.Left, exp.Right, exp.Trim,
    exp.Pad, exp.Replace, exp.Reverse, exp.Repeat, exp.Concat, exp.ConcatWs, exp.StrPosition,
    exp.SplitPart, exp.Ascii, exp.Chr, exp.Translate, exp.Unicode, exp.MD5,
    # Times
    exp.CurrentDate, exp.CurrentTimestamp, exp.Extract, exp.TimestampTrunc,
    exp.DateTrunc, exp.Date,
    # Numbers
    exp.Abs, exp.Ceil, exp.Floor, exp.Round, exp.Trunc, exp.Sign, exp.Sqrt, exp.Cbrt, exp.Pow,
    exp.Exp, exp.Ln, exp.Log, exp.Pi, exp.Rand, exp.Sin, exp.Cos, exp.Tan, exp.Cot, exp.Asin,
    exp.Acos, exp.Atan, exp.Atan2, exp.Degrees, exp.Radians, exp.Greatest, exp.Least,
    # Choices
    exp.Coalesce, exp.Nullif,
)  # fmt: skip
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What is written as it is (a unit of time, MAX): a quoted name in its place could be any SQL."""
_ALLOWED = frozenset({*_SHAPES, *_OPERATORS, *_FUNCTIONS})
_TYPES = exp.DataType.Type
TYPES = frozenset({
    _TYPES.BOOLEAN, _TYPES.TINYINT, _TYPES.SMALLINT, _TYPES.INT, _TYPES.BIGINT, _TYPES.FLOAT,
    _TYPES.DOUBLE, _TYPES.DECIMAL, _TYPES.CHAR, _TYPES.VARCHAR, _TYPES.NCHAR, _TYPES.NVARCHAR,
    _TYPES.TEXT, _TYPES.DATE, _TYPES.TIME, _TYPES.TIMESTAMP, _TYPES.TIMESTAMPTZ, _TYPES.DATETIME,
    _TYPES.DATETIME2, _TYPES.UUID, _TYPES.INTERVAL,
})  # fmt: skip
"""The types that a cast may name."""
_KINDS = ("", "INNER", "OUTER", "CROSS")
_METHODS = ("", "NATURAL")
"""The joins that all engines take to be the same."""
_CLAUSES = {
    "into": "INTO writes, and this is read-only: use a scheduled query",
    "locks": "FOR UPDATE and FOR SHARE lock rows; this is read-only",
    "laterals": "LATERAL is not available",
    "sample": "TABLESAMPLE is not available",
    "pivots": "PIVOT is not available",
    "match": "MATCH_RECOGNIZE is not available",
    "hint": "hints are not available",
    "connect": "CONNECT BY is not available",
    "prewhere": "PREWHERE is not available",
    "settings": "SETTINGS is not available",
    "format": "FORMAT is not available",
    "version": "AS OF is not available",
    "when": "AS OF is not available",
    "only": "ONLY is not available",
    "ordinality": "WITH ORDINALITY is not available",
    "rows_from": "ROWS FROM is not available",
    "changes": "CHANGES is not available",
    "with_ties": "WITH TIES is not available",
    "percent": "TOP … PERCENT is not available",
}


def check_allowed(statement: exp.Expr) -> None:
    """Raises QueryFailed, with the place, for the first part that is not in the lists above."""
    for node in statement.walk():
        if type(node) not in _ALLOWED:
            raise refused(node, _why(node))
        for name, why in _CLAUSES.items():
            if node.args.get(name) and not isinstance(node, exp.Ordered | exp.Group):
                raise refused(node, why)
        if isinstance(node, exp.Var) and not _WORD.fullmatch(node.name):
            raise refused(node, f"{node.name[:40]} is no word that has a meaning here")
        if isinstance(node, exp.DataType):
            _check_type(node)
        if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
            raise refused(node, f"{node.sql()[:60]} is no table; functions cannot be read from")
        if isinstance(node, exp.Join) and not (node.kind in _KINDS and node.method in _METHODS):
            raise refused(node, f"{node.method or node.kind} JOIN is not available here")
        if isinstance(node, exp.Dot):
            raise refused(node, "this is no column: at most catalog.schema.table.column")
        if isinstance(node, exp.With) and node.args.get("search"):
            raise refused(node, "SEARCH and CYCLE are not available")


def _check_type(node: exp.DataType) -> None:
    if node.this not in TYPES or node.args.get("nested"):
        raise refused(node, f"there is no type {node.sql()[:40]} here")


def _why(node: exp.Expr) -> str:
    if isinstance(node, exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
        return f"there is no function {name[:60]} here; docs/query.md lists those that there are"
    if isinstance(node, exp.DML | exp.DDL | exp.Command):
        return "only SELECT is possible here; this call is read-only"
    return f"{type(node).__name__.upper()} is not available here"
