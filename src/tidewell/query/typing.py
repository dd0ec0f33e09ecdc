"""Where the engines differ by type, write out what PostgreSQL and the reference's SQL mean.

`+` joins text, a whole number divided by a whole number is one, a boolean compares with 0 and 1.
"""

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.schema import Schema

from tidewell.query.dialect import Tidewell

_BOOLEANS = {"0": False, "1": True}
_COMPARISONS = (exp.EQ, exp.NEQ)


def adapt_types(query: exp.Query, schema: Schema) -> None:
    """Rewrite a qualified statement in place, by the types of its parts."""
    annotate_types(query, schema=schema, dialect=Tidewell)
    for node in list(query.walk(bfs=False)):
        if isinstance(node, exp.Add) and _either(node, exp.DataType.TEXT_TYPES):
            node.replace(exp.DPipe(this=node.this, expression=node.expression, safe=False))
        elif isinstance(node, exp.Div):
            _divide(node)
        elif isinstance(node, _COMPARISONS):
            _compare_with_boolean(node)


def is_a(node: exp.Expr | None, types: set[exp.DType]) -> bool:
    """Whether the type of a node is known, and one of these."""
    return node is not None and node.type is not None and node.type.this in types


def _either(node: exp.Binary, types: set[exp.DType]) -> bool:
    return is_a(node.this, types) or is_a(node.expression, types)


def _divide(node: exp.Div) -> None:
    integers = exp.DataType.INTEGER_TYPES
    node.set("typed", True)
    node.set("safe", False)
    if is_a(node.this, integers) and is_a(node.expression, integers):
        node.meta["whole"] = True


def _compare_with_boolean(node: exp.Binary) -> None:
    boolean = {exp.DataType.Type.BOOLEAN}
    for one, other in (("this", "expression"), ("expression", "this")):
        literal = node.args[other]
        if (
            is_a(node.args[one], boolean)
            and isinstance(literal, exp.Literal)
            and literal.this in _BOOLEANS
        ):
            node.set(other, exp.Boolean(this=_BOOLEANS[literal.this]))
