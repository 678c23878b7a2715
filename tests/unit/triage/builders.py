"""A container and its evidence, well unless a test says otherwise; and the rules asked about them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.model.evidence import (
    Change,
    Changed,
    ContainerFacts,
    ContainerStatus,
    EngineEvent,
    Evidence,
    Health,
    Measure,
    Measured,
    Neighbour,
    PastRepair,
    RelatedAlert,
    TextLine,
)
from bridge.model.policy import TargetClass, TargetPolicy
from bridge.model.verdict import Action, Verdict
from bridge.triage import rules

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
HOST_NOW = NOW + timedelta(seconds=7)
"""The Docker host's clock is not ours."""
ENDED = HOST_NOW - timedelta(seconds=60)
ID = "4f1c0ffee0" * 6 + "abcd"

BOTH = TargetPolicy(actions=(Action.START, Action.RESTART))
STATEFUL = replace(BOTH, target_class=TargetClass.STATEFUL)
BATCH = replace(BOTH, target_class=TargetClass.BATCH)


def running(*, up: float | None = 86400.0, health: Health = Health.HEALTHY, **changes: Any) -> ContainerFacts:
    """A container that runs since ``up`` seconds."""
    facts = ContainerFacts(
        host="local",
        id=ID,
        name="web",
        image="shop/web:1.2",
        image_id="sha256:1",
        status=ContainerStatus.RUNNING,
        health=health,
        failing_streak=0,
        exit_code=0,
        oom_killed=False,
        error="",
        created_at=HOST_NOW - timedelta(days=3),
        started_at=None if up is None else HOST_NOW - timedelta(seconds=up),
        finished_at=None,
        restart_count=0,
        restart_policy="no",
        start_period_seconds=0.0,
        stop_timeout_seconds=10.0,
        labels={"hemostat.enable": "true"},
        host_now=HOST_NOW,
    )
    return replace(facts, **changes)


def unhealthy(**changes: Any) -> ContainerFacts:
    """A container that runs and fails its health check."""
    return running(**{"health": Health.UNHEALTHY, "failing_streak": 4, **changes})


def exited(code: int | None, *, ran: float = 86400.0, **changes: Any) -> ContainerFacts:
    """A container that ended a minute ago after ``ran`` seconds."""
    stopped: dict[str, Any] = {
        "status": ContainerStatus.EXITED,
        "health": Health.NONE,
        "exit_code": code,
        "started_at": ENDED - timedelta(seconds=ran),
        "finished_at": ENDED,
    }
    return running(**{**stopped, **changes})


def in_status(status: ContainerStatus, **changes: Any) -> ContainerFacts:
    """A container in some other status."""
    return running(**{"status": status, "health": Health.NONE, **changes})


def told(*happened: tuple[float, str] | tuple[float, str, int]) -> tuple[EngineEvent, ...]:
    """Events as (seconds relative to the container's end, action, signal of a kill or exit code of a die)."""
    return tuple(
        EngineEvent(
            id=f"E{number}",
            at=ENDED + timedelta(seconds=event[0]),
            action=event[1],
            signal=event[2] if len(event) > 2 and event[1] == "kill" else None,
            exit_code=event[2] if len(event) > 2 and event[1] == "die" else None,
        )
        for number, event in enumerate(happened, start=1)
    )


def repaired(seconds_ago: float, container_id: str = ID, outcome: str = "healed") -> PastRepair:
    """One of our own repairs."""
    at = NOW - timedelta(seconds=seconds_ago)
    return PastRepair(at=at, action="restart", outcome=outcome, container_id=container_id)


def measured(**figures: float | tuple[float, ...] | dict[str, Any]) -> tuple[Measure, ...]:
    """Figures by name: a value, evenly spaced means, or fields of the measure."""
    return tuple(
        _measure(f"M{number}", Measured(name), figure)
        for number, (name, figure) in enumerate(figures.items(), 1)
    )


def _measure(id: str, name: Measured, figure: float | tuple[float, ...] | dict[str, Any]) -> Measure:
    if isinstance(figure, dict):
        last = figure["last"]
        return Measure(**{"id": id, "name": name, "mean": last, "max": last, **figure})
    points = figure if isinstance(figure, tuple) else ()
    last = points[-1] if points else float(figure)  # type: ignore[arg-type]
    rise = (points[-1] - points[0]) / 27 if len(points) == 10 else None
    mean = sum(points) / len(points) if points else last
    return Measure(
        id=id, name=name, last=last, mean=mean, max=max((*points, last)), slope_per_minute=rise, points=points
    )


def neighbour(
    name: str, status: ContainerStatus | None = ContainerStatus.RUNNING, **changes: Any
) -> Neighbour:
    """Another container, well unless said otherwise; its id is made of its name."""
    known = Neighbour(id=f"B-{name}", name=name, status=status, health=Health.HEALTHY)
    if status is not ContainerStatus.RUNNING:
        known = replace(known, health=Health.NONE)
    return replace(known, **changes)


def changed(kind: Changed, seconds_ago: float) -> tuple[Change, ...]:
    """One change."""
    return (Change(id="C1", kind=kind, at=NOW - timedelta(seconds=seconds_ago)),)


def related(name: str, **changes: Any) -> tuple[RelatedAlert, ...]:
    """Another alert."""
    return (replace(RelatedAlert(id="R1", name=name, since=NOW - timedelta(seconds=300)), **changes),)


def lines(*texts: str, prefix: str = "L", at: datetime | None = None) -> tuple[TextLine, ...]:
    """Untrusted lines with ids."""
    return tuple(
        TextLine(id=f"{prefix}{number}", text=text, at=at) for number, text in enumerate(texts, start=1)
    )


def evidence(facts: ContainerFacts | None, **changes: Any) -> Evidence:
    """What was collected about it."""
    return replace(Evidence(collected_at=NOW, container=facts), **changes)


def judged(
    facts: ContainerFacts | None,
    *,
    policy: TargetPolicy = BOTH,
    alerts: Sequence[str] = ("SomethingWrong",),
    thresholds: rules.Thresholds = rules.DEFAULTS,
    suspect: bool = False,
    **seen: Any,
) -> Verdict:
    """The rules' verdict on it."""
    return rules.judge(
        evidence(facts, **seen),
        policy=policy,
        alert_names=alerts,
        thresholds=thresholds,
        now=NOW,
        suspect=suspect,
    )
