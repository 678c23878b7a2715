"""Processes by the hundred: one parent that has the program loaded forks each, which spares a second of imports.

What runs in a child is what `hemostat serve` runs, from its command line on. Children die with the parent, and the
parent with the test that started it, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

from bridge.demo import parts
from tests.acceptance.stack import ENVIRONMENT

ROOT = Path(__file__).parents[2]
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOADED = ("bridge.app", "bridge.cli.serving", "docker.transport", "tests.torture.doomed")


class Child:
    """One process of the nursery."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._ended = threading.Event()
        self._status = 0

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    @property
    def standing_still(self) -> bool:
        """Whether it was stopped by SIGSTOP."""
        return parts.process_state(self.pid) == "T"

    def signal(self, number: signal.Signals) -> None:
        """Nothing if it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit status, negative for a signal. Raises: AssertionError: it still runs."""
        assert self._ended.wait(seconds), f"{self.pid} still runs after {seconds} s\n{self.tail()}"
        return self._status

    def kill(self) -> None:
        """SIGKILL; returns once it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(10)

    def tail(self, lines: int = 20) -> str:
        """The last it wrote."""
        return parts.last_lines(self.log.read_text(errors="replace") if self.log.exists() else "", lines)

    def ended(self, status: int) -> None:
        """Told by the nursery."""
        self._status = status
        self._ended.set()


class Nursery:
    """The parent, as the test that started it sees it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hs-")
        self.directory = Path(self._folder.name)
        self._parent: parts.Process | None = None
        self._socket: socket.socket | None = None
        self._children: dict[int, Child] = {}
        self._born: list[int] = []
        self._news = threading.Condition()
        self._one_at_a_time = threading.Lock()
        self._listener: threading.Thread | None = None
        self._made = 0

    def __enter__(self) -> Self:
        address = str(self.directory / "socket")
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(address)
            door.listen(1)
            door.settimeout(30)
            self._parent = parts.Process(
                [sys.executable, "-m", "tests.torture.nursery", address],
                name="nursery",
                cwd=ROOT,
                env=ENVIRONMENT,
            ).start()
            try:
                self._socket, _ = door.accept()
            except TimeoutError:
                log = self._parent.log_tail()
                self.__exit__()
                raise AssertionError(f"the nursery did not come up\n{log}") from None
        self._socket.settimeout(None)
        self._listener = threading.Thread(target=self._listen, name="nursery", daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children:
            child.signal(signal.SIGKILL)
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        if self._listener is not None:
            self._listener.join(10)
        if self._parent is not None:
            self._parent.stop()
        self._folder.cleanup()

    @property
    def children(self) -> list[Child]:
        """Those that run."""
        return [child for child in list(self._children.values()) if child.running]

    def fork(self, call: str, **arguments: Any) -> Child:
        """A process that calls `module:function` with these arguments, which must be JSON."""
        assert self._socket is not None, "the nursery is closed"
        with self._one_at_a_time:
            self._made += 1
            log = self.directory / f"{self._made}.log"
            asked = {"call": call, "arguments": arguments, "log": str(log)}
            self._socket.sendall(json.dumps(asked).encode() + b"\n")
            with self._news:
                assert self._news.wait_for(lambda: self._born, timeout=20), "the nursery does not answer"
                pid = self._born.pop()
                child = self._children[pid] = Child(pid, log)
                self._news.notify_all()
            return child

    def _listen(self) -> None:
        assert self._socket is not None
        with self._socket.makefile("rb") as lines:
            for line in lines:
                self._note(json.loads(line))

    def _note(self, told: dict[str, int]) -> None:
        with self._news:
            if "born" in told:
                self._born.append(told["born"])
                self._news.notify_all()
                return
            # Its birth was told before; whoever asked for it may not have noted it yet.
            self._news.wait_for(lambda: told["ended"] in self._children, timeout=10)
            self._children.pop(told["ended"]).ended(told["status"])


# ---- the parent itself -------------------------------------------------------------------------------------------


def main(address: str) -> None:
    """Fork on request until nobody asks any more."""
    for module in LOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # else the first collection of each child copies everything that is loaded
    asks = socket.socket(socket.AF_UNIX)
    asks.connect(address)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    unread = b""
    ears: list[socket.socket | int] = [asks, woken]
    while True:
        readable, _, _ = select.select(ears, (), ())
        if woken in readable:
            os.read(woken, 4096)
            _reap(asks)
        if asks in readable:
            received = asks.recv(65536)
            if not received:
                return
            *lines, unread = (unread + received).split(b"\n")
            for line in lines:
                asked = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    _be_a_child(asked, inherited=[asks.fileno(), woken, wake])
                _tell(asks, {"born": pid})


def _reap(asks: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _tell(asks, {"ended": ended[0], "status": os.waitstatus_to_exitcode(ended[1])})


def _tell(asks: socket.socket, news: object) -> None:
    with contextlib.suppress(OSError):  # whoever asked has gone, and we go next
        asks.sendall(json.dumps(news).encode() + b"\n")


def _be_a_child(asked: dict[str, Any], *, inherited: list[int]) -> None:
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in inherited:
            os.close(number)
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        random.seed()
        module, _, function = asked["call"].partition(":")
        status = getattr(importlib.import_module(module), function)(**asked["arguments"]) or 0
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1])
