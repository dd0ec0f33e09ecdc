"""What goes away takes its cached tables along: jobs, connections, sub-accounts, caches.

What can be forgotten is forgotten in one transaction; the tables are dropped after it, at once
where the cache answers, else by the queue again and again until it is done (contract §4, Delete).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from tidewell.accounts import audit
from tidewell.accounts import repository as accounts
from tidewell.accounts.audit import Action, Author
from tidewell.clock import Clock
from tidewell.connections import cache as cache_connections
from tidewell.connections import repository as connections
from tidewell.connections.cache import Tested
from tidewell.connections.sealing import SealingBox
from tidewell.counted import counted
from tidewell.errors import CacheError, Conflict
from tidewell.jobs import repository as jobs
from tidewell.runs.cleaning import drop_left_behind
from tidewell.runs.commands import stop_run
from tidewell.runs.queue import Queue
from tidewell.runs.repository import cancel_in_queue, next_attempt
from tidewell.state.database import Connection, Database

_DROP_SECONDS = 5.0
_DROP_SECONDS_OF_REPLACED = 2.0  # after the test of the new one: both within 10 s
_DROP_LATER = timedelta(seconds=15)
_SEVERAL = ("them", "their cached tables")

log = structlog.get_logger()


@dataclass(frozen=True)
class Leftover:
    """A cached table to drop: whose it was, where it stands, and what drops it if we cannot.

    `attempt`: of a job that lives on, what later attempts load there stays.
    """

    job_id: UUID
    sealed: str
    cache_id: UUID
    queue_id: int | None
    attempt: int | None


@dataclass(frozen=True)
class Removal:
    """Removes things of one account, for one author."""

    database: Database
    queue: Queue
    sealing: SealingBox
    clock: Clock
    author: Author
    egress: str

    async def job(self, account_id: UUID, job_id: UUID) -> None:
        """End a run of the job, forget the job, drop its cached table. Raises NotFound."""
        async with self.database.transaction() as connection:
            left = await self._forget_jobs(connection, account_id, [job_id])
        await self._drop(left)

    async def connection(self, account_id: UUID, connection_id: UUID, *, force: bool) -> None:
        """Delete a connection.

        Raises:
            NotFound: there is no such connection.
            Conflict: jobs use it, and `force` does not delete them too.
        """
        async with self.database.transaction() as connection:
            row = await connections.lock(connection, account_id, connection_id)
            users = await jobs.of_connection(connection, account_id, connection_id)
            if users and not force:
                names = ", ".join(f"{one['name']} ({one['id']})" for one in users[:5])
                one, what = ("it", "its cached table") if len(users) == 1 else _SEVERAL
                raise Conflict(
                    f"{counted(len(users), 'job uses', 'jobs use')} this connection: {names}. "
                    f"Delete {one} first, or give ?force=true to delete {one} with {what}."
                )
            left = await self._forget_jobs(connection, account_id, [one["id"] for one in users])
            await connections.delete(connection, account_id, connection_id)
            await self._note(connection, Action.CONNECTION_DELETED, connection_id, row["name"])
        await self._drop(left)

    async def account(self, parent_id: UUID, account_id: UUID) -> None:
        """Delete a sub-account with its jobs and connections. Raises NotFound."""
        async with self.database.transaction() as connection:
            left = []
            if await accounts.is_account_of(connection, account_id, parent_id):
                # Its jobs first: who holds one of them may wait for the account.
                left += await self._forget_jobs(connection, account_id)
            row = await accounts.lock_account(connection, account_id, parent_id)
            left += await self._forget_jobs(connection, account_id)  # what came in meanwhile
            await accounts.delete_account(connection, account_id, parent_id)
            await self._note(connection, Action.ACCOUNT_DELETED, account_id, row["name"])
        await self._drop(left)

    async def replace_cache(self, account_id: UUID, text: str, tested: Tested) -> dict[str, Any]:
        """Save the account's cache connection; what another cache held before is dropped there.

        Returns the row, as `cache_connections.to_wire_connection` takes it.
        """
        row: dict[str, Any] | None = None
        left: list[Leftover] = []
        async with self.database.transaction() as connection:
            old = await cache_connections.lock(connection, account_id)
            before = self.sealing.open(*_sealed(old)) if old else text
            same_tables = cache_connections.is_same_database(before, text)
            if old and cache_connections.is_another(before, text):
                found = await jobs.of_account(connection, account_id)
                for job in found:
                    await jobs.lock(connection, account_id, job["id"])
                    await stop_run(connection, account_id, job["id"], self.clock())
                # Who comes back to this cache, maybe by another name of it, may have loaded the
                # tables anew by the time of a drop that had to wait.
                newest = None if same_tables else await next_attempt(connection)
                for job in found:
                    left.append(
                        await self._leftover(
                            connection, job["id"], old, later=not same_tables, attempt=newest
                        )
                    )
            if not (left and same_tables):
                row = await self._save_cache(connection, account_id, text, tested)
        await self._drop(left, _DROP_SECONDS_OF_REPLACED)
        if row is None:
            # Only the user is another: the new tables stand where the old ones stood, so those
            # are dropped first, and never later.
            async with self.database.transaction() as connection:
                row = await self._save_cache(connection, account_id, text, tested)
        return row

    async def _save_cache(
        self, connection: Connection, account_id: UUID, text: str, tested: Tested
    ) -> dict[str, Any]:
        row = await cache_connections.save(
            connection, self.sealing, account_id, text, tested, self.clock()
        )
        name = cache_connections.NAME
        await self._note(connection, Action.CACHE_CONNECTION_SAVED, row["id"], name)
        return row

    async def _forget_jobs(
        self, connection: Connection, account_id: UUID, job_ids: Sequence[UUID] | None = None
    ) -> list[Leftover]:
        """Forget jobs, all of the account without `job_ids`; what stands in the cache is left."""
        if job_ids is None:
            job_ids = [one["id"] for one in await jobs.of_account(connection, account_id)]
        cache = await jobs.cache_of(connection, account_id)
        left = []
        for job_id in job_ids:
            job = await jobs.lock(connection, account_id, job_id)
            await stop_run(connection, account_id, job_id, self.clock())
            await jobs.delete(connection, account_id, job_id)
            await self._note(connection, Action.JOB_DELETED, job_id, job["name"])
            if cache is not None:
                left.append(await self._leftover(connection, job_id, cache))
        return left

    async def _leftover(
        self,
        connection: Connection,
        job_id: UUID,
        cache: dict[str, Any],
        *,
        later: bool = True,
        attempt: int | None = None,
    ) -> Leftover:
        sealed, cache_id = _sealed(cache)
        queued = None
        if later:
            queued = await self.queue.defer_drop(
                connection, job_id, sealed, cache_id, self.clock() + _DROP_LATER, attempt
            )
        return Leftover(job_id, sealed, cache_id, queued, attempt)

    async def _drop(self, left: Sequence[Leftover], seconds: float = _DROP_SECONDS) -> None:
        """Drop the tables now; what is not done in time the queue does later."""
        done: list[Leftover] = []
        try:
            async with asyncio.timeout(seconds):
                for one in left:
                    await drop_left_behind(
                        self.sealing,
                        one.job_id,
                        one.sealed,
                        one.cache_id,
                        self.egress,
                        one.attempt,
                    )
                    done.append(one)
        except (TimeoutError, CacheError) as error:
            log.warning("drop_postponed", jobs=len(left) - len(done), reason=str(error))
        if done:
            async with self.database.transaction() as connection:
                for one in done:
                    if one.queue_id is not None:
                        await cancel_in_queue(connection, one.queue_id)

    async def _note(self, connection: Connection, action: Action, target: UUID, name: str) -> None:
        await audit.record(connection, self.author, action, target, name, self.clock())


def _sealed(cache: dict[str, Any]) -> tuple[str, UUID]:
    return cache["sealed"], cache["id"]
