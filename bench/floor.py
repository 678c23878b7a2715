"""What reading the kernel's files costs at the least: a C program that reads those which the exporter keeps open."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

SOURCE = Path(__file__).with_name("floor.c")
KERNEL = ("/sys/fs/cgroup/", "/proc/")


class Floor:
    """Of the process `pid`, whose open files it opens for itself. `compiler`: a C compiler's path."""

    def __init__(self, pid: int, compiler: str) -> None:
        with tempfile.TemporaryDirectory() as directory:
            program = f"{directory}/floor"
            subprocess.run([compiler, "-O2", "-o", program, str(SOURCE)], check=True)
            self._process = subprocess.Popen(
                [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self.paths = [path for path in _opened(pid) if path.startswith(KERNEL)]
            self._tell("".join(f"{path}\n" for path in self.paths) + "\n")
            self.round()

    def __enter__(self) -> Floor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=10)

    def round(self) -> tuple[float, float]:
        """Each file read once: milliseconds of time, and of CPU."""
        self._tell("\n")
        assert self._process.stdout
        wall, cpu = self._process.stdout.readline().split()
        return float(wall), float(cpu)

    def _tell(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text)
        self._process.stdin.flush()


def _opened(pid: int) -> Iterator[str]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one of this very list, where it is our own
            # procfs lets go of the names of what is open all the same, and makes them anew when asked.
            yield os.readlink(entry).removesuffix(" (deleted)")
