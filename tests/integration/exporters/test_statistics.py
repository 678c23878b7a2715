"""Where the kernel tells nothing, the Engine's statistics stand in: in the background, per container, and marked."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporters.docker import figures
from tests.integration.exporters.conftest import Exporter, Watch, until
from tests.integration.exporters.scripted_engine import ScriptedEngine, stats_answer
from tests.unit.exporters.kernel_tree import KernelTree

StartWatch = Callable[..., Watch]
StartExporter = Callable[..., Exporter]
WEB, DB = "c0ffee" + "0" * 58, "dec0de" + "0" * 58


def kinds(watched: Watch) -> dict[str, list[str]]:
    return {kind: list(ids) for kind, ids in watched.look().readings.by_kind.items() if ids}


def test_only_the_container_that_the_kernel_does_not_show_is_asked_for(
    scripted: ScriptedEngine, watch: StartWatch, tmp_path: Path
) -> None:
    tree = KernelTree(tmp_path, 1)
    tree.add(WEB, pid=7)
    scripted.add(WEB, "web", Pid=7)
    scripted.add(DB, "db", Pid=8)
    scripted.stats[DB] = stats_answer()
    watched = watch(scripted.url, tree=tree, stats_interval=0.1)
    until(lambda: kinds(watched) == {"kernel": [WEB], "api": [DB]})
    assert scripted.requests[f"stats {WEB}"] == 0


def test_the_figures_are_those_of_the_kernel_under_the_same_names_with_their_age(
    scripted: ScriptedEngine, start_exporter: StartExporter
) -> None:
    scripted.add(DB, "db")
    scripted.stats[DB] = stats_answer()
    flags = ("--path.cgroupfs=/nowhere", "--docker.stats-interval=1h")
    exporter = start_exporter(scripted.url, *flags)
    exporter.shows("docker_container_figures_source", 1, name="db", source="api")
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(exporter.page())
        for sample in family.samples
        if sample.labels.get("name") == "db"
    }
    expected = {
        figures.CPU_USAGE: 0.018009095,
        figures.CPU_USER: 0.01,
        figures.CPU_SYSTEM: 0.008,
        figures.CFS_PERIODS: 30,
        figures.CFS_THROTTLED_PERIODS: 4,
        figures.CFS_THROTTLED_SECONDS: 5e-6,
        figures.MEMORY_USAGE: 483328,
        figures.MEMORY_WORKING_SET: 475136,
        figures.MEMORY_RSS: 49152,
        figures.MEMORY_CACHE: 135168,
        figures.THREADS: 3,
        figures.FS_READS: 4100,
        figures.FS_WRITES: 100,
        **dict(zip(figures.RECEIVE + figures.TRANSMIT, (200, 2, 3, 4, 300, 5, 6, 7), strict=True)),
    }
    assert {name: found.get(name) for name in expected} == pytest.approx(expected)
    assert 0 <= found[figures.FIGURES_AGE] < 60


def test_a_scrape_asks_for_nothing_and_shows_the_last_round(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add(DB, "db")
    scripted.stats[DB] = stats_answer()
    watched = watch(scripted.url)
    until(lambda: kinds(watched) == {"api": [DB]})
    asked = scripted.requests[f"stats {DB}"]
    for _ in range(20):
        assert kinds(watched) == {"api": [DB]}
    assert scripted.requests[f"stats {DB}"] == asked


@pytest.mark.parametrize("how", ["refusing", "babbling"])
def test_a_round_that_fails_for_one_leaves_the_others(
    scripted: ScriptedEngine, watch: StartWatch, how: str
) -> None:
    for container_id, name in ((WEB, "web"), (DB, "db")):
        scripted.add(container_id, name)
        scripted.stats[container_id] = stats_answer()
    getattr(scripted, how).add(f"stats {WEB}")
    watched = watch(scripted.url)
    until(lambda: watched.statistics.rounds)
    assert kinds(watched) == {"none": [WEB], "api": [DB]}
    assert watched.statistics.errors == 1


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({}, "none"),
        (stats_answer(networks={"eth0": {}}), "none"),
        (stats_answer(cpu_stats={"cpu_usage": {}}, memory_stats={}), "api"),
    ],
    ids=["nothing", "nonsense", "a part"],
)
def test_an_answer_that_cannot_be_made_out_is_no_figures(
    scripted: ScriptedEngine, watch: StartWatch, said: dict[str, object], kind: str
) -> None:
    scripted.add(DB, "db")
    scripted.stats[DB] = said
    watched = watch(scripted.url)
    until(lambda: watched.statistics.rounds)
    assert kinds(watched) == {kind: [DB]}


def test_a_working_set_is_never_less_than_nothing(scripted: ScriptedEngine, watch: StartWatch) -> None:
    """The Engine does not read the two at the same instant."""
    scripted.add(DB, "db")
    scripted.stats[DB] = stats_answer(memory_stats={"usage": 10, "stats": {"total_inactive_file": 20}})
    watched = watch(scripted.url)
    until(lambda: kinds(watched) == {"api": [DB]})
    [group] = watched.look().readings.groups
    names = [slot.name for slot in group.layout.slots]
    assert group.columns[names.index(figures.MEMORY_WORKING_SET)][0] == b"0"


def test_nothing_is_asked_while_the_kernel_shows_all(
    scripted: ScriptedEngine, watch: StartWatch, tmp_path: Path
) -> None:
    tree = KernelTree(tmp_path, 2)
    tree.add(WEB, pid=7)
    scripted.add(WEB, "web", Pid=7)
    watched = watch(scripted.url, tree=tree, stats_interval=0.01)
    seen = watched.inventory.snapshot.events
    scripted.emit("pause", WEB)
    until(lambda: watched.inventory.snapshot.events > seen)
    assert not any(request.startswith("stats") for request in scripted.requests)


def test_a_control_group_that_appears_late_is_taken_at_the_next_look(
    scripted: ScriptedEngine, watch: StartWatch, tmp_path: Path
) -> None:
    tree = KernelTree(tmp_path, 1)
    scripted.add(WEB, "web", Pid=7)
    watched = watch(scripted.url, tree=tree)
    assert kinds(watched) == {"none": [WEB]}
    tree.add(WEB, pid=7)
    scripted.emit("update", WEB)
    until(lambda: kinds(watched) == {"kernel": [WEB]})
