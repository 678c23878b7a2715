"""The kernel ends a process that was paused beyond its lease, before it does anything more."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.demo import parts

ROOT = Path(__file__).parents[3]
PRELUDE = """
import signal, sys
from time import sleep
from bridge.edges.deadman import Deadman
def say(word): print(word, flush=True)
"""

Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def run() -> Iterator[Run]:
    """A Python process with the deadman at hand; `say` writes a line that the test waits for."""
    children: list[subprocess.Popen[bytes]] = []

    def start(script: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", PRELUDE + script]
        children.append(subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def heard(child: subprocess.Popen[bytes], word: str, *, seconds: float = 20) -> None:
    assert child.stdout is not None
    assert select.select([child.stdout], [], [], seconds)[0], f"did not say {word!r} in time"
    assert child.stdout.readline().decode().strip() == word


def pause(child: subprocess.Popen[bytes]) -> None:
    os.kill(child.pid, signal.SIGSTOP)
    assert parts.wait_until(lambda: parts.process_state(child.pid) == "T", seconds=20)


def alarm_is_pending(pid: int) -> bool:
    """Whether the kernel has sent SIGALRM to a process that cannot take it yet. Source: proc(5), ShdPnd."""
    status = Path(f"/proc/{pid}/status").read_text()
    pending = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("ShdPnd"))
    return bool(pending >> (signal.SIGALRM - 1) & 1)


def test_paused_beyond_the_timer_it_never_runs_another_line(run: Run) -> None:
    child = run("Deadman().arm('incident', 2.0); say('armed')\nwhile True: say('acted')")
    heard(child, "armed")
    pause(child)
    assert child.stdout is not None
    os.set_blocking(child.stdout.fileno(), False)
    assert parts.wait_until(lambda: alarm_is_pending(child.pid), seconds=20)
    while child.stdout.read():  # what it said before it was paused
        pass
    os.kill(child.pid, signal.SIGCONT)
    assert child.wait(20) == -signal.SIGALRM
    assert not child.stdout.read()


def test_renewed_in_time_it_goes_on(run: Run) -> None:
    child = run(
        "deadman = Deadman(); deadman.arm('incident', 2.0)\n"
        "for _ in range(3): sleep(0.8); deadman.renew('incident', 2.0)\n"
        "deadman.disarm('incident'); sleep(2.2); say('alive')"
    )
    heard(child, "alive")
    assert child.wait(20) == 0


def test_the_earliest_of_several_counts(run: Run) -> None:
    child = run(
        "deadman = Deadman(); deadman.arm('late', 60); deadman.arm('early', 1.0); deadman.arm('later', 90)\n"
        "say('armed'); sleep(30)"
    )
    heard(child, "armed")
    assert child.wait(20) == -signal.SIGALRM


def test_after_the_earliest_is_disarmed_the_next_counts(run: Run) -> None:
    child = run(
        "deadman = Deadman(); deadman.arm('early', 1.0); deadman.arm('late', 3.0); deadman.disarm('early')\n"
        "sleep(1.2); say('outlived the first'); sleep(30)"
    )
    heard(child, "outlived the first")
    assert child.wait(20) == -signal.SIGALRM


def test_a_time_already_over_ends_it_at_once(run: Run) -> None:
    child = run("Deadman().arm('incident', -5)\nsleep(30)")
    assert child.wait(20) == -signal.SIGALRM


def test_what_is_not_armed_is_neither_renewed_nor_disarmed(run: Run) -> None:
    child = run(
        "deadman = Deadman(); deadman.renew('never', 0.05); deadman.disarm('never'); sleep(0.2)\nsay('alive')"
    )
    heard(child, "alive")


def test_an_alarm_inherited_as_ignored_and_blocked_still_ends_it(run: Run) -> None:
    script = "Deadman().arm('incident', 0.1)\nsleep(30)"
    argv = f"trap '' ALRM; exec {sys.executable} -c \"$0\""
    child = subprocess.Popen([sys.executable, "-c", BLOCKING, "sh", "-c", argv, PRELUDE + script], cwd=ROOT)
    assert child.wait(20) == -signal.SIGALRM


BLOCKING = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_it_is_made_on_the_main_thread(run: Run) -> None:
    child = run(
        "import threading\n"
        "def make():\n"
        "    try: Deadman()\n"
        "    except ValueError: say('refused')\n"
        "threading.Thread(target=make).start()"
    )
    heard(child, "refused")
