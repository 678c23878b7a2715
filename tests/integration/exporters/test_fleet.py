"""What really happens to containers: each shows on the page as it is, and none of it costs the page."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container
from prometheus_client.parser import text_string_to_metric_families

from bridge.demo import parts
from exporters.docker import figures
from tests.integration.exporters.conftest import Exporter, until

RunContainer = Callable[..., Container]
StartExporter = Callable[..., Exporter]
Labels = dict[str, str]

KERNEL = 'docker_exporter_containers{source="kernel"}'


@pytest.fixture(scope="module")
def network(engine: parts.DockerEngine) -> Iterator[str]:
    """A bridge, which the shared Engine has none of by itself."""
    made = engine.client.networks.create("exporter-tests", driver="bridge")
    yield "exporter-tests"
    made.remove()


def interfaces(exporter: Exporter, name: str) -> set[str]:
    return {
        sample.labels["interface"]
        for family in text_string_to_metric_families(exporter.page())
        for sample in family.samples
        if sample.name == figures.RECEIVE[0] and sample.labels["name"] == name
    }


def statistics(engine: parts.DockerEngine, container: Container) -> dict[str, Any]:
    """The Engine's own figures, now."""
    found: dict[str, Any] = engine.client.api.stats(str(container.id), stream=False, one_shot=True)
    return found


def test_the_figures_lie_between_two_looks_by_the_engine_itself(
    engine: parts.DockerEngine, exporter: Exporter, run_container: RunContainer, network: str
) -> None:
    busy = "while :; do i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; sleep 0.1; done"
    container = run_container("busy", busy, mem_limit="64m", cpu_quota=50_000, network_mode=network)
    exporter.shows("docker_container_figures_source", 1, name="busy", source="kernel")
    before = statistics(engine, container)
    looked_at = time.time()
    # Scrapes within 100 ms share their bytes: the page must be one that was made after that look.
    assert parts.wait_until(
        lambda: (exporter.value("container_last_seen", name="busy") or 0) >= looked_at, seconds=20
    )
    shown = {
        name: exporter.value(name, name="busy")
        for name in (
            figures.CPU_USAGE,
            figures.CFS_PERIODS,
            figures.MEMORY_USAGE,
            figures.THREADS,
            figures.RECEIVE[0],
        )
    }
    after = statistics(engine, container)

    def between(name: str, scale: float, *path: str) -> None:
        low, high = before, after
        for key in path:
            low, high = low[key], high[key]
        value = shown[name]
        assert value is not None
        # Back in the Engine's whole units, where no digit is lost.
        assert low <= round(value / scale) <= high  # type: ignore[operator]

    between(figures.CPU_USAGE, 1e-9, "cpu_stats", "cpu_usage", "total_usage")
    between(figures.CFS_PERIODS, 1, "cpu_stats", "throttling_data", "periods")
    between(figures.RECEIVE[0], 1, "networks", "eth0", "rx_bytes")
    assert shown[figures.MEMORY_USAGE] == pytest.approx(after["memory_stats"]["usage"], abs=2 << 20)
    assert shown[figures.THREADS] in (1, 2)
    assert exporter.value("container_spec_memory_limit_bytes", name="busy") == 64 << 20
    assert exporter.value("container_spec_cpu_quota", name="busy") == 50_000


def test_a_limit_changed_while_it_runs_is_shown_with_its_figures(
    engine: parts.DockerEngine, exporter: Exporter, run_container: RunContainer
) -> None:
    container = run_container("growing", "sleep 1000")
    exporter.shows("container_spec_memory_limit_bytes", 0, name="growing")
    assert exporter.value(f"{figures.MEMORY_FAILCNT}_total", name="growing") is None
    container.update(mem_limit="32m", memswap_limit="64m")
    exporter.shows("container_spec_memory_limit_bytes", 32 << 20, name="growing")
    # The parser in tests gives every counter the ending that cAdvisor left off here.
    exporter.shows(f"{figures.MEMORY_FAILCNT}_total", 0, name="growing")


