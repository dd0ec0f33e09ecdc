"""INSERT … SELECT, UPDATE and DELETE of scheduled queries, on the one connection that they name.

Each is looked at as the SELECT that it holds, so names, places and the list of what is allowed are
those of any other statement; what runs is written anew from it.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from tidewell.query.allowed import check_allowed
from tidewell.query.binding import Bound, bind
from tidewell.query.naming import Catalog, Named
from tidewell.query.places import failure, refused
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column

_UNAVAILABLE = {
    "returning": "RETURNING is not available",
    "conflict": "ON CONFLICT is not available",
    "from_": "use a subquery: there is no UPDATE … FROM",
    "using": "use a subquery: there is no DELETE … USING",
    "tables": "name one table",
    "order": "ORDER BY is not available here",
    "limit": "LIMIT is not available here",
    "overwrite": "OVERWRITE is not available",
    "partition": "PARTITION is not available",
    "default": "DEFAULT VALUES is not available: use INSERT … SELECT",
}
_KNOWN = {"this", "expression", "expressions", "where", "with_"}
"""The parts that are looked at. Any other would be left out of what runs, and so change it."""


@dataclass(frozen=True)
class Insertion:
    """INSERT … SELECT: the rows of `select` go into columns of the target."""

    target: Named
    columns: tuple[Column, ...]
    select: exp.Query


@dataclass(frozen=True)
class Change:
    """What UPDATE or DELETE does: `statement` runs at the target's own connection."""

    target: Named
    statement: exp.Expr

    @property
    def is_deletion(self) -> bool:
        """Whether it is a DELETE."""
        return isinstance(self.statement, exp.Delete)

    def text(self, dialect: str) -> str:
        """The statement in the dialect of its source."""
        try:
            return self.statement.sql(
                dialect=dialect, comments=False, unsupported_level=ErrorLevel.IMMEDIATE
            )
        except UnsupportedError as error:
            raise failure(str(error).rstrip(".")) from error


def is_writing(statement: exp.Expr) -> bool:
    """Whether a statement is one of the three."""
    return isinstance(statement, exp.Insert | exp.Update | exp.Delete)


def bind_write(statement: exp.Expr, catalog: Catalog) -> Insertion | Change:
    """Find the tables and columns of a statement. Raises QueryFailed with the place."""
    for name, why in _UNAVAILABLE.items():
        if statement.args.get(name):
            raise refused(statement, why)
    for name, part in statement.args.items():
        if part and name not in _KNOWN:
            raise refused(statement, f"{name.strip('_').upper()} is not available here")
    if isinstance(statement.this, exp.Table) and statement.this.args.get("joins"):
        raise refused(statement, "name one table: others stand in subqueries")
    if statement.args.get("with_") and not isinstance(statement, exp.Insert):
        # MariaDB takes none there, and Python's SQLite then does not tell how many rows it were.
        raise refused(statement, "WITH stands in the subquery that reads it, not before the table")
    if isinstance(statement, exp.Insert):
        return _insertion(statement, catalog)
    if isinstance(statement, exp.Update):
        return _update(statement, catalog)
    if isinstance(statement, exp.Delete):
        return _deletion(statement, catalog)
    raise refused(statement, "only SELECT, INSERT … SELECT, UPDATE and DELETE are possible")


def _insertion(statement: exp.Insert, catalog: Catalog) -> Insertion:
    into = statement.this
    names = into.expressions if isinstance(into, exp.Schema) else []
    table = into.this if isinstance(into, exp.Schema) else into
    select = statement.expression
    if not isinstance(select, exp.Query) or isinstance(select, exp.Values):
        raise refused(table, "INSERT takes its rows from a SELECT")
    if statement.args.get("with_"):
        if select.args.get("with_"):
            raise refused(table, "one WITH is enough: put all that they define into the first")
        select = select.copy()
        select.set("with_", statement.args["with_"].copy())
    check_allowed(select)
    target = _target(table, catalog)
    columns = tuple(_column(target, one) for one in names) or target.columns
    given = len(bind(select, catalog).outputs)
    if given != len(columns):
        raise refused(table, f"the SELECT gives {given} columns, and {len(columns)} are to be set")
    if len({one.name for one in columns}) < len(columns):
        raise refused(table, "a column stands in the list twice")
    return Insertion(target, columns, select)


