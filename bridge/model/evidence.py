"""What was found out about a target, as facts and as untrusted text.

``None`` always means "unknown", never zero. What could not be collected is listed as a gap, so that rules and
people see that it is missing. Item ids (``S1``, ``L4``, ``H1``) exist to be cited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

OWN_LABELS = ("hemostat.", "autoheal", "com.docker.compose.project", "com.docker.compose.service")
"""Prefixes of the container labels that are read here, and therefore kept."""


class ContainerStatus(StrEnum):
    """``State.Status`` of the Docker Engine API (v1.41)."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """``State.Health.Status`` of the Docker Engine API; ``none`` without a health check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts:
    """One container as ``GET /containers/{id}/json`` shows it, reduced to what may be known and kept.

    Env, command and mounts are deliberately absent: they hold secrets. ``host_now`` is the Docker host's own
    clock (``SystemTime`` of ``/info``), the only clock ``started_at`` may be compared with. ``restart_count``
    counts restarts by restart policy since the last start through the API (which sets it to 0).
    """

    host: str
    id: str
    name: str
    image: str
    image_id: str
    status: ContainerStatus
    health: Health
    failing_streak: int | None
    exit_code: int | None
    oom_killed: bool | None
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    restart_count: int
    restart_policy: str
    start_period_seconds: float
    stop_timeout_seconds: float
    labels: Mapping[str, str]
    host_now: datetime | None = None

    @property
    def running(self) -> bool:
        """Whether its process runs and is not paused."""
        return self.status is ContainerStatus.RUNNING

    @property
    def uptime_seconds(self) -> float | None:
        """Seconds since its last start by the Docker host's clock; ``None`` if either time is unknown."""
        if self.started_at is None or self.host_now is None:
            return None
        return max(0.0, (self.host_now - self.started_at).total_seconds())  # a clock may be set back


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """One line of untrusted text with the id by which it is cited.

    ``at`` is when it was written, by the Docker host's clock; ``None`` where the source does not say.
    """

    id: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """One event of the Docker Engine about the target. ``exit_code`` and ``signal`` only where it has them."""

    id: str
    at: datetime
    action: str
    exit_code: int | None = None
    signal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRepair:
    """One earlier repair of the same target by HemoStat."""

    at: datetime
    action: str
    outcome: str
    container_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A source that gave nothing, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a decision rests on. ``replaced_at`` is when another container took over the target's name."""

    collected_at: datetime
    container: ContainerFacts | None
    health_log: tuple[TextLine, ...] = ()
    log_lines: tuple[TextLine, ...] = ()
    events: tuple[EngineEvent, ...] = ()
    past_repairs: tuple[PastRepair, ...] = ()
    replaced_at: datetime | None = None
    alert_active: bool | None = None
    gaps: tuple[Gap, ...] = ()
    version: int = field(default=1)

    def without_text(self) -> Evidence:
        """What may be kept: no line a container wrote, and of its labels only those that HemoStat reads itself.

        Log lines and foreign labels may hold secrets; until they are redacted they are judged, then forgotten.
        """
        container = self.container
        if container is not None:
            kept = {name: text for name, text in container.labels.items() if name.startswith(OWN_LABELS)}
            container = replace(container, labels=kept, error=container.error[:200])
        return replace(self, container=container, health_log=(), log_lines=())
