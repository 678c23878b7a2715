"""Keeps what the Engines tell: a daemon remembers 256 events over everything, and health checks push them out.

Every replica with a worker follows every host, and what several of them hear is kept once. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

from bridge import errors
from bridge.metrics import Metrics
from bridge.roles import EngineEvents, EngineHistory

log = logging.getLogger("hemostat.events")

SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


class EventWatch:
    """One stream for each host, opened again from where the last one ended."""

    def __init__(self, *, engines: EngineEvents, history: EngineHistory, metrics: Metrics) -> None:
        self._engines = engines
        self._history = history
        self._metrics = metrics

    async def run(self) -> None:
        """Follow all hosts until cancelled."""
        async with asyncio.TaskGroup() as group:
            for host in self._engines.hosts():
                group.create_task(self._follow(host), name=f"events-{host}")

    async def _follow(self, host: str) -> None:
        pause = 0.0
        while True:
            try:
                since = await self._history.heard_until(host)
                async with aclosing(self._engines.watch(host, since=since)) as stream:
                    async for told in stream:
                        pause = 0.0
                        await self._history.keep(host, told)
            except errors.EdgeError as error:
                self._metrics.edge_errors.labels(error.edge).inc()
                if not pause:  # said once, not at every try of an outage
                    log.warning("events_lost", extra={"host": host, "error": str(error)})
                pause = min(max(2 * pause, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            else:
                pause = 0.0
            await asyncio.sleep(pause)
