"""Bring a cached table to what stands in its staging table, writing only the difference."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.alter import TableStatements
from tidewell.cache.shape import declared, identifiers
from tidewell.counted import counted
from tidewell.errors import ValueDoesNotFit
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "merge.sql")
_TABLE_SQL = statements("tidewell.cache", "table.sql")
_SERVER_THAT_MERGES = 170_000
"""The first version that tells which rows MERGE has inserted."""
ALL = sql.SQL("true")
"""The condition on cached rows that all of them meet."""


@dataclass(frozen=True)
class Counts:
    """Rows that were written."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
        )


class Merge:
    """The statements between one staging table and one cached table.

    `types` are the cached columns that a load writes, with their types there; those that are not
    in `staged` were dropped by the source and become NULL. `within` is a condition on the `cached`
    rows that the staging table stands for: all of them, unless it holds a part.
    """

    def __init__(
        self,
        connection: Connection,
        table: sql.Identifier,
        staging: sql.Identifier,
        types: dict[str, str],
        staged: Sequence[str],
        key: Sequence[str],
        within: sql.Composable = ALL,
    ) -> None:
        self._connection = connection
        self._table = table
        self._types = types
        self._staged = frozenset(staged)
        self._key = tuple(key)
        self._parts = {
            "table": table,
            "staging": staging,
            "marks": sql.Identifier("tidewell_marks"),
            "staged_marks": sql.Identifier("tidewell_staged_marks"),
            "columns": identifiers(list(types)),
            "values": sql.SQL(", ").join(self._value(name) for name in types),
            "cached_values": sql.SQL(", ").join(_cached(name) for name in types),
            "key": identifiers(self._key),
            "within": within,
        }

    def by_key(self, *, delete: bool, mostly_new: bool = False) -> Counts:
        """Merge rows of the same key; `delete` removes what the staging table lacks.

        `mostly_new`: most rows are known to be new or changed.
        """
        deleted = self.delete_gone() if delete else 0
        rest = [name for name in self._types if name not in self._key]
        if not rest:
            return Counts(self._run("upsert_keys_only"), 0, deleted)
        name = self._statement(mostly_new=mostly_new)
        excluded = name == "upsert_new"
        statement = self._composed(
            name,
            same_key=self._same_key(),
            differs=sql.SQL("ROW({}) IS DISTINCT FROM ROW({})").format(
                sql.SQL(", ").join(self._told_apart(one, _cached(one)) for one in rest),
                sql.SQL(", ").join(
                    self._told_apart(one, _excluded(one) if excluded else self._value(one))
                    for one in rest
                ),
            ),
            assignments=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(
                    sql.Identifier(one), self._value(one) if name == "merge" else _excluded(one)
                )
                for one in rest
            ),
        )
        inserted, updated = self._connection.execute(statement).fetchone() or (0, 0)
        return Counts(inserted, updated, deleted)

    def delete_gone(self) -> int:
        """Delete the rows whose key the staging table lacks; returns how many."""
        return self._run("delete_gone", same_key=self._same_key())

    def into_empty(self) -> int:
        """Every row, compared with nothing; returns how many."""
        return self._run("insert_all")

    def as_multiset(self) -> Counts:
        """Pair equal rows, delete what is left over in the cache, insert what it lacks."""
        self._run("mark_cached")
        self._run("mark_staged")
        for marks in ("marks", "staged_marks"):
            self._connection.execute(sql.SQL(_TABLE_SQL["sample"]).format(table=self._parts[marks]))
        deleted = self._run("delete_unpaired")
        return Counts(self._run("insert_unpaired"), 0, deleted)

    def _statement(self, *, mostly_new: bool) -> str:
        """The statement that merges by key on this table."""
        if mostly_new and self._says("takes_upserts"):
            return "upsert_new"
        if self._connection.info.server_version < _SERVER_THAT_MERGES or self._says("has_rules"):
            return "upsert"
        return "merge"

    def _says(self, name: str) -> bool:
        table = sql.Literal(self._table.as_string())
        row = self._connection.execute(sql.SQL(_SQL[name]).format(table=table)).fetchone()
        return bool(row and row[0])

    def _run(self, name: str, **parts: sql.Composable) -> int:
        return self._connection.execute(self._composed(name, **parts)).rowcount

    def _composed(self, name: str, **parts: sql.Composable) -> sql.Composed:
        return sql.SQL(_SQL[name]).format(**self._parts, **parts)

    def _value(self, name: str) -> sql.Composed:
        if name not in self._staged:
            return sql.SQL("NULL::{}").format(declared(self._types[name]))
        return sql.SQL("staged.{}::{}").format(sql.Identifier(name), declared(self._types[name]))

    def _told_apart(self, name: str, value: sql.Composed) -> sql.Composed:
        """A month equals 30 days, and is another interval all the same."""
        return (
            sql.SQL("{}::text").format(value) if self._types[name].startswith("interval") else value
        )

    def _same_key(self) -> sql.Composed:
        return sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(_cached(name), self._value(name)) for name in self._key
        )


