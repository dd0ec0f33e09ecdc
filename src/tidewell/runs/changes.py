"""Create, update, run, stop: a job together with its runs, its schedule and its place."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID, uuid4

import psycopg.errors
import structlog
from pydantic import ValidationError
from structlog.contextvars import bind_contextvars

from tidewell.accounts import audit
from tidewell.accounts.audit import Action, Author
from tidewell.cache import place
from tidewell.clock import Clock
from tidewell.connections.opening import OpenedConnection
from tidewell.errors import Conflict, Detail, InvalidRequest
from tidewell.jobs import repository as jobs
from tidewell.jobs.job import JobSettings
from tidewell.jobs.params import CachingParams
from tidewell.jobs.queryparams import DESTINATION_SCHEMA, ScheduledQueryParams
from tidewell.jobs.repository import Schedule
from tidewell.jobs.schedule import Interval, Unit, next_after
from tidewell.jobs.settings import SCHEDULED_QUERY, JobBody
from tidewell.runs.commands import queue_run, stop_run
from tidewell.runs.queue import Queue
from tidewell.runs.settling import Settling
from tidewell.state.database import Connection, Database

log = structlog.get_logger()


@dataclass(frozen=True)
class JobChanges:
    """Changes jobs of one account at a time; every change is one transaction.

    The log's lines of the request that changes something name the job and its new run.
    """

    database: Database
    queue: Queue
    settling: Settling
    clock: Clock
    author: Author

    async def create(self, account_id: UUID, settings: JobSettings, body: JobBody) -> UUID:
        """Make a job; without a defined first time its first run is queued at once.

        Raises:
            Conflict: no cache connection yet, or another job keeps this table or this place.
            InvalidRequest: a connection has gone since it was looked at.
            NotFound: so has the account.
        """
        now = self.clock()
        job_id = uuid4()
        schedule = first_schedule(body, now)
        try:
            async with self.database.transaction() as connection:
                await jobs.hold_account(connection, account_id)
                _need_connections(
                    await jobs.hold_connections(connection, account_id, settings.uses), settings
                )
                _need_cache(await jobs.cache_of(connection, account_id), settings)
                await _need_room(connection, account_id, job_id, settings)
                await jobs.insert(connection, account_id, job_id, settings, schedule, now)
                await self._note(connection, Action.JOB_CREATED, job_id, settings.name)
                if settings.enabled and body.defined_next_run is None:
                    run_id = await queue_run(
                        connection, self.queue, account_id, job_id, "create", now
                    )
                    bind_contextvars(run_id=str(run_id))
        except psycopg.errors.UniqueViolation:
            await self._taken_meanwhile(account_id, job_id, settings)
        bind_contextvars(job_id=str(job_id))
        return job_id

    async def check(self, account_id: UUID, settings: JobSettings) -> None:
        """Whether a job could be made now. Raises Conflict, as `create` would."""
        async with self.database.transaction() as connection:
            _need_cache(await jobs.cache_of(connection, account_id), settings)
            await _need_room(connection, account_id, uuid4(), settings)

    async def update(
        self, account_id: UUID, job_id: UUID, settings: JobSettings, body: JobBody
    ) -> None:
        """Replace a job's settings. What reads other rows, or other keys, starts from a full load.

        Raises NotFound; Conflict when another job keeps this table or this place; InvalidRequest
        when a connection has gone since it was looked at.
        """
        try:
            stopped = await self._replace(account_id, job_id, settings, body)
        except psycopg.errors.UniqueViolation:
            await self._taken_meanwhile(account_id, job_id, settings)
        if stopped:
            log.info("run_stopped_by_update", job_id=str(job_id))
            await self.settling.end_waiting(account_id, stopped, self.clock)

    async def _replace(
        self, account_id: UUID, job_id: UUID, settings: JobSettings, body: JobBody
    ) -> UUID | None:
        """Replace a job's settings; returns the run that cannot go on with them."""
        now = self.clock()
        async with self.database.transaction() as connection:
            # Before the job: who changes a connection, or the cache connection, holds it, and then
            # its jobs.
            held = await jobs.hold_connections(connection, account_id, settings.uses)
            cache = await jobs.cache_of(connection, account_id)
            old = await jobs.lock(connection, account_id, job_id)
            if old["job_type"] != settings.job_type:
                raise InvalidRequest.of(
                    "jobType", f"is {old['job_type']} and cannot change: make another job"
                )
            _need_connections(held, settings)
            _need_cache(cache, settings)
            await _need_room(connection, account_id, job_id, settings)
            moved = (old["cache_schema"], old["cache_table"]) != (
                settings.cache_schema,
                settings.cache_table,
            )
            stopped = await stop_run(connection, account_id, job_id, now) if moved else None
            await jobs.update(
                connection,
                account_id,
                job_id,
                settings,
                next_schedule(old, body, now),
                now,
                reload=moved or _reads_otherwise(old, settings),
            )
            await self._note(connection, Action.JOB_UPDATED, job_id, settings.name)
        return stopped

    async def _taken_meanwhile(
        self, account_id: UUID, job_id: UUID, settings: JobSettings
    ) -> NoReturn:
        """Another call took the place between our look and our write. Raises Conflict."""
        async with self.database.transaction() as connection:
            await _need_room(connection, account_id, job_id, settings)
        raise Conflict("Another call took the same place for a moment: try again.")

    async def run(self, account_id: UUID, job_id: UUID) -> UUID:
        """Queue a run now; Conflict when the job is disabled."""
        async with self.database.transaction() as connection:
            job = await jobs.lock(connection, account_id, job_id)
            if not job["enabled"]:
                raise Conflict(
                    "This job is disabled, so it does not run: enable it with "
                    f"PUT /api/job/{job_id}/update first."
                )
            await self._note(connection, Action.JOB_RUN, job_id, job["name"])
            run_id = await queue_run(
                connection, self.queue, account_id, job_id, "request", self.clock()
            )
            bind_contextvars(job_id=str(job_id), run_id=str(run_id))
            return run_id

    async def stop(self, account_id: UUID, job_id: UUID) -> None:
        """End the job's queued or running run, if there is one."""
        async with self.database.transaction() as connection:
            job = await jobs.lock(connection, account_id, job_id)
            stopped = await stop_run(connection, account_id, job_id, self.clock())
            if stopped:
                await self._note(connection, Action.JOB_STOPPED, job_id, job["name"])
        if stopped:
            await self.settling.end_waiting(account_id, stopped, self.clock)

    async def _note(self, connection: Connection, action: Action, job_id: UUID, name: str) -> None:
        await audit.record(connection, self.author, action, job_id, name, self.clock())


