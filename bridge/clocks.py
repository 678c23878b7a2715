"""By how much the store's clock differs from those of others: this machine's, Alertmanager's, Prometheus'."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping

from bridge import errors, settings
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.store import clock
from bridge.wiring import Parts, prometheus_of

Asked = Callable[[], Awaitable[float | None]]
"""Seconds since the epoch by somebody's clock; ``None``: they do not say. Raises EdgeError."""


async def store_ahead(parts: Parts, *, deadline_seconds: float) -> Mapping[str, float]:
    """By how many seconds it is ahead of each that tells its time. HTTP tells whole ones, so it may look one more."""
    told: dict[str, Asked] = {"machine": _here}
    if parts.alertmanager is not None:
        told["alertmanager"] = _at_alertmanager(parts.alertmanager)
    if parts.config.prometheus is not None:
        told["prometheus"] = _at_prometheus(parts.config)
    ahead = {}
    for whose, ask in told.items():
        with contextlib.suppress(errors.EdgeError, TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                theirs, ours = await ask(), (await clock.read(parts.store)).now.timestamp()
            if theirs is not None:
                ahead[whose] = ours - theirs
    return ahead


async def _here() -> float:
    return time.time()


def _at_alertmanager(api: AlertmanagerApi) -> Asked:
    async def ask() -> float | None:
        at = await api.now()
        return None if at is None else at.timestamp()

    return ask


def _at_prometheus(config: settings.Settings) -> Asked:
    async def ask() -> float | None:
        api = prometheus_of(config)
        if api is None:
            return None
        try:
            return next((value for _, value in await api.query("time()")), None)
        finally:
            await api.close()

    return ask
