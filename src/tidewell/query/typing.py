"""Where the engines differ by type, write out what PostgreSQL and the reference's SQL mean.

`+` joins text, a whole number divided by a whole number is one, a boolean compares with 0 and 1,
a count of characters, digits or rows is a whole number of any type.
"""

from typing import Any

from sqlglot import exp
from sqlglot.optimizer.annotate_types import TypeAnnotator, annotate_types
from sqlglot.schema import Schema

from tidewell.query.dialect import Tidewell

_BOOLEANS = {"0": False, "1": True}
_COMPARISONS = (exp.EQ, exp.NEQ)
_TYPES = exp.DataType.Type
WIDE = _TYPES.INT128
"""The type of a whole number that PostgreSQL holds as a numeric: a sum of BIGINT, a part of a
time."""
_WITH_FRACTIONS = frozenset({"SECOND", "EPOCH", "MILLISECOND", "MILLISECONDS"})
"""Parts of times that are no whole numbers."""


def _sum(annotator: TypeAnnotator, node: exp.Sum) -> None:
    _by_default(annotator, node)
    if is_a(node.this, {_TYPES.BIGINT, WIDE}):
        node.type = exp.DataType(this=WIDE)


def _div(annotator: TypeAnnotator, node: exp.Div) -> None:
    _by_default(annotator, node)
    if _is_whole(node) and _either(node, {WIDE}):
        node.type = exp.DataType(this=WIDE)


def _extract(_: TypeAnnotator, node: exp.Extract) -> None:
    whole = node.name.upper() not in _WITH_FRACTIONS
    node.type = exp.DataType(this=WIDE if whole else _TYPES.DECIMAL)


def _parameter(_: TypeAnnotator, node: exp.Parameter) -> None:
    """It has the type of its value (`placeholders`), or none that is known."""
    node.type = node.type or exp.DataType(this=_TYPES.UNKNOWN)


def _by_default(annotator: TypeAnnotator, node: exp.Expr) -> None:
    default: Any = Tidewell.EXPRESSION_METADATA[type(node)]
    default["annotator"](annotator, node)


_METADATA: dict[Any, Any] = {
    **Tidewell.EXPRESSION_METADATA,
    exp.Sum: {"annotator": _sum},
    exp.Div: {"annotator": _div},
    exp.Extract: {"annotator": _extract},
    exp.Parameter: {"annotator": _parameter},
}
_COUNTS: dict[type[exp.Expr], tuple[str, ...]] = {
    exp.Round: ("decimals",),
    exp.Trunc: ("decimals",),
    exp.Left: ("expression",),
    exp.Right: ("expression",),
    exp.Substring: ("start", "length"),
    exp.Repeat: ("times",),
    exp.Pad: ("expression",),
    exp.SplitPart: ("part_index",),
    exp.Chr: ("expressions",),
    exp.Lag: ("offset",),
    exp.Lead: ("offset",),
    exp.NthValue: ("offset",),
    exp.Ntile: ("this",),
}
"""Arguments that are an INTEGER to both engines, or to one of them."""
_COERCES_TO = {
    **TypeAnnotator.COERCES_TO,
    WIDE: TypeAnnotator.COERCES_TO[_TYPES.BIGINT],
    **{
        one: TypeAnnotator.COERCES_TO[one] | {WIDE}
        for one in (_TYPES.TINYINT, _TYPES.SMALLINT, _TYPES.INT, _TYPES.BIGINT)
    },
}


def adapt_types(query: exp.Query, schema: Schema) -> None:
    """Rewrite a qualified statement in place, by the types of its parts."""
    annotate_types(query, schema, _METADATA, _COERCES_TO, Tidewell)
    for node in list(query.walk(bfs=False)):
        if isinstance(node, exp.Add) and _either(node, exp.DataType.TEXT_TYPES):
            node.replace(exp.DPipe(this=node.this, expression=node.expression, safe=False))
        elif isinstance(node, exp.Div):
            _divide(node)
        elif isinstance(node, _COMPARISONS):
            _compare_with_boolean(node)
        for name in _COUNTS.get(type(node), ()):
            _as_integer(node, name)


def is_a(node: exp.Expr | None, types: set[exp.DType]) -> bool:
    """Whether the type of a node is known, and one of these."""
    return node is not None and node.type is not None and node.type.this in types


def _either(node: exp.Binary, types: set[exp.DType]) -> bool:
    return is_a(node.this, types) or is_a(node.expression, types)


def _divide(node: exp.Div) -> None:
    node.set("typed", True)
    node.set("safe", False)
    if _is_whole(node):
        node.meta["whole"] = True


def _is_whole(node: exp.Div) -> bool:
    integers = exp.DataType.INTEGER_TYPES
    return is_a(node.this, integers) and is_a(node.expression, integers)


def _as_integer(node: exp.Expr, name: str) -> None:
    """Cast an argument that may be of another whole type (LENGTH is BIGINT to one engine)."""
    given = node.args.get(name)
    if isinstance(given, list):
        node.set(name, [_integer(one) for one in given])
    elif given is not None:
        node.set(name, _integer(given))


def _integer(node: exp.Expr) -> exp.Expr:
    bare = node.this if isinstance(node, exp.Neg) else node
    return node if isinstance(bare, exp.Literal) else exp.cast(node, "int")


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