def _update(statement: exp.Update, catalog: Catalog) -> Change:
    target = _target(statement.this, catalog)
    assigned: list[exp.Column] = []
    values: list[exp.Expr] = []
    for one in statement.expressions:
        if not isinstance(one, exp.EQ) or not isinstance(one.this, exp.Column):
            raise refused(one, "SET takes column = value")
        assigned.append(one.this)
        values.append(one.expression)
    columns = [_column(target, one.this) for one in assigned]
    # The columns too, so that one of another table is found out.
    bound = _as_select(statement, target, [*assigned, *values], catalog)
    table = _placed(bound, target)
    settings = [
        exp.EQ(
            this=exp.column(exp.to_identifier(column.name, quoted=True)),
            expression=_without_alias(value),
        )
        for column, value in zip(columns, bound.query.selects[len(columns) :], strict=True)
    ]
    where = bound.query.args.get("where")
    return Change(target, exp.Update(this=table, expressions=settings, where=where))


def _without_alias(value: exp.Expr) -> exp.Expr:
    """A value as it was before `_as_select`; a subquery has its alias inside."""
    if isinstance(value, exp.Subquery):
        value.set("alias", None)
    return value.unalias()


def _deletion(statement: exp.Delete, catalog: Catalog) -> Change:
    target = _target(statement.this, catalog)
    bound = _as_select(statement, target, [exp.Literal.number(1)], catalog)
    table = _placed(bound, target)
    return Change(target, exp.Delete(this=table, where=bound.query.args.get("where")))


def _as_select(
    statement: exp.Expr, target: Named, values: list[exp.Expr], catalog: Catalog
) -> Bound:
    """The SELECT over the same table with the same condition, bound. It runs at the source, so
    copies do not count; the target's own name is kept for it, and names nothing else."""
    named = [exp.alias_(value.copy(), f"value {n}", quoted=True) for n, value in enumerate(values)]
    select = exp.select(*named).from_(statement.this.copy())
    where = statement.args.get("where")
    if where is not None:
        select.set("where", where.copy())
    check_allowed(select)
    return bind(select, catalog, [target.table], at_source=True)


def _placed(bound: Bound, target: Named) -> exp.Table:
    """Put true tables in for keys; the target goes by its own name, as not every database has an
    alias there."""
    named = {use.key: use.named for use in bound.uses}
    own = bound.query.args["from_"].this
    alias = own.alias
    for table in list(bound.query.find_all(exp.Table)):
        one = named.get(table.name)
        if one is None:
            continue
        if one.connection_id != target.connection_id:
            raise failure(
                f"{one.full_name} is not in {target.catalog}: UPDATE and DELETE look only at the "
                "connection that they change"
            )
        table.set("this", exp.to_identifier(one.table, quoted=True))
        table.set("db", exp.to_identifier(one.schema, quoted=True))
    for column in bound.query.find_all(exp.Column):
        if column.table == alias:
            column.set("table", own.this.copy())
    return exp.Table(this=own.this.copy(), db=own.args["db"].copy())


def _target(table: exp.Expr, catalog: Catalog) -> Named:
    if not isinstance(table, exp.Table):
        raise refused(table, "name the table as Catalog.Schema.Table")
    named = catalog.find(table, live=True)
    if not catalog.connection(named.connection_id).dialect():
        raise refused(table, f"{named.catalog} cannot be written to; its driver only reads")
    return named


def _column(target: Named, identifier: exp.Expr) -> Column:
    name = identifier.name
    exact = [one for one in target.columns if one.name == name]
    found = exact or [one for one in target.columns if one.name.casefold() == name.casefold()]
    if len(found) != 1:
        names = [one.name for one in target.columns]
        raise refused(
            identifier, f"{target.full_name} has no column {name[:60]!r}{near_names(name, names)}"
        )
    return found[0]


def connections_of(written: Insertion | Change, catalog: Catalog) -> set[UUID]:
    """The connections that a statement reads from and writes to."""
    used = {written.target.connection_id}
    if isinstance(written, Insertion):
        used |= {use.named.connection_id for use in bind(written.select, catalog).uses}
    return used
