"""What the page of monitoring, the mapping and the dashboard name is what the code sends."""

from __future__ import annotations

import json
import re

import yaml

from reloads.airflow.metrics import METRICS
from reloads.settings import EVENTS
from tests.unit.documents.pages import CLONE, Page

MONITORING = Page("docs/monitoring.md")
GRAFANA = CLONE / "examples" / "grafana"
SUFFIXES = {"counter": "_total", "timer": "_seconds", "gauge": ""}


def prometheus_names() -> dict[str, str]:
    """Each metric as Prometheus has it, by its kind."""
    return {metric.name.replace(".", "_") + SUFFIXES[metric.kind]: metric.kind for metric in METRICS}


def test_every_metric_is_listed_with_its_kind_its_tags_and_its_meaning() -> None:
    listed = re.findall(r"^\| `(reloads\.[a-z_]+)` \| (\w+) \| ([\w, ]+) \| (.*) \|$", MONITORING.text, re.MULTILINE)
    assert listed == [
        (metric.name, metric.kind, ", ".join(metric.tags) or "none", metric.meaning) for metric in METRICS
    ]


def test_every_event_is_listed() -> None:
    assert list(MONITORING.rows("[a-z]+")) == list(EVENTS)


def test_the_mapping_names_every_metric_as_prometheus_has_it() -> None:
    mappings = yaml.safe_load((GRAFANA / "statsd-mapping.yaml").read_text())["mappings"]
    names = {each["match"].removeprefix("airflow."): each["name"] for each in mappings}
    assert list(names) == [metric.name for metric in METRICS]
    assert set(names.values()) == set(prometheus_names())


def test_the_dashboard_asks_for_every_metric_and_no_other_by_its_labels() -> None:
    dashboard = json.loads((GRAFANA / "reloads.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name.removesuffix("_bucket") for query in queries for name in re.findall(r"reloads_[a-z_]+", query)}
    assert asked == set(prometheus_names())
    labels = {
        label for query in queries for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")
    }
    assert labels == {"table", "outcome", "le"}
    tags = {metric.name.replace(".", "_") + SUFFIXES[metric.kind]: set(metric.tags) for metric in METRICS}
    for query in queries:
        [name] = {name.removesuffix("_bucket") for name in re.findall(r"reloads_[a-z_]+", query)}
        by = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")}
        assert by - {"le"} <= tags[name], query


def test_no_two_panels_lie_on_each_other() -> None:
    panels = [panel["gridPos"] for panel in json.loads((GRAFANA / "reloads.json").read_text())["panels"]]
    cells = [
        (x, y)
        for place in panels
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
