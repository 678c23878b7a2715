"""Alertmanager's API v2: what fires now, as far as Alertmanager knows, and what of it is silenced? Read only.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Verified with 0.25 to 0.33.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from bridge import errors
from bridge.edges.http_neighbour import HttpNeighbour, Reply
from bridge.intake import listed_alert
from bridge.model.alert import SILENCER
from bridge.model.episode import AlertListing, HeldAlert
from bridge.roles import AlertView, ListedAlert

VIEW_SECONDS = 1.0
"""How long one list of alerts serves everybody who asks."""

CLOCK_STEP = 1.0
"""Alertmanager tells its time in whole seconds, rounded down."""

QUERY = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}


class _AlertStatus(msgspec.Struct, frozen=True, rename="camel"):
    state: str = "active"
    silenced_by: list[str] = []
    inhibited_by: list[str] = []


class _Alert(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of a ``gettableAlert``. A silenced or inhibited alert fires too."""

    fingerprint: str
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    labels: dict[str, str] = {}
    status: _AlertStatus = _AlertStatus()


class _Silence(msgspec.Struct, rename="camel"):
    id: str
    created_by: str


class _Receiver(msgspec.Struct):
    name: str


class _WholeAlert(msgspec.Struct, rename="camel"):
    """A ``gettableAlert``. Source: API v2."""

    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    status: _AlertStatus
    receivers: list[_Receiver]
    generator_url: str = msgspec.field(default="", name="generatorURL")


class _VersionInfo(msgspec.Struct):
    version: str


class _Status(msgspec.Struct, rename="camel"):
    version_info: _VersionInfo
    uptime: datetime
    """Since when it is up."""


class AlertmanagerApi:
    """``roles.ActiveAlerts`` at one Alertmanager, whose connections its sinks share."""

    def __init__(self, neighbour: HttpNeighbour) -> None:
        self._neighbour = neighbour
        self._list = _List()
        self._list_until = 0.0
        self._fetching: asyncio.Task[_List] | None = None

    async def active(self, fingerprint: str) -> AlertView:
        """Whether it fires, from a list at most VIEW_SECONDS old; one request serves all who ask meanwhile."""
        found = await self._latest()
        alert = found.alerts.get(fingerprint)
        if alert is None:
            return AlertView(active=False, up_since=found.up_since)
        waited = asyncio.get_running_loop().time() - found.asked
        ago = None if found.now is None else (found.now - alert.updated_at).total_seconds() + CLOCK_STEP
        return AlertView(
            active=found.fires(alert),
            told_seconds_ago=None if ago is None else ago + waited,
            up_since=found.up_since,
        )

    async def listed(self) -> Sequence[ListedAlert]:
        """All that fire, from the same list."""
        found = await self._latest()
        firing = [alert for alert in found.alerts.values() if found.fires(alert)]
        # Asked after the alerts, so that each silence that they name is known by now.
        ours = (
            await self._our_silences() if any(alert.status.silenced_by for alert in firing) else frozenset()
        )
        return [_listed(alert, ours) for alert in firing]

    async def ready(self) -> bool:
        """Whether Alertmanager says that it is ready."""
        return await self._neighbour.ready()

    async def version(self) -> str:
        """Its version, such as ``0.25.0``."""
        return (await self._status()).version_info.version

    async def now(self) -> datetime | None:
        """Its clock, in whole seconds; ``None``: it does not say."""
        return time_of((await self._neighbour.ask("/api/v2/status")).checked())

    async def listing(self) -> AlertListing:
        """All its alerts, asked afresh. Raises EdgeUnavailable, also where it was restarted meanwhile."""
        before = await self._status()
        reply = (await self._neighbour.ask("/api/v2/alerts", QUERY)).checked()
        after = await self._status()
        at = time_of(reply)
        if at is None or before.uptime != after.uptime:
            why = "does not tell its time" if at is None else "was restarted meanwhile"
            raise errors.EdgeUnavailable(reply.edge, f"listing alerts: it {why}")
        return AlertListing(
            alerts=tuple(filter(None, (_held(alert) for alert in reply.decoded(list[_WholeAlert])))),
            at=at,
            up_since=before.uptime.astimezone(UTC),
        )

    async def _our_silences(self) -> frozenset[str]:
        listed = (await self._neighbour.ask("/api/v2/silences")).checked().decoded(list[_Silence])
        return frozenset(silence.id for silence in listed if silence.created_by == SILENCER)

    async def _up_since(self) -> datetime | None:
        # A proxy may forbid it: then nobody knows whose list it is, and a list it is all the same.
        with contextlib.suppress(errors.EdgeError, TimeoutError):
            async with asyncio.timeout(VIEW_SECONDS):
                return (await self._status()).uptime.astimezone(UTC)
        return None

    async def _status(self) -> _Status:
        return (await self._neighbour.ask("/api/v2/status")).checked().decoded(_Status)

    async def close(self) -> None:
        """End what is under way; the connections are not its own."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def _latest(self) -> _List:
        if asyncio.get_running_loop().time() < self._list_until:
            return self._list
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch(), name="alertmanager-alerts")
            self._fetching.add_done_callback(looked_at)
        return await asyncio.shield(self._fetching)  # one who gives up must not end it for the others

    async def _fetch(self) -> _List:
        before = await self._up_since()
        asked = asyncio.get_running_loop().time()
        reply = (await self._neighbour.ask("/api/v2/alerts", QUERY)).checked()
        alerts = {alert.fingerprint: alert for alert in reply.decoded(list[_Alert])}
        after = await self._up_since()
        self._list = _List(
            alerts=alerts, now=time_of(reply), up_since=before if before == after else None, asked=asked
        )
        self._list_until = asyncio.get_running_loop().time() + VIEW_SECONDS
        return self._list


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """One answer. ``now``: Alertmanager's own clock at that moment; ``None``: it did not say. ``up_since``: which process
    gave it; ``None``: unknown. ``asked``: when, on the loop's clock."""

    alerts: Mapping[str, _Alert] = field(default_factory=dict)
    now: datetime | None = None
    up_since: datetime | None = None
    asked: float = 0.0

    def fires(self, alert: _Alert) -> bool:
        return self.now is None or alert.ends_at > self.now


def _listed(alert: _Alert, ours: frozenset[str]) -> ListedAlert:
    status = alert.status
    return ListedAlert(
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        since=alert.starts_at.astimezone(UTC),
        silenced=not ours.issuperset(status.silenced_by),
        suppressed=bool(status.silenced_by or status.inhibited_by) or status.state == "suppressed",
    )


def _held(wire: _WholeAlert) -> HeldAlert | None:
    """``None``: an alert that no webhook could have brought."""
    try:
        alert = listed_alert(
            fingerprint=wire.fingerprint,
            labels=wire.labels,
            annotations=wire.annotations,
            starts_at=wire.starts_at,
            generator_url=wire.generator_url,
        )
    except errors.PayloadError:
        return None
    return HeldAlert(
        alert=alert,
        receivers=tuple(receiver.name for receiver in wire.receivers),
        active=wire.status.state == "active",
        updated_at=wire.updated_at.astimezone(UTC),
        ends_at=wire.ends_at.astimezone(UTC),
    )


def time_of(reply: Reply) -> datetime | None:
    """Alertmanager's own clock, to compare its times with; ``None`` if it does not say."""
    with contextlib.suppress(ValueError, KeyError):
        return parsedate_to_datetime(reply.headers["Date"])
    return None


def looked_at(fetching: asyncio.Task[_List]) -> None:
    """Everybody who waited may have given up; a failure nobody took is no surprise."""
    if not fetching.cancelled():
        fetching.exception()
