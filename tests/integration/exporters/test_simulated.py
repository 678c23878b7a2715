"""Five thousand containers on both versions of control groups, out of files that only look like the kernel's."""

import contextlib
import gzip
import http.client
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.demo import parts
from exporters.docker import figures
from tests.integration.exporters.conftest import Exporter, Watch, until
from tests.integration.exporters.scripted_engine import ScriptedEngine
from tests.unit.exporters.kernel_tree import KernelTree

StartExporter = Callable[..., Exporter]
StartWatch = Callable[..., Watch]

COUNT = 5000
MOST_MIB = 130


def identity(number: int) -> str:
    return f"{number:064x}"


def populated(scripted: ScriptedEngine, tree: KernelTree, count: int) -> None:
    for number in range(count):
        labels = {
            "com.docker.compose.project": f"shop-{number % 30}",
            "com.docker.compose.service": f"s-{number}",
        }
        host = {"Memory": 64 << 20, "NetworkMode": "shop"}
        scripted.add(identity(number), f"web-{number}", Pid=number + 1, Labels=labels, HostConfig=host)
        tree.add(identity(number), pid=number + 1)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """As the kernel's own files are; 80,000 files on a disk would take the test's time."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        yield Path(path)


@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
@pytest.mark.timeout(90)
def test_five_thousand_are_all_shown_in_bounded_memory(
    scripted: ScriptedEngine, start_exporter: StartExporter, in_memory: Path, version: int
) -> None:
    tree = KernelTree(in_memory, version)
    populated(scripted, tree, COUNT)
    flags = [f"--path.cgroupfs={tree.cgroupfs}", f"--path.procfs={tree.procfs}", "--docker.timeout=20s"]
    exporter = start_exporter(scripted.url, *flags)
    until(lambda: parts.answers_200(f"{exporter.url}/-/ready"), seconds=60)
    pages = [page(exporter), gzip.decompress(page(exporter, packed=True))]
    for text in pages:
        assert text.count(f"\n{figures.CPU_USAGE}{{".encode()) == COUNT
        assert text.count(f"\n{figures.RECEIVE[0]}{{".encode()) == COUNT
        assert text.endswith(b"\n")
    resident = int(Path(f"/proc/{exporter.pid}/status").read_text().partition("VmRSS:")[2].split()[0])
    assert resident / 1024 < MOST_MIB


def page(exporter: Exporter, *, packed: bool = False) -> bytes:
    connection = http.client.HTTPConnection(exporter.url.removeprefix("http://"), timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"} if packed else {})
        response = connection.getresponse()
        assert response.status == 200
        return response.read()


@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
def test_beyond_the_limit_on_open_files_nothing_is_missing(
    scripted: ScriptedEngine, watch: StartWatch, in_memory: Path, version: int
) -> None:
    tree = KernelTree(in_memory, version)
    populated(scripted, tree, 60)
    watched = watch(scripted.url, tree=tree, descriptors=100)
    assert len(watched.look().readings.by_kind["kernel"]) == 60
    assert 0 < watched.sources.descriptors.kept <= 100
    scripted.emit("destroy", identity(0))
    until(lambda: len(watched.look().readings.by_kind["kernel"]) == 59)


def test_a_round_of_inspects_is_taken_sixteen_at_a_time_and_events_come_between(
    scripted: ScriptedEngine, watch: StartWatch, in_memory: Path
) -> None:
    tree = KernelTree(in_memory, 1)
    populated(scripted, tree, 200)
    asked: list[str] = []
    answer = scripted.answer

    def starting_another(request: str, subject: str) -> dict[str, Any] | None:
        asked.append(subject)
        if subject == identity(40) and asked.count(subject) == 2:  # in the middle of the second round
            scripted.add(identity(900), "newcomer", Pid=901)
            scripted.emit("start", identity(900))
        return answer(request, subject)

    scripted.answer = starting_another  # type: ignore[method-assign]  # the script of this one test
    watched = watch(scripted.url, tree=tree, resync=0.1)
    until(lambda: "newcomer" in watched.names and asked.count(identity(199)) >= 2)
    second_of_the_last = asked.index(identity(199), asked.index(identity(199)) + 1)
    assert asked.index(identity(900)) < second_of_the_last  # by its event, not by its turn
    until(lambda: all(scripted.requests[f"inspect {identity(number)}"] >= 2 for number in range(200)))


def test_figures_of_one_that_vanished_unannounced_are_dropped_and_the_inventory_looks(
    scripted: ScriptedEngine, watch: StartWatch, in_memory: Path
) -> None:
    tree = KernelTree(in_memory, 1)
    populated(scripted, tree, 3)
    watched = watch(scripted.url, tree=tree)
    assert len(watched.look().readings.by_kind["kernel"]) == 3
    tree.remove(identity(1))
    scripted.add(identity(1), "web-1", Status="exited", ExitCode=9)
    assert watched.look().readings.by_kind["none"] == [identity(1)]
    until(lambda: watched.container("web-1").exit_code == 9)
    assert watched.look().readings.by_kind["none"] == []


def test_a_restarted_container_is_read_by_its_new_process(
    scripted: ScriptedEngine, watch: StartWatch, in_memory: Path
) -> None:
    tree = KernelTree(in_memory, 1)
    populated(scripted, tree, 1)
    watched = watch(scripted.url, tree=tree)
    before = watched.inventory.snapshot.sources[identity(0)]
    tree.add(identity(0), pid=77)
    scripted.add(identity(0), "web-0", Pid=77, StartedAt="2026-01-02T00:00:00Z")
    for action in ("die", "start"):
        scripted.emit(action, identity(0))
    until(lambda: watched.inventory.snapshot.sources.get(identity(0)) not in (None, before))
    assert watched.look().readings.by_kind["kernel"] == [identity(0)]


def test_digests_are_asked_once_for_each_image(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.digests["sha256:0"] = "sha256:d1"
    for number in range(3):
        scripted.add(identity(number), f"web-{number}")
    watched = watch(scripted.url)
    assert {c.image_digest for c in watched.inventory.snapshot.containers} == {"sha256:d1"}
    assert scripted.requests["image sha256:0"] == 1


@pytest.mark.parametrize("how", ["hanging", "refusing", "babbling"])
def test_images_that_nobody_may_ask_about_cost_the_digest_and_nothing_else(
    scripted: ScriptedEngine, watch: StartWatch, how: str
) -> None:
    getattr(scripted, how).add("image sha256:0")
    scripted.add(identity(0), "web")
    watched = watch(scripted.url, timeout=0.3)
    assert watched.container("web").image_digest == ""
    assert watched.up
