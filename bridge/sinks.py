"""Whom incidents are told, and the backlog of what they must still be told, as Protocols. The walk knows neither.

Every method may raise ``EdgeUnavailable`` (try again later) or ``EdgeRejected`` (it said no); what else a method
raises is named at the method. All times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.model.channel import Channel
from bridge.roles import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a sink may be told. ``per_second`` incidents on average (``None``: as they come), ``burst`` at once
    before that counts; ``at_once`` under way at the same time; ``gather_seconds`` news wait for more of their incident."""

    per_second: float | None = None
    burst: int = 1
    at_once: int = 1
    gather_seconds: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came of it. ``sent``: something was said. ``again_seconds``: look at the incident again then, even if it
    does not move; ``None``: when it moves."""

    sent: bool
    again_seconds: float | None = None


class Notes(Protocol):
    """What one sink has already said of one incident, in its own words; kept as long as the incident."""

    def get(self, name: str) -> str:
        """A note; ``""`` if there is none."""
        ...

    async def write(self, notes: Mapping[str, str]) -> None:
        """Durable before it returns; ``""`` removes a note. Raises ClaimLost: somebody else tells it now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``anchor``: the incident at which a storm is told, the first that was folded. ``finished``: it was told to its end.
    ``line``: how this incident stood when it was last noted."""

    anchor: str
    finished: bool
    line: str


class Tally(Protocol):
    """How the incidents of a storm stand, each in a line of its own, as far as one sink has been told of them."""

    async def place(self, storm: str, incident_id: str) -> Place:
        """Where an incident stands in it; the first one asked about becomes the anchor."""
        ...

    async def note(self, storm: str, incident_id: str, line: str) -> None:
        """Write an incident's line; ``""`` takes it out."""
        ...

    async def read(self, storm: str) -> Mapping[str, str]:
        """All lines, by incident."""
        ...

    async def finish(self, storm: str) -> None:
        """From now on nobody looks at this storm any more: whatever still happens is told for itself."""
        ...


class Sink(Protocol):
    """Whom incidents are told: a channel of people, or another system.

    It is given an incident as it stands, with its whole story, whenever it has moved; several moves may come as one.
    What it has said before stands in its notes, and it says the difference. It may be called again for the same
    state (after a crash between the message and the note), but never twice at the same time for one incident.
    """

    @property
    def channel(self) -> Channel:
        """Its name: in the backlog, in metrics, in the API."""
        ...

    @property
    def pace(self) -> Pace:
        """How fast it may be told."""
        ...

    async def deliver(self, record: Record, notes: Notes, *, now: datetime) -> Delivery:
        """Say what has not been said. ``now`` is Redis' clock.

        Raises:
            EdgeUnavailable: not now; everything for this sink waits, as long as ``RateLimited`` says if it is that.
            EdgeRejected: it takes nothing from us (credentials, channel); everything waits and an operator is told.
            MessageRefused: not this message; after some tries it is given up until the incident moves again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An incident taken from a sink's backlog; ``teller`` fences what is written about it."""

    channel: Channel
    incident_id: str
    teller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a claim gave. ``next_seconds``: when the next may be due, ``None`` if nothing waits."""

    due: tuple[Due, ...]
    next_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """An incident that a sink did not take, in so many tries; ``error`` is what it said last."""

    incident_id: str
    at: datetime
    tries: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogState:
    """One sink's backlog for operators. ``held_*``: it takes nothing now, until when it is left alone and why."""

    channel: str
    waiting: int
    under_way: int
    oldest_due_at: datetime | None
    worked_at: datetime | None
    held_since: datetime | None
    held_until: datetime | None
    held_why: str
    dead: int
    given_up: tuple[GivenUp, ...] = ()


class Backlog(Protocol):
    """What sinks must still be told, written by the same step that made it news."""

    async def now(self) -> datetime:
        """Redis' clock."""
        ...

    async def register(self, sinks: Sequence[Sink], *, retire: bool) -> None:
        """From now on every transition is kept for these. ``retire``: forget sinks that nobody has named for long."""
        ...

    async def claim(self, sink: Sink, *, at_most: int) -> Taken:
        """Take what is due, under a lease."""
        ...

    async def read(self, due: Due) -> tuple[Record, Notes] | None:
        """The incident as it stands and what was said of it; ``None`` if it was forgotten."""
        ...

    async def beat(self, due: Sequence[Due]) -> set[Due]:
        """Renew the leases of one sink's; gives those that are no longer ours."""
        ...

    async def settled(self, due: Due, delivery: Delivery) -> None:
        """It was told."""
        ...

    async def held(self, due: Due, why: str, *, rejected: bool, retry_after_seconds: float | None) -> bool:
        """The sink takes nothing now: everything waits. Gives whether this message was given up."""
        ...

    async def refused(self, due: Due, why: str) -> bool:
        """The sink does not take this one. Gives whether it was given up."""
        ...
