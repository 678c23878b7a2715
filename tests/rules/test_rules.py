"""The alert rules are valid, fire when they should and only then, and name nothing that nobody exports."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rules.conftest import ROOT, RULE_FILES, exported_metrics, our_metrics, rules_of

HERE = Path(__file__).parent
TEST_FILES = sorted(HERE.glob("*.test.yml"))

PACKS = [file for file in RULE_FILES if file.parent.name == "packs"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for file in RULE_FILES for rule in rules_of(file)}
OF_SERVICES = {rule["alert"] for file in PACKS for rule in rules_of(file) if file.name != "watchdog.yml"}

WORDS = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b(?!\s*\()")
"""What might be a metric of a service: words with an underscore that are no function."""
NO_METRICS = {"docker_host", "container_name", "status_code", "lookup"}


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        missing = "promtool is not on PATH: install the package prometheus"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    done = subprocess.run([program, *arguments], capture_output=True, text=True, cwd=HERE, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.name)
def test_prometheus_accepts_the_rules(file: Path) -> None:
    promtool("check", "rules", file)


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.name)
def test_alerts_fire_when_they_should_and_only_then(file: Path) -> None:
    promtool("test", "rules", file.name)


def test_no_two_alerts_have_one_name() -> None:
    assert sum(len(rules_of(file)) for file in RULE_FILES) == len(ALERTS)


@pytest.mark.parametrize("alert", sorted(ALERTS.keys() - OF_SERVICES))
def test_each_metric_in_a_rule_is_exported(alert: str) -> None:
    assert our_metrics(str(ALERTS[alert]["expr"])) <= exported_metrics()


@pytest.mark.parametrize("alert", sorted(OF_SERVICES))
def test_each_metric_a_pack_reads_is_listed_for_its_users(alert: str) -> None:
    listed = next(
        line
        for line in (ROOT / "docs/rules.md").read_text().splitlines()
        if line.startswith(f"| `{alert}` | `")
    )
    expression = re.sub(r'"[^"]*"', "", str(ALERTS[alert]["expr"]))
    metrics = set(WORDS.findall(expression)) - NO_METRICS
    assert metrics
    assert all(f"`{metric}`" in listed for metric in metrics), metrics


@pytest.mark.parametrize("alert", sorted(OF_SERVICES))
def test_an_alert_about_a_service_keeps_what_leads_to_its_container_and_nothing_else(alert: str) -> None:
    """Any other label might be taken for a container's name: `name`, `container`, `service_name`."""
    kept = re.findall(r"\b(?:by|on) \(([^)]*)\)", str(ALERTS[alert]["expr"]))
    assert kept
    outermost = {label.strip() for label in kept[0].split(",")} - {"le"}
    assert outermost == {"job", "instance", "docker_host", "container_name"}


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert annotations["runbook_url"] == f"docs/runbooks.md#{alert.lower()}"
    assert f"\n## {alert}\n" in (ROOT / "docs/runbooks.md").read_text()
    if alert == "Watchdog":
        assert rule["labels"] == {"severity": "none"}
    elif alert in OF_SERVICES:
        assert rule["labels"].keys() == {"severity", "remedy"}
        assert rule["labels"]["remedy"] in ("restart", "escalate")
    else:
        assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning", "none")
    assert "for" in rule


def cases() -> tuple[set[str], set[str]]:
    """The alerts that some test case wants firing, and those that some case wants silent."""
    firing: set[str] = set()
    silent: set[str] = set()
    for group in (group for file in TEST_FILES for group in yaml.safe_load(file.read_text())["tests"]):
        for case in group.get("alert_rule_test", ()):
            (firing if case["exp_alerts"] else silent).add(case["alertname"])
        for case in group.get("promql_expr_test", ()):
            if named := re.search(r'alertname="(\w+)"', case["expr"]):
                (firing if case["exp_samples"] else silent).add(named.group(1))
    return firing, silent


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_case_that_wants_it_firing_and_one_that_wants_it_silent(alert: str) -> None:
    firing, silent = cases()
    assert alert in firing
    assert alert in silent or alert == "Watchdog"