def test_networks_that_are_not_its_own_are_not_shown(
    exporter: Exporter, run_container: RunContainer, network: str
) -> None:
    run_container("owner", "sleep 1000", network_mode=network)
    run_container("guest", "sleep 1000", network_mode="container:owner")
    run_container("host-like", "sleep 1000", network_mode="host")
    run_container("alone", "sleep 1000")
    exporter.shows("docker_container_figures_source", 1, name="alone", source="kernel")
    assert interfaces(exporter, "owner") == {"eth0"}
    for name in ("guest", "host-like", "alone"):
        assert interfaces(exporter, name) == set()
        assert exporter.value(figures.CPU_USAGE, name=name) is not None
        assert exporter.value("docker_container_figures_source", name=name, source="kernel") == 1


def test_a_network_connected_later_is_shown(
    engine: parts.DockerEngine, exporter: Exporter, run_container: RunContainer, network: str
) -> None:
    container = run_container("mover", "sleep 1000", network_mode=network)
    until(lambda: interfaces(exporter, "mover") == {"eth0"})
    second = engine.client.networks.create("exporter-tests-2", driver="bridge")
    try:
        second.connect(container)
        until(lambda: interfaces(exporter, "mover") == {"eth0", "eth1"})
        second.disconnect(container, force=True)
        until(lambda: interfaces(exporter, "mover") == {"eth0"})
    finally:
        second.remove()


def test_a_paused_container_keeps_its_figures(exporter: Exporter, run_container: RunContainer) -> None:
    container = run_container("paused", "sleep 1000")
    exporter.shows("docker_container_state", 1, name="paused", state="running")
    container.pause()
    exporter.shows("docker_container_state", 1, name="paused", state="paused")
    assert exporter.value(figures.MEMORY_USAGE, name="paused")
    container.unpause()


@pytest.mark.parametrize("code", [0, 1, 42, 137, 255])
def test_an_exit_code_is_shown_and_the_figures_go(
    exporter: Exporter, run_container: RunContainer, code: int
) -> None:
    run_container(f"exit-{code}", f"exit {code}")
    exporter.shows("docker_container_state", 1, name=f"exit-{code}", state="exited")
    assert exporter.value("docker_container_exit_code", name=f"exit-{code}") == code
    assert exporter.value(figures.CPU_USAGE, name=f"exit-{code}") is None
    assert exporter.value("container_last_seen", name=f"exit-{code}")


def test_a_container_in_a_restart_loop_is_followed_from_run_to_run(
    exporter: Exporter, run_container: RunContainer
) -> None:
    run_container("loop", "sleep 0.2; exit 1", restart="always", mem_limit="64m")
    until(lambda: (exporter.value("docker_container_restarts_total", name="loop") or 0) >= 2)
    exporter.shows("docker_container_state", 1, name="loop", state="restarting")
    exporter.shows("docker_container_state", 1, name="loop", state="running")
    until(lambda: exporter.value(figures.CPU_USAGE, name="loop") is not None)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "web.1.x8f3mq0p2k4j9s7d6h5g3f2a1",
            {"com.docker.swarm.service.name": "web", "com.docker.stack.namespace": "shop"},
        ),
        ("Odd_name.with-every.kind_0", {"com.docker.compose.project": 'say "hi"\\\nand %s {bye}'}),
        ("unicode", {"com.docker.compose.service": "ünï ☃ \t"}),
        ("empty-label", {"com.docker.compose.project": ""}),
    ],
    ids=["swarm task", "every sign", "unicode", "empty"],
)
def test_odd_names_and_labels_come_back_as_they_were(
    exporter: Exporter, run_container: RunContainer, name: str, labels: Labels
) -> None:
    run_container(name, "sleep 1000", labels=labels)
    project, service = (labels.get(f"com.docker.compose.{what}", "") for what in ("project", "service"))
    exporter.shows(
        "docker_container_state",
        1,
        name=name,
        compose_project=project,
        compose_service=service,
        state="running",
    )
    shown = {
        f"container_label_com_docker_compose_{what}": value
        for what, value in (("project", project), ("service", service))
        if value
    }
    until(lambda: exporter.value(figures.CPU_USAGE, name=name, cpu="total", **shown) is not None)


