"""What may be done now: budgets, the kill switch, and whether far too much goes wrong at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.model.evidence import ContainerFacts
from bridge.model.incident import Entry, Target
from bridge.model.policy import Limits, TargetPolicy
from bridge.model.refusal import Refusal
from bridge.model.share import Population, Share, Turned
from bridge.model.storm import Storm
from bridge.roles.journal import Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The kill switch as it is now. ``until`` ``None`` means until somebody resumes."""

    by: str
    why: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A granted budget: the fencing token under which the action may begin."""

    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What is left for one target. ``refusal``: what stands against a repair now; ``None`` if nothing does."""

    target: Target
    refusal: Refusal | None
    actions_last_hour: int
    last_action_at: datetime | None


class Storms(Protocol):
    """Whether far too much goes wrong at once. What a storm's end counted is in the stream of events."""

    async def shares(self, populations: Sequence[Population], *, limits: Limits) -> Sequence[Share]:
        """How many of each population are sick now; writes nothing."""
        ...

    async def now(self) -> Storm | None:
        """The storm that is on; ``None`` if none is."""
        ...

    async def settle(self) -> Storm | None:
        """End the storm whose end has come, and give it; every replica may ask, one of them is given it."""
        ...

    async def sick(self, hosts: Sequence[str]) -> int:
        """How many are marked as sick on these hosts, at most; a cheap question."""
        ...

    async def note_shares(self, populations: Sequence[Population], *, limits: Limits) -> Sequence[Turned]:
        """Look how many are sick, and write down what becomes suspect by that and what is so no more; gives those."""
        ...

    async def suspects(self) -> Sequence[Share]:
        """The populations that are suspect, with the numbers of the last look; their limits are not kept."""
        ...


class Budgets(Protocol):
    """Cooldown, caps, breaker and single flight, checked and reserved in one atomic step on Redis' clock."""

    async def paused(self) -> Pause | None:
        """The kill switch."""
        ...

    async def acquire(
        self,
        held: Held,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts,
        entry: Entry,
        populations: Sequence[Population] = (),
    ) -> Grant | Refusal:
        """Reserve an action on the incident's target; grant and the incident's state ``reserved`` are one write.

        ``populations``: in none of which too many may be sick.
        """
        ...

    async def would_grant(
        self,
        target: Target,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts | None,
        populations: Sequence[Population] = (),
    ) -> Refusal | None:
        """The same checks, reserving nothing: the first refusal, or ``None`` if it would be granted."""
        ...

    async def begin(
        self,
        held: Held,
        entry: Entry,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts,
        populations: Sequence[Population] = (),
    ) -> Refusal | None:
        """Write the intent the incident carries, the last step before Docker.

        Refuses if by now HemoStat is paused, too many are sick, or others have used up what the limits of now allow.
        """
        ...
