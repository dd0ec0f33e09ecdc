"""The Grafana dashboard asks for figures that there are."""

import json
import re
from pathlib import Path
from typing import Any

from prometheus_client import Histogram, generate_latest

from tidewell.api.metrics import StateGauges
from tidewell.metrics import REGISTRY

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana-dashboard.json"


def families() -> set[str]:
    """The names of all metrics, as they are written down for Prometheus."""
    text = (generate_latest(StateGauges().registry) + generate_latest(REGISTRY)).decode()
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    assert len(found) > 10
    return found


def test_every_figure_of_the_dashboard_exists() -> None:
    asked = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for panel in panels()
        for target in panel["targets"]
        for name in re.findall(r"tidewell_\w+", target["expr"])
    }
    assert asked <= families()


def labels() -> dict[str, set[str]]:
    """The labels of each metric; of a histogram also `le`, where a bucket ends."""
    known: dict[str, set[str]] = {}
    for registry in (StateGauges().registry, REGISTRY):
        # The library tells labels of metrics that have values only; none has any yet.
        for metric in registry._collector_to_names:
            name, names = vars(metric)["_name"], vars(metric)["_labelnames"]
            known[name] = {*names, *(["le"] if isinstance(metric, Histogram) else [])}
    return known


def test_figures_are_grouped_by_labels_that_they_have() -> None:
    known = labels()
    grouped = [
        (name, label.strip())
        for panel in panels()
        for target in panel["targets"]
        for group, name in re.findall(
            r"by \(([^)]*)\) \((?:\w+\()*(tidewell_\w+?)(?=_bucket|_count|_sum|_total|\W)",
            target["expr"],
        )
        for label in group.split(",")
    ]
    assert len(grouped) > 10
    assert [one for one in grouped if one[1] not in known[one[0]]] == []


def test_panels_stand_beside_each_other_and_each_question_has_a_name_of_its_own() -> None:
    """What Grafana asks of a dashboard's JSON: its grid is 24 wide; ids and refIds are unique."""
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names)
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_figure_is_documented() -> None:
    text = (DASHBOARD.parents[1] / "docs" / "watching.md").read_text()
    named = {name for name in families() if not name.endswith("_created")}
    assert {name for name in named if f"`{name}`" not in text} == set()
