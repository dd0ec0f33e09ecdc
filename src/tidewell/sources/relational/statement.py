"""The SELECT of a request, in the words of a database's own dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidewell.sources.asked import columns_asked_for
from tidewell.sources.protocol import Column, Comparison, Operator, ReadRequest
from tidewell.state.statements import statements

ALL: frozenset[Operator] = frozenset({"=", "<>", "<", "<=", ">", ">="})
_SQL = statements("tidewell.sources.relational", "select.sql")


@dataclass(frozen=True)
class Travel:
    """How a column's values come and are compared; `{}` stands for the column's quoted name.

    `compared` is what comparisons and an order see, None where the source would compare otherwise
    than is meant; `cast` is the type that a comparison's value is cast to. An `inexact` column is
    compared only to leave rows out early, with `operators` that leave out none that is meant: what
    it lets through is compared once more, and its order is not kept.
    """

    column: Column
    expression: str = "{}"
    compared: str | None = "{}"
    cast: str = ""
    inexact: bool = False
    operators: frozenset[Operator] = ALL


@dataclass(frozen=True)
class Dialect:
    """How a database writes names, texts, a table of a schema, and a limit."""

    quoted: Callable[[str], str]
    text: Callable[[str], str]
    table: Callable[[str, str], str]
    top: bool = False
    cast: str = "CAST({value} AS {type})"


@dataclass(frozen=True)
class Select:
    """A statement, the columns that it gives, and what it leaves to the caller."""

    text: str
    columns: tuple[Travel, ...]
    residual: tuple[Comparison, ...]
    ordered: bool
    limited: bool


def double_quoted(name: str) -> str:
    """A name as the SQL standard quotes it."""
    return '"' + name.replace('"', '""') + '"'


def plain_text(value: str) -> str:
    """A text as the SQL standard writes it: a backslash is a letter like others."""
    return "'" + value.replace("'", "''") + "'"


def escaped_text(value: str) -> str:
    """A text for databases in which a backslash begins an escape."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + escaped.replace("\n", "\\n").replace("\r", "\\r") + "'"


def select(dialect: Dialect, known: Mapping[str, Travel], request: ReadRequest) -> Select:
    """The SELECT of a request. Raises SourceNotFound for a column that is not known."""
    wanted = tuple(known[name] for name in columns_asked_for(request, known))
    conditions, residual = ["1 = 1"], []
    for one in request.where:
        travel = known[one.column]
        pushed = travel.compared is not None and one.operator in travel.operators
        if pushed:
            conditions.append(_condition(dialect, travel, one))
        if not pushed or travel.inexact:
            residual.append(one)
    parts = [known[name] for name in request.order]
    ordered = all(one.compared is not None and not one.inexact for one in parts)
    limited = ordered and not residual
    order = limit = ""
    if parts and ordered:
        order = " ORDER BY " + ", ".join(_compared(dialect, one) for one in parts)
    if limited and request.limit is not None:
        limit = f"TOP ({request.limit}) " if dialect.top else f" LIMIT {request.limit}"
    text = _SQL["select_top" if dialect.top else "select"].partition("\n")[2]
    return Select(
        text.format(
            values=", ".join(_filled(dialect, one.expression, one) for one in wanted),
            table=dialect.table(request.schema, request.table),
            conditions=" AND ".join(conditions),
            order=order,
            limit=limit,
        ),
        wanted,
        tuple(residual),
        ordered=ordered,
        limited=limited,
    )


def _condition(dialect: Dialect, travel: Travel, one: Comparison) -> str:
    value = dialect.text(one.value)
    if travel.cast:
        value = dialect.cast.format(value=value, type=travel.cast)
    return f"{_compared(dialect, travel)} {one.operator} {value}"


def _compared(dialect: Dialect, one: Travel) -> str:
    return _filled(dialect, one.compared or "{}", one)


def _filled(dialect: Dialect, template: str, one: Travel) -> str:
    # Not `format`: a name may hold braces.
    return template.replace("{}", dialect.quoted(one.column.name))
