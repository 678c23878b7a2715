"""Docker Engines of all configured hosts: containers looked at, and restarted or started by their full id.

Only this folder talks to Docker. What may be done, and whether it helped, is decided elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from functools import partial

from bridge import errors
from bridge.edges.docker_engine.connection import DockerHost, DockerTLS
from bridge.edges.docker_engine.engine import FULL_ID, Engine, EngineVersion
from bridge.edges.docker_engine.following import Follower
from bridge.edges.docker_engine.lane import EDGE
from bridge.model.evidence import ContainerFacts, EngineEvent, TextLine
from bridge.roles import ToldEvent

__all__ = ["DockerEngine", "DockerHost", "DockerTLS", "EngineVersion"]

ACTION_SLACK_SECONDS = 30.0
"""Waited beyond the stop timeout: an Engine of 23.0 whose client hangs up while it stops a container never starts
it again (moby #44365 until #46688)."""

LOG_SECONDS = 0.8
LOG_QUEUE_SECONDS = 0.2
LOG_LINES = 1000


class DockerEngine:
    """``roles.Containers`` over the configured hosts. No host is contacted before the first call for it."""

    def __init__(self, hosts: Sequence[DockerHost]) -> None:
        """Raises: ValueError: two hosts have one name."""
        self._engines = {host.name: Engine(host) for host in hosts}
        if len(self._engines) < len(hosts):
            raise ValueError("two Docker hosts have the same name")

    def hosts(self) -> Sequence[str]:
        """Names of the configured hosts."""
        return tuple(self._engines)

    async def inspect(self, host: str, ref: str) -> ContainerFacts | None:
        """One container by exact name, full id, or at least 12 digits of its id; ``None`` if there is none.

        Raises: EdgeRejected: one container is named like the id of another.
        """
        engine = self._engine(host)
        return await engine.read(lambda until: engine.inspect(ref, until), tried=f"inspecting {ref!r}")

    async def list(self, host: str) -> Sequence[ContainerFacts]:
        """All containers of a host by one request, so only what a list shows.

        Unknown here, whatever the value: start and finish times, OOM kill, failing streak, error (``None`` or
        empty), restarts and restart policy (0 and empty), start period (0), stop timeout (Docker's default), and
        the health of a paused or stopped one. To decide about a container, inspect it.
        """
        engine = self._engine(host)
        return await engine.read(engine.list, tried="listing containers")

    async def find_service(self, host: str, service: str) -> Sequence[ContainerFacts]:
        """A Swarm service's containers on this host as ``list`` gives them, running ones first, then the newest."""
        engine = self._engine(host)
        tried = f"finding service {service!r}"
        return await engine.read(lambda until: engine.find_service(service, until), tried=tried)

    async def log_tail(self, host: str, container_id: str, *, lines: int) -> Sequence[TextLine]:
        """The last lines it wrote, oldest first, 96 KiB at most; over in a second or ``EdgeUnavailable``."""
        engine = self._engine(host)
        return await engine.read(
            lambda until: engine.log_tail(container_id, min(lines, LOG_LINES), until),
            tried=f"reading the log of {container_id}",
            seconds=LOG_SECONDS,
            queue_seconds=LOG_QUEUE_SECONDS,
        )

    async def health_log(self, host: str, container_id: str) -> Sequence[TextLine]:
        """The last health checks (Docker keeps five), each its exit code and what it printed."""
        engine = self._engine(host)
        tried = f"reading the health checks of {container_id}"
        return await engine.read(lambda until: engine.health_log(container_id, until), tried=tried)

    async def events(self, host: str, container_id: str, *, seconds: float) -> Sequence[EngineEvent]:
        """Its starts, stops, kills and deaths of the last ``seconds`` by the host's clock, oldest first."""
        engine = self._engine(host)
        tried = f"reading the events of {container_id}"
        return await engine.read(lambda until: engine.events(container_id, seconds, until), tried=tried)

    async def watch(self, host: str, *, since: datetime | None) -> AsyncGenerator[Sequence[ToldEvent], None]:
        """Events about containers, those since then first as far as the daemon has them (``None``: of the last
        RECENT_SECONDS); ends after QUIET_SECONDS without any. Open it again from the last one's time: an event on the
        seam comes twice.

        Raises: EdgeUnavailable: the stream broke, or could not be opened.
        """
        engine = self._engine(host)
        follower: Follower[ToldEvent] = Follower(EDGE)
        async with contextlib.aclosing(follower.pieces(partial(engine.follow, since))) as pieces:
            async for piece in pieces:
                yield piece

    async def restart(self, host: str, container_id: str) -> None:
        """Restart it with its own stop timeout; gives when Docker says that it is done.

        Cancelling the call does not stop it. After ``EdgeUnavailable`` it may have happened or may still happen.
        """
        await self._act(host, container_id, "restart")

    async def start(self, host: str, container_id: str) -> None:
        """Start it; nothing happens if it runs. After ``EdgeUnavailable`` it may have happened."""
        await self._act(host, container_id, "start")

    async def ping(self, host: str) -> EngineVersion:
        """Versions of the Engine, asked afresh."""
        engine = self._engine(host)
        return await engine.read(engine.version, tried="asking for the version")

    async def identity(self, host: str) -> str:
        """The Engine's own id, the same by whatever address it is reached."""
        engine = self._engine(host)
        return await engine.read(engine.identity, tried="asking which Engine it is")

    async def close(self) -> None:
        """Let go of idle connections. A call that still runs ends by its own timeout and holds nobody up."""
        for engine in self._engines.values():
            engine.forget()

    def _engine(self, host: str) -> Engine:
        try:
            return self._engines[host]
        except KeyError:
            raise errors.EdgeRejected(EDGE, f"no Docker host named {host[:64]!r} is configured") from None

    async def _act(self, host: str, container_id: str, verb: str) -> None:
        engine = self._engine(host)
        tried = f"{verb} of {container_id} on {host}"
        if not FULL_ID.fullmatch(container_id):
            raise errors.EdgeRejected(EDGE, f"{tried[:96]}: not a full container id", 400)
        stop_seconds = await engine.read(lambda until: engine.stop_seconds(container_id, until), tried=tried)
        await engine.actions.run(
            lambda until: engine.act(container_id, verb, until),
            tried=tried,
            seconds=stop_seconds + ACTION_SLACK_SECONDS,
            queue_seconds=engine.timeout_seconds,
        )
