"""A container's control groups are found by what /proc says or, where that says nothing, by its id."""

from pathlib import Path

import pytest

from exporters.docker.kernel.cgroups import UNIFIED, WALK_SECONDS, CgroupTree
from tests.unit.exporters.kernel_tree import KernelTree

ID = "c0ffee" + "0" * 58
OTHER = "ba5eba11" + "0" * 56


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> KernelTree:
    return KernelTree(tmp_path, request.param)


def looking(tree: KernelTree, now: float = 0.0) -> CgroupTree:
    return CgroupTree(str(tree.cgroupfs), str(tree.procfs), clock=lambda: now)


def memory(tree: KernelTree, at: str) -> str:
    """Where the group that limits memory is, of a container whose group lies at the path `at`."""
    return str(tree.cgroupfs / ("memory" if tree.version == 1 else "") / at.format(ID))


def found(tree: KernelTree, *, pid: int = 0, parent: str = "") -> str | None:
    groups = looking(tree).find(ID, pid=pid, parent=parent)
    return groups.get("memory" if tree.version == 1 else UNIFIED)


@pytest.mark.parametrize(
    ("at", "parent"),
    [
        ("docker/{}", ""),
        ("system.slice/docker-{}.scope", ""),
        ("batch/{}", "/batch"),
        ("a.slice/a-b.slice/docker-{}.scope", "a-b.slice"),
        ("kubepods/burstable/pod1/{}", ""),
        ("docker/" + OTHER + "/docker/{}", ""),
        ("machine.slice/libpod-{}.scope", ""),
    ],
    ids=["cgroupfs", "systemd", "parent", "slice", "nested", "docker in docker", "podman"],
)
def test_by_id_wherever_it_lies(tree: KernelTree, at: str, parent: str) -> None:
    tree.add(ID, at=at)
    assert found(tree, parent=parent) == memory(tree, at)


def test_proc_is_believed_when_it_names_the_container(tree: KernelTree) -> None:
    tree.add(ID, at="odd/place/{}", pid=7)
    assert found(tree, pid=7) == memory(tree, "odd/place/{}")


@pytest.mark.parametrize(
    "told",
    ["/../" + ID, "/../../docker/" + ID, "/", "/user.slice", "/docker/" + OTHER],
    ids=["sibling namespace", "further up", "own namespace", "somebody else", "another container"],
)
def test_proc_is_not_believed_when_it_tells_of_something_else(tree: KernelTree, told: str) -> None:
    tree.add(OTHER)
    tree.add(ID, pid=7, told=told)
    assert found(tree, pid=7) == memory(tree, "docker/{}")


def test_a_process_is_the_containers_only_if_its_groups_say_so(tree: KernelTree) -> None:
    tree.add(ID, pid=7, told="/../" + ID)
    tree.add(OTHER, pid=8)
    assert looking(tree).process_is_its(ID, 7)
    assert not looking(tree).process_is_its(ID, 8)
    assert not looking(tree).process_is_its(ID, 9)


def test_what_is_nowhere_is_not_found(tree: KernelTree) -> None:
    tree.add(OTHER)
    assert found(tree) is None


def test_the_tree_is_walked_once_in_a_while_however_many_are_missing(tree: KernelTree) -> None:
    now = [100.0]
    looking = CgroupTree(str(tree.cgroupfs), str(tree.procfs), clock=lambda: now[0])
    assert not looking.find(ID, pid=0, parent="")
    tree.add(ID, at="far/away/{}")
    assert not looking.find(ID, pid=0, parent="")
    now[0] += WALK_SECONDS
    assert looking.find(ID, pid=0, parent="")


def test_controllers_mounted_together_are_found_under_their_common_name(tmp_path: Path) -> None:
    tree = KernelTree(tmp_path, 1)
    for controllers in ("cpu,cpuacct", "memory"):
        (tree.cgroupfs / controllers / "docker" / ID).mkdir(parents=True)
    groups = looking(tree).find(ID, pid=0, parent="")
    assert groups["cpu"] == groups["cpuacct"] == str(tree.cgroupfs / "cpu,cpuacct/docker" / ID)
    assert set(groups) == {"cpu", "cpuacct", "memory"}


def test_without_a_tree_nothing_is_found_and_nothing_breaks(tmp_path: Path) -> None:
    assert not CgroupTree(str(tmp_path / "no"), str(tmp_path / "no")).find(ID, pid=1, parent="x")
