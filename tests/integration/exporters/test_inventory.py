"""The inventory stays current and stays up, whatever the Engine does."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from exporters.docker.inventory import LATER_SECONDS
from tests.integration.exporters.conftest import Watch, until
from tests.integration.exporters.scripted_engine import ScriptedEngine

StartWatch = Callable[..., Watch]


def has_seen_more_events(watched: Watch, before: int) -> bool:
    return watched.inventory.snapshot.events > before


def is_shown_as(watched: Watch, name: str, state: str) -> bool:
    return watched.container(name).state == state


def test_an_event_costs_one_inspect_and_no_list(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.add("a1", "web")
    scripted.add("b2", "db")
    watched = watch(scripted.url)
    scripted.add("a1", "web", Status="exited", ExitCode=3)
    scripted.emit("die", "a1")

    until(lambda: watched.container("web").exit_code == 3)
    assert scripted.requests["inspect a1"] == 2
    assert scripted.requests["inspect b2"] == 1
    assert scripted.requests["list"] == 1
    assert watched.inventory.snapshot.events == 1


def test_an_end_is_shown_by_its_event_before_the_engine_answers_for_the_container(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "web")
    watched = watch(scripted.url, timeout=5.0)
    scripted.hanging.add("inspect a1")
    scripted.emit("die", "a1", at=1_700_000_000.0, exitCode="137")

    until(lambda: watched.container("web").state == "exited")
    web = watched.container("web")
    assert (web.exit_code, web.finished_at, web.alive) == (137, 1_700_000_000.0, False)
    scripted.add("a1", "web", Status="restarting", ExitCode=137)
    scripted.hanging.clear()
    scripted.released.set()
    until(lambda: watched.container("web").state == "restarting")


@dataclass
class Clock:
    """Stands still until it is set."""

    now: float = 50.0

    def __call__(self) -> float:
        return self.now


def test_an_end_that_its_event_told_holds_up_nobody(scripted: ScriptedEngine, watch: StartWatch) -> None:
    """The Engine answers for it only when its network is down; an end that comes meanwhile is not to wait for that."""
    for who in ("a1", "b2", "c3"):
        scripted.add(who, who)
    watched = watch(scripted.url, timeout=60.0, clock=Clock())
    scripted.hanging |= {"inspect a1", "inspect b2"}
    watched.inventory.suspect("a1")
    for who in ("a1", "b2", "c3"):
        scripted.emit("die", who, at=1_700_000_000.0, exitCode="0")
        until(partial(is_shown_as, watched, who, "exited"))
    assert [scripted.requests[f"inspect {who}"] for who in ("a1", "b2", "c3")] == [1, 1, 1]


def test_one_that_could_not_be_read_is_looked_at_once_if_no_event_tells_of_it(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "web")
    scripted.add("b2", "db")
    clock = Clock()
    watched = watch(scripted.url, clock=clock)
    scripted.add("a1", "web", Status="paused")
    for _ in range(3):
        watched.inventory.suspect("a1")
    scripted.emit("update", "b2")
    until(lambda: watched.inventory.snapshot.events == 1)
    assert scripted.requests["inspect a1"] == 1
    clock.now += LATER_SECONDS
    until(lambda: watched.container("web").state == "paused")
    assert (scripted.requests["inspect a1"], scripted.requests["list"]) == (2, 1)


def test_one_that_is_removed_at_its_end_costs_no_inspect(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.add("a1", "web")
    scripted.add("b2", "db")
    clock = Clock()
    watched = watch(scripted.url, clock=clock)
    watched.inventory.suspect("a1")
    scripted.emit("die", "a1", at=1_700_000_000.0, exitCode="0")
    scripted.remove("a1")
    scripted.add("b2", "db", Status="exited", ExitCode=3)
    scripted.emit("die", "b2", at=1_700_000_000.0, exitCode="0")
    scripted.emit("destroy", "a1")
    until(lambda: watched.names == ["db"])
    clock.now += LATER_SECONDS
    # What an event left open is asked for after it.
    until(lambda: watched.container("db").exit_code == 3)
    assert (scripted.requests["inspect a1"], scripted.requests["inspect b2"]) == (1, 2)


def test_a_label_in_the_place_of_an_exit_code_does_not_end_the_stream(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    """Docker writes labels over the attributes of events. What it says is nowhere repeated."""
    scripted.add("a1", "web")
    watched = watch(scripted.url, timeout=5.0)
    scripted.add("a1", "web", Status="exited", ExitCode=137)
    scripted.emit("die", "a1", at=1_700_000_000.0, exitCode="hunter2")

    until(lambda: watched.container("web").state == "exited")
    assert watched.container("web").exit_code == 137
    assert watched.inventory.snapshot.events == 1


def test_an_end_that_a_start_followed_is_not_shown(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.add("a1", "web")
    watched = watch(scripted.url, timeout=5.0)
    states: set[str] = set()
    scripted.hanging.add("inspect a1")
    scripted.emit("oom", "a1")
    until(lambda: scripted.requests["inspect a1"] == 2)
    scripted.emit("die", "a1", at=1_700_000_000.0, exitCode="1")
    scripted.emit("start", "a1", at=1_700_000_001.0)
    scripted.hanging.clear()
    scripted.released.set()

    def both_seen() -> bool:
        states.add(watched.container("web").state)
        return watched.inventory.snapshot.events == 3

    until(both_seen)
    assert states == {"running"}


def test_a_container_gone_before_it_is_inspected_is_left_out(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "web")
    scripted.listed.append("gone")
    watched = watch(scripted.url)
    assert (watched.names, watched.up) == (["web"], True)
    assert watched.inventory.snapshot.engine_errors == 0

    del scripted.inspected["a1"]
    scripted.emit("die", "a1")
    until(lambda: watched.names == [])
    assert watched.up


def test_a_destroyed_container_is_dropped_without_asking(scripted: ScriptedEngine, watch: StartWatch) -> None:
    scripted.add("a1", "web")
    watched = watch(scripted.url)
    scripted.emit("destroy", "a1")
    until(lambda: watched.names == [])
    assert scripted.requests["inspect a1"] == 1


def test_an_engine_that_hangs_is_noticed_in_silence_and_found_again(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "web")
    watched = watch(scripted.url, timeout=0.5)
    scripted.hanging |= {"ping", "list", "events"}

    until(lambda: not watched.up)
    assert watched.names == ["web"]
    age = time.monotonic() - watched.inventory.snapshot.confirmed_at
    assert age > 0.5

    scripted.hanging.clear()
    until(lambda: watched.up)
    assert watched.inventory.snapshot.reconnects == 1
    assert watched.inventory.snapshot.engine_errors >= 1


def test_an_engine_that_refuses_is_counted_and_tried_again(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.refusing.add("list")
    watched = watch(scripted.url, loaded=False)
    until(lambda: watched.inventory.snapshot.engine_errors >= 2)
    assert not watched.up

    scripted.add("a1", "web")
    scripted.refusing.clear()
    until(lambda: watched.up and watched.names == ["web"])


def test_an_engine_that_talks_nonsense_is_an_engine_that_is_away(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.babbling.add("list")
    watched = watch(scripted.url, loaded=False)
    until(lambda: watched.inventory.snapshot.engine_errors >= 1)
    assert not watched.up


def test_an_engine_that_is_not_there_yet_is_found_when_it_comes(tmp_path: Path, watch: StartWatch) -> None:
    watched = watch(f"unix://{tmp_path}/engine.sock", loaded=False)
    until(lambda: watched.inventory.snapshot.engine_errors >= 1)
    engine = ScriptedEngine(tmp_path)
    until(lambda: watched.up)
    engine.stop()
    until(lambda: not watched.up)


def test_what_happened_while_the_stream_was_cut_is_seen_after_it(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "web")
    scripted.add("b2", "old")
    watched = watch(scripted.url)
    scripted.add("a1", "web", Status="exited")
    scripted.remove("b2")
    scripted.add("c3", "new")
    scripted.cut()

    until(lambda: watched.names == ["new", "web"] and watched.up)
    assert watched.container("web").state == "exited"
    assert watched.inventory.snapshot.reconnects == 1


def test_an_unreadable_event_costs_the_stream_and_not_the_inventory(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "web")
    watched = watch(scripted.url)
    scripted.emit_line(b'{"Action": ')
    until(lambda: watched.inventory.snapshot.reconnects == 1)
    assert watched.names == ["web"]


def test_one_container_that_hangs_does_not_hold_up_the_others(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "stuck")
    scripted.add("b2", "web")
    watched = watch(scripted.url, timeout=1.0)
    scripted.hanging.add("inspect a1")
    scripted.emit("die", "a1")
    scripted.add("b2", "web", Status="paused")
    scripted.emit("pause", "b2")

    until(lambda: watched.container("web").state == "paused")
    assert watched.up
    assert watched.container("stuck").state == "running"
    assert watched.inventory.snapshot.engine_errors == 1


def test_an_inspect_that_fails_is_tried_again_when_it_is_quiet(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.refusing.add("inspect a1")
    scripted.add("a1", "web")
    watched = watch(scripted.url, timeout=1.0)
    assert (watched.names, watched.up) == ([], True)
    scripted.refusing.clear()
    until(lambda: watched.names == ["web"])


def test_restarts_go_on_where_the_engine_set_its_count_back(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "web", RestartCount=4)
    watched = watch(scripted.url)
    for count, restarts in ((0, 4), (1, 5), (2, 6)):
        seen = watched.inventory.snapshot.events
        scripted.add("a1", "web", RestartCount=count)
        scripted.emit("start", "a1")
        until(partial(has_seen_more_events, watched, seen))
        assert watched.container("web").tally.restarts == restarts


def test_oom_events_are_counted_each_even_for_a_container_not_known_yet(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    watched = watch(scripted.url)
    scripted.add("a1", "web")
    for _ in range(3):
        scripted.emit("oom", "a1")
    until(lambda: watched.names == ["web"] and watched.container("web").tally.oom_events == 3)


def test_the_same_containers_are_the_same_object_from_look_to_look(
    scripted: ScriptedEngine, watch: StartWatch
) -> None:
    scripted.add("a1", "web")
    watched = watch(scripted.url, timeout=1.0)
    before = watched.inventory.snapshot
    until(lambda: watched.inventory.snapshot.confirmed_at > before.confirmed_at)
    assert watched.inventory.snapshot.containers is before.containers
