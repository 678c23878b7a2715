"""The exporter inside a container: no privilege, two read-only mounts and the socket, and it finds the others by id."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container

from bridge.demo import parts
from exporters.docker import figures
from tests.integration.exporters.conftest import ROOT, until

RunContainer = Callable[..., Container]

NOBODY = "65534:65534"
PORT = 9417


class Contained:
    """This checkout and this Python, mounted into a bare container; scraped from inside it."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def page(self) -> str:
        answer = self._container.exec_run(["wget", "-q", "-O", "-", f"http://127.0.0.1:{PORT}/metrics"])
        assert isinstance(answer.output, bytes)  # no stream was asked for
        return answer.output.decode() if answer.exit_code == 0 else ""

    def shows(self, *parts_of_a_line: str) -> None:
        """Returns once one line of the page has all of these."""

        def shown() -> bool:
            return any(all(part in line for part in parts_of_a_line) for line in self.page().splitlines())

        until(shown)


@pytest.fixture
def contained(engine: parts.DockerEngine, run_container: RunContainer) -> Callable[..., Contained]:
    def start(*mounts: str, **options: Any) -> Contained:
        # Under paths of their own: where this Python and this checkout lie, nobody else may be allowed to go.
        seen = {sys.base_prefix: "/python", str(ROOT): "/hemostat", str(engine.socket): "/engine.sock"}
        seen |= {path: path for path in ("/lib", "/lib64", "/usr/lib") if Path(path).is_dir()}
        binds = [f"{os.path.realpath(source)}:{target}:ro" for source, target in seen.items()]
        binds += [f"{mount}:ro" for mount in mounts]
        flags = ["--docker.host=unix:///engine.sock", f"--web.listen-address=127.0.0.1:{PORT}"]
        if mounts:
            flags += ["--path.cgroupfs=/host/cgroup", "--path.procfs=/host/proc"]
        python = f"/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        command = " ".join(["exec", python, "-m", "exporters.docker", *flags])
        container = run_container(
            "contained",
            f"cd /hemostat && {command}",
            environment={"PYTHONHOME": "/python", "LD_LIBRARY_PATH": "/python/lib"},
            user=NOBODY,
            group_add=[engine.socket.stat().st_gid],
            volumes=binds,
            cap_drop=["ALL"],
            read_only=True,
            security_opt=["no-new-privileges"],
            **options,
        )
        shown = Contained(container)
        until(lambda: _ended(container) or "\ndocker_up 1\n" in shown.page())
        assert not _ended(container), container.logs().decode()
        return shown

    return start


def _ended(container: Container) -> bool:
    container.reload()
    return bool(container.status == "exited")


@pytest.fixture
def network(engine: parts.DockerEngine) -> Iterator[str]:
    made = engine.client.networks.create("contained", driver="bridge")
    yield "contained"
    made.remove()


@pytest.mark.parametrize("namespace", ["host", "private"])
def test_two_mounts_are_enough_for_everything(
    network: str, run_container: RunContainer, contained: Callable[..., Contained], namespace: str
) -> None:
    exporter = contained("/sys/fs/cgroup:/host/cgroup", "/proc:/host/proc", cgroupns=namespace)
    neighbour = run_container("neighbour", "sleep 1000", network_mode=network, mem_limit="64m")
    exporter.shows("docker_container_figures_source{", 'name="neighbour"', 'source="kernel"')
    for name in (figures.CPU_USAGE, figures.MEMORY_WORKING_SET, figures.RECEIVE[0], figures.FS_READS):
        exporter.shows(f"{name}{{", 'name="neighbour"')
    neighbour.remove(force=True)


def test_without_proc_the_network_is_what_is_lost(
    network: str, run_container: RunContainer, contained: Callable[..., Contained]
) -> None:
    exporter = contained("/sys/fs/cgroup:/host/cgroup")
    neighbour = run_container("neighbour", "sleep 1000", network_mode=network, mem_limit="64m")
    exporter.shows("docker_container_figures_source{", 'name="neighbour"', 'source="kernel_without_network"')
    exporter.shows(f"{figures.MEMORY_WORKING_SET}{{", 'name="neighbour"')
    neighbour.remove(force=True)


def test_with_the_socket_alone_the_engine_is_asked_in_the_background(
    run_container: RunContainer, contained: Callable[..., Contained]
) -> None:
    exporter = contained()
    run_container("neighbour", "sleep 1000", mem_limit="64m")
    exporter.shows(f"{figures.MEMORY_WORKING_SET}{{", 'name="neighbour"')
    exporter.shows("docker_container_figures_source{", 'name="neighbour"', 'source="api"')
    exporter.shows(f"{figures.FIGURES_AGE}{{", 'name="neighbour"')
