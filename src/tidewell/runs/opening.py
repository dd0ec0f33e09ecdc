"""Open the source of a run, as its task says."""

from pathlib import Path

from tidewell.egress import EgressRules
from tidewell.runs.log import RunLog
from tidewell.runs.messages import CachingTask
from tidewell.sources import registry
from tidewell.sources.protocol import Environment, Source


def open_source(task: CachingTask, log: RunLog) -> Source:
    """The source; nothing is sent to it yet. Raises SourceErrors."""
    environment = Environment(
        file_roots=tuple(Path(root) for root in task.file_roots),
        egress=EgressRules.parse(task.egress),
        trace=log,
    )
    registry.use_manifests(Path(task.manifests) if task.manifests else None)
    return registry.open_source(task.driver, task.source, environment)
