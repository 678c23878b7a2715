"""The alert rules are valid, fire when they should and only then, and name nothing the exporter does not export."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from exporters.docker.container import Container
from exporters.docker.families import Labelling
from exporters.docker.page import Page
from exporters.docker.snapshot import Snapshot

HERE = Path(__file__).parent
RULE_FILES = sorted((HERE.parent.parent / "alert-rules").glob("*.yml"))
TEST_FILES = sorted(HERE.glob("*.test.yml"))
METRIC = re.compile(r"\b(?:docker|container|process)_[a-z_]+\b")


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        missing = "promtool is not on PATH: install the package prometheus"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    done = subprocess.run([program, *arguments], capture_output=True, text=True, cwd=HERE, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts(rule_files: list[Path]) -> dict[str, dict[str, object]]:
    groups = [group for file in rule_files for group in yaml.safe_load(file.read_text())["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


ALERTS = alerts(RULE_FILES)


@pytest.fixture(scope="module")
def exported() -> set[str]:
    """Names of all series of a page with one container that has been through everything."""
    container = Container(
        id="a" * 64,
        name="web",
        image="i",
        image_id="sha256:0",
        state="running",
        created_at=1.0,
        started_at=2.0,
        finished_at=1.5,
    )
    page = Page(labelling=Labelling(host_name="h"), version="0", started_at=0.0)
    snapshot = Snapshot(containers=(container,), confirmed_at=0.0)
    text = b"".join(page.chunks(snapshot, now=3.0, inventory_age=0.0)).decode()
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.name)
def test_prometheus_accepts_the_rules(file: Path) -> None:
    promtool("check", "rules", file)


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.name)
def test_alerts_fire_when_they_should_and_only_then(file: Path) -> None:
    promtool("test", "rules", file.name)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_metric_in_a_rule_is_exported(alert: str, exported: set[str]) -> None:
    expression = re.sub(r"\{[^}]*\}", "", str(ALERTS[alert]["expr"]))
    assert set(METRIC.findall(expression)) <= exported


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    annotations = rule["annotations"]
    assert isinstance(annotations, dict)
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert annotations["runbook_url"] == f"docs/runbooks.md#{alert.lower()}"
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert "for" in rule


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_test_that_wants_it_firing(alert: str) -> None:
    wanted = re.compile(rf'alertname(?:: |="){alert}\b')
    assert any(wanted.search(file.read_text()) for file in TEST_FILES)
