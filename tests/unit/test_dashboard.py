"""The Grafana dashboard asks for figures that there are."""

import json
import re
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from tidewell.api.metrics import StateGauges
from tidewell.metrics import REGISTRY

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana-dashboard.json"


def families() -> set[str]:
    """The names of all metrics, as they are written down for Prometheus."""
    text = (generate_latest(StateGauges().registry) + generate_latest(REGISTRY)).decode()
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))


def test_every_figure_of_the_dashboard_exists() -> None:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    asked = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"tidewell_\w+", target["expr"])
    }
    assert len(panels) > 10
    assert asked <= families()


def test_every_figure_is_documented() -> None:
    text = (DASHBOARD.parents[1] / "docs" / "watching.md").read_text()
    named = {name for name in families() if not name.endswith("_created")}
    assert {name for name in named if f"`{name}`" not in text} == set()
