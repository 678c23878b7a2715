"""What people elsewhere must know of an incident, as an alert of our own for Alertmanager's routing. Pure.

It bears the labels by which the alerts behind it were routed (team, service, severity of the operator's own choosing), so
that it reaches the same people, but none of those by which a target is found: whatever receives it, HemoStat included,
cannot take it for a sick container.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.intake import TARGET_LABELS
from bridge.model.alert import OWN_ALERTS, Alert
from bridge.model.incident import Incident, Outcome
from bridge.roles import EpisodeView

ESCALATED = f"{OWN_ALERTS}Escalated"
REPAIR_FAILED = f"{OWN_ALERTS}RepairFailed"

NAMES = {
    Outcome.ESCALATED: ESCALATED,
    Outcome.NOT_HEALED: REPAIR_FAILED,
    Outcome.RELAPSED: REPAIR_FAILED,
    Outcome.UNVERIFIED: REPAIR_FAILED,
    Outcome.FAILED: REPAIR_FAILED,
}
"""A refusal is not among them: the alert behind it fires on, and is routed to people as it was."""

SEVERITY = "warning"
"""Where the alerts behind it name none, or not the same."""

TEXT_CHARACTERS = 1000

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
"""Source: Prometheus' data model, label names before UTF-8 was allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """An alert as Alertmanager's API v2 takes it, but for its end."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    link: str = ""


def of(incident: Incident, episodes: Sequence[EpisodeView], *, external_url: str = "") -> Escalation | None:
    """``None``: nobody needs to be told, at least not this way."""
    if incident.outcome not in NAMES or incident.closed_at is None:
        return None
    name = NAMES[incident.outcome]
    target, host = _target(incident)
    labels = {
        "severity": SEVERITY,
        **_routing_labels([episode.alert for episode in episodes]),
        "alertname": name,
        "hemostat_target": target,
        "hemostat_host": host,
        "outcome": incident.outcome.value,
        "incident": incident.id,
    }
    link = f"{external_url.rstrip('/')}/#/incident/{incident.id}" if external_url else ""
    return Escalation(
        labels={label: value for label, value in labels.items() if value},
        annotations=_annotations(incident, target, episodes),
        starts_at=incident.closed_at,
        link=link,
    )


def _routing_labels(alerts: Sequence[Alert]) -> dict[str, str]:
    """What all the alerts behind it agree on, but for their name and the labels that name a target.

    Nor a label of a name that not every Alertmanager takes (Grafana sends such ones): for it the whole would be refused.
    """
    foreign = [alert.labels for alert in alerts if not alert.own]
    if not foreign:
        return {}
    first, *others = foreign
    return {
        label: value
        for label, value in first.items()
        if label not in TARGET_LABELS
        and _NAME.fullmatch(label)
        and label != "alertname"
        and all(labels.get(label) == value for labels in others)
    }


def _annotations(incident: Incident, target: str, episodes: Sequence[EpisodeView]) -> dict[str, str]:
    what = target or "an alert without a target"
    said = {
        "summary": f"{what}: {incident.outcome.value if incident.outcome else ''}, a person must look",
        "description": f"{_done(incident)}{incident.reason}. hemostat explain {incident.id} tells the whole story.",
        "alerts": ", ".join(dict.fromkeys(episode.alert.name for episode in episodes if episode.alert.name)),
    }
    return {name: text[:TEXT_CHARACTERS] for name, text in said.items() if text}


def _done(incident: Incident) -> str:
    if incident.intent is None:
        return "Nothing was done: "
    return f"After a {incident.intent.action.value}: "


def _target(incident: Incident) -> tuple[str, str]:
    if incident.target is not None:
        return incident.target.name, incident.target.host
    return incident.subject.named, incident.subject.host
