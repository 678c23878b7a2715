"""What webhooks show of the way they came: from which receiver of Alertmanager, and when the alert that always fires did.

Noted beside the acceptance of a webhook and never in its way: what is lost here comes again.
"""

from __future__ import annotations

import logging
import time

from bridge import errors
from bridge.intake import Webhook
from bridge.metrics import Metrics
from bridge.model.alert import AlertStatus
from bridge.roles import Episodes

log = logging.getLogger("hemostat.path")

WATCHDOGS = frozenset({"watchdog", "deadmansswitch", "deadmanswitch"})
"""Alerts that fire always, in lower case: when they stop coming, the way is broken."""

NOTED_SECONDS = 3600.0
"""How long a receiver that was noted need not be noted again."""

MOST_RECEIVERS = 50
NAME_CHARACTERS = 200


class PathWatch:
    """One process' share of it; what is known is in the store."""

    def __init__(self, *, episodes: Episodes, metrics: Metrics) -> None:
        self._episodes = episodes
        self._metrics = metrics
        self._noted: dict[str, float] = {}

    async def heard(self, webhook: Webhook) -> None:
        """A webhook was accepted."""
        watchdog = any(
            alert.name.lower() in WATCHDOGS and alert.status is AlertStatus.FIRING for alert in webhook.alerts
        )
        receiver = webhook.receiver if len(webhook.receiver) <= NAME_CHARACTERS else ""
        now = time.monotonic()
        fresh = receiver != "" and now > self._noted.get(receiver, float("-inf"))
        if not watchdog and not fresh:
            return
        if fresh and len(self._noted) < MOST_RECEIVERS:
            self._noted[receiver] = now + NOTED_SECONDS
        try:
            await self._episodes.heard(receiver, watchdog=watchdog)
        except errors.EdgeError as error:
            self._noted.pop(receiver, None)
            log.debug("path_not_noted", extra={"error": str(error)})

    async def gauges(self) -> None:
        """Bring the metrics up to date. Raises EdgeUnavailable."""
        at, seconds = await self._episodes.watchdog()
        self._metrics.watchdog_last_seen.set(at.timestamp() if at else 0)
        self._metrics.watchdog_interval.set(seconds)
