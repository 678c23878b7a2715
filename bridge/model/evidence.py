"""What was found out about a target, as facts and as untrusted text.

``None`` always means "unknown", never zero. What could not be collected is listed as a gap, so that rules and
people see that it is missing. Item ids (``S1``, ``L4``, ``H1``) exist to be cited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

KEPT_LABELS = (
    "hemostat.",
    "autoheal",
    "com.docker.compose.",
    "com.docker.swarm.",
    "org.opencontainers.image.",
)
"""Prefixes of the container labels that are kept. Any other may be somebody's configuration, passwords included."""


EVENT_LABELS = ("exitCode", "signal")
"""Labels that Docker writes over what an event says by itself: of a container that has one, that is not known."""


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
    counts restarts by restart policy since the last start through the API (which sets it to 0). A limit that is
    ``None`` is unknown or not set; the host's own cores and memory are then what it may use.
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
    cpu_limit_cores: float | None = None
    memory_limit_bytes: int | None = None
    host_cpu_cores: int | None = None
    host_memory_bytes: int | None = None

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

    ``at`` is when it was written, by the Docker host's clock; ``None`` where the source does not say. ``count``:
    how many lines of the same shape it stands for.
    """

    id: str
    text: str
    at: datetime | None = None
    count: int = 1


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


class Measured(StrEnum):
    """What a measure is of, as a closed list. A share is 0 to 1 of the container's own limit or of the host.

    CPU may exceed a limit for a moment. Restarts: starts in the ten minutes before. Pressure: the share of time in
    which something waited for the resource (PSI, "some").
    """

    CPU_SHARE = "cpu_share"
    MEMORY_SHARE = "memory_share"
    THROTTLED_SHARE = "throttled_share"
    RESTARTS = "restarts"
    REQUESTS = "requests_per_second"
    ERRORS_SHARE = "errors_share"
    HOST_CPU_PRESSURE = "host_cpu_pressure"
    HOST_MEMORY_PRESSURE = "host_memory_pressure"
    HOST_IO_PRESSURE = "host_io_pressure"
    HOST_DISK_SHARE = "host_disk_share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A figure of the last 30 minutes, from Prometheus. ``points``: at most ten means, oldest first.

    ``id`` is ``M1`` and on. ``slope_per_minute`` is in the figure's own unit; ``None``: too few points to say.
    """

    id: str
    name: Measured
    last: float
    mean: float
    max: float
    slope_per_minute: float | None = None
    points: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another container of the same Compose project, or one that the target says it depends on (``B1`` and on).

    ``dependency``: the target named it itself, by ``hemostat.depends_on`` or Compose's ``depends_on``. Where no
    container bears the name, ``status`` is ``None``. ``exit_code``: of one that has ended.
    """

    id: str
    name: str
    status: ContainerStatus | None
    health: Health = Health.NONE
    started_at: datetime | None = None
    dependency: bool = False
    exit_code: int | None = None

    @property
    def sick(self) -> bool | None:
        """Whether it is known to be down or unhealthy; ``None``: unknown.

        One that ended with 0 may be a job that is done or a database that was told to stop: nobody knows.
        """
        if self.status is None or (self.status is ContainerStatus.EXITED and self.exit_code == 0):
            return None
        return self.status is not ContainerStatus.RUNNING or self.health is Health.UNHEALTHY


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedAlert:
    """Another alert that Alertmanager holds for the same target, project or host (``R1`` and on).

    ``name`` is untrusted text. ``suppressed``: silenced or inhibited. ``same_target``: it names our container.
    """

    id: str
    name: str
    since: datetime
    severity: str = ""
    suppressed: bool = False
    same_target: bool = False


class Changed(StrEnum):
    """What a change was of."""

    IMAGE = "image"
    CONFIG = "config"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something about the target became another (``C1`` and on).

    ``at``: when the container was made that brought it, or when that was noticed, whichever was earlier.
    """

    id: str
    kind: Changed
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A source that gave nothing, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a decision rests on; serialised, it is what an evaluation's scenario holds.

    Every text in it that somebody else wrote is cleaned and without secrets since it was collected.

    ``replaced_at`` is when another container took over the target's name. ``alert_silenced``: an operator silenced
    this very alert. ``fires_last_hour``: how often it began to fire. ``runbook``: the operator's own note on the
    target (trusted). ``log_dropped``: lines not shown. ``redactions``: secrets removed, by kind.
    """

    collected_at: datetime
    container: ContainerFacts | None
    health_log: tuple[TextLine, ...] = ()
    log_lines: tuple[TextLine, ...] = ()
    events: tuple[EngineEvent, ...] = ()
    past_repairs: tuple[PastRepair, ...] = ()
    replaced_at: datetime | None = None
    alert_active: bool | None = None
    alert_silenced: bool | None = None
    fires_last_hour: int | None = None
    measures: tuple[Measure, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    related_alerts: tuple[RelatedAlert, ...] = ()
    changes: tuple[Change, ...] = ()
    runbook: str = ""
    log_dropped: int = 0
    redactions: Mapping[str, int] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    version: int = field(default=1)

    def measure(self, name: Measured) -> Measure | None:
        """The figure of this name; ``None``: unknown, never zero."""
        return next((measure for measure in self.measures if measure.name is name), None)

    def line(self, cite: str) -> TextLine | None:
        """The line with this id; ``None`` if the id is of something else."""
        return next((line for line in (*self.log_lines, *self.health_log) if line.id == cite), None)
