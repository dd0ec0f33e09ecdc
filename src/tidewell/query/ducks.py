"""DuckDBs for queries: opened ahead of them, bounded, and kept for the next one of an account."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import duckdb

from tidewell.state.statements import statements

_SQL = statements("tidewell.query", "live.sql")
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "max_temp_directory_size": "8GB",
    "arrow_lossless_conversion": True,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
_SPARE: list[duckdb.DuckDBPyConnection] = []
"""At most one, of this process: an empty database that nobody has used."""
_MOST_KEPT = 4


def prepare() -> None:
    """Open a DuckDB for the next query ahead of it: that takes as long as many a query."""
    if not _SPARE:
        _SPARE.append(duckdb.connect(config=_CONFIG))


@dataclass(frozen=True)
class Duck:
    """A DuckDB, and its views over files: the relation of each, by its name."""

    connection: duckdb.DuckDBPyConnection
    views: dict[str, LiteralString] = field(default_factory=dict)


class Ducks:
    """DuckDBs that wait for another query of the same account over the same files.

    `keeps`: whether any is kept. What each may do was locked when it was opened, for these files;
    so one is kept only for queries that may do the very same, and nothing of the last one is in it
    but its views over files.
    """

    def __init__(self) -> None:
        self.keeps = False
        self._kept: OrderedDict[Hashable, Duck] = OrderedDict()

    def take(self, bounds: Hashable) -> Duck | None:
        """One that has these bounds."""
        return self._kept.pop(bounds, None)

    def give(self, bounds: Hashable, duck: Duck) -> None:
        """Keep one, and close the one that was not used for longest."""
        if not self.keeps or bounds in self._kept:
            duck.connection.close()
            return
        self._kept[bounds] = duck
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)[1].connection.close()

    def close(self) -> None:
        """Close those that are kept."""
        while self._kept:
            self._kept.popitem()[1].connection.close()


DUCKS = Ducks()
"""Those of this process."""


def opened(memory: str, threads: int, spill: str, files: Sequence[str]) -> Duck:
    """A DuckDB that is bounded, and let to these files only."""
    duck = _SPARE.pop() if _SPARE else duckdb.connect(config=_CONFIG)
    # DuckDB makes the folder when it needs it, and takes it away when it is closed.
    own = str(Path(spill, f"query-{uuid4()}"))
    for name, value in {"memory": memory, "threads": threads, "spill": own}.items():
        duck.execute(_SQL[name], {name: value})
    for name in ("utc", "uncached"):
        duck.execute(_SQL[name])
    if files:
        duck.execute(_SQL["allow"], {"files": list(files)})
    for name in ("shut", "lock"):
        duck.execute(_SQL[name])
    return Duck(duck)
