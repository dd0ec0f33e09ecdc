"""The `filter` of a caching job over the columns of its table (`condition`).

What a source surely judges as we do is pushed down to it, and DuckDB, shut off from everything,
judges the rest over each Arrow batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa
from sqlglot import exp

from tidewell.errors import InvalidRequest
from tidewell.sources.condition import FIELD, parse
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column, Comparison, Operator
from tidewell.sources.residual import typed

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
