"""From a run's rows in the state database to the task that its process gets."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tidewell.connections import cache as cache_connections
from tidewell.connections import strings
from tidewell.connections.sealing import SealingBox
from tidewell.errors import CacheRefused
from tidewell.jobs.params import CachingParams
from tidewell.jobs.queryparams import ScheduledQueryParams
from tidewell.jobs.settings import SCHEDULED_QUERY
from tidewell.query.messages import QueryTask
from tidewell.query.tasks import over_account, secrets_of
from tidewell.runs.messages import CachingTask, ScheduledQueryTask, Task
from tidewell.runs.repository import Claim
from tidewell.settings import Settings
from tidewell.sources import registry
from tidewell.state.database import Connection, Database

_LONGEST_SECONDS = 24 * 3600


async def task_of_claim(
    database: Database,
    claim: Claim,
    row: Mapping[str, Any],
    sealing: SealingBox,
    settings: Settings,
) -> Task:
    """What a claimed run needs, from its row. Raises a TidewellError that a person can act on."""
    if row["job_type"] == SCHEDULED_QUERY:
        async with database.transaction() as connection:
            return await scheduled_query_task(connection, claim, row, sealing, settings)
    return caching_task(row, claim, sealing, settings)


def caching_task(
    row: Mapping[str, Any],
    claim: Claim,
    sealing: SealingBox,
    settings: Settings,
) -> CachingTask:
    """Unseal what a run of a caching job needs. Raises a TidewellError that a person can act on."""
    if row["cache_sealed"] is None:
        raise CacheRefused(
            "This account has no cache connection: create one with POST /api/job/cacheConnection."
        )
    driver = registry.driver(row["driver"])
    source = strings.parse(
        sealing.open(row["connection_sealed"], row["connection_id"]), driver.keys
    )
    address = cache_connections.address(
        sealing.open(row["cache_sealed"], row["cache_id"]), settings.egress_allow
    )
    params = CachingParams.model_validate(row["params"])
    secrets = [source[key.name] for key in driver.keys if key.secret and source.get(key.name)]
    return CachingTask(
        run_id=claim.run_id,
        job_id=row["job_id"],
        attempt=claim.attempt,
        nth=claim.attempts,
        driver=driver.name,
        source=source,
        cache=asdict(address),
        secrets=(*secrets, address.password),
        connection_name=row["connection_name"],
        source_schema=row["source_schema"],
        source_table=row["source_table"],
        cache_schema=row["cache_schema"],
        cache_table=row["cache_table"],
        verbosity=row["log_verbosity"],
        reload=row["reload"],
        time_column=params.time_check_column,
        truncate_strings=params.auto_truncate_strings,
        merge_keys=params.merge_key_names,
        columns=params.column_names,
        full_refresh_every=params.full_refresh_every,
        filter=params.filter.strip(),
        detect_deletes=params.delete_detection == "keys",
        max_rows=params.max_rows_per_run,
        rebuild_on_type_change=params.on_type_change == "rebuild",
        retries=params.most_retries,
        timeout_seconds=params.timeout_seconds,
        processes=settings.most_run_processes(),
        processes_rows=settings.run_processes_rows,
        file_roots=tuple(str(root) for root in settings.file_roots()),
        egress=settings.egress_allow,
        manifests=str(settings.manifests.resolve()) if settings.manifests else "",
    )


async def scheduled_query_task(
    connection: Connection,
    claim: Claim,
    row: Mapping[str, Any],
    sealing: SealingBox,
    settings: Settings,
) -> ScheduledQueryTask:
    """Unseal what a run of a scheduled query needs: all that its account's queries may name."""
    params = ScheduledQueryParams.model_validate(row["params"])
    task = QueryTask(
        "query",
        connections=(),
        text=params.query,
        seconds=float(params.timeout_seconds or _LONGEST_SECONDS),
    )
    # What it was checked against; None: it was saved before that was noted, or names no table.
    only = [row["connection_id"]] if row["connection_id"] else row["connection_ids"]
    task = await over_account(connection, sealing, settings, claim.account_id, only, task)
    to_cache = row["cache_table"] is not None
    if to_cache and task.cache is None:
        raise CacheRefused(
            "This account has no cache connection: create one with POST /api/job/cacheConnection."
        )
    return ScheduledQueryTask(
        run_id=claim.run_id,
        job_id=row["job_id"],
        attempt=claim.attempt,
        nth=claim.attempts,
        over=asdict(task),
        cache=task.cache if to_cache else None,
        secrets=secrets_of(task),
        cache_schema=row["cache_schema"] or "",
        cache_table=row["cache_table"] or "",
        write_mode=params.write_mode,
        merge_keys=params.merge_key_names,
        verbosity=row["log_verbosity"],
        # Not every place that is written to can hold a fence: no error is tried again by itself.
        retries=params.most_retries if to_cache else 0,
        timeout_seconds=params.timeout_seconds,
    )
