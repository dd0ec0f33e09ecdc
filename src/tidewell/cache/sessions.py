"""The session on a cache that a run's process keeps for its next run.

To open one costs as much as a small run: a password that is meant to be slow to check, a process of
the server, and what that has to learn of the catalogue. So the session of a run that ended well
waits a few seconds for another run on the same cache. It has another name meanwhile, by which no
attempt is ended, and the server itself ends it when its time is over.
"""

from collections.abc import Callable

import psycopg

from tidewell.cache.address import CacheAddress, Connection, connect
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "session.sql")
_IDLE_SECONDS = 5
_MOST_RUNS = 100
"""A session of the server remembers every table that it has seen."""
_LEAST_SERVER = 140_000
"""From PostgreSQL 14 on the server ends a session that nobody uses."""
_IDLE_NAME = "tidewell idle"


class Sessions:
    """Opens sessions. `keeps`: whether one is kept for the next run of this process."""

    def __init__(self, opened: Callable[[CacheAddress, str], Connection] = connect) -> None:
        self.keeps = False
        self._open = opened
        self._kept: tuple[CacheAddress, Connection] | None = None
        self._runs = 0

    def begin(self, address: CacheAddress, name: str) -> Connection:
        """A session of this name, without a transaction. Raises a CacheError."""
        kept, self._kept = self._kept, None
        if kept is not None:
            if kept[0] == address and _is_named(kept[1], name, 0):
                return kept[1]
            kept[1].close()
        self._runs = 0
        return self._open(address, name)

    def end(self, address: CacheAddress, connection: Connection, *, whole: bool) -> None:
        """Keep a session or close it; `whole`: it is as good as a new one."""
        self._runs += 1
        if (
            self.keeps
            and whole
            and not connection.closed
            and self._runs < _MOST_RUNS
            and connection.info.server_version >= _LEAST_SERVER
            and _is_named(connection, _IDLE_NAME, _IDLE_SECONDS)
        ):
            self._kept = address, connection
        else:
            connection.close()


def _is_named(connection: Connection, name: str, idle_seconds: int) -> bool:
    """Give a session another name, and the seconds that it may be idle (0: any). False where it is
    lost, or not at rest."""
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        return False
    try:
        connection.autocommit = True
        connection.execute(_SQL["name"], {"name": name, "idle": f"{idle_seconds}s"})
        connection.autocommit = False
    except psycopg.Error:
        return False
    return True


SESSIONS = Sessions()
"""Those of this process."""
