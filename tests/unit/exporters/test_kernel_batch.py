"""Containers read together say what each says by itself, and never what is not theirs."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from exporters.docker import figures
from exporters.docker.container import Container, Tally
from exporters.docker.kernel.batch import Batch
from exporters.docker.kernel.cgroups import CgroupTree
from exporters.docker.kernel.files import Descriptors
from exporters.docker.kernel.parallel import SHARE, ParallelReader
from exporters.docker.kernel.part import Closed, Unreadable
from exporters.docker.kernel.source import KernelSource, open_source
from tests.unit.exporters.kernel_tree import NET_DEV, KernelTree

MEMBERS = 40
CONTAINER = Container(
    id="",
    name="web",
    image="web:1",
    image_id="sha256:0",
    state="running",
    memory_limit=64 << 20,
    cpu_quota=50_000,
    network_mode="shop",
)


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> KernelTree:
    return KernelTree(tmp_path, request.param)


@pytest.fixture(params=[1, 2], ids=["one core", "two cores"])
def reader(request: pytest.FixtureRequest) -> ParallelReader:
    return ParallelReader(cores=request.param)


def container_id(number: int) -> str:
    return f"{number:064x}"


def opened(tree: KernelTree, number: int, *, oom_before: int = 0) -> KernelSource:
    """One that has used as many nanoseconds or microseconds, and received as many bytes, as its number says."""
    ran = replace(CONTAINER, id=container_id(number), pid=number + 1, tally=Tally(oom_before=oom_before))
    tree.add(ran.id, pid=ran.pid, net_dev=NET_DEV.replace("  200 ", f"{number:5} "))
    usage = tree.file(ran.id, "cpuacct/cpuacct.usage" if tree.version == 1 else "cpu.stat")
    usage.write_text(usage.read_text().replace("20650639" if tree.version == 1 else "20650", str(number)))
    source = open_source(ran, CgroupTree(str(tree.cgroupfs), str(tree.procfs)), Descriptors(1000))
    assert source is not None
    return source


def place(source: KernelSource, name: str) -> int:
    return [slot.name for slot in source.layout.slots].index(name)


def take_away_a_file(source: KernelSource) -> None:
    """So that reading it fails, as a control group's file does when the group is gone."""
    folder = os.open("/", os.O_RDONLY)
    os.dup2(folder, source.kept[3])
    os.close(folder)


def test_together_they_say_what_each_says_by_itself(tree: KernelTree, reader: ParallelReader) -> None:
    sources = [opened(tree, number, oom_before=number) for number in range(MEMBERS)]
    assert len(sources) * len(sources[0].kept) > 2 * SHARE
    columns = Batch(sources).read(reader).columns
    assert list(zip(*columns, strict=True)) == [source.read() for source in sources]
    numbers = [b"%d" % number for number in range(MEMBERS)]
    assert columns[place(sources[0], figures.CPU_USAGE)] == numbers
    assert list(columns[place(sources[0], figures.RECEIVE[0])]) == numbers
    assert columns[place(sources[0], figures.OOM_EVENTS)] == [
        b"%d" % (number + 2) for number in range(MEMBERS)
    ]


def test_what_means_the_same_has_the_same_plan(tree: KernelTree) -> None:
    one, other = opened(tree, 1), opened(tree, 2)
    assert one.plan == other.plan
    tree.add(container_id(3), pid=4, net_dev=NET_DEV.replace("eth0", "eth7"))
    third = replace(CONTAINER, id=container_id(3), pid=4)
    unlike = open_source(third, CgroupTree(str(tree.cgroupfs), str(tree.procfs)), Descriptors(100))
    assert unlike is not None
    assert unlike.plan != one.plan


@pytest.mark.parametrize("ended", [{0}, {7, MEMBERS - 1}])
def test_those_whose_files_are_gone_cost_the_others_no_second_reading(
    tree: KernelTree, reader: ParallelReader, ended: set[int]
) -> None:
    sources = [opened(tree, each, oom_before=each) for each in range(MEMBERS)]
    for number in ended:
        take_away_a_file(sources[number])
    taken = Batch(sources).read(reader)
    assert taken.ended == ended
    assert {number for number, source in enumerate(sources) if source.broken} == ended
    left = [source for source in sources if not source.broken]
    assert list(zip(*taken.columns, strict=True)) == [source.read() for source in left]


def test_nothing_is_said_where_all_of_them_have_ended(tree: KernelTree, reader: ParallelReader) -> None:
    sources = [opened(tree, each) for each in range(3)]
    for source in sources:
        take_away_a_file(source)
    taken = Batch(sources).read(reader)
    assert not taken.columns
    assert taken.ended == {0, 1, 2}


@pytest.mark.parametrize("number", [0, MEMBERS - 1])
def test_one_that_says_something_else_makes_all_unreadable_and_none_broken(
    tree: KernelTree, reader: ParallelReader, number: int
) -> None:
    """The caller then reads them one by one, and finds out which it is."""
    sources = [opened(tree, each) for each in range(MEMBERS)]
    with (tree.procfs / f"{number + 1}/net/dev").open("a") as file:
        file.write(NET_DEV.splitlines(keepends=True)[3].replace("eth0", "eth1"))
    with pytest.raises(Unreadable):
        Batch(sources).read(reader)
    assert not any(source.broken for source in sources)
    for each, source in enumerate(sources):
        if each == number:
            with pytest.raises(Unreadable):
                source.read()
        else:
            assert source.read()


def test_files_that_were_closed_are_not_read_under_their_old_numbers(
    tree: KernelTree, reader: ParallelReader
) -> None:
    sources = [opened(tree, number) for number in range(3)]
    batch = Batch(sources)
    batch.read(reader)
    freed = set(sources[1].kept)
    sources[1].close()
    taken = [
        os.open(
            tree.file(container_id(0), "pids/pids.current" if tree.version == 1 else "pids.current"),
            os.O_RDONLY,
        )
        for _ in freed
    ]
    try:
        assert freed & set(taken)
        with pytest.raises(Closed):
            batch.read(reader)
    finally:
        for descriptor in taken:
            os.close(descriptor)


def test_contents_come_in_order_whoever_read_them(tmp_path: Path, reader: ParallelReader) -> None:
    path = tmp_path / "numbers"
    descriptors = []
    for number in range(10 * SHARE + 1):
        path.unlink(missing_ok=True)
        path.write_text(str(number))
        descriptors.append(os.open(path, os.O_RDONLY))
    try:
        for _ in range(20):
            assert reader.contents(descriptors) == ([b"%d" % each for each in range(len(descriptors))], [])
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@pytest.mark.parametrize("failing", [[0], [2 * SHARE - 1, 2 * SHARE], [4 * SHARE - 1]])
def test_a_file_that_fails_is_named_and_the_others_are_read(
    tmp_path: Path, reader: ParallelReader, failing: list[int]
) -> None:
    (tmp_path / "number").write_text("7")
    good = os.open(tmp_path / "number", os.O_RDONLY)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        places = range(4 * SHARE)
        files = [folder if place in failing else good for place in places]
        expected = [b"" if place in failing else b"7" for place in places]
        assert reader.contents(files) == (expected, failing)
        assert reader.contents([good] * len(files)) == ([b"7"] * len(files), [])
    finally:
        os.close(good)
        os.close(folder)
