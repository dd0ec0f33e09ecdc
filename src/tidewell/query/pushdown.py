"""What of a statement a source can be asked for itself: columns, comparisons, a limit.

Everything stays in the statement too, so what is pushed only has to keep every row that the
statement needs; it need not be exact.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.optimizer.simplify import simplify

from tidewell.query.binding import Bound
from tidewell.query.dialect import Tidewell
from tidewell.sources.protocol import Column, Comparison, Operator

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

_SEVERAL = 3
"""Tables from which on there is more than one order to join them in."""


@dataclass(frozen=True)
class Pushed:
    """What one use of a table is read with. `limit`: this many rows are enough."""

    columns: tuple[str, ...]
    where: tuple[Comparison, ...] = ()
    limit: int | None = None


@dataclass(frozen=True)
class Pushable:
    """What one use of a table can be read with, whatever the values of the parameters are."""

    columns: tuple[str, ...]
    conditions: tuple["_Condition", ...] = ()
    limit: "_Limit | None" = None

    def with_values(self, parameters: Mapping[str, Any]) -> Pushed:
        """What it is read with where the parameters have these values."""
        return Pushed(
            self.columns,
            tuple(made for one in self.conditions if (made := one.with_values(parameters))),
            self.limit.with_values(parameters) if self.limit else None,
        )


@dataclass(frozen=True)
class _Condition:
    """A column compared with something that has no column in it."""

    column: str
    operator: Operator
    value: exp.Expr
    kind: pa.DataType

    def with_values(self, parameters: Mapping[str, Any]) -> Comparison | None:
        text = _value(self.value, self.kind, self.operator, parameters)
        return None if text is None else Comparison(self.column, self.operator, text)


@dataclass(frozen=True)
class _Limit:
    """How many rows are taken after how many are skipped."""

    count: exp.Expr
    offset: exp.Expr | None

    def with_values(self, parameters: Mapping[str, Any]) -> int | None:
        count = _constant(self.count, parameters)
        skipped = _constant(self.offset, parameters) if self.offset else 0
        if isinstance(count, int) and isinstance(skipped, int):
            return max(count + skipped, 0)
        return None


def pushable(bound: Bound) -> dict[str, Pushable]:
    """What each use of a table can be read with, by its key."""
    found: dict[str, Pushable] = {}
    uses = {use.key: use for use in bound.uses}
    for scope in traverse_scope(bound.query):
        for alias, source in scope.sources.items():
            if not isinstance(source, exp.Table) or source.name not in uses:
                continue
            named = uses[source.name].named
            columns = {named.stored_name(column): column for column in named.columns}
            asked = {column.name for column in scope.columns if column.table == alias}
            conditions = tuple(
                comparison
                for condition in _conditions(scope, alias)
                for comparison in _comparisons(condition, alias, columns)
            )
            found[source.name] = Pushable(
                tuple(name for name in columns if name in asked) or _any_column(columns),
                conditions,
                _limit(scope),
            )
    return found


def joins_several(bound: Bound) -> bool:
    """Whether a statement joins so many tables that it matters in which order: a wrong one can be
    as large as their product. Subqueries become joins too."""
    joined = bound.query.find(exp.Join, exp.Subquery, exp.Exists)
    return joined is not None and len(bound.uses) >= _SEVERAL


def _any_column(columns: Mapping[str, Column]) -> tuple[str, ...]:
    """A column to count rows by: a short one."""
    numbers = [name for name, one in columns.items() if pa.types.is_primitive(one.type)]
    return tuple((numbers or list(columns))[:1])


def _conditions(scope: Scope, alias: str) -> Iterator[exp.Expr]:
    """The parts of WHERE, and of the ON of joins, that every kept row of the table meets."""
    select = scope.expression
    where = select.args.get("where")
    if where is not None:
        yield from _and_parts(where.this)
    joins: list[exp.Join] = select.args.get("joins") or []
    outer = [join.side.upper() for join in joins]
    for join in joins:
        condition = join.args.get("on")
        if condition is None:
            continue
        # A RIGHT or FULL join anywhere keeps rows that ON does not: only inner ones and, for the
        # table on the right, LEFT joins narrow what is read.
        if any(side in ("RIGHT", "FULL") for side in outer):
            return
        if join.side.upper() == "LEFT" and join.alias_or_name != alias:
            continue
        if not join.side and any(
            side == "LEFT" and other.alias_or_name == alias
            for side, other in zip(outer, joins, strict=True)
        ):
            continue
        yield from _and_parts(condition)


def _and_parts(condition: exp.Expr) -> Iterator[exp.Expr]:
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        yield from _and_parts(condition.this)
        yield from _and_parts(condition.expression)
    else:
        yield condition


def _comparisons(
    condition: exp.Expr, alias: str, columns: Mapping[str, Column]
) -> Iterator[_Condition]:
    if isinstance(condition, exp.Between) and not condition.args.get("symmetric"):
        yield from _comparison(condition.this, ">=", condition.args["low"], alias, columns)
        yield from _comparison(condition.this, "<=", condition.args["high"], alias, columns)
        return
    operator = _OPERATORS.get(type(condition))
    if operator is None:
        return
    one, other = condition.this, condition.expression
    yield from _comparison(one, operator, other, alias, columns)
    yield from _comparison(other, _MIRRORED[operator], one, alias, columns)


def _comparison(
    node: exp.Expr, operator: Operator, value: exp.Expr, alias: str, columns: Mapping[str, Column]
) -> Iterator[_Condition]:
    node = node.unnest()
    if not isinstance(node, exp.Column) or node.table != alias or node.name not in columns:
        return
    if value.find(exp.Column, exp.Query) is None:
        yield _Condition(node.name, operator, _apart(value), columns[node.name].type)


def _value(
    node: exp.Expr, kind: pa.DataType, operator: Operator, parameters: Mapping[str, Any]
) -> str | None:
    """A constant as the text of a comparison; None where its meaning could differ there."""
    constant = _constant(node, parameters)
    if constant is None or isinstance(constant, bool):
        return None
    if pa.types.is_integer(kind):
        return _whole(constant, kind)
    if pa.types.is_decimal(kind):
        return _decimal(constant, kind)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # Sources order and fold text by rules of their own: equality alone keeps enough rows.
        return constant if isinstance(constant, str) and operator == "=" else None
    if pa.types.is_date(kind):
        moment = _moment(constant)
        return (
            None
            if moment is None or moment.time().isoformat() != "00:00:00"
            else (moment.date().isoformat())
        )
    if pa.types.is_timestamp(kind):
        moment = _moment(constant)
        return None if moment is None else moment.isoformat() + ("Z" if kind.tz else "")
    return None


def _whole(constant: Any, kind: pa.DataType) -> str | None:
    """A source may refuse a number that its column cannot hold."""
    if not isinstance(constant, int):
        return None
    most = 2 ** (kind.bit_width - pa.types.is_signed_integer(kind))
    least = -most if pa.types.is_signed_integer(kind) else 0
    return str(constant) if least <= constant < most else None


def _decimal(constant: Any, kind: pa.DataType) -> str | None:
    if isinstance(constant, str | datetime):
        return None
    text = f"{constant}"
    whole, _, fraction = text.lstrip("-").partition(".")
    fits = len(whole) <= kind.precision - kind.scale and len(fraction) <= kind.scale
    return text if fits and "e" not in text.lower() else None


def _constant(node: exp.Expr, parameters: Mapping[str, Any]) -> Any:
    node = node.unnest()
    if isinstance(node, exp.Cast):
        inner = _constant(node.this, parameters)
        return inner if _is_its_own_text(inner, node.to.this) else None
    negative = isinstance(node, exp.Neg)
    if negative:
        node = node.this.unnest()
    if isinstance(node, exp.Parameter):
        value = parameters.get(node.name.lower())
        return _negated(value) if negative else value
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return None if negative else node.this
    number = node.this if not negative else f"-{node.this}"
    return int(number) if number.lstrip("-").isdigit() else _Number(number)


def _negated(value: Any) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return -value
    return None


def _is_its_own_text(inner: Any, to: exp.DType) -> bool:
    """Whether a cast changes nothing of what the comparison's text says."""
    moment = _moment(inner) if isinstance(inner, str) else None
    if to is exp.DataType.Type.DATE:
        return moment is not None and moment.time().isoformat() == "00:00:00"
    return to is exp.DataType.Type.TIMESTAMP and moment is not None


