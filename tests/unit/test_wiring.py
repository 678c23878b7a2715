"""Settings reach the rules."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import errors, settings
from bridge.model.evidence import Measured
from bridge.settings.sections import Triage
from bridge.triage.case import DEFAULTS
from bridge.wiring import check_extras, ruleset_of
from bridge.wiring.neighbours import docker_of


def read(folder: Path, text: str) -> settings.Settings:
    (folder / "hemostat.yml").write_text(text)
    return settings.load(folder / "hemostat.yml", environ={})


def test_without_a_word_about_triage_the_rules_have_their_own_numbers() -> None:
    assert ruleset_of(settings.Settings.defaults()).thresholds == DEFAULTS


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("deploy_window: 5m", "deploy_seconds", 300.0),
        ("memory_share: 0.8", "memory_share", 0.8),
        ("cpu_share: 0.8", "cpu_share", 0.8),
        ("load_share: 0.6", "load_share", 0.6),
        ("errors_share: 0.2", "errors_share", 0.2),
        ("host_disk_share: 0.9", "host_disk_share", 0.9),
        ("traffic_factor: 3", "traffic_factor", 3.0),
        ("sick_neighbours: 4", "sick_neighbours", 4),
        ("flapping_fires: 9", "flapping_fires", 9),
        ("stateful_images: [ledger]", "stateful_images", ("ledger",)),
        ("stateful_images: []", "stateful_images", ()),
        ("outside_alerts: [x*]", "outside_alerts", (*DEFAULTS.outside_alerts, "x*")),
        ("always_firing: [Heartbeat]", "always_firing", (*DEFAULTS.always_firing, "Heartbeat")),
        ("over_when_running: [Gone]", "over_when_running", (*DEFAULTS.over_when_running, "Gone")),
    ],
)
def test_every_number_of_triage_reaches_the_rules(
    tmp_path: Path, text: str, field: str, value: object
) -> None:
    config = read(tmp_path, f"triage: {{{text}}}\n")
    assert getattr(ruleset_of(config).thresholds, field) == value


def test_rule_and_guard_about_sick_neighbours_have_one_share(tmp_path: Path) -> None:
    ruleset = ruleset_of(read(tmp_path, "policy: {limits: {project_share: 0.5}}\n"))
    assert ruleset.thresholds.project_share == ruleset.policy.limits.project_share == 0.5


def test_the_pressures_of_the_host_reach_the_rules(tmp_path: Path) -> None:
    config = read(tmp_path, "triage: {host_io_pressure: 0.7}\n")
    assert dict(ruleset_of(config).thresholds.host_pressure)[Measured.HOST_IO_PRESSURE] == 0.7


def test_the_settings_have_the_defaults_of_the_rules() -> None:
    default = Triage()
    assert default.crash_exit_codes == DEFAULTS.crash_exit_codes
    assert default.deploy_window_seconds == DEFAULTS.deploy_seconds


@pytest.mark.skipif(importlib.util.find_spec("paramiko") is not None, reason="the package is here")
@pytest.mark.parametrize("needing_it", [check_extras, docker_of])
def test_a_host_behind_ssh_is_refused_while_its_package_is_missing(
    tmp_path: Path, needing_it: Callable[[settings.Settings], object]
) -> None:
    """Before an incident finds out."""
    config = read(tmp_path, "docker: {hosts: [{name: a, url: 'ssh://me@a'}]}\n")
    with pytest.raises(errors.SettingsError, match=r"docker\.hosts\[0\]\.url: .*hemostat\[ssh\]"):
        needing_it(config)
