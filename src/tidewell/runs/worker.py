"""A worker: takes runs from the queue, as many at a time as its operator allows."""

import asyncio
from uuid import UUID

import procrastinate.exceptions
import structlog
from opentelemetry.trace import SpanKind
from procrastinate import JobContext

from tidewell import tracing
from tidewell.clock import Clock
from tidewell.connections.sealing import SealingBox
from tidewell.errors import Unavailable
from tidewell.runs.children import PROGRAM, Children
from tidewell.runs.cleaning import drop_left_behind
from tidewell.runs.execution import BEAT_SECONDS, Execution
from tidewell.runs.queue import QUEUE, Queue
from tidewell.settings import Settings
from tidewell.state.database import Database

_POLL_SECONDS = 1.0
_RESTART_SECONDS = 1.0

log = structlog.get_logger()


async def keep_working(
    database: Database,
    queue: Queue,
    sealing: SealingBox,
    settings: Settings,
    clock: Clock,
    *,
    program: str = PROGRAM,
) -> None:
    """Execute runs until cancelled; then running ones get a grace time and go back to the queue.

    `program` is the module that executes them in a process of its own.
    """
    children = Children(settings.run_concurrency, program)
    execution = Execution(database, queue, sealing, children, settings, clock)

    async def execute_run(context: JobContext, run_id: str, traceparent: str = "") -> None:
        if context.job.id is not None:
            kind = SpanKind.CONSUMER
            with tracing.span("run", parent=traceparent, kind=kind, run_id=run_id):
                await execution.execute(UUID(run_id), context.job.id)

    async def drop_cached_table(
        job_id: str, sealed: str, cache_id: str, attempt: int | None = None
    ) -> None:
        egress = settings.egress_allow
        await drop_left_behind(sealing, UUID(job_id), sealed, UUID(cache_id), egress, attempt)

    queue.register_runs(execute_run)
    queue.register_drops(drop_cached_table)
    beating = asyncio.create_task(execution.keep_beating(), name="signs of life")
    try:
        while True:
            try:
                await queue.app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=settings.run_concurrency,
                    install_signal_handlers=False,
                    fetch_job_polling_interval=_POLL_SECONDS,
                    abort_job_polling_interval=_POLL_SECONDS,
                    shutdown_graceful_timeout=settings.shutdown_grace,
                    update_heartbeat_interval=BEAT_SECONDS,
                    delete_jobs="always",
                )
            except (procrastinate.exceptions.ConnectorException, Unavailable) as error:
                log.warning("worker_lost_its_database", reason=str(error))
            # It ends by itself only when the state database went away: begin again.
            await asyncio.sleep(_RESTART_SECONDS)
    finally:
        beating.cancel()
        await children.close()
