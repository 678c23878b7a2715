"""One incident as the rules see it: the evidence, what is asked of it, and how the container's last run ended.

Pure: a container's age is told by its own host's clock, ours only where that is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from fnmatch import fnmatchcase

from bridge.model.evidence import (
    ContainerFacts,
    ContainerStatus,
    EngineEvent,
    Evidence,
    Health,
    Measured,
    TextLine,
)
from bridge.model.policy import Limits, TargetClass, TargetPolicy, image_spellings
from bridge.triage import phrases

OUTSIDE_ALERTS = (
    *("host*", "nodefilesystem*", "nodedisk*", "nodememory*", "nodecpu*", "nodesystem*", "nodenetwork*"),
    *(
        "*disk*full*",
        "*disk*space*",
        "*outofdisk*",
        "*filesystem*",
        "*volume*full*",
        "*certificate*expir*",
        "*certexpir*",
    ),
    *(
        "dns*",
        "network*",
        "database*down",
        "postgres*down",
        "mysql*down",
        "mariadb*down",
        "mongo*down",
        "redis*down",
    ),
    *("kafka*down", "rabbitmq*down", "elasticsearch*down"),
)
"""Patterns of the names of alerts whose cause no restart of a container reaches."""

STATEFUL_IMAGES = (
    *("cassandra", "clickhouse", "clickhouse-server", "cockroach", "consul", "couchbase", "couchdb", "etcd"),
    *(
        "elasticsearch",
        "influxdb",
        "kafka",
        "mariadb",
        "memgraph",
        "minio",
        "mongo",
        "mongodb",
        "mssql-server",
    ),
    *("mysql", "mysql-server", "neo4j", "opensearch", "percona", "percona-server", "postgis", "postgres"),
    *("postgresql", "rabbitmq", "scylla", "timescaledb", "vault", "zookeeper"),
)
"""Images that keep state whatever their labels forget to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The numbers and lists the rules compare with. Alert names are compared without case.

    ``crash_loop_restarts``: more restarts by policy than this, on a short run, are a loop; so are
    ``crash_loop_starts`` starts within ``crash_loop_seconds`` that were not our repairs.
    ``crash_exit_codes``: exit codes of a process that crashed and may run again: 1 and 2 (uncaught error, Go
    panic) and the signals ILL, TRAP, ABRT, BUS, FPE, SEGV. ``deploy_seconds``: for how long after a container was
    replaced or created somebody is probably still at it. ``settle_seconds``: a run by restart policy younger than
    this may still fall over. ``text_seconds``: older text than this before the end of a run does not count.

    Shares are of the container's own limit. ``memory_share``: from here on a rising memory is a leak about to end;
    ``memory_rise_per_minute``: less than this is no rise. ``cpu_share``: from here on it uses all it was given.
    ``load_share``: below this a figure is nothing to alert about. ``errors_share``: of failed requests.
    ``host_pressure`` and ``host_disk_share``: of the Docker host. ``traffic_factor``: so many times the usual
    requests are a surge, if they are ``traffic_least`` a second or more. ``sick_neighbours``: so many sick siblings
    have one cause, or two that are with it more than ``project_share`` (of ``limits``) of their project.
    ``flapping_fires``: an alert that began so often within an hour comes and goes.
    ``helpless_cooldowns``: for so many cooldowns two repairs in a row that did not help count against a third.
    ``load_alerts``: patterns of the names of alerts that are about a figure of ours. ``outside_alerts``: of alerts
    that name a cause outside the container. ``stateful_images``: images that keep state.
    """

    crash_loop_restarts: int = 5
    crash_loop_starts: int = 3
    crash_loop_seconds: float = 600.0
    crash_exit_codes: tuple[int, ...] = (1, 2, 132, 133, 134, 135, 136, 139)
    deploy_seconds: float = 600.0
    settle_seconds: float = 60.0
    text_seconds: float = 1800.0
    always_firing: tuple[str, ...] = ("Watchdog", "DeadMansSwitch", "DeadManSwitch", "InfoInhibitor")
    over_when_running: tuple[str, ...] = (
        "ContainerDown",
        "ContainerExited",
        "ContainerStopped",
        "ContainerKilled",
        "ContainerCrashed",
        "ContainerOOMKilled",
        "ContainerAbsent",
        "ContainerMissing",
    )
    phrases: tuple[phrases.PhraseClass, ...] = phrases.CLASSES
    memory_share: float = 0.90
    memory_rise_per_minute: float = 0.001
    cpu_share: float = 0.90
    load_share: float = 0.80
    errors_share: float = 0.10
    host_pressure: tuple[tuple[Measured, float], ...] = (
        (Measured.HOST_CPU_PRESSURE, 0.5),
        (Measured.HOST_MEMORY_PRESSURE, 0.2),
        (Measured.HOST_IO_PRESSURE, 0.4),
    )
    host_disk_share: float = 0.95
    traffic_factor: float = 2.0
    traffic_least: float = 1.0
    sick_neighbours: int = 3
    project_share: float = Limits().project_share
    flapping_fires: int = 4
    helpless_cooldowns: float = 6.0
    load_alerts: tuple[tuple[Measured, str], ...] = (
        (Measured.CPU_SHARE, "*cpu*"),
        (Measured.MEMORY_SHARE, "*memory*"),
        (Measured.ERRORS_SHARE, "*error*rate*"),
        (Measured.ERRORS_SHARE, "*5xx*"),
    )
    outside_alerts: tuple[str, ...] = OUTSIDE_ALERTS
    stateful_images: tuple[str, ...] = STATEFUL_IMAGES


DEFAULTS = Thresholds()

SKEW_SECONDS = 30.0
"""How far apart two records of the same moment may lie (event and inspect, our clock and the Docker host's)."""

LONG_STOP_SECONDS = 120.0
"""Whoever stops a container may give it longer than its own stop timeout (``docker stop -t``), which nobody tells."""

DEADLY_SIGNALS = frozenset({None, 2, 3, 9, 15})
"""Signals of a ``kill`` event that mean "end": INT, QUIT, KILL, TERM, or one the Engine did not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All a rule may look at. ``suspect``: so many are sick at once that a guard will refuse every repair anyway."""

    evidence: Evidence
    policy: TargetPolicy
    alert_names: tuple[str, ...]
    thresholds: Thresholds
    now: datetime
    suspect: bool = False

    @property
    def container(self) -> ContainerFacts:
        """The container. Only rules after ``evidence_missing`` may ask.

        Raises:
            LookupError: there is none.
        """
        if self.evidence.container is None:
            raise LookupError("a rule before evidence_missing asked for the container")
        return self.evidence.container

    @property
    def host_now(self) -> datetime:
        """The Docker host's clock, ours where it is unknown."""
        return self.container.host_now or self.now

    @property
    def exited(self) -> bool:
        """Whether its process has ended and Docker leaves it so."""
        return self.container.status is ContainerStatus.EXITED

    @property
    def sick(self) -> bool:
        """Whether a repair is conceivable at all: it stands still after a failure, or its health check fails."""
        return self.exited or self.unhealthy

    @property
    def unhealthy(self) -> bool:
        """Whether it runs and its health check fails."""
        return self.container.running and self.container.health is Health.UNHEALTHY

    @property
    def healthy(self) -> bool:
        """Whether it runs and its health check passes."""
        return self.container.running and self.container.health is Health.HEALTHY

    @property
    def unchecked(self) -> bool:
        """Whether it runs and has no health check."""
        return self.container.running and self.container.health is Health.NONE

    @property
    def keeps_state(self) -> bool:
        """Whether it is of class stateful, or of an image that keeps state while no label of it says otherwise."""
        if self.policy.target_class is not TargetClass.STATELESS:
            return self.policy.target_class is TargetClass.STATEFUL
        return not self.container.labels.get("hemostat.class", "").strip() and self.image_keeps_state

    @property
    def image_keeps_state(self) -> bool:
        """Whether its image is one that keeps state."""
        spelt = {spelling.lower() for spelling in image_spellings(self.container.image)}
        patterns = self.thresholds.stateful_images
        return any(fnmatchcase(name, pattern.lower()) for name in spelt for pattern in patterns)

    def alerts_named(self, names: Sequence[str]) -> bool:
        """Whether there are alerts and each bears one of these names, case ignored."""
        known = {name.lower() for name in names}
        return bool(self.alert_names) and all(name.lower() in known for name in self.alert_names)

    def gap(self, source: str) -> bool:
        """Whether this source was asked and gave nothing."""
        return any(gap.source == source for gap in self.evidence.gaps)

    @property
    def last_run_seconds(self) -> float | None:
        """How long its present run lasts, or its last one lasted; ``None`` if unknown."""
        facts = self.container
        if facts.running:
            return facts.uptime_seconds
        if facts.started_at is None or facts.finished_at is None:
            return None
        return (facts.finished_at - facts.started_at).total_seconds()

    @property
    def restart_policy(self) -> str:
        """Docker's restart policy by name, without a retry count."""
        return self.container.restart_policy.partition(":")[0].strip().lower()


class Ending(Enum):
    """How the last run ended, as the Engine's events tell it."""

    BY_API = "by_api"
    BY_ITSELF = "by_itself"
    UNTOLD = "untold"


def ending(case: Case) -> tuple[Ending, tuple[str, ...]]:
    """Whether the ``die`` that ended the last run was asked for through the API, and the events that show it."""
    run, after = _events_around_last_die(case)
    if not run:
        return Ending.UNTOLD, ()
    die = run[-1]
    patience = case.container.stop_timeout_seconds + SKEW_SECONDS / 3
    asked = [
        event
        for event in run[:-1]
        if _ends_a_run(event, die)
        and (case.container.stop_timeout_seconds < 0 or (die.at - event.at).total_seconds() <= patience)
    ]
    # An API stop is announced by `kill` before the `die` and confirmed by `stop` after it; either is enough.
    asked += [event for event in after if event.action == "stop"]
    if asked:
        return Ending.BY_API, tuple(event.id for event in asked)
    return Ending.BY_ITSELF, (die.id,)


def end_asked_for(case: Case) -> EngineEvent | None:
    """The ``kill`` that asks what still runs to end, while Docker gives it the time to do so."""
    events = sorted(case.evidence.events, key=lambda event: event.at)
    last = next((event for event in reversed(events) if event.action in {"kill", "die", "start"}), None)
    if last is None or last.action != "kill" or last.signal not in DEADLY_SIGNALS:
        return None
    patience = max(case.container.stop_timeout_seconds, LONG_STOP_SECONDS) + SKEW_SECONDS / 3
    waits_for_ever = case.container.stop_timeout_seconds < 0
    return last if waits_for_ever or (case.host_now - last.at).total_seconds() <= patience else None


def _ends_a_run(event: EngineEvent, die: EngineEvent) -> bool:
    if event.action == "stop":
        return True
    if event.action != "kill":
        return False
    return event.signal in DEADLY_SIGNALS or (
        event.signal is not None and die.exit_code == 128 + event.signal
    )


def _events_around_last_die(case: Case) -> tuple[list[EngineEvent], list[EngineEvent]]:
    """The events of the last run up to its ``die``, and those after it; both empty if they are of another run."""
    events = sorted(case.evidence.events, key=lambda event: event.at)
    last = next((i for i in reversed(range(len(events))) if events[i].action == "die"), None)
    if last is None:
        return [], []
    after = events[last + 1 :]
    finished = case.container.finished_at
    stale = finished is not None and abs((events[last].at - finished).total_seconds()) > SKEW_SECONDS
    if stale or any(event.action == "start" for event in after):
        return [], []
    first = next((i + 1 for i in reversed(range(last)) if events[i].action == "start"), 0)
    return events[first : last + 1], after


def unexplained_starts(case: Case) -> list[EngineEvent]:
    """The recent ``start`` events if they are too many, each of our own repairs explaining one of them."""
    since = case.host_now - timedelta(seconds=case.thresholds.crash_loop_seconds)
    starts = [event for event in case.evidence.events if event.action == "start" and event.at >= since]
    tolerance = max(case.container.stop_timeout_seconds, 0.0) + 2 * SKEW_SECONDS
    for repair in case.evidence.past_repairs:
        if repair.container_id != case.container.id or not starts:
            continue
        nearest = min(starts, key=lambda event: abs((event.at - repair.at).total_seconds()))
        if abs((nearest.at - repair.at).total_seconds()) <= tolerance:
            starts.remove(nearest)
    return starts if len(starts) >= case.thresholds.crash_loop_starts else []


def of_last_run(case: Case, lines: Sequence[TextLine]) -> list[TextLine]:
    """Lines known to be of an earlier run, or too old to matter now, are left out; undated lines stay."""
    facts = case.container
    end = facts.finished_at if case.exited and facts.finished_at else facts.host_now
    # Docker notes the start when the process already runs, so its first words may be a little older.
    began = facts.started_at and facts.started_at - timedelta(seconds=1)
    cuts = [began, end and end - timedelta(seconds=case.thresholds.text_seconds)]
    since = max((cut for cut in cuts if cut is not None), default=None)
    return [line for line in lines if line.at is None or since is None or line.at >= since]
