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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What happened to one container since the exporter first saw it. Never goes down.

    Docker's own `RestartCount` cannot be a counter: `docker restart` and `docker start` set it back to 0.
    """

    restarts: int = 0
    oom_events: int = 0
    engine_count: int = 0
    """`RestartCount` at the last look; what the next look is compared with."""

    def counted(self, engine_count: int) -> Tally:
        """The tally after the Engine said `RestartCount` is `engine_count`.

        A smaller number than before means it was set back, and everything since then is new.
        """
        since = engine_count - self.engine_count
        new = since if since >= 0 else engine_count
        return replace(self, restarts=self.restarts + new, engine_count=engine_count)

    def oom_seen(self, times: int) -> Tally:
        return replace(self, oom_events=self.oom_events + times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Times are seconds since the epoch; `None`: has not happened yet."""

    id: str
    """All 64 digits; `short_id` is what labels show."""
    name: str
    image: str
    image_id: str
    state: str
    health: str = "none"
    failing_streak: int = 0
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int = 0
    oom_killed: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def alive(self) -> bool:
        """Its processes exist now (a paused container's do)."""
        return self.state in ALIVE


def from_inspect(details: Mapping[str, Any], tally: Tally) -> Container:
    """The container an inspect answer describes; `tally` is what was counted for it before this look.

    Raises:
        EngineNonsense: the answer lacks what every container has.

    Source: Docker Engine API, `GET /containers/{id}/json`.
    """
    try:
        state = details["State"]
        config = details["Config"]
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
            tally=tally.counted(int(details["RestartCount"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineNonsense(f"inspect: cannot read the answer: {error!r}") from error


def moment(text: str) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; `None` for Docker's "never", which is the year 1."""
    seconds = datetime.fromisoformat(text).timestamp() if text else 0.0
    return seconds if seconds > 0 else None
