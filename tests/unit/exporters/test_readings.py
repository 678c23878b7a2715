"""A look reads each source once; one that fails costs its own figures and nothing else."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporters.docker import figures
from exporters.docker.container import Container, Tally
from exporters.docker.families import Labelling
from exporters.docker.figures import Layout, Row, Slot, layout
from exporters.docker.kernel.cgroups import CgroupTree
from exporters.docker.kernel.files import Descriptors
from exporters.docker.kernel.part import Closed, Unreadable
from exporters.docker.kernel.source import KernelSource, open_source
from exporters.docker.page import Page
from exporters.docker.readings import SAME_SECONDS, Look, Reader
from exporters.docker.snapshot import Snapshot
from exporters.docker.sources import Source, Sources
from exporters.docker.stats import NoFigures
from tests.unit.exporters.kernel_tree import KernelTree

WEB = Container(id="a" * 64, name="web", image="web:1", image_id="sha256:0", state="running")
JOB = replace(WEB, id="b" * 64, name="job")
CPU = layout((Slot(figures.CPU_USAGE, 'cpu="total"', "e-9"), Slot(figures.THREADS)))
CPU_AND_OOM = layout((*CPU.slots, Slot(figures.OOM_EVENTS)))


@dataclass
class Written:
    """A source that says what is written down for it, or raises it."""

    says: Row | Exception
    layout: Layout = CPU
    kind: str = "kernel"
    reads: int = 0

    def read(self) -> Row:
        self.reads += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def close(self) -> None:
        self.says = Closed()


@dataclass
class Desk:
    """A reader, what it reads, and a clock to be set."""

    snapshot: Snapshot
    now: float = 50.0
    suspected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        nothing = Sources(CgroupTree("/nowhere", "/nowhere"), Descriptors(0), lambda _: Written(NoFigures()))
        self.reader = Reader(
            nothing,
            lambda: self.snapshot,
            self.suspected.append,
            clock=lambda: self.now,
            wall_clock=lambda: 1000.0 + self.now,
        )


def snapshot(*sources: tuple[Container, Source]) -> Snapshot:
    return Snapshot(
        containers=tuple(container for container, _ in sources),
        sources={container.id: source for container, source in sources},
        confirmed_at=48.5,
        up=True,
        loaded=True,
    )


def page(look: Look) -> str:
    made = Page(labelling=Labelling(), version="1", started_at=0.0)
    pieces = made.chunks(
        look.snapshot, now=look.now, inventory_age=look.inventory_age, readings=look.readings
    )
    return b"".join(pieces).decode()


def values(look: Look, name: str) -> dict[str, float]:
    """By the container's name, or by source for the exporter's own."""
    return {
        sample.labels.get("name") or sample.labels.get("source", ""): sample.value
        for family in text_string_to_metric_families(page(look))
        for sample in family.samples
        if sample.name == name
    }


def test_each_figure_stands_on_the_page_in_its_unit() -> None:
    look = Desk(snapshot((WEB, Written((b"20650639", b"3"))), (JOB, Written((b"0", b"1"))))).reader.take()
    assert values(look, figures.CPU_USAGE) == {"web": pytest.approx(0.020650639), "job": 0}
    assert values(look, figures.THREADS) == {"web": 3, "job": 1}
    assert 'cpu="total"} 20650639e-9\n' in page(look)


@pytest.mark.parametrize("error", [Unreadable("gone"), Closed(), NoFigures("not yet")], ids=repr)
def test_a_container_that_cannot_be_read_costs_the_page_its_own_figures_only(error: Exception) -> None:
    look = Desk(snapshot((WEB, Written(error)), (JOB, Written((b"5", b"1"))))).reader.take()
    assert values(look, figures.THREADS) == {"job": 1}
    assert values(look, "container_last_seen") == {"web": 1050, "job": 1050}
    assert values(look, "docker_exporter_containers") == {
        "kernel": 1,
        "kernel_without_network": 0,
        "api": 0,
        "none": 1,
    }


def opened(kernel: KernelTree, count: int) -> list[tuple[Container, KernelSource]]:
    """Living containers whose files are kept open, to be closed by the caller."""
    tree, descriptors = CgroupTree(str(kernel.cgroupfs), str(kernel.procfs)), Descriptors(100_000)
    fleet = []
    for number in range(count):
        one = replace(WEB, id=f"{number:064x}", name=f"web-{number}")
        kernel.add(one.id)
        source = open_source(one, tree, descriptors)
        assert source is not None
        fleet.append((one, source))
    return fleet


def says_nothing(kernel: KernelTree, container: Container, source: KernelSource) -> None:
    kernel.file(container.id, "pids/pids.current").write_text("")


def is_gone(kernel: KernelTree, container: Container, source: KernelSource) -> None:
    folder = os.open(kernel.cgroupfs, os.O_RDONLY)
    os.dup2(folder, source.kept[0])
    os.close(folder)


@pytest.mark.parametrize("ends", [says_nothing, is_gone])
def test_one_of_many_that_ends_while_it_is_read_costs_its_own_figures_only(
    tmp_path: Path, ends: Callable[[KernelTree, Container, KernelSource], None]
) -> None:
    """Those whose files are kept open are read together."""
    kernel = KernelTree(tmp_path, 1)
    fleet = opened(kernel, 20)
    desk = Desk(snapshot(*fleet))
    try:
        assert values(desk.reader.take(), figures.THREADS) == {one.name: 3 for one, _ in fleet}
        ends(kernel, *fleet[7])
        for _ in range(2):
            desk.now += 2 * SAME_SECONDS
            look = desk.reader.take()
            assert values(look, figures.THREADS) == {one.name: 3 for one, _ in fleet if one.name != "web-7"}
            assert values(look, "docker_exporter_containers")["none"] == 1
        assert look.readings.errors == 1
        assert desk.suspected == [fleet[7][0].id]
    finally:
        for _, source in fleet:
            source.close()


def test_of_two_that_fail_in_their_own_ways_the_inventory_is_told_of_both(tmp_path: Path) -> None:
    kernel = KernelTree(tmp_path, 1)
    fleet = opened(kernel, 3)
    is_gone(kernel, *fleet[0])
    says_nothing(kernel, *fleet[1])
    desk = Desk(snapshot(*fleet))
    try:
        look = desk.reader.take()
        assert values(look, figures.THREADS) == {"web-2": 3}
        assert sorted(desk.suspected) == [fleet[0][0].id, fleet[1][0].id]
        assert look.readings.errors == 2
    finally:
        for _, source in fleet:
            source.close()


def test_a_page_is_made_where_all_ended_at_once(tmp_path: Path) -> None:
    kernel = KernelTree(tmp_path, 1)
    ((one, source),) = opened(kernel, 1)
    is_gone(kernel, one, source)
    try:
        look = Desk(snapshot((one, source))).reader.take()
        assert values(look, "docker_exporter_containers")["none"] == 1
        assert values(look, figures.THREADS) == {}
    finally:
        source.close()


def test_the_inventory_is_told_once_of_one_that_has_become_unreadable() -> None:
    desk = Desk(snapshot((WEB, Written(Unreadable("gone"))), (JOB, Written(Closed()))))
    assert desk.reader.take().readings.errors == 1
    assert desk.suspected == [WEB.id]


def test_what_has_ended_is_not_read() -> None:
    source = Written((b"5", b"1"))
    look = Desk(snapshot((replace(WEB, state="exited"), source))).reader.take()
    assert source.reads == 0
    assert values(look, figures.THREADS) == {}
    assert values(look, "docker_container_figures_source") == {}


def test_who_comes_soon_after_gets_the_same_and_who_comes_later_anew() -> None:
    source = Written((b"5", b"1"))
    desk = Desk(snapshot((WEB, source)))
    first = desk.reader.take()
    desk.now += SAME_SECONDS * 0.9
    assert desk.reader.take() is first
    desk.now += SAME_SECONDS * 0.2
    assert desk.reader.take() is not first
    assert source.reads == 2


def test_a_container_that_comes_is_shown_however_soon_after() -> None:
    desk = Desk(snapshot((WEB, Written((b"5", b"1")))))
    desk.reader.take()
    desk.snapshot = snapshot((WEB, Written((b"5", b"1"))), (JOB, Written((b"6", b"1"))))
    assert values(desk.reader.take(), figures.THREADS) == {"web": 1, "job": 1}


def test_an_engine_that_went_away_is_shown_however_soon_after() -> None:
    desk = Desk(snapshot((WEB, Written((b"5", b"1")))))
    desk.reader.take()
    desk.snapshot = replace(desk.snapshot, up=False)
    assert not desk.reader.take().snapshot.up


def test_news_of_nothing_but_an_answered_ping_are_no_reason_to_read_again() -> None:
    desk = Desk(snapshot((WEB, Written((b"5", b"1")))))
    first = desk.reader.take()
    desk.snapshot = replace(desk.snapshot, confirmed_at=49.0)
    assert desk.reader.take() is first


def test_two_scrapes_at_once_are_one_reading() -> None:
    reading, let_go = threading.Event(), threading.Event()

    class Slow(Written):
        def read(self) -> Row:
            reading.set()
            assert let_go.wait(20)
            return super().read()

    source = Slow((b"5", b"1"))
    desk = Desk(snapshot((WEB, source)))
    looks: list[Look] = []
    threads = [threading.Thread(target=lambda: looks.append(desk.reader.take())) for _ in range(2)]
    threads[0].start()
    assert reading.wait(20)
    threads[1].start()
    let_go.set()
    for thread in threads:
        thread.join(20)
    assert looks[0] is looks[1]
    assert source.reads == 1


def test_the_age_of_the_inventory_is_told() -> None:
    look = Desk(snapshot((WEB, Written((b"5", b"1"))))).reader.take()
    assert "\ndocker_exporter_inventory_age_seconds 1.500\n" in page(look)


def test_oom_kills_are_the_kernels_where_it_was_read_and_the_engines_elsewhere() -> None:
    tally = Tally(oom_events=4)
    told = replace(JOB, tally=tally)
    ended = replace(JOB, id="c" * 64, name="old", state="exited", tally=tally)
    sources = [
        (WEB, Written((b"5", b"1", b"7"), CPU_AND_OOM)),
        (told, Written((b"5", b"1"))),
        (ended, Written(())),
    ]
    look = Desk(snapshot(*sources)).reader.take()
    assert values(look, figures.OOM_EVENTS) == {"web": 7, "job": 4, "old": 4}


def test_where_the_figures_come_from_is_told_of_each_living_container() -> None:
    api = Written((b"5", b"1"), kind="api")
    look = Desk(snapshot((WEB, Written((b"5", b"1"))), (JOB, api))).reader.take()
    lines = [line for line in page(look).splitlines() if line.startswith("docker_container_figures_source{")]
    assert [line.partition('source="')[2] for line in lines] == ['kernel"} 1', 'api"} 1']
    assert values(look, "docker_exporter_containers")["api"] == 1


def test_families_stay_in_one_piece_over_different_layouts() -> None:
    sources = [(WEB, Written((b"5", b"1", b"7"), CPU_AND_OOM)), (JOB, Written((b"5", b"1")))]
    names = [
        line.split("{")[0]
        for line in page(Desk(snapshot(*sources)).reader.take()).splitlines()
        if not line.startswith("#")
    ]
    starts = [name for before, name in zip(["", *names], names, strict=False) if before != name]
    assert len(starts) == len(set(starts))