def test_containers_that_go_during_scrapes_never_cost_the_page(
    exporter: Exporter, run_container: RunContainer
) -> None:
    run_container("stays", "sleep 1000")
    exporter.shows("docker_container_state", 1, name="stays", state="running")
    # `page` asserts that each scrape is answered 200, and parsing that each is whole.
    for number in range(6):
        container = run_container(f"brief-{number}", "sleep 1000", stop_signal="KILL")
        exporter.page()
        container.remove(force=True)
        for _ in range(5):
            assert exporter.value(figures.CPU_USAGE, name="stays") is not None
    exporter.shows("docker_container_info", None, name="brief-5")
    until(lambda: exporter.value("docker_exporter_containers", source="none") == 0)


def test_no_file_stays_open_of_a_container_that_has_gone(
    exporter: Exporter, run_container: RunContainer, network: str
) -> None:
    exporter.shows("docker_exporter_kept_files", 0)
    container = run_container("passing", "sleep 1000", network_mode=network, mem_limit="64m")
    until(lambda: interfaces(exporter, "passing") == {"eth0"})
    assert (exporter.value("docker_exporter_kept_files") or 0) > 0
    container.kill()
    exporter.shows("docker_exporter_kept_files", 0)
    opened = [path.readlink() for path in Path(f"/proc/{exporter.pid}/fd").iterdir()]
    assert not any((container.id or "-") in str(path) for path in opened)


def test_a_kill_inside_a_container_that_lives_on_is_counted_by_the_kernel(
    exporter: Exporter, run_container: RunContainer
) -> None:
    run_container("survivor", "sleep 0.3; tail /dev/zero; sleep 1000", mem_limit="16m")
    exporter.shows(figures.OOM_EVENTS, 1, name="survivor")
    assert exporter.value("docker_container_state", name="survivor", state="running") == 1


def test_figures_stay_fresh_while_the_engine_hangs(
    private_engine: parts.DockerEngine, start_exporter: StartExporter
) -> None:
    private_engine.run("busy", "while :; do :; done", cpu_quota=20_000)
    exporter = start_exporter(private_engine.url, "--docker.resync-interval=1h")
    until(lambda: exporter.value(figures.CPU_USAGE, name="busy") is not None)
    private_engine.pause_daemon()
    exporter.shows("docker_up", 0)
    used = exporter.value(figures.CPU_USAGE, name="busy") or 0
    until(lambda: (exporter.value(figures.CPU_USAGE, name="busy") or 0) > used)
    private_engine.resume_daemon()
    exporter.shows("docker_up", 1)


def test_a_container_that_ends_while_the_engine_hangs_costs_its_own_figures(
    private_engine: parts.DockerEngine, start_exporter: StartExporter
) -> None:
    doomed = private_engine.run("doomed", "sleep 1000")
    private_engine.run("stays", "sleep 1000")
    exporter = start_exporter(private_engine.url, "--docker.resync-interval=1h")
    until(lambda: exporter.value("docker_exporter_containers", source="kernel") == 2)
    doomed.reload()
    private_engine.pause_daemon()
    exporter.shows("docker_up", 0)
    os.kill(doomed.attrs["State"]["Pid"], signal.SIGKILL)
    for _ in range(5):
        assert exporter.value(figures.CPU_USAGE, name="stays") is not None
    private_engine.resume_daemon()
    exporter.shows("docker_container_state", 1, name="doomed", state="exited")
    assert exporter.value(figures.CPU_USAGE, name="stays") is not None
    assert exporter.value("docker_exporter_containers", source="kernel") == 1
