"""DuckDBs that read files, each shut off from everything else; one waits for the next source."""

from contextlib import suppress
from dataclasses import dataclass

import duckdb
from psycopg import sql

from tidewell.sources.files.excel import extension
from tidewell.state.statements import statements

_MEMORY = "384MB"
_SQL = statements("tidewell.sources.files", "relation.sql")


@dataclass(frozen=True)
class Bounds:
    """What a DuckDB may read, and with what; none of it can be changed once it is opened."""

    folders: tuple[str, ...]
    threads: int
    excel: bool


_KEPT: list[tuple[Bounds, duckdb.DuckDBPyConnection]] = []
"""At most one, of this process, that nobody uses: to open one takes as long as a small file."""


def take(bounds: Bounds) -> duckdb.DuckDBPyConnection:
    """A DuckDB within these bounds, for one user who works with a cursor of it, and gives it back.

    Nothing of the last user is in it: a cursor's own things go with the cursor, and what it may
    read was locked when it was opened.
    """
    with suppress(IndexError):
        kept, duck = _KEPT.pop()
        if kept == bounds and _lives(duck):
            return duck
        duck.close()
    return _opened(bounds)


def give(bounds: Bounds, duck: duckdb.DuckDBPyConnection) -> None:
    """Keep a DuckDB for the next user; the one that was kept before goes."""
    _KEPT.append((bounds, duck))
    while len(_KEPT) > 1:
        with suppress(IndexError):
            _KEPT.pop(0)[1].close()


def _lives(duck: duckdb.DuckDBPyConnection) -> bool:
    """Whether it still answers: an error of its own can have shut it."""
    try:
        duck.execute("SELECT 1").fetchone()
    except duckdb.Error:
        return False
    return True


def _opened(bounds: Bounds) -> duckdb.DuckDBPyConnection:
    duck = duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "threads": bounds.threads,
            "arrow_lossless_conversion": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    duck.execute(_SQL["utc"])
    duck.execute(_SQL["uncached"])
    if bounds.excel:
        path = sql.Literal(str(extension()))
        duck.execute(sql.SQL(_SQL["load"]).format(path=path).as_string())
    duck.execute(_SQL["allow"], {"folders": list(bounds.folders)})
    duck.execute(_SQL["shut"])
    duck.execute(_SQL["lock"])
    return duck
