"""Bind a statement to its tables: every column to its table, every output to its origin.

The result runs on either engine: tables stand in it under keys (`Use.key`) that the engine puts
its own relations in for, and columns under their true names.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import OptimizeError, SchemaError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.resolver import Resolver
from sqlglot.optimizer.scope import Scope, find_all_in_scope, traverse_scope
from sqlglot.schema import MappingSchema, Schema

from tidewell.errors import QueryFailed
from tidewell.query.aliases import give_aliases
from tidewell.query.dialect import Tidewell
from tidewell.query.naming import Catalog, Named
from tidewell.query.places import failure, refused
from tidewell.query.typing import adapt_types
from tidewell.sources.near import near_names
from tidewell.sources.protocol import Column

APART = "\x01"
"""Stands, with a number, in the names that keep columns apart which differ by case alone."""


@dataclass(frozen=True)
class Use:
    """One place in a statement where a table is read. `key` names it there, and nowhere else."""

    key: str
    named: Named
    columns: Mapping[str, Column]
    """The table's columns by the name that the statement has for them."""
    written: tuple[str, str, str] = ("", "", "")
    """The catalog, the schema and the name that the statement gives the table."""


@dataclass(frozen=True)
class Output:
    """A column of the result: its label, and where it comes from if it is a table's own."""

    label: str
    named: Named | None = None
    column: Column | None = None


@dataclass(frozen=True)
class Bound:
    """A statement whose tables and columns are known."""

    query: exp.Query
    uses: tuple[Use, ...]
    outputs: tuple[Output, ...] = field(default=())


def bind(
    query: exp.Query, catalog: Catalog, reserved: Iterable[str] = (), *, at_source: bool = False
) -> Bound:
    """Find tables and columns. Raises QueryFailed with the place of what does not exist.

    No table gets an alias that is `reserved`; `at_source`: copies do not count.
    """
    original, query = query, query.copy()
    texts = _keep_spelling(query)
    _ignore_what_exists_selects(query)
    uses = _put_keys(query, catalog, reserved, at_source=at_source)
    _fold_names(query, uses.values())
    schema = MappingSchema(
        {
            use.key: {name: sql_type(column.type) for name, column in use.columns.items()}
            for use in uses.values()
        },
        dialect=Tidewell,
        normalize=False,
    )
    try:
        bound = qualify(query, dialect=Tidewell, schema=schema, validate_qualify_columns=False)
        _complete_orders(bound, schema)
        _check_columns(bound, uses)
        adapt_types(bound, schema)
    except (OptimizeError, SchemaError) as error:
        raise _located(str(error), original) from error
    except RecursionError:
        raise failure("it is nested too deeply") from None
    outputs = _outputs(bound, uses, texts)
    _put_true_names(bound, uses)
    return Bound(bound, tuple(uses.values()), outputs)


def written_table(use: Use) -> exp.Table:
    """The table of a use as its statement names it, without its place there."""
    catalog, schema, name = (exp.to_identifier(one or None, quoted=True) for one in use.written)
    return exp.Table(this=name, db=schema, catalog=catalog)


def sql_type(kind: pa.DataType) -> str:
    """The SQL type that stands for an Arrow type while a statement is typed."""
    if isinstance(kind, pa.BaseExtensionType):
        if kind == pa.uuid():
            return "UUID"
        if isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric":
            return "DECIMAL"
        return sql_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return sql_type(kind.value_type)
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    known = [
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_uint64, "DECIMAL(20, 0)"),
        (pa.types.is_int64, "BIGINT"),
        (pa.types.is_uint32, "BIGINT"),
        (pa.types.is_integer, "INT"),
        (pa.types.is_float64, "DOUBLE"),
        (pa.types.is_floating, "FLOAT"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_time, "TIME"),
        (pa.types.is_duration, "INTERVAL"),
        (pa.types.is_binary, "VARBINARY"),
        (pa.types.is_large_binary, "VARBINARY"),
    ]
    return next((name for matches, name in known if matches(kind)), "TEXT")


def _keep_spelling(query: exp.Query) -> list[str]:
    """Keep how aliases are spelled, and give back the text of every output that is no name."""
    for alias in query.find_all(exp.Alias):
        identifier = alias.args.get("alias")
        if isinstance(identifier, exp.Identifier):
            identifier.meta["written"] = identifier.name
    selects = query.selects
    return [] if any(one.is_star for one in selects) else [_text(one) for one in selects]


def _text(node: exp.Expr) -> str:
    return node.sql(dialect=Tidewell, comments=False)[:128]


