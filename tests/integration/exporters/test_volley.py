"""Many requests at once: each gets its own answer or error, and none waits for another's."""

import os
import resource
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from exporters.docker.engine import UnixAddress
from exporters.docker.errors import EngineAway, EngineError, EngineMissing, EngineRefused, EngineSlow
from exporters.docker.volley import Answer, volley
from tests.integration.exporters.scripted_engine import ScriptedEngine


def answers(
    engine: ScriptedEngine, ids: list[str], *, at_once: int = 16, timeout: float = 15
) -> dict[str, Answer]:
    requests = [(one, f"/containers/{one}/json") for one in ids]
    return dict(volley(UnixAddress(str(engine.path)).dial, requests, at_once=at_once, timeout=timeout))


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_each_request_gets_its_answer_however_many_at_once(scripted: ScriptedEngine, at_once: int) -> None:
    ids = [f"{number:02x}" for number in range(40)]
    for one in ids:
        scripted.add(one, f"name-{one}")
    found = answers(scripted, ids, at_once=at_once)
    assert found.keys() == set(ids)
    assert all(isinstance(said, bytes) and f"name-{one}".encode() in said for one, said in found.items())


def test_a_process_without_files_left_is_an_error_like_any_other(scripted: ScriptedEngine) -> None:
    """The inventory tries again after one; anything else would end the exporter."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(EngineAway, match="Too many open files"):
            answers(scripted, ["a1"])
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_more_connections_are_open_at_once_than_were_asked_for(scripted: ScriptedEngine) -> None:
    dialled: list[socket.socket] = []
    open_then: list[int] = []

    def dial(timeout: float) -> socket.socket:
        dialled.append(UnixAddress(str(scripted.path)).dial(timeout))
        open_then.append(sum(one.fileno() >= 0 for one in dialled))
        return dialled[-1]

    requests = [(number, f"/containers/{number}/json") for number in range(20)]
    assert len(dict(volley(dial, requests, at_once=3, timeout=15))) == 20
    assert max(open_then) == 3


def test_one_that_is_missing_refused_or_slow_is_an_error_of_its_own(scripted: ScriptedEngine) -> None:
    for one in ("a1", "b2", "c3"):
        scripted.add(one, one)
    scripted.refusing.add("inspect b2")
    scripted.hanging.add("inspect c3")
    found = answers(scripted, ["a1", "b2", "c3", "d4"], timeout=1)
    assert not scripted.released.is_set(), "nothing but its timeout ended the slow one"
    assert isinstance(found["a1"], bytes)
    assert {one: type(said) for one, said in found.items() if one != "a1"} == {
        "b2": EngineRefused,
        "c3": EngineSlow,
        "d4": EngineMissing,
    }


def test_a_slow_one_does_not_keep_the_others_waiting(scripted: ScriptedEngine) -> None:
    ids = [f"{number:02x}" for number in range(10)]
    for one in ids:
        scripted.add(one, one)
    scripted.hanging.add("inspect 00")
    first_nine = []
    requests = [(one, f"/containers/{one}/json") for one in ids]
    for one, _ in volley(UnixAddress(str(scripted.path)).dial, requests, at_once=2, timeout=1):
        first_nine.append(one)
    assert first_nine[-1] == "00"


def test_nobody_there_is_an_error_for_each(tmp_path: Path) -> None:
    address = UnixAddress(str(tmp_path / "nobody.sock"))
    found = dict(volley(address.dial, [("a", "/a"), ("b", "/b")], at_once=1, timeout=1))
    assert all(isinstance(said, EngineAway) for said in found.values())


def test_an_engine_that_hangs_up_without_a_word_is_away() -> None:
    def dial(timeout: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours

    found = dict(volley(dial, [("a", "/a")], at_once=1, timeout=1))
    assert isinstance(found["a"], EngineError)


def test_nothing_to_ask_is_no_answer(scripted: ScriptedEngine) -> None:
    assert answers(scripted, []) == {}
