"""What the walk needs of Docker: containers, and what happens to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.model.evidence import ContainerFacts, EngineEvent, TextLine


class Containers(Protocol):
    """The containers of all configured Docker hosts."""

    def hosts(self) -> Sequence[str]:
        """Names of the configured hosts."""
        ...

    async def inspect(self, host: str, ref: str) -> ContainerFacts | None:
        """One container by name or id, with the host's clock; ``None`` if there is none."""
        ...

    async def list(self, host: str) -> Sequence[ContainerFacts]:
        """All containers of a host, stopped ones included, without health details beyond the status."""
        ...

    async def find_service(self, host: str, service: str) -> Sequence[ContainerFacts]:
        """The containers of a Swarm service on this host as ``list`` gives them, running ones first, then the newest."""
        ...

    async def log_tail(self, host: str, container_id: str, *, lines: int) -> Sequence[TextLine]:
        """The last lines it wrote, oldest first; empty if its log driver cannot be read. Untrusted text."""
        ...

    async def health_log(self, host: str, container_id: str) -> Sequence[TextLine]:
        """What the last health checks printed, oldest first. Untrusted text."""
        ...

    async def events(self, host: str, container_id: str, *, seconds: float) -> Sequence[EngineEvent]:
        """Its events of the last ``seconds`` as far as the daemon still has them (it keeps 256 over everything)."""
        ...

    async def restart(self, host: str, container_id: str) -> None:
        """Restart it, waiting its own stop timeout; starts it if it is stopped."""
        ...

    async def start(self, host: str, container_id: str) -> None:
        """Start it; nothing happens if it runs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEvent:
    """One event of an Engine, and the container it is about."""

    container_id: str
    event: EngineEvent


class EngineEvents(Protocol):
    """What happens to the containers of all configured Docker hosts, as it happens."""

    def hosts(self) -> Sequence[str]:
        """Names of the configured hosts."""
        ...

    def watch(self, host: str, *, since: datetime | None) -> AsyncGenerator[Sequence[ToldEvent], None]:
        """Events from then on (as far as the daemon still has them) and as they come, until the stream ends."""
        ...


class EngineHistory(Protocol):
    """The events of the last hour, kept where every replica finds them."""

    async def heard_until(self, host: str) -> datetime | None:
        """When the newest event that was kept happened, by the host's clock; ``None``: nothing was kept lately."""
        ...

    async def keep(self, host: str, told: Sequence[ToldEvent]) -> None:
        """Keep these; what is kept already stays as it is."""
        ...

    async def events(self, host: str, container_id: str) -> Sequence[EngineEvent]:
        """What is kept of a container, oldest first."""
        ...
