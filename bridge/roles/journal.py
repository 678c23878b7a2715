"""The durable record: incidents, and the episodes of their alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bridge.model.alert import Alert
from bridge.model.episode import KnownEpisode, Sighting
from bridge.model.evidence import Change, ContainerFacts, PastRepair
from bridge.model.incident import Entry, Incident, Target, TimelineEntry
from bridge.model.policy import BreakerPolicy


class Episodes(Protocol):
    """The journal's episodes, for a comparison with Alertmanager."""

    async def lease(self, owner: str, seconds: float) -> bool:
        """Whether the next ``seconds`` are ours alone to compare in."""
        ...

    async def known(self, fingerprints: Sequence[str]) -> Mapping[str, KnownEpisode]:
        """The last episode of each of these alerts; those never heard of are left out."""
        ...

    async def open(self) -> Sequence[Alert]:
        """The alerts that fire in open incidents, suspect ones aside."""
        ...

    async def sightings(self) -> Mapping[str, Sighting]:
        """What the last comparison saw."""
        ...

    async def keep(self, sightings: Mapping[str, Sighting]) -> None:
        """Remember these until the next comparison, and nothing else."""
        ...

    async def heard(self, receiver: str, *, watchdog: bool) -> None:
        """A webhook came, from this receiver of Alertmanager; whether the alert that always fires was in it."""
        ...

    async def note_clock(self, at: datetime) -> timedelta:
        """By how much Alertmanager's clock, which says ``at``, is ahead of the store's; intake compares starts by it."""
        ...

    async def receivers(self) -> Sequence[str]:
        """The names of the receivers that webhooks came from."""
        ...

    async def watchdog(self) -> tuple[datetime | None, float]:
        """When the alert that always fires last came; seconds between its last two times, 0 where that is unknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What one webhook became. ``incidents`` in the order of the alerts, without repetition."""

    accepted: int
    incidents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeView:
    """One alert of an incident as the journal knows it now. ``firing`` is false once a resolved came."""

    alert: Alert
    firing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An incident claimed by this worker, with its alerts as of the last load.

    ``claim`` fences every write that follows; ``joins`` counts the alerts that had joined by then, ``deaths`` the workers
    in a row before this one that did not give it back.
    """

    incident: Incident
    episodes: tuple[EpisodeView, ...]
    claim: int
    joins: int = 0
    deaths: int = 0

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire now."""
        return tuple(episode.alert for episode in self.episodes if episode.firing)

    @property
    def resolved(self) -> bool:
        """Whether every alert of the incident has ended."""
        return bool(self.episodes) and not any(episode.firing for episode in self.episodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One incident for readers: the value, its alerts and its story."""

    incident: Incident
    episodes: tuple[EpisodeView, ...]
    timeline: tuple[TimelineEntry, ...] = ()


class Journal(Protocol):
    """The durable record of incidents. Each write is one atomic step, fenced by the claim, and renews its lease.

    Every write raises ``ClaimLost`` when the claim is no longer ours. ``entry`` is the line it adds to the story.
    """

    async def now(self) -> datetime:
        """Redis' clock, never below the highest time that is known."""
        ...

    async def load(self, held: Held) -> Held:
        """The same claim on the incident as it is written now, with its alerts."""
        ...

    async def save(self, held: Held, entry: Entry | None) -> Held:
        """Write the incident as it is now."""
        ...

    async def close(
        self,
        held: Held,
        entry: Entry,
        *,
        healed: bool | None,
        breaker: BreakerPolicy,
        refund: bool = False,
    ) -> Held:
        """Write the closed incident, free its target and feed the breaker.

        ``healed`` ``None`` leaves the breaker alone; ``refund`` gives back a grant that was never begun. Raises
        ``JoinedMeanwhile``: nothing was written, because an alert joined since the last load (never raised once
        the action has begun: what was done must be recorded).
        """
        ...

    async def saw_container(self, target: Target, facts: ContainerFacts) -> None:
        """Remember which container bears the name now."""
        ...

    async def replaced_at(self, target: Target, facts: ContainerFacts) -> datetime | None:
        """When this container was first seen to bear a name that another one bore before; ``None``: never seen to."""
        ...

    async def changes(self, target: Target, facts: ContainerFacts) -> Sequence[Change]:
        """What became another about the target since it was looked at before, and when."""
        ...

    async def fires_last_hour(self, fingerprints: Sequence[str]) -> int | None:
        """How often the alert of these that fires most began to fire; ``None``: none of them is known."""
        ...

    async def past_repairs(self, target: Target) -> Sequence[PastRepair]:
        """The last repairs of this target, newest first."""
        ...
