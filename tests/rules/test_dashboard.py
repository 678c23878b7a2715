"""The dashboards can be loaded anywhere and name nothing that nobody exports. What they show: test_answers.py."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rules.conftest import (
    DASHBOARDS,
    PANEL_QUERIES,
    ROOT,
    dashboard,
    exported_metrics,
    our_metrics,
    queries,
)

GRAFANA_9 = 36

BY_FILE = pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)


@pytest.mark.parametrize("query", PANEL_QUERIES.values(), ids=PANEL_QUERIES)
def test_each_metric_in_a_panel_is_exported(query: str) -> None:
    assert our_metrics(query) <= exported_metrics()


@BY_FILE
def test_a_dashboard_can_be_provisioned_and_moved(file: Path) -> None:
    """Its own identity, none of any data source, and nothing but variables that it declares."""
    loaded = dashboard(file)
    assert loaded["uid"]
    assert loaded["title"]
    assert loaded.get("id") is None
    assert loaded["schemaVersion"] >= GRAFANA_9
    declared = {variable["name"] for variable in loaded["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z_]+)", file.read_text())) - {"__rate_interval", "__range", "__all"}
    assert used <= declared
    assert "datasource" in declared
    for query in queries(file).values():
        assert not re.search(r'(?:instance|job|docker_host)="[^"]', query), "it would show one machine only"


@BY_FILE
def test_every_panel_asks_the_chosen_data_source(file: Path) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    shown = [panel for panel in dashboard(file)["panels"] if panel["type"] != "row"]
    assert shown
    for panel in shown:
        assert panel["description"]
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])


@BY_FILE
def test_panels_have_ids_and_places_of_their_own(file: Path) -> None:
    panels = dashboard(file)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in itertools.combinations((panel["gridPos"] for panel in panels), 2):
        assert not overlap(one, other)
    assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in panels))


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_uids_are_unique() -> None:
    uids = [dashboard(file)["uid"] for file in DASHBOARDS]
    assert len(set(uids)) == len(uids)


def test_provisioning_reads_the_folder_and_one_prometheus() -> None:
    provisioning = ROOT / "grafana/provisioning"
    provider: dict[str, Any] = yaml.safe_load((provisioning / "dashboards/hemostat.yml").read_text())
    source: dict[str, Any] = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())
    assert [one["type"] for one in provider["providers"]] == ["file"]
    assert [(one["type"], one["isDefault"]) for one in source["datasources"]] == [("prometheus", True)]