def _ignore_what_exists_selects(query: exp.Query) -> None:
    """EXISTS asks for rows only: its SELECT * shall not read every column."""
    for exists in query.find_all(exp.Exists):
        inner = exists.this
        if isinstance(inner, exp.Select) and inner.is_star and not inner.args.get("group"):
            inner.set("expressions", [exp.Literal.number(1)])


def _put_keys(
    query: exp.Query, catalog: Catalog, reserved: Iterable[str], *, at_source: bool
) -> dict[str, Use]:
    """Replace each name of a table by a key of its own; what is no table's name stays."""
    uses: dict[str, Use] = {}
    tables: dict[str, exp.Table] = {}
    seen = set()
    own = {one.alias.lower() for one in query.find_all(exp.CTE)}
    keys = (key for number in count() if (key := f"use {number}") not in own)
    for scope in traverse_scope(query):
        for table in scope.tables:
            seen.add(id(table))
            if _is_cte(table, scope):
                continue
            named = catalog.find(table, live=at_source)
            key = next(keys)
            written = (table.catalog, table.db, table.name)
            uses[key] = Use(key, named, _by_folded_name(named.columns), written)
            tables[key] = table
    for table in query.find_all(exp.Table):
        # An engine would get a name that was never looked for.
        if id(table) not in seen:
            raise refused(table, "parentheses with a name take a SELECT: (SELECT * FROM …) AS name")
    give_aliases(query, {id(table): uses[key].named for key, table in tables.items()}, reserved)
    for key, table in tables.items():
        table.set("catalog", None)
        table.set("db", None)
        identifier = exp.to_identifier(key, quoted=True)
        identifier.meta.update(table.this.meta)
        table.set("this", identifier)
    return uses


def _is_cte(table: exp.Table, scope: Scope) -> bool:
    if table.db or table.catalog:
        return False
    return any(name.casefold() == table.name.casefold() for name in scope.cte_sources)


def _by_folded_name(columns: Sequence[Column]) -> dict[str, Column]:
    """Columns by lower case; those that differ by case alone keep apart by a number."""
    found: dict[str, Column] = {}
    counts: Counter[str] = Counter()
    for column in columns:
        folded = column.name.lower()
        number = counts[folded]
        counts[folded] += 1
        found[folded if number == 0 else f"{folded}{APART}{number}"] = column
    return found


def _fold_names(query: exp.Query, uses: Iterable[Use]) -> None:
    """Where columns differ by case alone, an exact spelling means that one."""
    exact = {
        column.name: folded
        for use in uses
        for folded, column in use.columns.items()
        if APART in folded
    }
    if not exact:
        return
    for column in query.find_all(exp.Column):
        if column.name in exact:
            column.this.set("this", exact[column.name])


def _complete_orders(bound: exp.Query, schema: Schema) -> None:
    """ORDER BY and DISTINCT ON take an output by its name alone; in an expression a name means a
    table's column, and an output only where no table has it."""
    for scope in traverse_scope(bound):
        select = scope.expression
        if not isinstance(select, exp.Select):
            continue
        order, distinct = select.args.get("order"), select.args.get("distinct")
        on = distinct.args.get("on") if distinct else None
        parts = [one.this for one in order.expressions] if order else []
        parts += on.expressions if on else []
        resolver = Resolver(scope, schema)
        for part in parts:
            if isinstance(part.unnest(), exp.Column):
                continue
            for column in list(find_all_in_scope(part, exp.Column)):
                if not column.table:
                    _complete(column, select, resolver)


def _complete(column: exp.Column, select: exp.Select, resolver: Resolver) -> None:
    table = resolver.get_table(column)
    if table is not None:
        column.set("table", exp.to_identifier(table.name, quoted=True))
        return
    outputs = [one.unalias() for one in select.selects if one.alias_or_name == column.name]
    if len(outputs) > 1:
        raise refused(column, f"the column {column.name[:60]!r} is there several times: name one")
    # A table that is read twice would need a second key.
    if outputs and outputs[0].find(exp.Query) is None:
        column.replace(exp.paren(outputs[0].copy()))


def _check_columns(bound: exp.Query, uses: Mapping[str, Use]) -> None:
    for scope in traverse_scope(bound):
        if not isinstance(scope.expression, exp.Select):
            continue
        external = [] if scope.is_correlated_subquery else scope.external_columns
        for column in [*scope.unqualified_columns, *external]:
            raise _no_column(column, scope, uses)
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table) and source.name in uses:
                if column.name not in uses[source.name].columns:
                    raise _no_column(column, scope, uses)
            elif isinstance(source, Scope) and isinstance(source.expression, exp.Query):
                names = source.expression.named_selects
                if column.name not in names and "*" not in names:
                    raise _no_column(column, scope, uses)


