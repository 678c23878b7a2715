"""From a real container to a firing alert: Engine, exporter, Prometheus, the rules as shipped (but for `for`)."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from docker.models.containers import Container

from bridge.demo import parts
from tests.integration.exporters.conftest import Exporter, until
from tests.integration.exporters.test_real_engine import OUT_OF_MEMORY


def test_each_trouble_of_a_real_container_fires_its_alert_with_the_labels_to_find_it_by(
    exporter: Exporter,
    run_container: Callable[..., Container],
    start_prometheus: Callable[..., parts.Prometheus],
    tmp_path: Path,
) -> None:
    rules = parts.shortened_rules(parts.alert_rules(), tmp_path / "rules", hold="0s")
    prometheus = start_prometheus(
        rules=rules,
        exporter_address=urlsplit(exporter.url).netloc,
        scrape_interval="200ms",
        evaluation_interval="200ms",
    )
    run_container("fine", "sleep 1000")
    run_container("broken", "exit 3")
    run_container("sick", "sleep 1000", healthcheck=parts.Healthcheck(command="false", interval_seconds=0.2))
    run_container("looping", "exit 1", restart="always")
    run_container("hungry", OUT_OF_MEMORY, mem_limit="16m")

    def firing() -> set[tuple[str, str, str]]:
        alerts = [series["metric"] for series in prometheus.query('ALERTS{alertstate="firing"}')]
        return {(alert["alertname"], alert.get("name"), alert.get("docker_host")) for alert in alerts}

    expected = {
        ("ContainerDown", "broken", "local"),
        ("ContainerUnhealthy", "sick", "local"),
        ("ContainerRestartLoop", "looping", "local"),
        ("ContainerOOMKilled", "hungry", "local"),
        ("ContainerDown", "hungry", "local"),
    }
    until(lambda: firing() == expected, seconds=40)
