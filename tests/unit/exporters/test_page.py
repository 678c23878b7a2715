"""The page: valid text format, every family described, labels escaped, nothing shown that has not happened."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporters.docker.container import Container, Tally
from exporters.docker.families import Labelling
from exporters.docker.page import Page
from exporters.docker.snapshot import Snapshot

NOW = 1000.0
RUNNING = Container(
    id="633dce14e176" + "0" * 52,
    name="web",
    image="shop/web:1",
    image_id="sha256:46",
    image_digest="sha256:d1",
    state="running",
    health="healthy",
    created_at=900.0,
    started_at=910.0,
    memory_limit=64 << 20,
    cpu_quota=50_000,
    labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "team.name": "a"},
    tally=Tally(restarts=3, oom_events=1),
)
ENDED = replace(
    RUNNING,
    id="f" * 64,
    name="job",
    state="exited",
    health="none",
    finished_at=950.25,
    exit_code=137,
    oom_killed=True,
    labels={},
)

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def text(*containers: Container, labelling: Labelling | None = None, **snapshot: object) -> str:
    page = Page(labelling=labelling or Labelling(), version="1.2", started_at=5.0)
    shown = replace(Snapshot(containers=containers, confirmed_at=0.0), **snapshot)  # type: ignore[arg-type]
    return b"".join(page.chunks(shown, now=NOW, inventory_age=1.5)).decode()


def series(page: str) -> Series:
    families = list(text_string_to_metric_families(page))
    samples = [sample for family in families for sample in family.samples]
    read = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(read) == len(samples), "a series stands there twice"
    return read


def values(page: str, name: str, /, **labels: str) -> list[float]:
    return [
        value
        for (found, has), value in series(page).items()
        if found == name and has.issuperset(labels.items())
    ]


def test_every_family_has_one_help_and_one_type_and_is_in_one_piece() -> None:
    seen: list[str] = []
    for line in text(RUNNING, ENDED).splitlines():
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0].split()[0]
        if not seen or seen[-1] != name:
            assert line.startswith(f"# HELP {name} ")
            assert name not in seen
            seen.append(name)


def test_promtool_finds_nothing_to_complain_about() -> None:
    if (promtool := shutil.which("promtool")) is None:
        missing = "promtool is not on PATH: install the package prometheus"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    page = text(RUNNING, ENDED, labelling=Labelling(host_name="h", container_labels=("team.name",)))
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=50
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("docker_container_info", {"image_id": "sha256:46", "image_digest": "sha256:d1"}, 1),
        ("docker_container_state", {"state": "running"}, 1),
        ("docker_container_state", {"state": "exited"}, 0),
        ("docker_container_health_status", {"status": "healthy"}, 1),
        ("docker_container_health_status", {"status": "none"}, 0),
        ("docker_container_health_failing_streak", {}, 0),
        ("docker_container_created_time_seconds", {}, 900),
        ("docker_container_start_time_seconds", {}, 910),
        ("docker_container_exit_code", {}, 0),
        ("docker_container_oom_killed", {}, 0),
        ("docker_container_oom_events_total", {}, 1),
        ("docker_container_restarts_total", {}, 3),
    ],
)
def test_a_running_container_shows(name: str, labels: dict[str, str], expected: float) -> None:
    identity = {
        "id": "633dce14e176",
        "name": "web",
        "image": "shop/web:1",
        "compose_project": "shop",
        "compose_service": "web",
    }
    assert series(text(RUNNING))[name, frozenset((identity | labels).items())] == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("container_start_time_seconds", 910),
        ("container_last_seen", NOW),
        ("container_health_state", 1),
        ("container_spec_memory_limit_bytes", 64 << 20),
        ("container_spec_cpu_quota", 50_000),
        ("container_spec_cpu_period", 100_000),
        ("container_oom_events_total", 1),
    ],
)
def test_families_under_cadvisors_names_have_cadvisors_labels(name: str, expected: float) -> None:
    identity = {
        "id": "/docker/633dce14e176",
        "name": "web",
        "image": "shop/web:1",
        "container_label_com_docker_compose_project": "shop",
        "container_label_com_docker_compose_service": "web",
    }
    assert series(text(RUNNING))[name, frozenset(identity.items())] == expected


def test_cadvisors_families_carry_no_empty_labels() -> None:
    assert "container_label_com_docker_compose" not in text(ENDED)


@pytest.mark.parametrize(
    ("health", "number"), [("healthy", 1), ("unhealthy", 0), ("starting", 0), ("none", -1)]
)
def test_health_is_the_number_that_cadvisor_gives(health: str, number: int) -> None:
    assert values(text(replace(RUNNING, health=health)), "container_health_state") == [number]


def test_a_container_that_has_ended_is_neither_healthy_nor_sick_to_cadvisors_rules() -> None:
    assert values(text(ENDED), "container_health_state") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("docker_container_exit_code", 137),
        ("docker_container_oom_killed", 1),
        ("docker_container_finish_time_seconds", 950.25),
        ("container_last_seen", 950.25),
    ],
)
def test_an_ended_container_stays_with_how_and_when_it_ended(name: str, expected: float) -> None:
    assert values(text(ENDED), name, name="job") == [expected]


@pytest.mark.parametrize(
    "name",
    [
        "docker_container_start_time_seconds",
        "docker_container_finish_time_seconds",
        "container_start_time_seconds",
        "container_last_seen",
    ],
)
def test_a_container_never_started_has_no_times_of_running(name: str) -> None:
    never = replace(RUNNING, state="created", started_at=None)
    assert values(text(never), name) == []


def test_each_state_and_each_health_status_has_a_series_and_exactly_one_is_1() -> None:
    page = text(RUNNING)
    assert sorted(values(page, "docker_container_state")) == [0] * 6 + [1]
    assert sorted(values(page, "docker_container_health_status")) == [0] * 3 + [1]


def test_a_state_docker_may_invent_is_0_everywhere_rather_than_an_error() -> None:
    assert values(text(replace(RUNNING, state="hibernating")), "docker_container_state") == [0] * 7


@pytest.mark.parametrize(
    "value",
    ['say "hi"', "back\\slash", "two\nlines", 'mix\\"\n\\n', "ünï ☃", "100%s {a}", "car\rriage"],
    ids=["quote", "backslash", "newline", "mixed", "utf-8", "format signs", "carriage return"],
)
def test_label_values_come_back_as_they_were(value: str) -> None:
    labelled = replace(RUNNING, labels={"note": value})
    page = text(labelled, labelling=Labelling(container_labels=("note",)))
    assert values(page, "docker_container_exit_code", container_label_note=value) == [0]


def test_a_lone_surrogate_does_not_break_the_page() -> None:
    page = text(replace(RUNNING, image="bad\ud800image"))
    assert values(page, "docker_container_exit_code", image="bad?image") == [0]


def container_series(page: str) -> Iterable[frozenset[tuple[str, str]]]:
    return [labels for (name, labels) in series(page) if name.startswith(("docker_container_", "container_"))]


def test_the_host_name_is_on_every_container_series_and_absent_by_default() -> None:
    named = container_series(text(RUNNING, ENDED, labelling=Labelling(host_name="prod-1")))
    assert all(("docker_host", "prod-1") in labels for labels in named)
    assert "docker_host" not in text(RUNNING, ENDED)


def test_only_listed_container_labels_are_shown_and_on_every_series() -> None:
    shown = container_series(text(RUNNING, labelling=Labelling(container_labels=("team.name",))))
    assert all(("container_label_team_name", "a") in labels for labels in shown)
    assert "container_label_team_name" not in text(RUNNING)


def test_own_health_is_there_before_the_engine_is() -> None:
    read = series(text())
    assert read["docker_up", frozenset()] == 0
    assert read["docker_exporter_inventory_age_seconds", frozenset()] == 1.5
    assert read["docker_exporter_engine_errors_total", frozenset()] == 0
    assert read["docker_exporter_events_total", frozenset()] == 0
    assert read["docker_exporter_reconnects_total", frozenset()] == 0
    assert read["docker_exporter_build_info", frozenset({("version", "1.2")})] == 1
    assert read["process_start_time_seconds", frozenset()] == 5


def test_what_the_engine_last_said_stays_when_it_is_away() -> None:
    page = text(RUNNING, up=False, engine_errors=4, reconnects=2)
    assert values(page, "docker_up") == [0]
    assert values(page, "docker_container_state", name="web", state="running") == [1]
    assert values(page, "docker_exporter_engine_errors_total") == [4]


def test_a_page_follows_the_snapshot_it_is_given() -> None:
    page = Page(labelling=Labelling(), version="1", started_at=0.0)
    for containers in ((RUNNING,), (RUNNING, ENDED), ()):
        snapshot = Snapshot(containers=containers, confirmed_at=0.0)
        body = b"".join(page.chunks(snapshot, now=NOW, inventory_age=0.0)).decode()
        assert len(values(body, "docker_container_info")) == len(containers)
