"""Sessions on caches that a query's process keeps between queries of the same account.

Opening one, and what a fresh one has to learn of the database, takes as long as many a query. At
most one is kept, for a short while, and only where its last query ended well; nothing that a query
may do outlives its transaction.
"""

from contextlib import suppress

import psycopg

from tidewell.cache.address import CacheAddress, Connection, connect

IDLE_SECONDS = 10.0
"""How long a session waits for another query."""
_NAME = "tidewell query"


class Sessions:
    """Opens sessions. `keeps`: whether one is kept for the next query."""

    def __init__(self) -> None:
        self.keeps = False
        self._kept: tuple[CacheAddress, Connection] | None = None

    def begin(self, address: CacheAddress, statement: str) -> Connection:
        """A session in which a transaction has begun, by a statement. Raises a CacheError."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == address:
            try:
                kept[1].execute(statement.encode())
                return kept[1]
            except psycopg.Error:
                kept[1].close()  # the server has ended it meanwhile
        elif kept is not None:
            kept[1].close()
        connection = connect(address, _NAME)
        connection.autocommit = True
        connection.execute(statement.encode())
        return connection

    def end(self, address: CacheAddress, connection: Connection, *, whole: bool) -> None:
        """End the transaction; `whole`: the session is as good as before."""
        if self.keeps and whole and not connection.closed:
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
                self.close()
                self._kept = address, connection
                return
        connection.close()

    def close(self) -> None:
        """Close what is kept."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None


SESSIONS = Sessions()
"""Those of this process."""
