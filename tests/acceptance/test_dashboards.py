"""Every panel of the dashboards about HemoStat is answered by a real Prometheus that scrapes a bridge at work."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import ROOT, firing
from tests.conftest import started
from tests.servers.grafana import TOKEN, Grafana

DASHBOARDS = [ROOT / "grafana/dashboards" / f"{name}.json" for name in ("repairs", "health")]
VARIABLES = {"$instance": ".*", "$__rate_interval": "1m", "$__range": "1m"}


def queries(file: Path) -> dict[str, str]:
    """What its panels ask, by title and reference, with the variables filled in."""
    found = {}
    for panel in json.loads(file.read_text())["panels"]:
        for target in panel.get("targets", ()):
            asked: str = target["expr"]
            for variable, value in VARIABLES.items():
                asked = asked.replace(variable, value)
            found[f"{file.stem}: {panel['title']}, {target['refId']}"] = asked
    return found


def answered(prometheus: parts.Prometheus, query: str) -> bool:
    """Whether something is found, and all of it is a number."""
    found: list[dict[str, Any]] = prometheus.query(query)
    return bool(found) and not any(math.isnan(float(one["value"][1])) for one in found)


def test_every_panel_is_answered_once_a_container_was_healed_one_refused_and_one_escalated(
    start_bridge: StartBridge, start_service: StartService, grafana: Grafana
) -> None:
    bridge = start_bridge(grafana={"url": grafana.url, "token": TOKEN})
    prometheus = started(
        lambda: parts.Prometheus(
            jobs={"hemostat": bridge.url.removeprefix("http://")},
            scrape_interval="500ms",
            evaluation_interval="500ms",
        )
    )
    try:
        assert parts.wait_until(lambda: prometheus.query("hemostat_build_info"), seconds=20)
        shop = start_service().fall_sick()
        assert bridge.repair(firing(shop.name))["outcome"] == "healed"
        shop.fall_sick()
        again = firing(shop.name, alertname="ContainerDown")
        assert bridge.repair(again)["outcome"] == "refused"
        assert bridge.repair(firing("nobody-bears-this-name"))["outcome"] == "escalated"
        unanswered = {title: query for file in DASHBOARDS for title, query in queries(file).items()}

        def all_answered() -> bool:
            for title in [title for title, query in unanswered.items() if answered(prometheus, query)]:
                del unanswered[title]
            return not unanswered

        parts.wait_until(all_answered, seconds=20, every=0.2)
        assert unanswered == {}
    finally:
        prometheus.stop()
