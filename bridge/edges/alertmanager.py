"""Alertmanager's API v2: does this alert fire now, as far as Alertmanager knows? Read only.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Verified with 0.25.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from bridge.edges.http_neighbour import HttpNeighbour, Reply
from bridge.roles import AlertView

EDGE = "alertmanager"
VIEW_SECONDS = 1.0
"""How long one list of alerts serves everybody who asks."""

UNKNOWN = AlertView(active=False)
QUERY = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}


class ListedAlert(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of a ``gettableAlert``. Its state does not matter: a silenced or inhibited alert fires too."""

    fingerprint: str
    ends_at: datetime
    updated_at: datetime


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
        self._views: Mapping[str, AlertView] = {}
        self._views_until = 0.0
        self._fetching: asyncio.Task[Mapping[str, AlertView]] | None = None

    async def active(self, fingerprint: str) -> AlertView:
        """Whether it fires, from a list at most VIEW_SECONDS old; one request serves all who ask meanwhile."""
        return (await self._all_views()).get(fingerprint, UNKNOWN)

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

    async def _all_views(self) -> Mapping[str, AlertView]:
        if asyncio.get_running_loop().time() < self._views_until:
            return self._views
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch(), name="alertmanager-alerts")
            self._fetching.add_done_callback(looked_at)
        return await asyncio.shield(self._fetching)  # one who gives up must not end it for the others

    async def _fetch(self) -> Mapping[str, AlertView]:
        reply = (await self._neighbour.ask("/api/v2/alerts", QUERY)).checked()
        now = time_of(reply)
        self._views = {
            alert.fingerprint: AlertView(
                active=now is None or alert.ends_at > now, updated_at=alert.updated_at.astimezone(UTC)
            )
            for alert in reply.decoded(list[ListedAlert])
        }
        self._views_until = asyncio.get_running_loop().time() + VIEW_SECONDS
        return self._views


def time_of(reply: Reply) -> datetime | None:
    """Alertmanager's own clock, to compare its times with; ``None`` if it does not say."""
    with contextlib.suppress(ValueError, KeyError):
        return parsedate_to_datetime(reply.headers["Date"])
    return None


def looked_at(fetching: asyncio.Task[Mapping[str, AlertView]]) -> None:
    """Everybody who waited may have given up; a failure nobody took is no surprise."""
    if not fetching.cancelled():
        fetching.exception()
