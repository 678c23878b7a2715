"""``roles.Containers`` complete and in memory: for walks that a real Engine cannot be brought into on demand.

``tests/integration/test_containers_contract.py`` holds it to what a real Engine does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bridge import errors
from bridge.model.evidence import ContainerFacts, ContainerStatus, EngineEvent, Health, TextLine

BOOT = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


class InMemoryContainers:
    """One host ``local``. ``away`` makes every call fail; ``break_action`` what the next actions do instead.

    ``said`` and ``checked`` are the lines of every container's log and of its health checks.
    """

    def __init__(self) -> None:
        self.containers: dict[str, ContainerFacts] = {}
        self.actions: list[tuple[str, str]] = []
        self.away = False
        self.break_action: list[Exception] = []
        self.heals = True
        self.said: list[str] = []
        self.checked: list[str] = []
        self._starts = 0

    def run(self, name: str = "web", **changes: object) -> ContainerFacts:
        """A container that runs unhealthy, opted in."""
        facts = ContainerFacts(
            host="local",
            id=f"{len(self.containers) + 1:064x}",
            name=name,
            image="shop/web:1",
            image_id="sha256:1",
            status=ContainerStatus.RUNNING,
            health=Health.UNHEALTHY,
            failing_streak=3,
            exit_code=0,
            oom_killed=False,
            error="",
            created_at=BOOT - timedelta(days=3),
            started_at=BOOT - timedelta(days=1),
            finished_at=None,
            restart_count=0,
            restart_policy="no",
            start_period_seconds=0.0,
            stop_timeout_seconds=0.0,
            labels={"hemostat.enable": "true"},
            host_now=BOOT,
        )
        self.containers[name] = replace(facts, **changes)  # type: ignore[arg-type]
        return self.containers[name]

    def change(self, name: str = "web", **changes: object) -> None:
        """Something happens to it."""
        self.containers[name] = replace(self.containers[name], **changes)  # type: ignore[arg-type]

    def rename(self, name: str, to: str) -> None:
        """``docker rename``."""
        self.containers[to] = replace(self.containers.pop(name), name=to)

    def hosts(self) -> Sequence[str]:
        """The only host."""
        return ("local",)

    async def inspect(self, host: str, ref: str) -> ContainerFacts | None:
        """By name or by id."""
        self._answer()
        return self.containers.get(ref) or next((c for c in self.containers.values() if c.id == ref), None)

    async def list(self, host: str) -> Sequence[ContainerFacts]:
        """All of them."""
        self._answer()
        return list(self.containers.values())

    async def find_service(self, host: str, service: str) -> Sequence[ContainerFacts]:
        """By Swarm's label."""
        self._answer()
        label = "com.docker.swarm.service.name"
        found = [c for c in self.containers.values() if c.labels.get(label) == service]
        return sorted(found, key=lambda each: (not each.running, -each.created_at.timestamp()))

    async def log_tail(self, host: str, container_id: str, *, lines: int) -> Sequence[TextLine]:
        """What was ``said``."""
        self._answer()
        return [TextLine(id=f"L{n}", text=text) for n, text in enumerate(self.said[-lines:], start=1)]

    async def health_log(self, host: str, container_id: str) -> Sequence[TextLine]:
        """What was ``checked``."""
        self._answer()
        return [TextLine(id=f"H{n}", text=text) for n, text in enumerate(self.checked, start=1)]

    async def events(self, host: str, container_id: str, *, seconds: float) -> Sequence[EngineEvent]:
        """The Engine remembers nothing."""
        self._answer()
        return ()

    async def restart(self, host: str, container_id: str) -> None:
        """Stop and start."""
        self._act("restart", container_id)

    async def start(self, host: str, container_id: str) -> None:
        """Start, nothing if it runs."""
        self._act("start", container_id)

    def started(self, name: str = "web") -> None:
        """It starts anew, by whomever."""
        self._starts += 1
        health = Health.HEALTHY if self.heals else Health.UNHEALTHY
        self.change(
            name,
            status=ContainerStatus.RUNNING,
            health=health,
            started_at=BOOT - timedelta(hours=1) + timedelta(seconds=self._starts),
            restart_count=0,
        )

    def _act(self, verb: str, container_id: str) -> None:
        self._answer()
        self.actions.append((verb, container_id))
        if self.break_action:
            raise self.break_action.pop(0)
        found = next((c for c in self.containers.values() if c.id == container_id), None)
        if found is None:
            raise errors.EdgeRejected("docker", f"{verb}: no such container", 404)
        if verb == "restart" or not found.running:
            self.started(found.name)

    def _answer(self) -> None:
        if self.away:
            raise errors.EdgeUnavailable("docker", "no answer")
