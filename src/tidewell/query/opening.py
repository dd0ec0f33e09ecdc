"""From a task to the engine that runs it."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from tidewell.cache import CacheAddress
from tidewell.cache.plan import Place
from tidewell.connections import strings
from tidewell.egress import EgressRules
from tidewell.query.engine import Engine, Limits
from tidewell.query.messages import QueryTask
from tidewell.query.naming import Connected, Copy
from tidewell.query.plans import world_of
from tidewell.sources import registry
from tidewell.sources.protocol import Environment, Source, Trace, no_trace


def engine_of(
    task: QueryTask, spill: str, trace: Trace = no_trace, *, patient: bool = False
) -> Engine:
    """The engine of a task, with nothing opened yet; `spill`: a folder for what memory cannot.

    `patient`: nobody waits for its answer.
    """
    registry.use_manifests(Path(task.manifests) if task.manifests else None)
    environment = Environment(
        file_roots=tuple(Path(root) for root in task.file_roots),
        egress=EgressRules.parse(task.egress),
        trace=trace,
        patient=patient,
    )
    return Engine(
        [_connected(one, environment) for one in task.connections],
        [_copy(one) for one in task.copies],
        CacheAddress(**task.cache) if task.cache else None,
        Limits(task.seconds, task.memory, spill=spill),
        default_catalog=task.default_catalog,
        default_schema=task.default_schema,
        world=world_of(task),
    )


def _connected(values: Mapping[str, Any], environment: Environment) -> Connected:
    def opened() -> Source:
        name = values["driver"]
        keys = registry.driver(name).keys
        return registry.open_source(name, strings.parse(values["text"], keys), environment)

    def dialect() -> str:
        return registry.driver(values["driver"]).dialect

    return Connected(UUID(values["id"]), values["name"], values["driver"], dialect, opened)


def _copy(values: Mapping[str, Any]) -> Copy:
    return Copy(
        UUID(values["connection_id"]),
        values["schema"],
        values["table"],
        Place(values["cache_schema"], values["cache_table"]),
        datetime.fromisoformat(values["refreshed_at"]),
    )
