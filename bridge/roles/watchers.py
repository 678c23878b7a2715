"""What the walk needs of whoever watches the containers too: Alertmanager, and a time series database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.model.episode import AlertListing
from bridge.model.evidence import ContainerFacts, Measure


class ActiveAlerts(Protocol):
    """Alertmanager's own view of an alert."""

    async def active(self, fingerprint: str) -> AlertView:
        """Whether this alert is active now, and when Alertmanager last heard of it."""
        ...

    async def listed(self) -> Sequence[ListedAlert]:
        """All alerts that fire now, those that are silenced or inhibited included."""
        ...


class Figures(Protocol):
    """What a time series database knows of containers and their hosts."""

    async def measures(self, container: ContainerFacts) -> Sequence[Measure]:
        """Its figures of the last 30 minutes; one that is not known is absent."""
        ...


class AlertLister(Protocol):
    """Everything that Alertmanager holds."""

    async def listing(self) -> AlertListing:
        """All its alerts, silenced and inhibited ones included."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """``told_seconds_ago``: how long ago, at most, Alertmanager was last told of it, by its own clock; ``None`` if it does
    not list the alert, or not its time.

    ``up_since``: since when the process is up that says so, by which it is known again: it keeps alerts in memory, and
    the others of its cluster have their own. ``None``: it does not say, or was restarted while it was asked.
    """

    active: bool
    told_seconds_ago: float | None = None
    up_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAlert:
    """One alert that fires. ``silenced``: by somebody's explicit silence, ours do not count; ``suppressed``: silenced, by
    whomever, or inhibited.

    Labels are untrusted text.
    """

    fingerprint: str
    labels: Mapping[str, str]
    since: datetime
    silenced: bool = False
    suppressed: bool = False
