"""Ctrl-C and its like, noted when they come and acted upon where it is safe. Knows nothing of what is interrupted."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupted(Exception):
    """Somebody wants the demo to end; `exit_code` as a shell would see it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interruption:
    """Ctrl-C and its like, noted when they come and acted upon where it is safe: nothing is ever left half made.

    Asked for often (`check`, `sleep`); a second Ctrl-C is as good as the first.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Raises: Interrupted: somebody wants the demo to end."""
        if self.number is not None:
            raise Interrupted(self.number)

    def sleep(self, seconds: float) -> None:
        """Raises: Interrupted."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.05))
        self.check()

    def wait_until(self, fact: Callable[[], object], *, seconds: float, every: float = 0.1) -> bool:
        """Whether `fact` came true before the deadline. Raises: Interrupted."""
        deadline = time.monotonic() + seconds
        while not fact():
            if time.monotonic() > deadline:
                return False
            self.sleep(every)
        return True

    def note(self, number: int, _: FrameType | None = None) -> None:
        """This signal came, or something that means the same; the first one counts."""
        self.number = self.number or number

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup, and only it, is taken at its word: a shell's background jobs ignore SIGINT, too.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self.note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # All is cleaned up. One more Ctrl-C could only spoil the exit code of a process that is about to end.
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.number is not None else handler)