def settings_of(body: JobBody, params: CachingParams, opened: OpenedConnection) -> JobSettings:
    """The settings of a caching job, with its place in the cache."""
    where = place(
        opened.name,
        params.source_schema,
        opened.driver.several_schemas,
        params.source_table,
        cache_schema=params.cache_schema or None,
        cache_table=params.cache_table or None,
    )
    return JobSettings(
        job_type=body.job_type,
        name=params.source_table,
        enabled=body.enabled,
        interval=body.interval,
        log_verbosity=body.log_verbosity,
        params=body.params,
        connection_id=opened.id,
        connection_ids=None,
        source_schema=params.source_schema,
        source_table=params.source_table,
        cache_schema=where.schema,
        cache_table=where.table,
    )


def settings_of_query(
    body: JobBody, params: ScheduledQueryParams, *, writes: bool, connections: Sequence[UUID]
) -> JobSettings:
    """The settings of a scheduled query over some connections; a SELECT has a place in the cache,
    what `writes` none."""
    name = params.job_name(body.name)
    where = place(
        params.destination_schema or DESTINATION_SCHEMA,
        "",
        False,
        params.destination_table or name,
    )
    return JobSettings(
        job_type=body.job_type,
        name=name,
        enabled=body.enabled,
        interval=body.interval,
        log_verbosity=body.log_verbosity,
        params=body.params,
        connection_id=connections[0] if len(connections) == 1 else None,
        connection_ids=connections if len(connections) > 1 else None,
        source_schema=None,
        source_table=None,
        cache_schema=None if writes else where.schema,
        cache_table=None if writes else where.table,
    )


