"""A kernel timer that ends the process before it could act on a lease it no longer holds.

A worker that was paused (SIGSTOP, swapping, a frozen VM) between its last check and the call would wake up after
its lease and act beside its successor; Docker knows no fencing token. SIGALRM at its default action ends the
process before it runs another instruction. That is allowed, because every step is crash-only.
"""

from __future__ import annotations

import signal
import time

SOONEST_SECONDS = 1e-6
"""A time that is over already: 0 would mean "no timer" to the kernel."""


class Deadman:
    """One timer of this process, set to the earliest of all armed keys. For one thread.

    Nothing else in the process may use ``ITIMER_REAL`` or SIGALRM. Disarm before a clean end that takes its time.
    """

    def __init__(self) -> None:
        """Raises: ValueError: not on the main thread, which alone may set what a signal does."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it may have been inherited as ignored, or blocked
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        self._ends_at: dict[str, float] = {}

    def arm(self, key: str, seconds: float) -> None:
        """The process ends in ``seconds`` unless the key is renewed or disarmed. Call it last before the action."""
        self._ends_at[key] = time.monotonic() + seconds
        self._set()

    def renew(self, key: str, seconds: float) -> None:
        """``seconds`` from now instead; nothing if the key is not armed, so every renewed lease may be told here."""
        if key in self._ends_at:
            self.arm(key, seconds)

    def disarm(self, key: str) -> None:
        """The action is over; nothing if the key is not armed."""
        if self._ends_at.pop(key, None) is not None:
            self._set()

    def _set(self) -> None:
        if not self._ends_at:
            signal.setitimer(signal.ITIMER_REAL, 0)
            return
        seconds = min(self._ends_at.values()) - time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, max(seconds, SOONEST_SECONDS))
