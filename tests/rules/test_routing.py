"""What docs/rules.md says and shows is so: the table, the sample configuration, Alertmanager, service discovery."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from docker.models.containers import Container

from bridge import settings
from bridge.demo import parts
from bridge.model.duration import parse_duration
from bridge.model.policy import Policy
from bridge.model.verdict import Action
from bridge.triage.rules import DEFAULTS
from tests.integration.exporters.conftest import until
from tests.rules.conftest import ROOT, RULE_FILES, rules_of

PAGE = (ROOT / "docs/rules.md").read_text()
SAMPLE = ROOT / "deploy/hemostat.yml"
RULES = {rule["alert"]: rule for file in RULE_FILES for rule in rules_of(file)}
REPAIRABLE = {"ContainerDown", "ContainerUnhealthy", "ContainerOOMKilled", "ContainerMemoryNearLimit"}


def snippet(mark: str) -> str:
    found = re.search(rf"<!-- {mark} -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found, f"no snippet {mark}"
    return found.group(1)


def listed() -> dict[str, tuple[str, str, str]]:
    """What the table of alerts says: for, severity, whether a restart helps."""
    table = PAGE.partition("<!-- alerts -->")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[3:]]
    return {row[0].strip("`"): (row[2], row[3], row[4]) for row in rows}


def sample_policy() -> Policy:
    return settings.load(SAMPLE, environ={}).policy


def labels_of(alert: str) -> dict[str, str]:
    return {"alertname": alert, **RULES[alert]["labels"]}


def helps(alert: str) -> bool:
    """A restart may follow: the pack says so, or it is an alert about a container's own state that one can cure."""
    return RULES[alert]["labels"].get("remedy") == "restart" or alert in REPAIRABLE


def test_the_table_lists_every_alert_as_it_is() -> None:
    said = {
        alert: (rule["for"], rule["labels"]["severity"], "yes" if helps(alert) else "no")
        for alert, rule in RULES.items()
    }
    assert listed() == said


@pytest.mark.parametrize("alert", RULES)
def test_the_sample_configuration_lets_only_those_repair_that_a_restart_can_help(alert: str) -> None:
    policy = sample_policy().for_labels(labels_of(alert))
    assert (Action.RESTART in policy.actions) == helps(alert)
    assert bool(policy.actions) == helps(alert)


@pytest.mark.parametrize("alert", [alert for alert in RULES if helps(alert)])
def test_verification_waits_for_longer_than_the_rule_remembers(alert: str) -> None:
    """Else every repair would be called not healed: the alert cannot have ended yet."""
    policy = sample_policy().for_labels(labels_of(alert))
    rates = re.findall(r"(?:rate|increase|_over_time|delta)\([^[]*\[(\w+)\]", RULES[alert]["expr"])
    # An event counted over its window is over when the window is; OOM kills end by the container's own state.
    remembered = 0.0 if alert == "ContainerOOMKilled" else max(map(parse_duration, rates), default=0.0)
    assert policy.verify.within_seconds > remembered


def test_an_alert_from_elsewhere_starts_no_repair_with_the_sample() -> None:
    assert sample_policy().for_labels({"alertname": "SomebodyElses", "name": "web"}).actions == ()


def test_the_routes_on_the_page_are_those_of_the_sample(tmp_path: Path) -> None:
    shown = tmp_path / "hemostat.yml"
    shown.write_text(snippet("routes"))
    policy = settings.load(shown, environ={}).policy
    for alert in RULES:
        assert (
            policy.for_labels(labels_of(alert)).actions
            == sample_policy().for_labels(labels_of(alert)).actions
        )


def test_the_name_of_the_dead_mans_switch_is_one_that_triage_knows() -> None:
    names = [rule["alert"] for rule in rules_of(ROOT / "alert-rules/packs/watchdog.yml")]
    assert set(names) <= set(DEFAULTS.always_firing)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=Watchdog", "heartbeat,hemostat"),
        ("alertname=HemoStatDown", "people"),
        ("alertname=DockerEngineDown", "people"),
        ("alertname=ContainerDown name=web", "hemostat"),
        ("alertname=ContainerThrottled name=web", "hemostat,people"),
        ("alertname=HighErrorRate remedy=restart", "hemostat,people"),
        ("alertname=LowCacheHitRate remedy=escalate", "people"),
        ("alertname=SomebodyElses", "people"),
    ],
)
def test_alertmanager_sends_alerts_where_the_page_says(labels: str, receivers: str, tmp_path: Path) -> None:
    program = shutil.which("amtool")
    if program is None and os.environ.get("CI", "").lower() != "true":
        pytest.skip("amtool is not on PATH: install the package prometheus-alertmanager")
    file = tmp_path / "alertmanager.yml"
    file.write_text(snippet("alertmanager"))
    asked = [program or "amtool", "config", "routes", "test", f"--config.file={file}", *labels.split()]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout.strip()) == (0, receivers), done.stderr


def test_service_discovery_puts_the_containers_name_on_its_metrics(
    engine: parts.DockerEngine,
    run_container: Callable[..., Container],
    start_prometheus: Callable[..., parts.Prometheus],
) -> None:
    labels = {"prometheus.port": "8000", "com.docker.compose.service": "api"}
    run_container("shop-api-1", "sleep 1000", labels=labels, stop_signal="KILL")
    run_container("other", "sleep 1000", stop_signal="KILL")
    prometheus = start_prometheus()
    config = yaml.safe_load(prometheus.config.read_text())
    shown = yaml.safe_load(snippet("docker_sd"))
    shown["scrape_configs"][0]["docker_sd_configs"][0]["host"] = engine.url
    prometheus.config.write_text(yaml.safe_dump(config | shown))
    prometheus.reload()
    until(lambda: prometheus.query("up"))
    (found,) = prometheus.query("up")
    assert found["metric"] == {
        "__name__": "up",
        "job": "api",
        "instance": "shop-api-1:8000",
        "docker_host": "local",
        "container_name": "shop-api-1",
    }
