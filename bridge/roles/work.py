"""How work is shared among processes: turns, claims, and the timer that ends who holds one too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.roles.journal import Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of work on one incident: a message of the work stream."""

    id: str
    incident_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldElsewhere:
    """Another worker holds the incident; its lease ends in ``seconds`` unless it renews it."""

    seconds: float


class Claims(Protocol):
    """Who may write to an incident now."""

    async def claim(self, incident_id: str, owner: str) -> Held | HeldElsewhere | None:
        """Take an incident to work on it; ``None`` if it does not exist any more. ``owner`` is unique per call.

        Raises: Unreadable, with the claim that it got: it is of another version, and to be given back untouched.
        """
        ...

    async def beat(self, held: Sequence[Held]) -> set[int]:
        """Renew the claims; gives the numbers of those that are no longer ours."""
        ...


class WorkQueue(Protocol):
    """Where turns come from and go back to. At-least-once: a turn may come twice, never not at all."""

    @property
    def consumer(self) -> str:
        """This process' name in the queue."""
        ...

    async def open(self) -> None:
        """Make it ready; harmless if it is."""
        ...

    async def read(self, free: int) -> Sequence[Turn]:
        """New turns, at most ``free``, waiting up to a second for the first."""
        ...

    async def sweep(self, free: int) -> Sequence[Turn]:
        """Turns of workers that went silent, at most ``free``."""
        ...

    async def due(self) -> float | None:
        """Bring in what is due; gives the seconds until the next one, ``None`` if there is none."""
        ...

    async def beat(self, turns: Sequence[Turn]) -> None:
        """Show that these are being worked on."""
        ...

    async def done(self, turn: Turn, *, claim: int | None) -> None:
        """Finished for good."""
        ...

    async def later(self, turn: Turn, *, claim: int | None, seconds: float) -> None:
        """Due again after a delay; the claim is freed in the same step, so that any worker may go on."""
        ...


class Deadman(Protocol):
    """A kernel timer that ends the process before it could act on a lease it no longer holds."""

    def arm(self, key: str, seconds: float) -> None:
        """The process ends in ``seconds`` unless the key is renewed or disarmed."""
        ...

    def renew(self, key: str, seconds: float) -> None:
        """``seconds`` from now instead; nothing if the key is not armed."""
        ...

    def disarm(self, key: str) -> None:
        """The action is over; nothing if the key is not armed."""
        ...
