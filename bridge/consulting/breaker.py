"""Whether a provider is worth asking now. Times are seconds of a clock that only goes forward. Pure."""

from __future__ import annotations

from collections import deque

FAILURES_IN_A_ROW = 5
LAST = 10
BAD_SHARE = 0.5
OPEN_SECONDS = 60.0
LONGEST_SECONDS = 600.0
"""However long a provider wants to be left alone, and after a refusal that only a person can mend."""


class ProviderBreaker:
    """Open after five failures in a row or half of the last ten; then one probe decides.

    A provider that says for how long it wants to be left alone is believed for up to ten minutes.
    """

    def __init__(self) -> None:
        self._open_until: float | None = None
        self._probing = False
        self._last: deque[bool] = deque(maxlen=LAST)

    def is_open(self, now: float) -> bool:
        """Whether it would not be asked now."""
        return self._open_until is not None and (now < self._open_until or self._probing)

    def admit(self, now: float) -> bool:
        """Whether to ask now. Whoever is admitted must report how it went, since only one probe is under way."""
        if self.is_open(now):
            return False
        self._probing = self._open_until is not None
        return True

    def succeeded(self) -> None:
        """It answered."""
        if self._probing:
            self._last.clear()
        self._open_until, self._probing = None, False
        self._last.append(True)

    def failed(self, now: float, *, stay_away_seconds: float | None = None) -> None:
        """It did not. ``stay_away_seconds``: it is not to be asked for so long, however it did before."""
        self._last.append(False)
        probed, self._probing = self._probing, False
        if stay_away_seconds is not None:
            self._open(now + min(stay_away_seconds, LONGEST_SECONDS))
        elif probed or self._bad():
            self._open(now + OPEN_SECONDS)

    def _open(self, until: float) -> None:
        self._open_until = max(until, self._open_until or until)

    def _bad(self) -> bool:
        recent = list(self._last)
        row = len(recent) >= FAILURES_IN_A_ROW and not any(recent[-FAILURES_IN_A_ROW:])
        return row or (len(recent) == LAST and recent.count(False) >= BAD_SHARE * LAST)
