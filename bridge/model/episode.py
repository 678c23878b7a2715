"""What two sides know of the same firings: the journal its episodes, Alertmanager its alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge.model.alert import Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAlert:
    """One alert that Alertmanager holds.

    ``receivers``: to whom its routing sends it. ``active``: neither silenced nor inhibited. ``updated_at`` is when it
    was last told of it, ``ends_at`` when it takes it for over unless it is told again; both by its own clock.
    """

    alert: Alert
    receivers: tuple[str, ...]
    active: bool
    updated_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertListing:
    """Everything one Alertmanager held ``at`` a moment of its clock. It keeps alerts in memory: of what it was told
    before ``up_since`` it knows nothing."""

    alerts: tuple[HeldAlert, ...]
    at: datetime
    up_since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEpisode:
    """The last firing of an alert as the journal knows it.

    ``ended_at``: its last end; ``None``: none yet. ``closed_at``: when its incident closed; ``None``: it is open.
    ``reconsider_unpaused_at``: of one that the pause refused, from when it counts again once no pause holds.
    """

    firing: bool
    starts_at: datetime
    ended_at: datetime | None = None
    closed_at: datetime | None = None
    reconsider_unpaused_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What Alertmanager said of an alert when it last listed it, and since when that one was up."""

    updated_at: datetime
    ends_at: datetime
    up_since: datetime