def first_schedule(body: JobBody, now: datetime) -> Schedule:
    """A new job's grid: from its defined first time, or from now, when its first run is queued."""
    if body.defined_next_run is not None:
        return Schedule(body.defined_next_run, body.defined_next_run)
    return Schedule(now, next_after(now, body.interval, now))


def next_schedule(old: dict[str, Any], body: JobBody, now: datetime) -> Schedule:
    """An updated job's grid: a defined next time begins a new one, another interval keeps its
    first point, and without either the schedule stays as it is."""
    if body.defined_next_run is not None:
        return Schedule(body.defined_next_run, body.defined_next_run)
    kept = Schedule(old["anchor_at"], old["next_run_at"])
    same = Interval(Unit(old["interval_unit"]), old["interval_value"]) == body.interval
    if same and old["enabled"]:
        return kept
    return replace(kept, next_run_at=next_after(kept.anchor_at, body.interval, now))


def _reads_otherwise(old: dict[str, Any], settings: JobSettings) -> bool:
    """Whether an update changes what is read or how rows are matched (contract §4, Update)."""
    if settings.job_type == SCHEDULED_QUERY:
        return False  # it has no watermark: each run reads all that it asks for
    try:
        before = CachingParams.model_validate(old["params"])
    except ValidationError:
        return True  # an older version took what this one cannot read
    after = CachingParams.model_validate(settings.params)
    return (
        old["connection_id"] != settings.connection_id
        or old["source_schema"] != settings.source_schema
        or old["source_table"] != settings.source_table
        or before.time_check_column != after.time_check_column
        or before.merge_key_names != after.merge_key_names
        or before.column_names != after.column_names
        or before.filter.strip() != after.filter.strip()
    )


def _need_connections(held: Collection[UUID], settings: JobSettings) -> None:
    gone = next((one for one in settings.uses if one not in held), None)
    if gone is not None:
        is_query = settings.job_type == SCHEDULED_QUERY
        raise InvalidRequest.of(
            "params.query" if is_query else "params.sourceConnection",
            f"the connection {gone} has just been deleted",
        )


def _need_cache(cache: Mapping[str, Any] | None, settings: JobSettings) -> None:
    if settings.cache_table is not None and cache is None:
        raise Conflict(
            "This account has no cache connection yet: create it with "
            "POST /api/job/cacheConnection first."
        )


async def _need_room(
    connection: Connection, account_id: UUID, job_id: UUID, settings: JobSettings
) -> None:
    other = await jobs.occupant(connection, account_id, job_id, settings)
    if other is None:
        return
    if other["same_source"]:
        raise Conflict(
            f"Job {other['id']} ({other['name']}) already caches "
            f"{settings.source_schema}.{settings.source_table} of this connection: update that "
            "one instead.",
            details=[Detail("params.sourceTable", f"is cached by job {other['id']}")],
        )
    raise Conflict(
        f"Job {other['id']} ({other['name']}) already writes to "
        f"{settings.cache_schema}.{settings.cache_table} of the cache: give "
        f"{_place_field(settings)} to put this one elsewhere.",
        details=[Detail(_place_field(settings), f"is written by job {other['id']}")],
    )


def _place_field(settings: JobSettings) -> str:
    """The param that says where a job's table stands."""
    if settings.job_type == SCHEDULED_QUERY:
        return "params.destinationTable"
    return "params.cacheTable"
