"""What the exporter relies on in an Engine. The same rules hold for the real one and the scripted one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporters.docker.engine import Engine, Event, Listed, parse_address
from exporters.docker.errors import EngineAway
from tests.integration.exporters.scripted_engine import ScriptedEngine


@dataclass
class Subject:
    """An Engine with one running container, and a way to kill that."""

    client: Engine
    container_id: str
    kill: Callable[[], object]


@pytest.fixture(params=["real", "scripted"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "real":
        engine = request.getfixturevalue("engine")
        container = request.getfixturevalue("run_container")("contract", "sleep 1000")
        subject = Subject(client(engine.url), container.id, container.kill)
    else:
        scripted: ScriptedEngine = request.getfixturevalue("scripted")
        scripted.add("c0ffee", "contract")

        def kill() -> None:
            scripted.add("c0ffee", "contract", Status="exited", ExitCode=137)
            scripted.emit("die", "c0ffee")

        subject = Subject(client(scripted.url), "c0ffee", kill)
    yield subject
    subject.client.close()


def client(url: str) -> Engine:
    return Engine(parse_address(url), timeout=15)


def test_it_answers_a_ping(subject: Subject) -> None:
    subject.client.ping()


def test_it_lists_what_can_be_inspected_by_id_with_state_and_name(subject: Subject) -> None:
    entry = subject.client.listed()[subject.container_id]
    details = subject.client.inspect(subject.container_id)
    assert details is not None
    assert details["Id"] == subject.container_id
    assert entry == Listed(details["State"]["Status"], frozenset({details["Name"].removeprefix("/")}))


def test_a_container_that_is_not_there_is_none_and_no_error(subject: Subject) -> None:
    assert subject.client.inspect("0" * 64) is None


def test_an_event_comes_after_the_state_it_tells_of(subject: Subject) -> None:
    stream = subject.client.events()
    subject.kill()
    event = next(event for event in stream if event.container_id == subject.container_id)
    assert event == Event("die", subject.container_id)
    details: Any = subject.client.inspect(subject.container_id)
    assert (details["State"]["Status"], details["State"]["ExitCode"]) == ("exited", 137)
    stream.close()


def test_closing_a_stream_lets_its_reader_go(subject: Subject) -> None:
    stream = subject.client.events()

    def read() -> None:
        # Closed by us or by the Engine: to the reader it is the same end.
        with suppress(EngineAway):
            list(stream)

    reader = threading.Thread(target=read)
    reader.start()
    stream.close()
    reader.join(15)
    assert not reader.is_alive()


def test_nobody_listening_is_an_engine_away(tmp_path: Path) -> None:
    with pytest.raises(EngineAway):
        client(f"unix://{tmp_path}/nobody.sock").ping()
