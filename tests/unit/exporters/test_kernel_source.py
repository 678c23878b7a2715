"""A container's figures out of the kernel's files, on both versions of control groups."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporters.docker import figures
from exporters.docker.container import Container, Tally
from exporters.docker.kernel.cgroups import CgroupTree
from exporters.docker.kernel.files import Descriptors
from exporters.docker.kernel.part import Closed, Unreadable
from exporters.docker.kernel.source import KernelSource, open_source
from tests.unit.exporters.kernel_tree import NET_DEV, V1, V2, KernelTree

ID = "c0ffee" + "0" * 58
CONTAINER = Container(
    id=ID,
    name="web",
    image="web:1",
    image_id="sha256:0",
    state="running",
    pid=77,
    memory_limit=64 << 20,
    cpu_quota=50_000,
    network_mode="shop",
)


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> KernelTree:
    return KernelTree(tmp_path, request.param)


def opened(tree: KernelTree, container: Container = CONTAINER, *, limit: int = 100) -> KernelSource:
    found = open_source(container, CgroupTree(str(tree.cgroupfs), str(tree.procfs)), Descriptors(limit))
    assert found is not None
    return found


def read(source: KernelSource) -> dict[str, float]:
    """Values by name, as Prometheus would take them in; an interface's name goes behind the family's."""
    row = source.read()
    slots = source.layout.slots
    return {
        slot.name + (f"[{slot.labels}]" if "interface" in slot.labels else ""): float(
            value.decode() + slot.scale
        )
        for slot, value in zip(slots, row, strict=True)
    }


def test_every_figure_comes_in_its_familys_unit(tree: KernelTree) -> None:
    tree.add(ID, pid=77)
    fine = 1e-9 if tree.version == 1 else 1e-6
    expected = {
        figures.CPU_USAGE: 20650639e-9 if tree.version == 1 else 20650e-6,
        figures.CPU_USER: 1.2 if tree.version == 1 else 0.012,
        figures.CPU_SYSTEM: 0.07 if tree.version == 1 else 0.00865,
        figures.CFS_PERIODS: 30,
        figures.CFS_THROTTLED_PERIODS: 4,
        figures.CFS_THROTTLED_SECONDS: 5000 * fine,
        figures.MEMORY_USAGE: 483328,
        figures.MEMORY_WORKING_SET: 483328 - 8192,
        figures.MEMORY_RSS: 49152,
        figures.MEMORY_CACHE: 135168,
        figures.MEMORY_FAILCNT: 9,
        figures.OOM_EVENTS: 2,
        figures.THREADS: 3,
        figures.FS_READS: 4100,
        figures.FS_WRITES: 110,
    }
    numbers = (200, 2, 3, 4, 300, 5, 6, 7)
    names = figures.RECEIVE + figures.TRANSMIT
    expected |= {f'{name}[interface="eth0"]': value for name, value in zip(names, numbers, strict=True)}
    if tree.version == 2:
        pressure = [pair for pair in figures.PRESSURE.values()]
        expected |= {waiting: 6435e-6 for waiting, _ in pressure}
        expected |= {stalled: 2517e-6 for _, stalled in pressure}
    assert read(opened(tree)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"cpu_quota": 0}, {figures.CFS_PERIODS, figures.CFS_THROTTLED_SECONDS}),
        ({"memory_limit": 0}, {figures.MEMORY_FAILCNT, figures.OOM_EVENTS}),
    ],
    ids=["no quota", "no limit"],
)
def test_what_can_only_be_zero_is_not_read(
    tree: KernelTree, changes: dict[str, Any], absent: set[str]
) -> None:
    tree.add(ID, pid=77)
    shown = read(opened(tree, replace(CONTAINER, **changes)))
    assert not absent & shown.keys()
    assert figures.CPU_USAGE in shown


@pytest.mark.parametrize("mode", ["host", "none", "container:" + "a" * 64])
def test_a_network_that_is_not_the_containers_is_not_shown(tree: KernelTree, mode: str) -> None:
    tree.add(ID, pid=77)
    source = opened(tree, replace(CONTAINER, network_mode=mode))
    assert source.kind == "kernel"
    assert not any("network" in name for name in read(source))


def test_a_container_with_loopback_only_has_no_network_and_lacks_nothing(tree: KernelTree) -> None:
    tree.add(ID, pid=77, net_dev="".join(NET_DEV.splitlines(keepends=True)[:3]))
    source = opened(tree)
    assert source.kind == "kernel"
    assert not any("network" in name for name in read(source))


def test_without_proc_the_network_alone_is_missing_and_that_is_said(tree: KernelTree) -> None:
    tree.add(ID)
    source = opened(tree)
    assert source.kind == "kernel_without_network"
    assert figures.CPU_USAGE in read(source)


def test_the_network_of_another_process_with_that_number_is_not_taken(tree: KernelTree) -> None:
    tree.add(ID, pid=77, told="/user.slice/somebody")
    assert opened(tree).kind == "kernel_without_network"


def test_a_controller_that_is_not_there_costs_its_own_figures_only(tree: KernelTree) -> None:
    tree.add(ID, pid=77)
    for name in V1 if tree.version == 1 else V2:
        if "memory" in name:
            tree.file(ID, name).unlink()
    shown = read(opened(tree))
    assert figures.MEMORY_USAGE not in shown
    assert shown[figures.THREADS] == 3


def test_a_network_device_that_comes_makes_it_unreadable_once_and_then_closed(tree: KernelTree) -> None:
    tree.add(ID, pid=77)
    source = opened(tree)
    source.read()
    with (tree.procfs / "77/net/dev").open("a") as file:
        file.write(NET_DEV.splitlines(keepends=True)[3].replace("eth0", "eth1"))
    with pytest.raises(Unreadable):
        source.read()
    with pytest.raises(Closed):
        source.read()
    assert f'{figures.RECEIVE[0]}[interface="eth1"]' in read(opened(tree))


def test_a_container_that_ends_makes_it_unreadable(tree: KernelTree) -> None:
    tree.add(ID, pid=77)
    source = opened(tree)
    tree.remove(ID)
    with pytest.raises(Unreadable):
        source.read()


def test_files_are_kept_open_while_there_is_room_and_given_back(tree: KernelTree) -> None:
    tree.add(ID, pid=77)
    descriptors = Descriptors(100)
    before = len(os.listdir("/proc/self/fd"))
    source = open_source(CONTAINER, CgroupTree(str(tree.cgroupfs), str(tree.procfs)), descriptors)
    assert source is not None
    assert len(os.listdir("/proc/self/fd")) - before == descriptors.kept > 0
    source.close()
    source.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert descriptors.kept == 0


def test_beyond_the_limit_files_are_opened_each_time_and_say_the_same(tree: KernelTree) -> None:
    tree.add(ID, pid=77)
    before = len(os.listdir("/proc/self/fd"))
    source = opened(tree, limit=3)
    assert len(os.listdir("/proc/self/fd")) == before
    assert read(source) == read(opened(tree))
    tree.remove(ID)
    with pytest.raises(Unreadable):
        source.read()


@pytest.mark.parametrize(
    ("before", "events", "kernel", "shown"),
    [
        pytest.param(0, 0, 2, 2, id="the kernel saw more than the Engine told"),
        pytest.param(0, 3, 2, 3, id="the Engine told more"),
        pytest.param(5, 1, 2, 7, id="on top of earlier runs"),
    ],
)
def test_oom_kills_are_the_higher_of_both_counts(
    tree: KernelTree, before: int, events: int, kernel: int, shown: int
) -> None:
    tree.add(ID, pid=77)
    tally = Tally(oom_before=before, oom_events=events)
    source = opened(tree, replace(CONTAINER, tally=tally))
    assert read(source)[figures.OOM_EVENTS] == shown
    assert tally.run_ended(source.oom.kills).oom_total == shown


def test_nothing_to_be_seen_is_no_source(tree: KernelTree) -> None:
    assert open_source(CONTAINER, CgroupTree(str(tree.cgroupfs), str(tree.procfs)), Descriptors(9)) is None
