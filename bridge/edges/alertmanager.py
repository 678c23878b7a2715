"""Alertmanager's API v2: what fires now, as far as Alertmanager knows, and what of it is silenced? Read only.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Verified with 0.25.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from bridge.edges.http_neighbour import HttpNeighbour, Reply
from bridge.roles import AlertView, ListedAlert

EDGE = "alertmanager"
VIEW_SECONDS = 1.0
"""How long one list of alerts serves everybody who asks."""

UNKNOWN = AlertView(active=False)
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


class _VersionInfo(msgspec.Struct):
    version: str


class _Status(msgspec.Struct, rename="camel"):
    version_info: _VersionInfo


class AlertmanagerApi:
    """``roles.ActiveAlerts`` at one Alertmanager."""

    def __init__(
        self,
        url: str,
        *,
        authorization: str = "",
        timeout_seconds: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``url`` may end in a path prefix. ``authorization`` is the whole header, ``Bearer ...`` or ``Basic ...``."""
        self._neighbour = HttpNeighbour(
            EDGE, url, authorization=authorization, timeout_seconds=timeout_seconds, tls=tls
        )
        self._list = _List()
        self._list_until = 0.0
        self._fetching: asyncio.Task[_List] | None = None

    async def active(self, fingerprint: str) -> AlertView:
        """Whether it fires, from a list at most VIEW_SECONDS old; one request serves all who ask meanwhile."""
        found = await self._latest()
        alert = found.alerts.get(fingerprint)
        if alert is None:
            return UNKNOWN
        return AlertView(active=found.fires(alert), updated_at=alert.updated_at.astimezone(UTC))

    async def listed(self) -> Sequence[ListedAlert]:
        """All that fire, from the same list."""
        found = await self._latest()
        return [_listed(alert) for alert in found.alerts.values() if found.fires(alert)]

    async def ready(self) -> bool:
        """Whether Alertmanager says that it is ready."""
        return await self._neighbour.ready()

    async def version(self) -> str:
        """Its version, such as ``0.25.0``."""
        reply = (await self._neighbour.ask("/api/v2/status")).checked()
        return reply.decoded(_Status).version_info.version

    async def close(self) -> None:
        """End what is under way and the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        await self._neighbour.close()

    async def _latest(self) -> _List:
        if asyncio.get_running_loop().time() < self._list_until:
            return self._list
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch(), name="alertmanager-alerts")
            self._fetching.add_done_callback(looked_at)
        return await asyncio.shield(self._fetching)  # one who gives up must not end it for the others

    async def _fetch(self) -> _List:
        reply = (await self._neighbour.ask("/api/v2/alerts", QUERY)).checked()
        alerts = {alert.fingerprint: alert for alert in reply.decoded(list[_Alert])}
        self._list = _List(alerts=alerts, now=time_of(reply))
        self._list_until = asyncio.get_running_loop().time() + VIEW_SECONDS
        return self._list


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """One answer. ``now``: Alertmanager's own clock at that moment; ``None``: it did not say."""

    alerts: Mapping[str, _Alert] = field(default_factory=dict)
    now: datetime | None = None

    def fires(self, alert: _Alert) -> bool:
        return self.now is None or alert.ends_at > self.now


def _listed(alert: _Alert) -> ListedAlert:
    silenced = bool(alert.status.silenced_by)
    return ListedAlert(
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        since=alert.starts_at.astimezone(UTC),
        silenced=silenced,
        suppressed=silenced or bool(alert.status.inhibited_by) or alert.status.state == "suppressed",
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
