"""A name of its own for whatever a statement reads from, in the whole statement.

What stands before a column is followed by the rules of SQL: the nearest place that has the name
counts. After that no name hides another, so that tables can be told apart by their aliases alone,
wherever in the statement their columns stand.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from tidewell.cache.names import LONGEST_BYTES
from tidewell.query.naming import Named
from tidewell.query.places import refused

Name = tuple[exp.Identifier, ...]
"""A name's parts, the table's first: its schema and its catalog follow where they are written."""


@dataclass(frozen=True)
class _Source:
    """A table, a derived table or a use of a WITH: how its columns may name it."""

    alias: str
    """What it is called from here on."""
    names: tuple[Name, ...]
    hidden: tuple[Name, ...] = ()
    """The names of the table, where an alias stands for it: they count where nothing else does."""

    def is_called(self, name: Name, *, exactly: bool = False) -> bool:
        """Whether columns may name it so."""
        return _ends_one(self.names, name, exactly=exactly)

    def was_called(self, name: Name, *, exactly: bool = False) -> bool:
        """Whether columns might name it so if it had no alias: in full, with its schema."""
        return len(name) > 1 and _ends_one(self.hidden, name, exactly=exactly)


def give_aliases(
    query: exp.Query, tables: Mapping[int, Named], reserved: Iterable[str] = ()
) -> None:
    """Give each source an alias that no other one has, and change the columns to it.

    `tables`: what the tables of the statement are, by the `id` of their nodes; `reserved`: what no
    alias shall be. Raises QueryFailed with the place of a name that is not there, or means several.
    """
    taken = {one.lower() for one in reserved}
    scopes = traverse_scope(query)
    found: dict[int, list[_Source]] = {}
    # The outer ones keep their names: the scopes come with the inner ones first.
    for scope in reversed(scopes):
        nodes = [*scope.tables, *scope.derived_tables, *scope.udtfs]
        found[id(scope)] = [_named_apart(one, tables.get(id(one)), taken) for one in nodes]
    seen = set()
    for scope in scopes:
        visible = [found.get(id(one), []) for one in _visible(scope)]
        for column in scope.find_all(exp.Column):
            if id(column) not in seen:
                _follow(column, visible)
            seen.add(id(column))
    for column in query.find_all(exp.Column):
        if id(column) not in seen:
            _follow(column, [])


def _named_apart(node: exp.Expr, table: Named | None, taken: set[str]) -> _Source:
    """Set the alias of a node to one that is free."""
    given = node.args.get("alias")
    written = given.this if given is not None else None
    if isinstance(node, exp.Table) and given is not None and given.columns:
        raise refused(node, "the columns of a table cannot be named anew: use (SELECT …) AS name")
    long = _names_of(node, table) if isinstance(node, exp.Table) else ()
    alias = _free_name(node.alias_or_name or "table", taken)
    taken.add(alias.lower())
    if written is None or written.name != alias:
        columns = given.args.get("columns") if given is not None else None
        identifier = exp.to_identifier(alias, quoted=True)
        node.set("alias", exp.TableAlias(this=identifier, columns=columns))
    if written is not None:
        return _Source(alias, ((written,),), long)
    return _Source(alias, long)


def _names_of(node: exp.Table, table: Named | None) -> tuple[Name, ...]:
    """The name of a table as it is written, and its true one."""
    parts = (node.this, node.args.get("db"), node.args.get("catalog"))
    written = tuple(one for one in parts if one is not None)
    if table is None:
        return (written,)
    true = (table.table, table.schema, table.catalog)
    return written, tuple(exp.to_identifier(one, quoted=True) for one in true)


def _free_name(name: str, taken: set[str]) -> str:
    """A name that is not taken. PostgreSQL would cut a longer one, and take two for the same."""
    if len(name.lower().encode()) > LONGEST_BYTES - 4:
        name = "table"
    number, free = 2, name
    while free.lower() in taken:
        free, number = f"{name} {number}", number + 1
    return free


def _visible(scope: Scope) -> Iterator[Scope]:
    """The scopes whose sources the columns of one can name, the nearest first."""
    yield scope
    while scope.parent is not None:
        # What stands in FROM or WITH does not see what stands beside it.
        apart = scope.is_derived_table or scope.is_cte
        scope = scope.parent
        if not apart:
            yield scope


def _follow(column: exp.Column, visible: list[list[_Source]]) -> None:
    """Let a column name its source by the alias that the source has now."""
    parts = (column.args.get("table"), column.args.get("db"), column.args.get("catalog"))
    name: Name = tuple(one for one in parts if one is not None)
    if not name:
        return
    source = _meant(column, name, visible)
    identifier = exp.to_identifier(source.alias, quoted=True)
    identifier.meta.update(name[0].meta)
    column.set("table", identifier)
    column.set("db", None)
    column.set("catalog", None)


def _meant(column: exp.Column, name: Name, visible: list[list[_Source]]) -> _Source:
    written = ".".join(one.name for one in reversed(name))[:60]
    for called in (_Source.is_called, _Source.was_called):
        for level, near in enumerate(visible, start=1):
            found = [one for one in near if called(one, name)]
            exact = [one for one in found if called(one, name, exactly=True)]
            if not found:
                continue
            if len(exact or found) > 1:
                raise refused(column, f"{written!r} is there several times: give each an alias")
            outer = [one for further in visible[level:] for one in further]
            if not exact and any(called(one, name, exactly=True) for one in outer):
                raise refused(column, f"{written!r} may mean two: their names differ by case alone")
            return (exact or found)[0]
    raise refused(column, f"there is no table {written!r} here")


def _ends_one(names: tuple[Name, ...], name: Name, *, exactly: bool) -> bool:
    """Whether one of the names is this one, or ends as it does."""
    as_told = _exact if exactly else _folded
    return any(
        len(one) >= len(name)
        and all(as_told(ours) == as_told(theirs) for ours, theirs in zip(one, name, strict=False))
        for one in names
    )


def _folded(part: exp.Identifier) -> str:
    return part.name.lower()


def _exact(part: exp.Identifier) -> str:
    """A part as PostgreSQL takes it: what stands in no quotes has no case."""
    return part.name if part.args.get("quoted") else part.name.lower()
