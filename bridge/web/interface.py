"""What the interface needs of the running bridge, and who may ask it what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from aiohttp import web

from bridge import errors
from bridge.intake import Webhook
from bridge.judgement import Replayed
from bridge.metrics import Metrics
from bridge.model.alert import Alert, Subject
from bridge.model.channel import Channel
from bridge.model.incident import Answer, Incident, IncidentQuery, Target, Transition
from bridge.model.policy import Mode
from bridge.model.secret import Secret
from bridge.model.share import Share
from bridge.model.storm import Storm
from bridge.redaction import Redactor
from bridge.roles import Acceptance, Answered, BudgetState, Pause, Record
from bridge.sinks import BacklogState

ANYBODY = "anybody"
"""The caller where no token is configured."""


class Access(StrEnum):
    """What a request needs. ``operator`` may do everything."""

    OPEN = "open"
    RECEIVER = "receiver"
    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token and what it is good for."""

    name: str
    access: Access
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What ``/-/ready`` tells: per part ``None`` if well, else what is wrong."""

    parts: Mapping[str, str | None]

    @property
    def ready(self) -> bool:
        """Whether every part is well."""
        return all(trouble is None for trouble in self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a process stands, for a person. ``parts``: ``None`` if well, else what is wrong.

    ``mode`` is the policy's, ``route_modes`` others that some of its routes have. Of the parts, only Alertmanager (where
    one is configured) does not count for ``ready``.
    """

    started_at: datetime
    mode: Mode
    route_modes: Sequence[Mode]
    ready: bool
    parts: Mapping[str, str | None]


class Bridge(Protocol):
    """What the interface needs of the running bridge. Every call may raise ``EdgeUnavailable``."""

    metrics: Metrics

    @property
    def redactor(self) -> Redactor:
        """What takes secrets out of text."""
        ...

    def hosts(self) -> Sequence[str]:
        """Names of the configured Docker hosts."""
        ...

    async def accept(self, alerts: Sequence[tuple[Alert, Subject]]) -> Acceptance:
        """Make a webhook's alerts durable."""
        ...

    async def heard(self, webhook: Webhook) -> None:
        """Note what an accepted webhook shows of the way it came; never fails."""
        ...

    async def incidents(self, query: IncidentQuery) -> tuple[list[Incident], str | None]:
        """A page of incidents, and the cursor of the next one. Raises ValueError: the cursor is not ours."""
        ...

    async def alert_names(self, ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """What the alerts of these incidents are called."""
        ...

    async def incident(self, incident_id: str) -> Record | None:
        """One incident whole."""
        ...

    async def replay(self, incident_id: str) -> Replayed | None:
        """The same evidence judged again by the rules of today. Raises: NothingToReplay: none was kept."""
        ...

    async def targets(self) -> Sequence[BudgetState]:
        """Every known target with its budget."""
        ...

    async def target(self, target: Target) -> BudgetState | None:
        """One target with its budget; ``None`` if nobody ever heard of it."""
        ...

    async def reset(self, target: Target, *, by: str) -> bool:
        """Forget a target's cooldown, caps and breaker; ``False``: nobody ever heard of it."""
        ...

    async def answer(self, incident_id: str, answer: Answer, *, by: str) -> Answered:
        """Answer what an incident asks, as an operator."""
        ...

    async def slack_interaction(self, body: bytes, headers: Mapping[str, str]) -> bool | None:
        """A click in Slack, sent over HTTP; ``None``: such clicks are not expected, ``False``: not Slack's signature."""
        ...

    async def deliveries(self) -> Sequence[BacklogState]:
        """What each sink must still be told."""
        ...

    async def retry_deliveries(self, channel: Channel, *, by: str) -> int | None:
        """Try what a sink did not take again; gives how many it had given up, ``None``: no such sink."""
        ...

    async def paused(self) -> Pause | None:
        """The kill switch."""
        ...

    async def now(self) -> datetime:
        """The store's clock, by which a pause ends."""
        ...

    async def pause(self, *, by: str, why: str, until: datetime | None) -> Pause:
        """Pull it."""
        ...

    async def resume(self, *, by: str) -> None:
        """Release it."""
        ...

    async def storm(self) -> tuple[Storm | None, Sequence[Share]]:
        """The storm that is on, and the populations of which too many are sick."""
        ...

    async def newest_event(self) -> str:
        """The id of the last transition of any incident."""
        ...

    async def events_after(self, event_id: str, *, count: int) -> Sequence[Transition]:
        """The first transitions after this one, oldest first. ``event_id`` is two numbers with a dash between."""
        ...

    async def readiness(self) -> Readiness:
        """Whether work can be taken and done."""
        ...

    async def status(self) -> Status:
        """How it stands; never fails."""
        ...

    async def gauges(self) -> None:
        """Bring the gauges up to date before a scrape."""
        ...

    async def reload(self) -> Sequence[errors.Problem]:
        """Apply the configuration file as it is now, whole or not at all; gives what was wrong with it."""
        ...


BRIDGE: web.AppKey[Bridge] = web.AppKey("bridge")
TOKENS: web.AppKey[Callable[[], Sequence[Token]]] = web.AppKey("tokens")
NAMES: web.AppKey[Collection[str] | None] = web.AppKey("names")
"""By which, besides its addresses, it may be read without a token; ``None``: by any."""
CALLER: web.RequestKey[str] = web.RequestKey("caller", str)
TOKEN: web.RequestKey[Token | None] = web.RequestKey("token")
"""What the caller showed; ``None`` where none is needed."""