def _no_column(column: exp.Column, scope: Scope, uses: Mapping[str, Use]) -> QueryFailed:
    name = column.this.meta.get("original") or column.name
    if column.table and column.table not in scope.sources:
        return refused(column, f"there is no table {column.table[:60]!r} here")
    if column.name == "*":
        return refused(column, "a star can stand in SELECT and COUNT only")
    names: dict[str, int] = {}
    for source in scope.sources.values():
        if isinstance(source, exp.Table) and source.name in uses:
            listed = [one.name for one in uses[source.name].columns.values()]
        elif isinstance(source, Scope) and isinstance(source.expression, exp.Query):
            listed = source.expression.named_selects
        else:
            listed = []
        for one in listed:
            names[one] = names.get(one, 0) + 1
    if not column.table and sum(n for one, n in names.items() if one.lower() == column.name) > 1:
        return refused(column, f"the column {name[:60]!r} is in several tables: name the one")
    return refused(column, f"there is no column {name[:60]!r}{near_names(name, names)}")


def _outputs(bound: exp.Query, uses: Mapping[str, Use], texts: Sequence[str]) -> tuple[Output, ...]:
    scope = list(traverse_scope(bound))[-1]
    found = []
    for position, select in enumerate(_first_select(bound).selects):
        label = _label(select, scope, uses)
        if label is None:
            label = texts[position] if position < len(texts) else select.alias_or_name
        origin = _origin(select.unalias(), scope, uses)
        found.append(Output(label, *origin) if origin else Output(label))
    return tuple(found)


def _label(select: exp.Expr, scope: Scope | None, uses: Mapping[str, Use]) -> str | None:
    """An output's alias as it is written, else the name of the column that it is."""
    alias = select.args.get("alias")
    if isinstance(alias, exp.Identifier) and "written" in alias.meta:
        return str(alias.meta["written"])
    node, scope = select.unalias(), _leftmost(scope)
    if scope is None or not isinstance(node, exp.Column):
        return None
    source = scope.sources.get(node.table)
    if isinstance(source, exp.Table):
        use = uses.get(source.name)
        return use.columns[node.name].name if use and node.name in use.columns else node.name
    if isinstance(source, Scope):
        for inner in _inner_selects(source):
            if inner.alias_or_name == node.name:
                return _label(inner, source, uses) or node.name
    return node.name


def _leftmost(scope: Scope | None) -> Scope | None:
    while scope is not None and scope.set_operation_scopes:
        scope = scope.set_operation_scopes[0]
    return scope


def _inner_selects(source: Scope) -> list[exp.Expr]:
    """What a derived table selects; one of VALUES selects nothing by a name of its own."""
    query = source.expression
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    return query.selects if isinstance(query, exp.Select) else []


def _first_select(query: exp.Expr) -> exp.Select:
    while not isinstance(query, exp.Select):
        query = query.this
    return query


def _origin(
    node: exp.Expr, scope: Scope | None, uses: Mapping[str, Use]
) -> tuple[Named, Column] | None:
    """The table's column that an output passes on unchanged; None where it is computed."""
    scope = _leftmost(scope)
    if scope is None or not isinstance(node, exp.Column):
        return None
    source = scope.sources.get(node.table)
    if isinstance(source, exp.Table):
        use = uses.get(source.name)
        return (use.named, use.columns[node.name]) if use and node.name in use.columns else None
    if isinstance(source, Scope):
        for select in _inner_selects(source):
            if select.alias_or_name == node.name:
                return _origin(select.unalias(), source, uses)
    return None


def _put_true_names(bound: exp.Query, uses: Mapping[str, Use]) -> None:
    for scope in traverse_scope(bound):
        for alias, source in scope.sources.items():
            if not isinstance(source, exp.Table) or source.name not in uses:
                continue
            use = uses[source.name]
            for column in scope.columns:
                known = use.columns.get(column.name) if column.table == alias else None
                if known is not None and not column.meta.get("true"):
                    true = exp.to_identifier(use.named.stored_name(known), quoted=True)
                    if APART in column.name:
                        column.meta["apart"] = column.name
                    column.set("this", true)
                    column.meta["true"] = True


def _located(why: str, written: exp.Query) -> QueryFailed:
    """An error of sqlglot's own checks, with the place of the column that it names."""
    unknown = why.removeprefix("Unknown column: ")
    if unknown != why:
        for column in written.find_all(exp.Column):
            if column.table and column.name.lower() == unknown:
                return refused(column, f"there is no column {column.name[:60]!r}")
    return failure(" ".join(why.split()).rstrip(".")[:300])