def make_keys_unique(
    connection: Connection, table: sql.Identifier, key: Sequence[str], time_column: str | None
) -> str | None:
    """See to it that each key stands once among the rows that were read.

    A source that changes while it is read can give a row twice; the newer one is kept. Returns a
    note about it, or None when there was nothing to do.

    Raises:
        ValueDoesNotFit: a row has no key, or rows of one key cannot be told apart by age.
    """
    parts = {"staging": table, "key": identifiers(key)}
    nulls = connection.execute(
        sql.SQL(_SQL["null_keys"]).format(
            **parts,
            any_key_is_null=sql.SQL(" OR ").join(
                sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in key
            ),
        )
    ).fetchone()
    if nulls and nulls[0]:
        raise ValueDoesNotFit(
            f"{counted(nulls[0], 'row has', 'rows have')} no value in the merge key "
            f"({', '.join(key)}), so rows cannot be told apart: choose mergeKeys that every row "
            "has."
        )
    repeated, example = connection.execute(
        sql.SQL(_SQL["repeated_keys"]).format(**parts)
    ).fetchone() or (0, "")
    if not repeated:
        return None
    if time_column is None:
        raise ValueDoesNotFit(
            f"{repeated} values of the merge key ({', '.join(key)}) come more than once, for "
            f"example {example}: rows would be lost. Choose mergeKeys that tell rows apart, or "
            "give a timeCheckColumn so that the newest row of each key is kept."
        )
    order = sql.SQL("{} DESC NULLS LAST,").format(sql.Identifier(time_column))
    dropped = connection.execute(sql.SQL(_SQL["keep_newest"]).format(**parts, order=order)).rowcount
    return (
        f"{repeated} keys came more than once, for example {example}; the newest row of each was "
        f"kept, {dropped} older ones were not."
    )


def _excluded(name: str) -> sql.Composed:
    return sql.SQL("excluded.{}").format(sql.Identifier(name))


def _cached(name: str) -> sql.Composed:
    return sql.SQL("cached.{}").format(sql.Identifier(name))


def add_key(
    connection: Connection,
    made: TableStatements,
    key: Sequence[str],
    time_column: str | None,
    notes: list[str],
) -> int:
    """The primary key of a new table; returns how many older rows of a key were dropped."""
    try:
        with connection.transaction():
            made.execute("add_key", key=identifiers(key))
        return 0
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation):
        before = count_of(connection, made.table)
        note = make_keys_unique(connection, made.table, key, time_column)
        if note:
            notes.append(note)
        made.execute("add_key", key=identifiers(key))
        return before - count_of(connection, made.table)


def count_of(connection: Connection, table: sql.Identifier) -> int:
    """The rows that stand in a table."""
    row = connection.execute(sql.SQL(_TABLE_SQL["count"]).format(table=table)).fetchone()
    return int(row[0]) if row else 0
