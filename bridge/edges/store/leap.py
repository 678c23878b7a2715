"""How much time really passed between two readings of the store's clock, by what this process can tell.

Only ever a reason to be more careful: a store whose clock was set forward ends cooldowns early, and cannot know it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST_SECONDS = 60.0
"""By how much more the store's time may have moved than ours. Two clocks that are kept right differ by milliseconds."""


def boot_time() -> float:
    """Seconds on a clock that nobody sets, which goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeapWatch:
    """The last reading, and when it was made on a clock of our own."""

    def __init__(self, elapsed: Callable[[], float] = boot_time) -> None:
        self._elapsed = elapsed
        self._read: tuple[int, float] | None = None

    def seconds(self, now_ms: int) -> float:
        """By how much the store's time is ahead of what has passed here since the last reading; 0: not worth a word."""
        if self._read is None:
            return 0.0
        then_ms, then = self._read
        ahead = (now_ms - then_ms) / 1000 - (self._elapsed() - then)
        return ahead if ahead > LEAST_SECONDS else 0.0

    def read(self, now_ms: int) -> None:
        """The store's time was just read."""
        self._read = (now_ms, self._elapsed())
