"""The rules of the design that HemoStat grew out of, restated exactly, so that ours have something to be compared with.

A monitor looks every 30 s and raises anomalies; an analyzer turns an alert into "restart" or "false alarm". There is no
"ask a human". Its defects are kept: an unknown exit code is not 0 and is restarted, CPU is per cent of one core.
Times and texts play no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.model.evidence import ContainerStatus, Evidence, Health, Measure, Measured
from bridge.model.verdict import Action, Verdict, VerdictKind

REMEDIATE_FROM = 0.7
"""Confidence from which "restart" is carried out; below it the alert is a false alarm."""

HISTORY = 5


class Severity(StrEnum):
    """Of an anomaly of its monitor."""

    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What its monitor knows of a container. Percentages; ``cpu`` is of one core, and may exceed 100."""

    status: ContainerStatus
    health: Health
    exit_code: int | None
    restart_count: int
    cpu: float
    memory: float
    cpu_history: tuple[float, ...]
    memory_history: tuple[float, ...]


def judge(evidence: Evidence) -> Verdict:
    """Its verdict: a repair, or ``no_action`` for what it calls a false alarm or does not notice."""
    seen = seen_by_monitor(evidence)
    found = anomalies(seen) if seen is not None else []
    if seen is None or not found:
        return Verdict(kind=VerdictKind.NO_ACTION, rule="no_anomaly", reason="Its monitor raises nothing.")
    rule, restart, confidence = analyzed(seen, found)
    told = f"Its rule {rule} says {'restart' if restart else 'false alarm'} at {confidence:.2f}."
    if restart and confidence >= REMEDIATE_FROM:
        return Verdict(kind=VerdictKind.REPAIR, rule=f"rule_{rule}", reason=told, action=Action.RESTART)
    return Verdict(kind=VerdictKind.NO_ACTION, rule=f"rule_{rule}", reason=told)


def seen_by_monitor(evidence: Evidence) -> Seen | None:
    """``None``: it lists only running and exited containers, so it does not see this one.

    A running container's exit code is 0 where it is not known, as Docker says it.
    """
    facts = evidence.container
    if facts is None or facts.status not in {ContainerStatus.RUNNING, ContainerStatus.EXITED}:
        return None
    cores = facts.cpu_limit_cores or 1.0
    cpu, memory = evidence.measure(Measured.CPU_SHARE), evidence.measure(Measured.MEMORY_SHARE)
    return Seen(
        status=facts.status,
        health=facts.health,
        exit_code=0 if facts.running and facts.exit_code is None else facts.exit_code,
        restart_count=facts.restart_count,
        cpu=_percent(cpu) * cores,
        memory=_percent(memory),
        cpu_history=tuple(point * cores for point in _history(cpu)),
        memory_history=_history(memory),
    )


def _percent(measure: Measure | None) -> float:
    """It knows no "unknown": what it cannot read is 0."""
    return 0.0 if measure is None else measure.last * 100


def _history(measure: Measure | None) -> tuple[float, ...]:
    return () if measure is None else tuple(point * 100 for point in measure.points[:-1][-HISTORY:])


def anomalies(seen: Seen) -> list[Severity]:
    """What its monitor raises."""
    found = []
    for value, critical, high, medium in ((seen.cpu, 95, 85, 68), (seen.memory, 95, 80, 64)):
        if value > critical:
            found.append(Severity.CRITICAL)
        elif value > high:
            found.append(Severity.HIGH)
        elif value > medium:
            found.append(Severity.MEDIUM)
    if seen.health not in {
        Health.HEALTHY,
        Health.NONE,
    }:  # "unknown" is its word for none; "starting" is an anomaly
        found.append(Severity.HIGH)
    if seen.exit_code != 0 and seen.status is ContainerStatus.EXITED:
        found.append(Severity.HIGH)
    if seen.restart_count > 5:
        found.append(Severity.MEDIUM)
    return found


def analyzed(seen: Seen, found: Sequence[Severity]) -> tuple[int, bool, float]:
    """The number of the first of its rules that matches, whether that says restart, and with which confidence."""
    if seen.exit_code != 0:
        return 1, True, 0.90
    if seen.restart_count > 5:
        return 2, False, 0.60
    if Severity.CRITICAL in found:
        return 3, True, 0.85
    if seen.health is Health.UNHEALTHY:
        return 4, True, 0.70
    if seen.cpu > 90 and trend(seen.cpu_history) in {"increasing", "stable"}:
        return 5, True, 0.75
    if trend(seen.memory_history) == "increasing" and seen.memory > 70:
        return 6, True, 0.80
    if list(found) == [Severity.MEDIUM] and not (seen.cpu_history or seen.memory_history):
        return 7, False, 0.65
    return 8, False, 0.50


def trend(history: Sequence[float]) -> str:
    """The mean step of its last five values: above 5 increasing, below -5 decreasing; unknown for fewer than two."""
    if len(history) < 2:
        return "unknown"
    step = (history[-1] - history[0]) / (len(history) - 1)
    return "increasing" if step > 5 else "decreasing" if step < -5 else "stable"
