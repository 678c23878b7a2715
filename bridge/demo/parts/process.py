"""Any process: started, waited for until it answers, and gone with us."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Self

from bridge.demo.parts.machine import (
    PartFailed,
    answers_200,
    last_lines,
    private_directory,
    process_state,
    wait_until,
)


class Process:
    """One service as a child process: started, waited for, paused, killed, restarted, stopped.

    It dies with this process, however this process dies. `directory` must be empty or absent; it belongs to the
    part, holds its log and is removed by `stop()`.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        name: str,
        directory: Path | None = None,
        files: Mapping[str, str] | None = None,
        url: str = "",
        ready_path: str = "/-/ready",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        start_seconds: float = 20,
        stop_seconds: float = 5,
    ) -> None:
        """With a `url`, `start()` returns once `url + ready_path` answers 200; without, at once.

        `files` (name to content) are put into the directory before the start, unless they are there.
        """
        self.argv = [str(word) for word in argv]
        self.name = name
        self.url = url
        self.directory = private_directory(name, directory)
        self.log = self.directory / f"{name}.log"
        self._files = {self.directory / file: content for file, content in (files or {}).items()}
        self._ready_path = ready_path
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Raises: PartMissing, PartFailed."""
        if self._child and self._child.poll() is None:
            raise PartFailed(self.name, "is running already")
        self.directory.mkdir(parents=True, exist_ok=True)
        for path, content in self._files.items():
            if not path.exists():
                path.write_text(content)
        with self.log.open("ab") as log:
            self._child = spawn(self.argv, log=log, env=self._env, cwd=self._cwd)
        wait_until(lambda: self.answers() or not self.running, seconds=self._start_seconds)
        # Who answers on its address may be another process, on whose account it could not listen and ended.
        if self.answers() and (self.running or not self.url):
            return self
        problem = (
            f"did not answer within {self._start_seconds} s" if self.running else f"exited {self.returncode}"
        )
        error = PartFailed(self.name, problem, self.log_tail())
        self.stop()
        raise error

    def answers(self) -> bool:
        """Whether the service is ready for use now."""
        return not self.url or answers_200(self.url + self._ready_path)

    def stop(self) -> None:
        """Asks it to end, insists, and removes its directory. Doing it twice is fine."""
        self.terminate()
        shutil.rmtree(self.directory, ignore_errors=True)

    def terminate(self) -> int | None:
        """SIGTERM, then SIGKILL for it and whatever it started; gives the exit status. The directory stays."""
        if self._child is None:
            return None
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(self._stop_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        return self._child.wait()

    def kill(self) -> None:
        """SIGKILL to the process alone, as the kernel's OOM killer would; returns once it is gone."""
        self._signal(signal.SIGKILL)
        if self._child:
            self._child.wait()

    def restart(self) -> Self:
        """Stops it if it runs and starts it on the same directory and address."""
        self.terminate()
        return self.start()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing. Returns once it stands still."""
        self._signal(signal.SIGSTOP)
        if not wait_until(lambda: process_state(self.pid) == "T", seconds=5):
            raise PartFailed(self.name, "did not stand still within 5 s of SIGSTOP", self.log_tail())

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def wait(self, seconds: float) -> int:
        """Its exit status. Raises: PartFailed: it still runs after `seconds`."""
        if self._child is None:
            raise PartFailed(self.name, "was never started")
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise PartFailed(self.name, f"still runs after {seconds} s", self.log_tail()) from None

    @property
    def pid(self) -> int:
        """Raises: PartFailed: it was never started."""
        if self._child is None:
            raise PartFailed(self.name, "was never started")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; `None` while it runs or was never started."""
        return self._child.poll() if self._child else None

    def log_text(self) -> str:
        """Everything it wrote so far, over all its restarts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines: int = 20) -> str:
        return last_lines(self.log_text(), lines)

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@functools.cache
def spawner() -> ThreadPoolExecutor:
    """The one thread that starts children: PR_SET_PDEATHSIG means the death of the *thread*, so it must be a lasting one."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="part-spawner")


def spawn(
    argv: Sequence[str], *, log: IO[bytes], env: Mapping[str, str], cwd: Path | None
) -> subprocess.Popen[bytes]:
    """A child in its own process group (Ctrl-C is ours to handle) that the kernel kills when we die."""
    setpriv = shutil.which("setpriv")
    dies_with_us = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*dies_with_us, *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            process_group=0,
        )

    return spawner().submit(start).result()
