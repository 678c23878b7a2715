"""From what Docker, Prometheus, Alertmanager and the bridge have on record to facts of the demo's story. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bridge.demo.story import Fact, Stage
from bridge.model.incident import Incident, Outcome, TimelineEntry
from bridge.model.verdict import VerdictKind

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
            text = f"restart {restarts} by its restart policy, none by HemoStat"
            facts.append(Fact(at=at, container=name, stage=Stage.RESTART, text=text))
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


def of_incident(name: str, incident: Incident, timeline: Sequence[TimelineEntry]) -> list[Fact]:
    """What the bridge wrote down about one incident."""
    told = [(entry.at, _told(entry, incident)) for entry in timeline]
    return [Fact(at=at, container=name, stage=one[0], text=one[1]) for at, one in told if one]


def _told(entry: TimelineEntry, incident: Incident) -> tuple[Stage, str] | None:
    fields = {name: plain(value) for name, value in entry.fields.items()}
    match entry.event:
        case "opened":
            return Stage.WEBHOOK, f"accepted and durable, incident {incident.id}"
        case "waiting":
            return Stage.WAIT, fields["reason"]
        case "judged":
            return _judged(fields)
        case "reserved":
            guards = len(incident.decision.guards) if incident.decision else 0
            return Stage.BUDGET, f"{guards} guards allow it, the budget has room for it"
        case "acting":
            return Stage.INTENT, f"{fields['action']}: written down, then Docker is asked"
        case "acted":
            return Stage.ACTION, f"{fields['action']} done"
        case "in_doubt":
            return Stage.WAIT, f"whether it happened is in doubt: {fields['reason']}"
        case "looked":
            return Stage.VERIFY, fields["finding"]
        case "alert_resolved":
            return Stage.VERIFY, "its alert has ended"
        case "relapsed":
            return Stage.VERIFY, f"relapsed: {fields['reason']}"
        case "closed":
            return Stage.END, _closed(fields, incident)
    return None


def _judged(fields: Mapping[str, str]) -> tuple[Stage, str] | None:
    if fields["verdict"] == VerdictKind.WAIT:
        return None  # what it waits for is told by the entry that follows
    what = fields.get("action") or fields["verdict"]
    refused = f" Refused: {fields['refused_by']}." if fields.get("refused_by") else ""
    return Stage.DECISION, f"{what}, by rule {fields['rule']}: {fields['reason']}{refused}"


def _closed(fields: Mapping[str, str], incident: Incident) -> str:
    if fields["outcome"] == Outcome.ESCALATED and incident.intent is None:
        return "left to a human; HemoStat has not touched it"
    return fields["reason"]


def plain(text: str) -> str:
    """Text of the outside in one line that cannot steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
