"""The metrics of containers: one line of a table per family, each a pure function of one container.

What changes between two events (`container_last_seen`) and the exporter's own metrics are in `page`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporters.docker.container import HEALTH_STATUSES, STATES, Container
from exporters.docker.exposition import encoded, header, pairs, sanitised, seconds

Sample = tuple[dict[str, str], str]
"""Labels on top of the container's own, and the value as written."""

COMPOSE_LABELS = {
    "compose_project": "com.docker.compose.project",
    "compose_service": "com.docker.compose.service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """Which labels every container series carries besides id, name, image and those of Compose."""

    host_name: str | None = None
    """Value of `docker_host`; `None`: no such label."""
    container_labels: tuple[str, ...] = ()
    """Container labels shown as `container_label_*`, by their own names. A container without one: empty."""

    def identity(self, container: Container) -> dict[str, str]:
        own = container.labels
        labels = {"id": container.short_id, "name": container.name, "image": container.image}
        labels |= {shown: own.get(label, "") for shown, label in COMPOSE_LABELS.items()}
        labels |= {label_name(label): own.get(label, "") for label in self.container_labels}
        if self.host_name is not None:
            labels["docker_host"] = self.host_name
        return labels


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    kind: str
    help: str
    samples: Callable[[Container], Iterable[Sample]]

    def lines(self, containers: Iterable[tuple[str, Container]]) -> bytes:
        """The whole family; each container comes with its identity labels as text."""
        return encoded(
            header(self.name, self.kind, self.help)
            + "".join(
                f"{self.name}{{{identity}{',' if labels else ''}{pairs(labels)}}} {value}\n"
                for identity, container in containers
                for labels, value in self.samples(container)
            )
        )


def label_name(container_label: str) -> str:
    """The label name under which a container's label is shown, as cAdvisor has it."""
    return f"container_label_{sanitised(container_label)}"


def _one(value: Callable[[Container], int]) -> Callable[[Container], Iterable[Sample]]:
    return lambda container: [({}, str(int(value(container))))]


def _moment(value: Callable[[Container], float | None]) -> Callable[[Container], Iterable[Sample]]:
    """No sample for what has not happened: a 0 would read as 1970."""
    return lambda container: [({}, seconds(at))] if (at := value(container)) is not None else []


def _choice(
    label: str, choices: tuple[str, ...], value: Callable[[Container], str]
) -> Callable[[Container], Iterable[Sample]]:
    return lambda container: [({label: choice}, str(int(value(container) == choice))) for choice in choices]


CONTAINER_FAMILIES = (
    Family(
        "docker_container_info",
        "gauge",
        "What the container is; always 1.",
        lambda container: [({"image_id": container.image_id}, "1")],
    ),
    Family(
        "docker_container_state",
        "gauge",
        "1 for the state the container is in, 0 for the others.",
        _choice("state", STATES, lambda c: c.state),
    ),
    Family(
        "docker_container_health_status",
        "gauge",
        "1 for the health check's verdict, 0 for the others; none: it has no health check.",
        _choice("status", HEALTH_STATUSES, lambda c: c.health),
    ),
    Family(
        "docker_container_health_failing_streak",
        "gauge",
        "Health checks failed in a row, as of the container's last event or the last resync.",
        _one(lambda c: c.failing_streak),
    ),
    Family(
        "docker_container_created_time_seconds",
        "gauge",
        "When the container was created, as a Unix time.",
        _moment(lambda c: c.created_at),
    ),
    Family(
        "docker_container_start_time_seconds",
        "gauge",
        "When the container was last started, as a Unix time; absent if never.",
        _moment(lambda c: c.started_at),
    ),
    Family(
        "docker_container_finish_time_seconds",
        "gauge",
        "When the container last ended, as a Unix time; absent if never. It stays after the next start.",
        _moment(lambda c: c.finished_at),
    ),
    Family(
        "docker_container_exit_code",
        "gauge",
        "Exit code of the last run; 0 while it runs.",
        _one(lambda c: c.exit_code),
    ),
    Family(
        "docker_container_oom_killed",
        "gauge",
        "1 if the Engine says that the last run met the kernel's out-of-memory killer. "
        "Some Engines keep the 1 while the container runs again.",
        _one(lambda c: c.oom_killed),
    ),
    Family(
        "docker_container_oom_events_total",
        "counter",
        "Out-of-memory events of the container seen since the exporter started.",
        _one(lambda c: c.tally.oom_events),
    ),
    Family(
        "docker_container_restarts_total",
        "counter",
        "Restarts by the container's restart policy. Goes on where Docker's own count is set back to 0 "
        "(by docker restart or docker start).",
        _one(lambda c: c.tally.restarts),
    ),
    Family(
        "container_start_time_seconds",
        "gauge",
        "When the container was last started, as a Unix time (cAdvisor's name).",
        _moment(lambda c: c.started_at),
    ),
)
