"""What the parts work out before anything is started."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from blockbuster import BlockingError

from bridge.demo import parts

RULES = """\
groups:
  - name: containers
    rules:
      - alert: ContainerDown
        expr: docker_container_running == 0
        for: 2m
        keep_firing_for: 5m
      - alert: NoHold
        expr: sum(rate(docker_container_oom_total[5m])) > 0
"""


def test_free_port_is_free_and_out_of_the_kernels_own_choice() -> None:
    port = parts.free_port()
    with socket.socket() as listener:
        listener.bind((parts.LOOPBACK, port))
    assert port in parts.PORTS


def test_no_two_processes_are_given_the_same_port() -> None:
    """Each may listen on its own later, and again after it has stopped: until then nobody could tell that it is taken."""
    drawing = (
        "from bridge.demo import parts; print(*(parts.free_port() for _ in range(500)), flush=True); input()"
    )
    argv = [sys.executable, "-c", drawing]
    drawn = [{parts.free_port() for _ in range(500)}]
    with contextlib.ExitStack() as running:
        for _ in range(3):
            child = running.enter_context(
                subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert child.stdout is not None
            drawn.append({int(port) for port in child.stdout.readline().split()})
    assert [len(ports) for ports in drawn] == [500] * 4
    assert len(set[int]().union(*drawn)) == 2000


def test_shortened_rules_replace_the_hold_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "alert-rules"
    source.mkdir()
    (source / "containers.yml").write_text(RULES)
    (source / "notes.txt").write_text("not a rule file")

    copies = parts.shortened_rules(source, tmp_path / "short", hold="3s")

    assert copies == [tmp_path / "short" / "containers.yml"]
    assert copies[0].read_text() == RULES.replace("        for: 2m", "        for: 3s")
    assert (source / "containers.yml").read_text() == RULES


def test_the_alert_rules_of_the_checkout_are_found() -> None:
    assert list(parts.alert_rules().glob("*.yml"))


def test_a_missing_program_says_which_package_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        parts.PartMissing, match=r"^redis-server is not available: install the package redis-server"
    ):
        parts.RedisServer()


def test_a_part_refuses_a_directory_it_would_have_to_share(tmp_path: Path) -> None:
    """It deletes its directory when it stops."""
    (tmp_path / "precious").touch()
    with pytest.raises(parts.PartFailed, match="not empty"):
        parts.Process(["true"], name="greedy", directory=tmp_path)
    assert (tmp_path / "precious").exists()


def test_an_engine_whose_socket_path_would_be_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(parts.PartFailed, match="107 bytes"):
        parts.DockerEngine(tmp_path / ("long" * 30))


def test_a_health_check_is_given_to_the_engine_in_nanoseconds() -> None:
    check = parts.Healthcheck(command="true", interval_seconds=0.5, start_period_seconds=2, retries=3)
    assert check.as_engine_json() == {
        "test": ["CMD-SHELL", "true"],
        "interval": 500_000_000,
        "timeout": 5_000_000_000,
        "start_period": 2_000_000_000,
        "retries": 3,
    }


@pytest.mark.parametrize(
    ("facts", "came_true"),
    [
        pytest.param([True], True, id="at once"),
        pytest.param([False, False, True], True, id="later"),
        pytest.param([False] * 10_000, False, id="never"),
    ],
)
def test_wait_until_says_whether_the_fact_came_true(facts: list[bool], came_true: bool) -> None:
    answers = iter(facts)
    seconds = 10 if came_true else 0.01
    assert parts.wait_until(lambda: next(answers), seconds=seconds, every=0.001) is came_true


async def test_a_blocking_call_on_the_event_loop_is_caught() -> None:
    """The guard of `conftest.py` at work: these parts are synchronous, and belong in a thread."""
    with pytest.raises(BlockingError):
        parts.wait_until(lambda: False, seconds=0.01)
    assert not await asyncio.to_thread(parts.wait_until, lambda: False, seconds=0.01)
