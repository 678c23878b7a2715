"""Alertmanager's API v2: does this alert fire now, as far as Alertmanager knows? Read only.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Verified with 0.25.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import aiohttp
import msgspec

from bridge import errors
from bridge.roles import AlertView

EDGE = "alertmanager"
VIEW_SECONDS = 1.0
"""How long one list of alerts serves everybody who asks."""

BODY_BYTES = 64 * 1024 * 1024
MESSAGE_CHARACTERS = 256
UNKNOWN = AlertView(active=False)
QUERY = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}

Decoded = TypeVar("Decoded")


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
        self._url = url.rstrip("/")
        self._headers = {"Authorization": authorization} if authorization else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._views: Mapping[str, AlertView] = {}
        self._views_until = 0.0
        self._fetching: asyncio.Task[Mapping[str, AlertView]] | None = None

    async def active(self, fingerprint: str) -> AlertView:
        """Whether it fires, from a list at most VIEW_SECONDS old; one request serves all who ask meanwhile."""
        return (await self._all_views()).get(fingerprint, UNKNOWN)

    async def ready(self) -> bool:
        """Whether Alertmanager says that it is ready."""
        reply = await self._ask("/-/ready")
        return reply.status != http.client.SERVICE_UNAVAILABLE and bool(reply.checked())

    async def version(self) -> str:
        """Its version, such as ``0.25.0``."""
        reply = (await self._ask("/api/v2/status")).checked()
        return reply.decoded(_Status).version_info.version

    async def close(self) -> None:
        """End what is under way and the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _all_views(self) -> Mapping[str, AlertView]:
        if asyncio.get_running_loop().time() < self._views_until:
            return self._views
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch(), name="alertmanager-alerts")
            self._fetching.add_done_callback(looked_at)
        return await asyncio.shield(self._fetching)  # one who gives up must not end it for the others

    async def _fetch(self) -> Mapping[str, AlertView]:
        reply = (await self._ask("/api/v2/alerts", QUERY)).checked()
        now = reply.time()
        self._views = {
            alert.fingerprint: AlertView(
                active=now is None or alert.ends_at > now, updated_at=alert.updated_at.astimezone(UTC)
            )
            for alert in reply.decoded(list[ListedAlert])
        }
        self._views_until = asyncio.get_running_loop().time() + VIEW_SECONDS
        return self._views

    async def _ask(self, path: str, query: Mapping[str, str] | None = None) -> _Reply:
        """Whatever was answered; every way to get no answer becomes ``EdgeUnavailable`` here."""
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        try:
            async with self._session.get(
                self._url + path, params=query, allow_redirects=False, ssl=self._tls or True
            ) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > BODY_BYTES:
                        raise ValueError(f"more than {BODY_BYTES} bytes")
                return _Reply(path, response.status, response.headers, bytes(body))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as failure:
            reason = str(failure) or type(failure).__name__
            raise errors.EdgeUnavailable(EDGE, f"GET {path}: {reason}"[:MESSAGE_CHARACTERS]) from failure


@dataclass(frozen=True, slots=True)
class _Reply:
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def checked(self) -> _Reply:
        """Itself, if it is a success. Raises: EdgeUnavailable (5xx, 429), EdgeRejected."""
        if self.status == http.client.OK:
            return self
        text = self.body[:MESSAGE_CHARACTERS].decode(errors="replace").strip()
        message = f"GET {self.path}: answered {self.status} {text}"
        if self.status >= 500 or self.status == http.client.TOO_MANY_REQUESTS:
            raise errors.EdgeUnavailable(EDGE, message)
        raise errors.EdgeRejected(EDGE, message, self.status)

    def decoded(self, shape: type[Decoded]) -> Decoded:
        """Its JSON. Raises: EdgeUnavailable: not of the documented form."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
            message = f"GET {self.path}: answered what cannot be understood: {wrong}"
            raise errors.EdgeUnavailable(EDGE, message[:MESSAGE_CHARACTERS]) from wrong

    def time(self) -> datetime | None:
        """Alertmanager's own clock, to compare its times with; ``None`` if it does not say."""
        with contextlib.suppress(ValueError, KeyError):
            return parsedate_to_datetime(self.headers["Date"])
        return None


def looked_at(fetching: asyncio.Task[Mapping[str, AlertView]]) -> None:
    """Everybody who waited may have given up; a failure nobody took is no surprise."""
    if not fetching.cancelled():
        fetching.exception()
