"""One incident as the events of the HemoStat that this one grew out of, for whoever still listens to those. Pure.

Source: that design's own code: envelope ``{"event_type", "timestamp", "agent", "data"}``, its channels, and the
fields of ``data`` by channel. What it called success was "the container runs"; here only a verified healing is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.model.evidence import ContainerFacts, Evidence, Health, Measured
from bridge.model.incident import Incident, Outcome, TimelineEntry
from bridge.model.verdict import VerdictKind

Json = Mapping[str, object]

METHODS = {"rules": "rule_based"}
"""Who decided, in the words of that design; whoever is not named here was a model."""

STATUS = {
    Outcome.HEALED: "success",
    Outcome.NOT_HEALED: "failed",
    Outcome.RELAPSED: "failed",
    Outcome.UNVERIFIED: "failed",
    Outcome.FAILED: "failed",
    Outcome.REFUSED: "rejected",
}
"""``result.status`` by outcome. ``escalated``, ``resolved`` and ``no_action`` complete no remediation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """One event. ``key`` is its own within the incident, so that it is not said twice."""

    key: str
    channel: str
    envelope: Json


def events(incident: Incident, timeline: Sequence[TimelineEntry]) -> list[Mirrored]:
    """All that an incident has come to so far, in order."""
    found: list[Mirrored] = []
    judged = _time_of(timeline, "judged")
    if incident.evidence is not None and judged is not None:
        alert = _envelope(
            "container_unhealthy", judged, "monitor", _health_alert(incident, incident.evidence)
        )
        found.append(Mirrored(key="health_alert", channel="health_alert", envelope=alert))
    reserved = _time_of(timeline, "reserved")
    if reserved is not None and incident.decision is not None:
        needed = _envelope("remediation_needed", reserved, "analyzer", _needed(incident))
        found.append(Mirrored(key="remediation_needed", channel="remediation_needed", envelope=needed))
    if incident.outcome is not None and incident.closed_at is not None:
        found += _end(incident, incident.outcome, incident.updated_at or incident.closed_at)
    return found


def last_look(incident: Incident) -> Json | None:
    """What is known of the container now: the read model ``hemostat:stats:<container>``."""
    evidence = incident.evidence
    if evidence is None or evidence.container is None:
        return None
    facts = evidence.container
    return {
        "container": _name(incident),
        "container_id": facts.id[:12],
        "status": facts.status.value,
        "health_status": _health(facts),
        **_metrics(evidence),
        "incident": incident.id,
        "state": incident.state.value,
        "outcome": incident.outcome.value if incident.outcome else None,
        "timestamp": _iso(incident.updated_at or incident.opened_at),
    }


def _end(incident: Incident, outcome: Outcome, at: datetime) -> list[Mirrored]:
    # The verdict, not the outcome: an alert that ended by itself, or an always firing one, is no false alarm.
    verdict = incident.decision.verdict if incident.decision else None
    if outcome is Outcome.NO_ACTION and verdict is not None and verdict.kind is VerdictKind.NO_ACTION:
        said = _envelope("false_alarm", at, "analyzer", _reasoned(incident))
        return [Mirrored(key="false_alarm", channel="false_alarm", envelope=said)]
    if outcome not in STATUS or verdict is None or verdict.action is None:
        return []
    complete = _envelope("remediation_complete", at, "responder", _complete(incident, outcome))
    return [
        Mirrored(key=f"remediation_complete:{outcome}", channel="remediation_complete", envelope=complete)
    ]


def _envelope(event_type: str, at: datetime, agent: str, data: Json) -> Json:
    return {"event_type": event_type, "timestamp": _iso(at), "agent": agent, "data": data}


def _health_alert(incident: Incident, evidence: Evidence) -> Json:
    facts = evidence.container
    return {
        "incident": incident.id,
        "container_id": facts.id[:12] if facts else None,
        "container_name": _name(incident),
        "image": facts.image if facts else None,
        "status": facts.status.value if facts else None,
        "metrics": _metrics(evidence),
        "anomalies": _anomalies(evidence),
        "health_status": _health(facts) if facts else "unknown",
        "exit_code": facts.exit_code if facts else None,
        "restart_count": facts.restart_count if facts else None,
    }


def _needed(incident: Incident) -> Json:
    return {
        **_reasoned(incident),
        "action": _action(incident),
        "metrics": _metrics(incident.evidence) if incident.evidence else {},
    }


def _complete(incident: Incident, outcome: Outcome) -> Json:
    refusals = incident.decision.refusals if incident.decision else ()
    return {
        **_reasoned(incident),
        "action": _action(incident),
        "result": {
            "status": STATUS[outcome],
            "action": _action(incident),
            "container": _name(incident),
            "details": f"{outcome.value}: {incident.reason}",
            "reason": refusals[0].reason.value if refusals else None,
        },
        "dry_run": False,
    }


def _reasoned(incident: Incident) -> Json:
    """``confidence`` stays unknown: a rule has none, and a model's own is worth nothing as a number."""
    verdict = incident.decision.verdict if incident.decision else None
    return {
        "incident": incident.id,
        "container": _name(incident),
        "reason": verdict.reason if verdict else incident.reason,
        "confidence": None,
        "analysis_method": METHODS.get(verdict.source, "ai") if verdict else "rule_based",
    }


def _anomalies(evidence: Evidence) -> list[Json]:
    facts = evidence.container
    if facts is None:
        return []
    found: list[Json] = []
    if facts.health is Health.UNHEALTHY:
        found.append({"type": "unhealthy_status", "severity": "high", "actual": "unhealthy"})
    if facts.exit_code and not facts.running:
        found.append({"type": "non_zero_exit", "severity": "high", "actual": facts.exit_code})
    return found


def _metrics(evidence: Evidence) -> Json:
    """Percent of the container's own limits; ``None``: unknown."""
    return {
        "cpu_percent": _percent(evidence, Measured.CPU_SHARE),
        "memory_percent": _percent(evidence, Measured.MEMORY_SHARE),
    }


def _percent(evidence: Evidence, name: Measured) -> float | None:
    measure = evidence.measure(name)
    return None if measure is None else round(100 * measure.last, 1)


def _health(facts: ContainerFacts) -> str:
    return "unknown" if facts.health is Health.NONE else facts.health.value


def _name(incident: Incident) -> str:
    return incident.target.name if incident.target else incident.subject.name


def _action(incident: Incident) -> str | None:
    action = incident.decision.verdict.action if incident.decision else None
    return action.value if action else None


def _time_of(timeline: Sequence[TimelineEntry], event: str) -> datetime | None:
    return next((entry.at for entry in timeline if entry.event == event), None)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
