"""What rules and dashboards may name, and a Prometheus that watches real containers through the real exporter."""

import contextlib
import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.demo import parts
from bridge.metrics import Metrics
from tests.conftest import started
from tests.integration.exporters.conftest import Exporter, until
from tests.unit.exporters.exported import exported

ROOT = Path(__file__).parents[2]
RULE_FILES = sorted((ROOT / "alert-rules").rglob("*.yml"))
DASHBOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))

OURS = re.compile(r"\b(?:docker|container|process|hemostat)_[a-z_]+\b")
LABELS = {"docker_host", "container_name"}

NODE_EXPORTER = "".join(
    f'node_cpu_seconds_total{{cpu="{cpu}",mode="{mode}"}} 100\n'
    for cpu in (0, 1)
    for mode in ("user", "system")
)
NODE = """
import http.server, sys
address, port, directory = sys.argv[1:]
class Texts(http.server.SimpleHTTPRequestHandler):
    extensions_map = {"": "text/plain"}
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=directory)
http.server.ThreadingHTTPServer((address, int(port)), Texts).serve_forever()
"""
"""Serves files as text: Prometheus 3 scrapes nothing that does not say what it is."""


SETTLED = (
    'count(docker_container_health_status{name="sick", status="unhealthy"} == 1 or'
    ' docker_container_health_status{name="shop-api-1", status="healthy"} == 1 or'
    ' docker_container_state{name=~"broken|finished", state="exited"} == 1) == 4'
)
AS_IT_IS = '{__name__=~"docker_up|docker_container_state|docker_container_health_status"} == 1'
SEEN_OFTEN = "count_over_time(container_cpu_cfs_throttled_periods_total[1m]) > 4"


def rules_of(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def dashboard(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def queries(file: Path) -> dict[str, str]:
    """What a dashboard's panels ask, by title and reference."""
    return {
        f"{panel['title']}, {target['refId']}": target["expr"]
        for panel in dashboard(file)["panels"]
        for target in panel.get("targets", ())
    }


PANEL_QUERIES = {
    f"{file.stem}: {title}": query for file in DASHBOARDS for title, query in queries(file).items()
}


def our_metrics(expression: str) -> set[str]:
    """The metrics of HemoStat and its exporter that a query names. Matchers are cut off: they name labels."""
    return set(OURS.findall(re.sub(r"\{[^}]*\}", "", expression))) - LABELS


def exported_metrics() -> set[str]:
    """Every family of the exporter, which has gauges and counters only, and every series of the bridge."""
    page = Metrics().with_process().page().decode()
    series = {re.split(r"[{ ]", line)[0] for line in page.splitlines() if not line.startswith("#")}
    return series | set(exported())


@dataclass(frozen=True)
class Watch:
    """Prometheus -> exporter -> Engine, for the tests of one file."""

    prometheus: parts.Prometheus
    engine: parts.DockerEngine

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an instant query finds; not for one that gives a scalar."""
        return self.prometheus.query(expression)

    def answers(self, expression: str) -> bool:
        """Whether something is found, and all of it is a number."""
        found: list[Any] = self.prometheus.query(expression)
        values = [found] if found and not isinstance(found[0], dict) else [one["value"] for one in found]
        return bool(values) and not any(math.isnan(float(value)) for _, value in values)


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Prometheus, after some scrapes of an exporter whose containers show everything that can be shown.

    The Engine is not the shared one, where these containers would be in the way of other tests. A node exporter is
    played by a file: dockprom's queries divide by its number of CPUs.
    """
    host = tmp_path_factory.mktemp("host")
    (host / "metrics").write_text(NODE_EXPORTER)
    port = parts.free_port()
    served = ["-c", NODE, parts.LOOPBACK, str(port), str(host)]
    with contextlib.ExitStack() as running:

        def start(part: Any) -> Any:
            running.callback(part.stop)
            return started(lambda: part)

        engine: parts.DockerEngine = start(parts.DockerEngine())
        run = engine.run
        # There is no default bridge; a network of its own gives a container a device.
        engine.client.networks.create("watched")
        run(
            "shop-api-1",
            "while :; do :; done",
            nano_cpus=200_000_000,  # its health check must get by beside it, even where others take the CPUs
            mem_limit="32m",
            network_mode="watched",
            healthcheck=parts.Healthcheck(command="true", interval_seconds=0.2),
            labels={
                "com.docker.compose.project": "shop",
                "com.docker.compose.service": "api",
                "org.label-schema.group": "monitoring",
            },
        )
        run("nginx", "sleep 1000", network_mode="watched")
        run("sick", "sleep 1000", healthcheck=parts.Healthcheck(command="false", interval_seconds=0.2))
        run("broken", "exit 3")
        run("finished", "exit 0")

        flags = ("--docker.host-name=local", "--docker.container-labels=org.label-schema.group")
        exporter = start(Exporter(engine.url, *flags))
        node = start(
            parts.Process(
                [sys.executable, *served],
                name="node",
                url=f"http://{parts.LOOPBACK}:{port}",
                ready_path="/metrics",
            )
        )
        prometheus: parts.Prometheus = start(
            parts.Prometheus(
                exporter_address=exporter.url.removeprefix("http://"),
                jobs={"node": node.url.removeprefix("http://")},
                scrape_interval="200ms",
                evaluation_interval="200ms",
            )
        )
        # Prometheus begins to scrape five seconds after its start, by then all of this is long so.
        if not parts.wait_until(lambda: prometheus.query(SETTLED), seconds=40):
            pytest.fail(f"not so after 40 s, but: {prometheus.query(AS_IT_IS)}")
        until(lambda: prometheus.query(SEEN_OFTEN), seconds=40)
        yield Watch(prometheus=prometheus, engine=engine)
