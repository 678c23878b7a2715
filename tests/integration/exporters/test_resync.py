"""The list that is taken at an interval: what it finds that no event told, and who is asked for because of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporters.docker.inventory import WHOLE_EVERY
from tests.integration.exporters.conftest import Watch, until
from tests.integration.exporters.scripted_engine import ScriptedEngine
from tests.unit.exporters.kernel_tree import KernelTree

StartWatch = Callable[..., Watch]

WEB, CHECKED, OLD = (f"{number:064x}" for number in (1, 2, 3))


def test_it_catches_what_no_event_told(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.add("a1", "web")
    watched = watch(scripted.url, resync=0.1)
    scripted.add("a1", "web", Status="paused")
    scripted.add("b2", "silent")
    until(lambda: watched.names == ["silent", "web"] and watched.container("web").state == "paused")
    scripted.remove("b2")
    until(lambda: watched.names == ["web"])


def test_a_state_or_a_name_that_differs_is_asked_for(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.add("a1", "web", Status="exited")
    scripted.add("b2", "db", Status="exited")
    watched = watch(scripted.url, resync=1.0)
    scripted.add("a1", "web", Status="dead")
    scripted.add("b2", "renamed", Status="exited")
    until(lambda: watched.names == ["renamed", "web"] and watched.container("web").state == "dead")
    assert scripted.requests["list"] < WHOLE_EVERY


@pytest.mark.parametrize("version", [1, 2], ids=["v1", "v2"])
def test_who_is_as_known_is_not_asked_for_but_one_whose_health_is_checked(
    scripted: ScriptedEngine, watch: StartWatch, tmp_path: Path, version: int
) -> None:
    """No event tells of a failing streak that grows."""
    tree = KernelTree(tmp_path, version)
    scripted.add(WEB, "web", Pid=1)
    scripted.add(CHECKED, "checked", Pid=2, Health={"Status": "healthy", "FailingStreak": 0})
    scripted.add(OLD, "old", Status="exited")
    for number, container_id in enumerate((WEB, CHECKED), start=1):
        tree.add(container_id, pid=number)
    watched = watch(scripted.url, tree=tree, resync=0.1)
    scripted.add(CHECKED, "checked", Pid=2, Health={"Status": "healthy", "FailingStreak": 2})
    until(lambda: watched.container("checked").failing_streak == 2)
    until(lambda: scripted.requests[f"inspect {CHECKED}"] >= 4)
    for container_id in (WEB, OLD):
        asked = scripted.requests[f"inspect {container_id}"]
        assert asked <= 1 + scripted.requests["list"] // WHOLE_EVERY


def test_each_living_one_without_the_kernels_figures_is_asked_for(
    scripted: ScriptedEngine, watch: StartWatch, tmp_path: Path
) -> None:
    """Its control groups may be seen by now."""
    tree = KernelTree(tmp_path, 1)
    scripted.add(WEB, "web", Pid=1)
    watched = watch(scripted.url, tree=tree, resync=0.1)
    assert watched.look().readings.by_kind["kernel"] == []
    tree.add(WEB, pid=1)
    until(lambda: watched.look().readings.by_kind["kernel"] == [WEB])


def test_each_living_one_whose_files_became_unreadable_is_asked_for(
    scripted: ScriptedEngine, watch: StartWatch, tmp_path: Path
) -> None:
    """The look that followed may have come too early."""
    tree = KernelTree(tmp_path, 1)
    scripted.add(WEB, "web", Pid=1)
    tree.add(WEB, pid=1)
    watched = watch(scripted.url, tree=tree, resync=1.0)
    tree.remove(WEB)
    assert watched.look().readings.by_kind["none"] == [WEB]
    until(lambda: scripted.requests[f"inspect {WEB}"] >= 3)
    assert scripted.requests["list"] < WHOLE_EVERY
    tree.add(WEB)
    until(lambda: watched.look().readings.by_kind["kernel"] == [WEB])


def test_one_whose_inspect_failed_is_asked_for(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.add("a1", "web", Status="exited")
    watched = watch(scripted.url, resync=1.0, timeout=0.5)
    scripted.hanging.add("inspect a1")
    scripted.add("a1", "web", Status="exited", RestartCount=3)
    scripted.emit("update", "a1")
    until(lambda: watched.inventory.snapshot.engine_errors >= 1)
    scripted.hanging.clear()
    scripted.released.set()
    until(lambda: watched.container("web").tally.restarts == 3)
    assert scripted.requests["list"] < WHOLE_EVERY


def test_every_tenth_asks_for_all(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.add("a1", "web", Status="exited", ExitCode=1)
    watched = watch(scripted.url, resync=0.05)
    scripted.add("a1", "web", Status="exited", ExitCode=2)
    until(lambda: watched.container("web").exit_code == 2)
    assert scripted.requests["list"] > WHOLE_EVERY
