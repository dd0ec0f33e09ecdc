"""Source tables that change in versions, and what of them may stand in the cache.

Each change of a source table is one transaction, so whoever reads it sees exactly one version. A
cached table must hold exactly one version as well, at every moment, and never an older one than
before; a table that is appended to holds whole versions only.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from psycopg import sql

Kind = Literal["keyed", "bag", "moving", "feed"]
Row = tuple[int, int, str]
KINDS: tuple[Kind, ...] = ("keyed", "bag", "moving", "feed")


def _frozen(rows: "Counter[Any]") -> frozenset[Any]:
    return frozenset(rows.items())


@dataclass
class SourceTable:
    """A table of the source: `keyed` and `moving` have a key, `bag` has repeated rows.

    `moving` only gains and changes rows, with `version` as its time; `feed` is read whole and
    appended to a cached table.
    """

    url: str
    name: str
    kind: Kind
    size: int
    rows: list[Row] = field(default_factory=list)
    version: int = 0
    known: dict[frozenset[Any], int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier("public", self.name)

    def make(self, chance: random.Random) -> None:
        """Make it, with its first rows."""
        key = " PRIMARY KEY" if self.kind in {"keyed", "moving"} else ""
        with psycopg.connect(self.url) as connection:
            connection.execute(
                sql.SQL(
                    "CREATE TABLE {} (id bigint NOT NULL" + key + ", version bigint NOT NULL, "
                    "name text)"
                ).format(self.identifier)
            )
        self.change(chance)

    def change(self, chance: random.Random) -> None:
        """Commit the next version; what it is, is known before anybody can read it."""
        self.version += 1
        self.rows = self._next(chance)
        self.known[_frozen(Counter(self.rows))] = self.version
        self.sizes[self.version] = len(self.rows)
        with psycopg.connect(self.url) as connection:
            connection.execute(sql.SQL("DELETE FROM {}").format(self.identifier))
            with connection.cursor().copy(
                sql.SQL("COPY {} FROM STDIN").format(self.identifier)
            ) as copy:
                for row in self.rows:
                    copy.write_row(row)

    def _next(self, chance: random.Random) -> list[Row]:
        version = self.version
        if self.kind == "feed" or not self.rows:
            ids = range(self.size)
            return [(one, version, f"{self.name} {chance.random()}") for one in ids]
        if self.kind == "bag":
            kept = [row for row in self.rows if chance.random() > 0.1]
            again = chance.choices(kept, k=self.size // 20)
            new = [(chance.randrange(9), version, "new") for _ in range(self.size // 20)]
            return [*kept, *again, *new, (version, version, "version")][-2 * self.size :]
        last = max(row[0] for row in self.rows)
        kept = self.rows
        if self.kind == "keyed":
            kept = [row for row in kept if chance.random() > 0.05]
        changed = [
            (row[0], version, f"v{version}") if chance.random() < 0.2 else row for row in kept
        ]
        more = self.size // 20 if len(kept) < 2 * self.size else 1
        return changed + [(last + 1 + n, version, f"new {n}") for n in range(more)]


class CachedTable:
    """What stands in the cache of a source table; `look` says what is wrong with it."""

    def __init__(self, source: SourceTable, schema: str, table: str) -> None:
        self.source = source
        self.place = sql.Identifier(schema, table)
        self.seen = 0
        self.looks = 0

    def rows(self, connection: psycopg.Connection[Any]) -> "Counter[Row] | None":
        """All rows; None before the first load."""
        try:
            found = connection.execute(
                sql.SQL("SELECT id, version, name FROM {}").format(self.place)
            ).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return None
        return Counter(found)

    def look(self, connection: psycopg.Connection[Any]) -> str:
        """Read it; an empty text: it is whole."""
        rows = self.rows(connection)
        if rows is None:
            return "" if self.seen == 0 else f"{self.source.name} is gone"
        self.looks += 1
        if self.source.kind == "feed":
            return self._look_at_feed(rows)
        version = self.source.known.get(_frozen(rows))
        if version is None:
            return f"{self.source.name} holds {rows.total()} rows of no version"
        if version < self.seen:
            return f"{self.source.name} went back from version {self.seen} to {version}"
        self.seen = version
        return ""

    def _look_at_feed(self, rows: "Counter[Row]") -> str:
        copies = Counter(version for _, version, _ in rows.elements())
        for version, count in copies.items():
            if count % self.source.sizes[version]:
                return f"{self.source.name} holds {count} rows of version {version}"
        if rows.total() < self.seen:
            return f"{self.source.name} has lost rows: {self.seen} before, {rows.total()} now"
        self.seen = rows.total()
        return ""
