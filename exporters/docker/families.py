"""What the Engine knows of a container: one line of a table per family, each a pure function of one container.

What the kernel knows is in `figures`; what changes between two events (`container_last_seen`) in `page`, the
exporter's own metrics in `own`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporters.docker.container import HEALTH_STATUSES, STATES, Container
from exporters.docker.exposition import encoded, header, pairs, sanitised, seconds
from exporters.docker.figures import Layout, Row, Slot, layout

Sample = tuple[dict[str, str], str]
"""Labels on top of the container's own, and the value as written."""

COMPOSE_LABELS = {
    "compose_project": "com.docker.compose.project",
    "compose_service": "com.docker.compose.service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """Which labels every container series carries besides id, name, image and those of Compose.

    Families under cAdvisor's names (`container_*`) have its labels: `id` begins with `/docker/`, Compose's labels are
    `container_label_com_docker_compose_*`. Only the id's digits are 12 here, as in `docker ps`: all 64, different on
    each of some thousand lines, are what takes longest to compress.
    """

    host_name: str | None = None
    """Value of `docker_host`; `None`: no such label."""
    container_labels: tuple[str, ...] = ()
    """Container labels shown as `container_label_*`, by their own names. A container without one: empty."""

    def identity(self, container: Container) -> dict[str, str]:
        """Labels of the families `docker_container_*`."""
        own = container.labels
        labels = {"id": container.short_id, "name": container.name, "image": container.image}
        labels |= {shown: own.get(label, "") for shown, label in COMPOSE_LABELS.items()}
        labels |= {label_name(label): own.get(label, "") for label in self.container_labels}
        return labels | self._host()

    def cadvisor_identity(self, container: Container) -> dict[str, str]:
        """Labels of the families `container_*`. An empty label is to Prometheus as none, so it is not written."""
        labels = {"id": f"/docker/{container.short_id}", "name": container.name, "image": container.image}
        shown = {
            label: container.labels.get(label) for label in (*COMPOSE_LABELS.values(), *self.container_labels)
        }
        labels |= {label_name(label): value for label, value in shown.items() if value}
        return labels | self._host()

    def _host(self) -> dict[str, str]:
        return {} if self.host_name is None else {"docker_host": self.host_name}


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    kind: str
    help: str
    samples: Callable[[Container], Iterable[Sample]]


INFO = "docker_container_info"
INFO_HEADER = header(INFO, "gauge", "What the container is; always 1.")


def info(identity: str, container: Container) -> bytes:
    """Its line of `docker_container_info`, the one family whose own labels are different for each container."""
    image = {"image_id": container.image_id, "image_digest": container.image_digest}
    return encoded(f"{INFO}{{{identity},{pairs(image)}}} 1\n")


def facts(container: Container) -> tuple[Layout, Row]:
    """What the table below gives for one container, laid out as figures are."""
    found = [
        (Slot(family.name, pairs(labels)), value.encode())
        for family in CONTAINER_FAMILIES
        for labels, value in family.samples(container)
    ]
    return layout(tuple(slot for slot, _ in found)), tuple(value for _, value in found)


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


def _health_number(container: Container) -> int:
    """As cAdvisor has it: 1 healthy, 0 not (or not yet), -1 without a health check."""
    return {"healthy": 1, "none": -1}.get(container.health, 0)


CONTAINER_FAMILIES = (
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
    Family(
        "container_health_state",
        "gauge",
        "1 healthy, 0 unhealthy or starting, -1 no health check; while the container lives (cAdvisor's name).",
        lambda c: [({}, str(_health_number(c)))] if c.alive else [],
    ),
    Family(
        "container_spec_memory_limit_bytes",
        "gauge",
        "Memory limit; 0: none.",
        _one(lambda c: c.memory_limit),
    ),
    Family(
        "container_spec_cpu_quota",
        "gauge",
        "CPU time in microseconds that the container may use in each period; absent without a limit.",
        lambda c: [({}, str(c.cpu_quota))] if c.cpu_quota else [],
    ),
    Family(
        "container_spec_cpu_period",
        "gauge",
        "Length of the period for the CPU quota, in microseconds.",
        _one(lambda c: c.cpu_period),
    ),
)