class _Number(str):
    """A number with a fraction, as it is written."""

    __slots__ = ()


def _moment(constant: Any) -> datetime | None:
    if isinstance(constant, datetime):
        return constant.replace(tzinfo=None) if constant.utcoffset() is None else None
    if isinstance(constant, date):
        return datetime(constant.year, constant.month, constant.day)  # noqa: DTZ001 - no zone
    if not isinstance(constant, str):
        return None
    try:
        moment = datetime.fromisoformat(constant.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo is None else None


def _limit(scope: Scope) -> _Limit | None:
    """How many rows of its only table a statement can need; None: perhaps all."""
    select = scope.expression
    if scope.parent is not None or not isinstance(select, exp.Select):
        return None
    stops = ("where", "joins", "group", "having", "order", "distinct", "qualify", "with_", "with")
    if any(select.args.get(name) for name in stops) or len(scope.sources) != 1:
        return None
    if any(select.find_all(exp.AggFunc, exp.Window, exp.Subquery)):
        return None
    limit = select.args.get("limit")
    if limit is None:
        return None
    # FETCH FIRST ROW ONLY has no number.
    one = exp.Literal.number(1)
    count = limit.args.get("expression") or limit.args.get("count") or one
    offset = select.args.get("offset")
    return _Limit(_apart(count), _apart(offset.expression) if offset else None)


def _apart(node: exp.Expr) -> exp.Expr:
    """A constant without the statement that it stands in."""
    simple: exp.Expr = simplify(node.copy(), dialect=Tidewell)
    return simple
