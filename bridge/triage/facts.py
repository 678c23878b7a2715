"""The facts of one incident as a model is shown them: chosen one by one, small, each with the id it is cited by. Pure.

Times become spans before ``now``: a model has no clock. What is unknown is left out, and what was not collected is
listed under ``gaps``. Nothing here was written by the container, nor by whoever answered with an error; names and notes
are cleaned all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.model.alert import Alert
from bridge.model.evidence import ContainerFacts, Evidence, Measure, Neighbour
from bridge.model.policy import TargetPolicy
from bridge.triage import untrusted
from bridge.triage.untrusted import Redact
from bridge.triage.verdicts import STATE

NAME_CHARACTERS = 120
NOTE_CHARACTERS = 600
EVENTS = 15
REPAIRS = 5

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
"""What a container or a service can be called. A label that says what is depended on may say anything."""

_WORD = re.compile(r"[a-z0-9_-]{1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """``values`` is ready for JSON; ``ids`` may be cited."""

    values: Mapping[str, object]
    ids: frozenset[str]


def facts_of(
    evidence: Evidence,
    *,
    policy: TargetPolicy,
    alerts: Sequence[Alert],
    now: datetime,
    redact: Redact,
    most: Mapping[str, int],
) -> Facts:
    """``most`` bounds what may shrink: ``related``, ``neighbours`` and the ``points`` of a figure."""
    facts = evidence.container
    clock = facts.host_now if facts is not None and facts.host_now is not None else now

    def name(text: str) -> str:
        return untrusted.prepared(text, redact, limit=NAME_CHARACTERS)

    repairs = evidence.past_repairs[:REPAIRS]
    values: dict[str, object] = {
        "container": None if facts is None else _state(facts, policy, clock, name),
        "replaced_another_seconds_ago": _ago(evidence.replaced_at, now),
        "alerts": [
            {"id": f"A{number}", "firing_seconds": _ago(alert.starts_at, now), "severity": _severity(alert)}
            for number, alert in enumerate(alerts[:10], start=1)
        ],
        "alert_still_active": evidence.alert_active,
        "alert_silenced": evidence.alert_silenced,
        "fires_last_hour": evidence.fires_last_hour,
        "figures_of_30_minutes": [_measure(each, most["points"]) for each in evidence.measures],
        "events": [
            {
                "id": event.id,
                "seconds_ago": _ago(event.at, clock),
                "action": name(event.action),
                "exit_code": event.exit_code,
                "signal": event.signal,
            }
            for event in evidence.events[-EVENTS:]
        ],
        "earlier_repairs": [
            {"id": f"P{number}", "seconds_ago": _ago(each.at, now), "action": each.action, "outcome": each.outcome}
            for number, each in enumerate(repairs, start=1)
        ],
        "changes": [
            {"id": each.id, "of": each.kind.value, "seconds_ago": _ago(each.at, now)} for each in evidence.changes
        ],
        "neighbours": [_neighbour(each, name, now) for each in _sick_first(evidence.neighbours)[: most["neighbours"]]],
        "related_alerts": [
            {
                "id": each.id,
                "firing_seconds": _ago(each.since, now),
                "suppressed": each.suppressed,
                "same_container": each.same_target,
            }
            for each in evidence.related_alerts[: most["related"]]
        ],
        "operator_note": untrusted.prepared(evidence.runbook, redact, limit=NOTE_CHARACTERS),
        "log_lines_not_shown": evidence.log_dropped,
        "gaps": [{"source": gap.source} for gap in evidence.gaps],  # why is what a neighbour said: text
    }  # fmt: skip
    kept = _without_unknown(values)
    return Facts(values=kept, ids=frozenset(_ids(kept)))


def _state(facts: ContainerFacts, policy: TargetPolicy, clock: datetime, name: Redact) -> dict[str, object]:
    return {
        "id": STATE,
        "name": name(facts.name),
        "image": name(facts.image),
        "class": policy.target_class.value,
        "status": facts.status.value,
        "health": facts.health.value,
        "failing_streak": facts.failing_streak,
        "exit_code": None if facts.running else facts.exit_code,
        "oom_killed": facts.oom_killed,
        "up_seconds": None if facts.uptime_seconds is None or not facts.running else round(facts.uptime_seconds),
        "ended_seconds_ago": None if facts.running else _ago(facts.finished_at, clock),
        "created_seconds_ago": _ago(facts.created_at, clock),
        "restarts_by_policy": facts.restart_count,
        "restart_policy": name(facts.restart_policy),
        "start_period_seconds": facts.start_period_seconds,
        "cpu_limit_cores": facts.cpu_limit_cores,
        "memory_limit_bytes": facts.memory_limit_bytes,
    }  # fmt: skip


def _measure(measure: Measure, points: int) -> dict[str, object]:
    return {
        "id": measure.id,
        "of": measure.name.value,
        "last": _short(measure.last),
        "mean": _short(measure.mean),
        "max": _short(measure.max),
        "slope_per_minute": None if measure.slope_per_minute is None else _short(measure.slope_per_minute),
        "points": [_short(point) for point in measure.points[-points:]] if points else [],
    }


def _neighbour(neighbour: Neighbour, name: Redact, now: datetime) -> dict[str, object]:
    return {
        "id": neighbour.id,
        "name": name(neighbour.name) if _NAME.fullmatch(neighbour.name) else None,
        "status": neighbour.status.value if neighbour.status else "unknown",
        "health": neighbour.health.value,
        "up_seconds": _ago(neighbour.started_at, now) if neighbour.started_at else None,
        "depended_on": neighbour.dependency,
    }


def _sick_first(neighbours: Sequence[Neighbour]) -> list[Neighbour]:
    return sorted(neighbours, key=lambda each: (each.sick is not True, not each.dependency))


def _severity(alert: Alert) -> str | None:
    severity = alert.labels.get("severity", "").lower()
    return severity if _WORD.fullmatch(severity) else None


def _ago(moment: datetime | None, now: datetime) -> int | None:
    return None if moment is None else max(0, round((now - moment).total_seconds()))


def _short(number: float) -> float | None:
    """Four digits say enough; what is not a number is unknown."""
    return None if number != number or number in (float("inf"), float("-inf")) else float(f"{number:.4g}")


def _without_unknown(values: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, list):
            value = [_without_unknown(item) if isinstance(item, dict) else item for item in value]
        elif isinstance(value, dict):
            value = _without_unknown(value)
        if value not in (None, [], ""):
            kept[key] = value
    return kept


def _ids(values: Mapping[str, object]) -> Iterable[str]:
    for key, value in values.items():
        if key == "alerts":  # their words are text, and an alert alone is no fact about the container
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                yield item["id"]
