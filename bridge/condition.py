"""How a process and its neighbours are, for whoever asks: a load balancer, a person, Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime

from bridge import errors, web
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.store import clock
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
        self._looking: asyncio.Task[web.Readiness] | None = None
        self._readiness_until = 0.0
        self._alertmanager: str | None = "not asked yet"
        self._alertmanager_until = 0.0
        self._started_at = datetime.now(UTC)

    async def readiness(self) -> web.Readiness:
        """Store, and for a worker its loop and every Docker host, looked at no more often than each READINESS_SECONDS,
        and once for all who ask meanwhile."""
        if self._looking is None or (self._looking.done() and time.monotonic() > self._readiness_until):
            self._looking = asyncio.create_task(self._looked_around(), name="readiness")
        return await asyncio.shield(self._looking)  # one who gives up must not end it for the others

    async def _looked_around(self) -> web.Readiness:
        hosts = self._parts.docker.hosts() if self._worker else ()
        troubles = await asyncio.gather(
            _trouble(self._parts.journal.writable()),
            *(_trouble(self._parts.docker.ping(h)) for h in hosts),
        )
        parts: dict[str, str | None] = {"store": troubles[0]}
        if self._worker is not None:
            alive = self._worker.alive()
            parts["worker"] = None if alive else "the worker loop gets no answer from the store"
        parts |= {f"docker/{host}": trouble for host, trouble in zip(hosts, troubles[1:], strict=True)}
        readiness = web.Readiness(parts=parts)
        # A "no" is looked at again soon: whoever waits for a start should not wait for a cache.
        self._readiness_until = time.monotonic() + (READINESS_SECONDS if readiness.ready else 0.25)
        return readiness

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
            self._alertmanager = await _trouble(_said_ready(api))
        return {"alertmanager": self._alertmanager}

    async def gauges(self) -> None:
        """Bring the gauges up to date; a store that does not answer leaves them as they were and says so."""
        metrics, budgets, storms = self._parts.metrics, self._parts.budgets, self._parts.storms
        try:
            async with asyncio.timeout(READINESS_SECONDS):
                depth, untold = await self._queue.depth(), await self._parts.backlog.depth()
                metrics.incidents_open.set(await self._parts.journal.open_count())
                metrics.store_clock_behind.set((await clock.read(self._parts.store)).behind_seconds)
                metrics.paused.set(0 if await budgets.paused() is None else 1)
                await self._path.gauges()
                limits = self._parts.judge.ruleset.policy.limits
                metrics.fleet_actions.set(await budgets.fleet_actions(limits))
                metrics.fleet_actions_allowed.set(limits.fleet.max)
                storm, suspects = await storms.now(), await storms.suspects()
                metrics.storm.set(0 if storm is None else 1)
                for scope in ShareScope:
                    number = sum(share.population.scope is scope for share in suspects)
                    metrics.shares_suspect.labels(scope.value).set(number)
                backup, drill = await last_success(self._parts.store)
        except (TimeoutError, errors.EdgeError):
            metrics.store_up.set(0)
            return
        metrics.store_up.set(1)
        metrics.backup_success.set(backup)
        metrics.drill_success.set(drill)
        for queue, entries in depth.items():
            metrics.backlog.labels(queue).set(entries)
        for channel, waiting in untold.items():
            metrics.backlog.labels(f"deliver_{channel}").set(waiting)


async def _said_ready(api: AlertmanagerApi) -> None:
    """Raises EdgeUnavailable: it is there and says that it is not."""
    if not await api.ready():
        raise errors.EdgeUnavailable("alertmanager", "answers that it is not ready")


async def _trouble(asked: Awaitable[object]) -> str | None:
    """What is wrong, in a line; ``None`` if it answers in time."""
    try:
        async with asyncio.timeout(READINESS_SECONDS):
            await asked
    except TimeoutError:
        return f"no answer within {READINESS_SECONDS:g} s"
    except errors.EdgeError as error:
        return str(error)
    return None
