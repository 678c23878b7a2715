"""From what Docker, Prometheus, Alertmanager and the bridge have on record to facts of the demo's story. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bridge.demo.story import Fact, Promise, Stage
from bridge.model.incident import Incident, Outcome, TimelineEntry
from bridge.model.verdict import Verdict

Json = Mapping[str, Any]

OUTPUT_LIMIT = 60
"""Characters of a health check's output."""


def moment(text: str) -> datetime:
    """A time as Docker and Prometheus write it: RFC 3339 with nanoseconds, which are cut."""
    return datetime.fromisoformat(text)


def of_health_log(name: str, health: Json | None, *, since: datetime) -> list[Fact]:
    """The first health check that failed. It was asked when the container was sick already: `Start` counts.

    Source: Docker Engine API, ContainerInspect, `State.Health.Log`: the last five results.
    """
    for check in (health or {}).get("Log") or ():
        if check["ExitCode"] != 0 and moment(check["End"]) >= since:
            output = plain(check.get("Output", ""))[:OUTPUT_LIMIT].strip()
            said = f': "{output}"' if output else ""
            return [
                Fact(
                    at=moment(check["Start"]),
                    container=name,
                    stage=Stage.SICK,
                    text=f"health check fails{said}",
                )
            ]
    return []


def of_events(name: str, events: Iterable[Json], *, since: datetime, policy: str) -> list[Fact]:
    """Ends, starts and changes of health. With a restart policy every start is its doing; without, it is a repair's.

    Source: Docker Engine API, SystemEvents.
    """
    facts, restarts = [], -1
    for event in events:
        at, action = datetime.fromtimestamp(event["timeNano"] / 1e9, UTC), event["Action"]
        if action == "start":
            restarts += 1
        if at < since:
            continue
        if action == "die" and event["Actor"]["Attributes"].get("exitCode") not in ("0", "143"):
            code = event["Actor"]["Attributes"].get("exitCode")
            then = f"; its restart policy is {policy}" if policy else "; it has no restart policy"
            facts.append(Fact(at=at, container=name, stage=Stage.SICK, text=f"exits with code {code}{then}"))
        elif action.startswith("health_status"):
            state = action.partition(":")[2].strip()
            facts.append(Fact(at=at, container=name, stage=Stage.HEALTH, text=f"Docker calls it {state}"))
        elif action == "start" and policy and restarts > 0:
            text = f"its restart policy starts it again, restart {restarts}; HemoStat leaves it alone"
            facts.append(Fact(at=at, container=name, stage=Stage.RESTART, text=text))
    # A health check that fails makes the SICK of a container that still runs; what its repair ends is no news.
    return facts


def of_prometheus(names: Mapping[str, str], alerts: Sequence[Json]) -> list[Fact]:
    """Alerts as Prometheus holds them. `names`: of the container, as the series name it, to the story's name.

    Source: https://prometheus.io/docs/prometheus/latest/querying/api/#alerts
    """
    return [
        Fact(
            at=moment(alert["activeAt"]),
            container=names[alert["labels"]["name"]],
            stage=Stage.PENDING,
            text=f"{alert['labels']['alertname']} is true in Prometheus",
        )
        for alert in alerts
        if alert["labels"].get("name") in names
    ]


def of_alertmanager(names: Mapping[str, str], alerts: Sequence[Json]) -> list[Fact]:
    """Alerts as Alertmanager holds them, at the time it was told. Source: Alertmanager API v2, `GET /alerts`."""
    return [
        Fact(
            at=moment(alert["updatedAt"]),
            container=names[alert["labels"]["name"]],
            stage=Stage.ALERT,
            text=f"{alert['labels']['alertname']} fires, Alertmanager is told",
        )
        for alert in alerts
        if alert["labels"].get("name") in names
    ]


def of_incident(promise: Promise, incident: Incident, timeline: Sequence[TimelineEntry]) -> list[Fact]:
    """What the bridge wrote down about one incident."""
    facts = [
        Fact(
            at=entry.at,
            container=promise.container,
            stage=stage,
            text=text,
            good=incident.outcome is promise.outcome,
        )
        for entry in timeline
        for stage, text in _told(entry, incident)
    ]
    return facts


def _told(entry: TimelineEntry, incident: Incident) -> list[tuple[Stage, str]]:
    fields = {name: plain(value) for name, value in entry.fields.items()}
    verdict = incident.decision.verdict if incident.decision else None
    match entry.event:
        case "opened":
            return [(Stage.WEBHOOK, f"accepted and durable, incident {incident.id}")]
        case "waiting":
            return [(Stage.WAIT, fields["reason"])]
        case "reserved":
            guards = len(incident.decision.guards) if incident.decision else 0
            return [
                (Stage.DECISION, f"{_decided(verdict)} All {guards} guards allow it, the budget is reserved.")
            ]
        case "acting":
            return [(Stage.INTENT, f"written down: {fields['action']}; then Docker is asked")]
        case "acted":
            return [(Stage.ACTION, f"{fields['action']} done")]
        case "in_doubt":
            return [(Stage.WAIT, f"whether it happened is in doubt: {fields['reason']}")]
        case "looked":
            return [(Stage.VERIFY, fields["finding"])]
        case "alert_resolved":
            return [(Stage.VERIFY, "its alert has ended")]
        case "relapsed":
            return [(Stage.VERIFY, f"relapsed: {fields['reason']}")]
        case "closed":
            return _closed(fields, incident, verdict)
    return []


def _closed(
    fields: Mapping[str, str], incident: Incident, verdict: Verdict | None
) -> list[tuple[Stage, str]]:
    if incident.repair is not None:
        return [(Stage.END, fields["reason"])]
    told = [(Stage.DECISION, _decided(verdict))] if verdict else []
    if fields["outcome"] == Outcome.ESCALATED and verdict:
        return [*told, (Stage.END, "a human is to look; HemoStat has touched nothing")]
    return [*told, (Stage.END, fields["reason"])]


def _decided(verdict: Verdict | None) -> str:
    if verdict is None:
        return "decided."
    return f"{verdict.action or verdict.kind}, by rule {verdict.rule}: {plain(verdict.reason)}"


def plain(text: str) -> str:
    """Text of the outside in one line that cannot steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
