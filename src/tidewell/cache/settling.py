"""What is done to a cache without a load: an attempt is settled, a job's table dropped."""

from uuid import UUID

import psycopg
from psycopg import sql

from tidewell.cache.address import CacheAddress, Connection, connect, explained
from tidewell.cache.bookkeeping import BOOKS, make_bookkeeping, stored_receipt
from tidewell.cache.hidden import drop_left, drop_left_now
from tidewell.cache.plan import Fence, Receipt
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "table.sql")
_EVERY_ATTEMPT = 2**63 - 1


def drop_cached_table(address: CacheAddress, job_id: UUID, attempt: int | None = None) -> None:
    """Drop what a job keeps in a cache, with its schema when nothing else stands there.

    With `attempt`, only what attempts up to that one have loaded. Raises CacheError; nothing is
    dropped then.
    """
    newest = _EVERY_ATTEMPT if attempt is None else attempt
    ours = {"job_id": job_id, "attempt": newest}
    with connect(address, "tidewell drop") as connection:
        try:
            row = connection.execute(BOOKS["has_bookkeeping"]).fetchone()
            if not row or not row[0]:
                return
            connection.execute(BOOKS["end_sessions"], ours)
            found = connection.execute(BOOKS["forget"], ours).fetchone()
            if found is not None and found[0] is not None:
                _drop(connection, *found)
            # Last: from there on nobody is waited for as long as for the table itself.
            drop_left(connection, job_id, newest, cascade=True)
        except psycopg.Error as error:
            raise explained(error, address) from error


def _drop(connection: Connection, schema: str, table: str, made_schema: bool) -> None:
    connection.execute(sql.SQL(_SQL["drop_table"]).format(table=sql.Identifier(schema, table)))
    if made_schema:
        used = connection.execute(BOOKS["schema_in_use"], {"schema": schema}).fetchone()
        if used and not used[0]:
            connection.execute(sql.SQL(_SQL["drop_schema"]).format(schema=sql.Identifier(schema)))


def settle_attempt(
    address: CacheAddress, fence: Fence, *, take_over: bool = False
) -> Receipt | None:
    """End what an attempt still does in the cache, and give its run's receipt if it committed.

    For when nobody else can tell: the answer to COMMIT was lost, or the attempt's process died.
    Where that is not certain (its worker is silent), `fence` is a newer attempt that takes over:
    whatever wakes up later is fenced out. Raises CacheError.
    """
    with connect(address, "tidewell settle") as connection:
        try:
            if take_over:
                make_bookkeeping(connection)
            row = connection.execute(BOOKS["has_bookkeeping"]).fetchone()
            if not row or not row[0]:
                return None
            ours = {"job_id": fence.job_id, "attempt": fence.attempt}
            connection.execute(BOOKS["end_sessions"], ours)
            if take_over:
                connection.execute(BOOKS["register"], ours)
            # A session that is just committing holds the fence: waiting for it tells how it ended.
            connection.execute(BOOKS["hold"], {"job_id": fence.job_id})
            found = connection.execute(
                BOOKS["committed_run"], {"job_id": fence.job_id, "run_id": fence.run_id}
            ).fetchone()
            drop_left_now(connection, fence.job_id, fence.attempt)
        except psycopg.Error as error:
            raise explained(error, address) from error
    return stored_receipt(found[0]) if found else None
