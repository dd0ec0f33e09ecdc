"""`GET /metrics`: figures of this process and of the whole service, for Prometheus."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Gauge, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tidewell import __version__, clock
from tidewell.api.services import Node, Services
from tidewell.errors import Unavailable
from tidewell.metrics import REGISTRY
from tidewell.state.statements import statements

router = APIRouter(tags=["operation"])
_SQL = statements("tidewell.api", "metrics.sql")
_KEPT_SECONDS = 5.0
_STALEST = 50
_SCANNED = 1000


class StateGauges:
    """Gauges that are read from the state database, at most once in some seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        registry = self.registry
        Info("tidewell", "The version that serves.", registry=registry).info(
            {"version": __version__}
        )
        self._up = Gauge(
            "tidewell_state_database_up",
            "1 while the state database answers.",
            registry=registry,
        )
        self._jobs = Gauge("tidewell_jobs", "Jobs.", ["type", "enabled"], registry=registry)
        self._active = Gauge(
            "tidewell_active_runs", "Runs that wait or work.", ["state"], registry=registry
        )
        self._oldest = Gauge(
            "tidewell_oldest_queued_run_seconds",
            "Seconds that the oldest queued run has waited.",
            registry=registry,
        )
        self._depth = Gauge(
            "tidewell_queue_depth", "Work in the queue that nobody has taken.", registry=registry
        )
        self._workers = Gauge("tidewell_workers", "Workers that are alive.", registry=registry)
        self._late = Gauge(
            "tidewell_late_jobs", "Jobs whose time has come and gone.", registry=registry
        )
        self._lag = Gauge(
            "tidewell_schedule_lag_seconds",
            "Seconds by which the latest job is behind its schedule.",
            registry=registry,
        )
        self._freshness = Gauge(
            "tidewell_job_freshness_seconds",
            f"Age of a job's data since its last success; the {_STALEST} stalest only.",
            ["job_id"],
            registry=registry,
        )
        self._pool = Gauge(
            "tidewell_state_pool_connections",
            "Connections of this process to the state database.",
            ["state"],
            registry=registry,
        )
        self._pool_waiting = Gauge(
            "tidewell_state_pool_waiting", "Who waits for such a connection.", registry=registry
        )

    async def read(self, node: Services) -> None:
        """Bring the gauges up to date."""
        stats = node.database.pool.get_stats()
        available = stats.get("pool_available", 0)
        self._pool.labels("idle").set(available)
        self._pool.labels("used").set(stats.get("pool_size", 0) - available)
        self._pool_waiting.set(stats.get("requests_waiting", 0))
        async with self._reading:
            if time.monotonic() - self._read_at < _KEPT_SECONDS:
                return
            try:
                figures = await _figures(node)
            except Unavailable:
                self._up.set(0)
                return
            self._set(figures)
            self._up.set(1)
            self._read_at = time.monotonic()

    def _set(self, figures: "_Figures") -> None:
        self._jobs.clear()
        for row in figures.jobs:
            self._jobs.labels(row["job_type"], str(row["enabled"]).lower()).set(row["jobs"])
        active = {row["state"]: row for row in figures.active}
        for state in ("queued", "running"):
            self._active.labels(state).set(active[state]["runs"] if state in active else 0)
        self._oldest.set(active["queued"]["oldest_seconds"] if "queued" in active else 0)
        self._depth.set(figures.queue["waiting"])
        self._workers.set(figures.queue["workers"])
        self._late.set(figures.late["jobs"])
        self._lag.set(figures.late["most_seconds"])
        self._freshness.clear()
        for row in figures.stalest:
            self._freshness.labels(row["job_id"]).set(row["seconds"])


@dataclass
class _Figures:
    jobs: list[dict[str, Any]] = field(default_factory=list)
    active: list[dict[str, Any]] = field(default_factory=list)
    queue: dict[str, Any] = field(default_factory=dict)
    late: dict[str, Any] = field(default_factory=dict)
    stalest: list[dict[str, Any]] = field(default_factory=list)


async def _figures(node: Services) -> _Figures:
    values = {"now": clock.now(), "limit": _STALEST, "scanned": _SCANNED}
    async with node.database.transaction() as connection:

        async def rows(name: str) -> list[dict[str, Any]]:
            return await (await connection.execute(_SQL[name], values)).fetchall()

        return _Figures(
            jobs=await rows("jobs_by_kind"),
            active=await rows("active_runs"),
            queue=(await rows("queue"))[0],
            late=(await rows("late_jobs"))[0],
            stalest=await rows("stalest_jobs"),
        )


_EXAMPLE = """# HELP tidewell_queue_depth Work in the queue that nobody has taken.
# TYPE tidewell_queue_depth gauge
tidewell_queue_depth 0.0
"""
_TEXT = {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}}


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "The figures, in Prometheus' text format.", "content": _TEXT}},
)
async def metrics(request: Request, node: Node) -> Response:
    """Figures for Prometheus: of this process, and of the service as its database has them."""
    gauges: StateGauges = request.app.state.gauges
    await gauges.read(node)
    text = generate_latest(gauges.registry) + generate_latest(REGISTRY)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
