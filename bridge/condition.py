"""How a process and its neighbours are, for whoever asks: a load balancer, a person, Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime

from bridge import errors, web
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.store.dump import last_success
from bridge.edges.store.queue import StoredQueue
from bridge.model.share import ShareScope
from bridge.path_watch import PathWatch
from bridge.wiring import Parts
from bridge.worker import Worker

READINESS_SECONDS = 2.0
"""How long one look at the neighbours serves everybody who asks ``/-/ready``."""


class Condition:
    """Looks at the neighbours, no more often than it must. ``worker`` ``None``: this process walks no incidents."""

    def __init__(self, parts: Parts, *, worker: Worker | None, queue: StoredQueue, path: PathWatch) -> None:
        self._parts = parts
        self._worker = worker
        self._queue = queue
        self._path = path
        self._readiness: web.Readiness | None = None
        self._readiness_until = 0.0
        self._alertmanager: str | None = "not asked yet"
        self._alertmanager_until = 0.0
        self._started_at = datetime.now(UTC)

    async def readiness(self) -> web.Readiness:
        """Store, and for a worker its loop and every Docker host, looked at no more often than each READINESS_SECONDS."""
        if self._readiness is None or time.monotonic() > self._readiness_until:
            works = Duty.WORKER in self._duties
            hosts = self.hosts() if works else ()
            troubles = await asyncio.gather(
                self._trouble(self._parts.journal.writable()),
                *(self._trouble(self._parts.docker.ping(h)) for h in hosts),
            )
            parts: dict[str, str | None] = {"store": troubles[0]}
            if works:
                parts["worker"] = (
                    None if self.worker.alive() else "the worker loop gets no answer from the store"
                )
            parts |= {f"docker/{host}": trouble for host, trouble in zip(hosts, troubles[1:], strict=True)}
            self._readiness = web.Readiness(parts=parts)
            # A "no" is looked at again soon: whoever waits for a start should not wait for a cache.
            self._readiness_until = time.monotonic() + (READINESS_SECONDS if self._readiness.ready else 0.25)
        return self._readiness

    async def status(self) -> web.Status:
        """How it stands, with Alertmanager, for which nothing waits."""
        readiness, alertmanager = await asyncio.gather(self.readiness(), self._alertmanager_trouble())
        policy = self._parts.judge.ruleset.policy
        return web.Status(
            started_at=self._started_at,
            mode=policy.root.mode,
            route_modes=tuple(mode for mode in policy.modes() if mode is not policy.root.mode),
            ready=readiness.ready,
            parts={**readiness.parts, **alertmanager},
        )

    async def _alertmanager_trouble(self) -> Mapping[str, str | None]:
        """Empty where none is configured."""
        api = self._parts.alertmanager
        if api is None:
            return {}
        if time.monotonic() > self._alertmanager_until:
            self._alertmanager_until = time.monotonic() + READINESS_SECONDS
            self._alertmanager = await self._trouble(_said_ready(api))
        return {"alertmanager": self._alertmanager}

    @staticmethod
    async def _trouble(asked: Awaitable[object]) -> str | None:
        try:
            async with asyncio.timeout(READINESS_SECONDS):
                await asked
        except TimeoutError:
            return f"no answer within {READINESS_SECONDS:g} s"
        except errors.EdgeError as error:
            return str(error)
        return None

    async def gauges(self) -> None:
        """Bring the gauges up to date; a store that does not answer leaves them as they were and says so."""
        try:
            async with asyncio.timeout(READINESS_SECONDS):
                depth, untold = await self._queue.depth(), await self._parts.backlog.depth()
                self.metrics.incidents_open.set(await self._parts.journal.open_count())
                self.metrics.paused.set(0 if await self.paused() is None else 1)
                await self._path.gauges()
                limits = self._parts.judge.ruleset.policy.limits
                self.metrics.fleet_actions.set(await self._parts.budgets.fleet_actions(limits))
                self.metrics.fleet_actions_allowed.set(limits.fleet.max)
                storm, suspects = await self.storm()
                self.metrics.storm.set(0 if storm is None else 1)
                for scope in ShareScope:
                    number = sum(share.population.scope is scope for share in suspects)
                    self.metrics.shares_suspect.labels(scope.value).set(number)
                backup, drill = await last_success(self._parts.store)
        except (TimeoutError, errors.EdgeError):
            self.metrics.store_up.set(0)
            return
        self.metrics.store_up.set(1)
        self.metrics.backup_success.set(backup)
        self.metrics.drill_success.set(drill)
        for queue, entries in depth.items():
            self.metrics.backlog.labels(queue).set(entries)
        for channel, waiting in untold.items():
            self.metrics.backlog.labels(f"deliver_{channel}").set(waiting)


async def _said_ready(api: AlertmanagerApi) -> None:
    """Raises EdgeUnavailable: it is there and says that it is not."""
    if not await api.ready():
        raise errors.EdgeUnavailable("alertmanager", "answers that it is not ready")
