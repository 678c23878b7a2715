"""One container as the exporter knows it: a frozen value made from the Engine's inspect answer.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from exporters.docker.errors import EngineNonsense

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTH_STATUSES = ("none", "starting", "healthy", "unhealthy")
ALIVE = frozenset({"running", "paused"})
DEFAULT_CPU_PERIOD = 100_000
"""Microseconds; the kernel's, which Docker leaves alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What happened to one container since the exporter first saw it. Never goes down.

    Docker's own `RestartCount` cannot be a counter: `docker restart` and `docker start` set it back to 0.
    """

    restarts: int = 0
    oom_events: int = 0
    engine_count: int = 0
    """`RestartCount` at the last look; what the next look is compared with."""
    oom_before: int = 0
    """Kills in the runs before the present one, by the Engine's events or the kernel's count, whichever saw more."""
    oom_events_before: int = 0
    """What `oom_events` was when the present run began."""

    def counted(self, engine_count: int) -> Tally:
        """The tally after the Engine said `RestartCount` is `engine_count`.

        A smaller number than before means it was set back, and everything since then is new.
        """
        since = engine_count - self.engine_count
        new = since if since >= 0 else engine_count
        return replace(self, restarts=self.restarts + new, engine_count=engine_count)

    def oom_seen(self, times: int) -> Tally:
        return replace(self, oom_events=self.oom_events + times)

    def run_ended(self, kernel_kills: int) -> Tally:
        """The tally after a run in which the kernel counted so many kills. Doing it twice (with 0) is fine."""
        kills = self.oom_before + max(kernel_kills, self.oom_this_run)
        return replace(self, oom_before=kills, oom_events_before=self.oom_events)

    @property
    def oom_this_run(self) -> int:
        """Events of the present run."""
        return self.oom_events - self.oom_events_before

    @property
    def oom_total(self) -> int:
        """Kills in all runs, as far as is known without the kernel's count of the present one."""
        return self.oom_before + self.oom_this_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Times are seconds since the epoch; `None`: has not happened yet."""

    id: str
    """All 64 digits; `short_id` is what labels show."""
    name: str
    image: str
    image_id: str
    image_digest: str = ""
    """`sha256:...` under which a registry knows the image; empty: built here, or not known."""
    state: str
    health: str = "none"
    failing_streak: int = 0
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int = 0
    oom_killed: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    """Of its first process, on the Engine's machine; 0: none."""
    cgroup_parent: str = ""
    network_mode: str = ""
    memory_limit: int = 0
    """Bytes; 0: none."""
    cpu_quota: int = 0
    """Microseconds of CPU time in each period; 0: none."""
    cpu_period: int = DEFAULT_CPU_PERIOD
    """Microseconds."""
    tally: Tally = field(default_factory=Tally)

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def alive(self) -> bool:
        """Its processes exist now (a paused container's do)."""
        return self.state in ALIVE

    def ended(self, *, at: float, exit_code: int) -> Container:
        """The same after its first process ended, as far as the Engine's event tells."""
        return replace(self, state="exited", pid=0, exit_code=exit_code, finished_at=at)

    @property
    def own_network(self) -> bool:
        """It has network devices, and they are its own: not the host's, nor another container's."""
        return self.network_mode not in ("host", "none") and not self.network_mode.startswith("container:")

    @property
    def run(self) -> tuple[object, ...]:
        """The same for as long as its sources of figures stay the same: a new start or new limits change it."""
        return (self.started_at, self.pid, self.cpu_quota > 0, self.memory_limit > 0, self.network_mode)


def from_inspect(details: Mapping[str, Any], tally: Tally) -> Container:
    """The container an inspect answer describes; `tally` is what was counted for it before this look.

    Raises:
        EngineNonsense: the answer lacks what every container has.

    Source: Docker Engine API, `GET /containers/{id}/json`.
    """
    try:
        state = details["State"]
        config = details["Config"]
        host = details.get("HostConfig") or {}
        period = int(host.get("CpuPeriod") or DEFAULT_CPU_PERIOD)
        health = state.get("Health") or {}
        return Container(
            id=str(details["Id"]),
            name=str(details["Name"]).removeprefix("/"),
            image=str(config["Image"]),
            image_id=str(details["Image"]),
            state=str(state["Status"]),
            health=str(health.get("Status") or "none"),
            failing_streak=int(health.get("FailingStreak") or 0),
            created_at=moment(details["Created"]),
            started_at=moment(state["StartedAt"]),
            finished_at=moment(state["FinishedAt"]),
            exit_code=int(state["ExitCode"]),
            oom_killed=bool(state["OOMKilled"]),
            labels={str(key): str(value) for key, value in (config.get("Labels") or {}).items()},
            pid=int(state.get("Pid") or 0),
            cgroup_parent=str(host.get("CgroupParent") or ""),
            network_mode=str(host.get("NetworkMode") or ""),
            memory_limit=int(host.get("Memory") or 0),
            cpu_quota=_quota(host, period),
            cpu_period=period,
            tally=tally.counted(int(details["RestartCount"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineNonsense(f"inspect: cannot read the answer: {error!r}") from error


def _quota(host: Mapping[str, Any], period: int) -> int:
    """Docker has two ways to say it: a quota, or CPUs in billionths (`--cpus`), from which it makes one."""
    return max(0, int(host.get("CpuQuota") or 0)) or int(host.get("NanoCpus") or 0) * period // 1_000_000_000


def moment(text: str) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; `None` for Docker's "never", which is the year 1."""
    seconds = datetime.fromisoformat(text).timestamp() if text else 0.0
    return seconds if seconds > 0 else None
