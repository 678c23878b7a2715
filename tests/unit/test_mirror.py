"""The events of the earlier design, from an incident of this one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bridge import mirror
from bridge.model.evidence import Measure, Measured
from bridge.model.incident import Decision, Incident, Outcome, TimelineEntry
from bridge.model.refusal import Reason, Refusal
from bridge.model.verdict import Verdict, VerdictKind
from tests.integration.desk import START
from tests.unit.test_annotation import acting, closed, judged

STORY = tuple(TimelineEntry(at=START, event=event, fields={}) for event in ("opened", "judged", "reserved"))


def said(incident: Incident, story: tuple[TimelineEntry, ...] = STORY) -> dict[str, Any]:
    """The envelopes by channel, as a subscriber reads them."""
    events = mirror.events(incident, story)
    assert all(set(event.envelope) == {"event_type", "timestamp", "agent", "data"} for event in events)
    return {event.channel: json.loads(json.dumps(event.envelope)) for event in events}


def without_repair(kind: VerdictKind, outcome: Outcome) -> Incident:
    incident = judged()
    decision = Decision(verdict=Verdict(kind=kind, rule="r", reason="it runs and is well"), guards=())
    return closed(replace(incident, decision=decision), outcome)


def test_an_incident_just_opened_says_nothing() -> None:
    assert mirror.events(judged(), STORY[:1]) == []


def test_a_container_that_was_looked_at_is_a_health_alert_with_what_is_known() -> None:
    incident = judged()
    assert incident.evidence is not None
    measure = Measure(id="M1", name=Measured.CPU_SHARE, last=0.9249, mean=0.5, max=1.0)
    alert = said(replace(incident, evidence=replace(incident.evidence, measures=(measure,))), STORY[:2])
    data = alert["health_alert"]["data"]
    assert alert["health_alert"]["event_type"] == "container_unhealthy"
    assert (data["container_name"], data["status"], data["incident"]) == ("web", "running", "a1b2c3")
    assert data["metrics"] == {"cpu_percent": 92.5, "memory_percent": None}


def test_a_granted_repair_is_needed_and_a_healed_one_complete_with_success() -> None:
    heard = said(closed(acting(), Outcome.HEALED, reason="well for 30 s"))
    assert list(heard) == ["health_alert", "remediation_needed", "remediation_complete"]
    assert heard["remediation_needed"]["data"]["action"] == "restart"
    complete = heard["remediation_complete"]
    assert (complete["agent"], complete["data"]["container"]) == ("responder", "web")
    assert complete["data"]["result"]["status"] == "success"


@pytest.mark.parametrize(
    "outcome", [Outcome.NOT_HEALED, Outcome.RELAPSED, Outcome.UNVERIFIED, Outcome.FAILED]
)
def test_only_a_verified_healing_is_called_success(outcome: Outcome) -> None:
    assert said(closed(acting(), outcome))["remediation_complete"]["data"]["result"]["status"] == "failed"


def test_a_relapse_is_said_after_the_healing() -> None:
    healed, relapsed = closed(acting(), Outcome.HEALED), closed(acting(), Outcome.RELAPSED)
    keys = [mirror.events(incident, STORY)[-1].key for incident in (healed, relapsed)]
    assert len(set(keys)) == 2


def test_a_refusal_is_a_rejected_remediation_with_its_reason() -> None:
    incident = judged()
    assert incident.decision is not None
    refusal = Refusal(reason=Reason.COOLDOWN, detail="repaired 5 min ago")
    refused = replace(incident, decision=replace(incident.decision, refusals=(refusal,)))
    result = said(closed(refused, Outcome.REFUSED), STORY[:2])["remediation_complete"]["data"]["result"]
    assert (result["status"], result["reason"]) == ("rejected", "cooldown")


def test_a_false_alarm_is_only_said_of_the_verdict_no_action() -> None:
    assert "false_alarm" in said(without_repair(VerdictKind.NO_ACTION, Outcome.NO_ACTION), STORY[:2])
    for kind, outcome in (
        (VerdictKind.WAIT, Outcome.NO_ACTION),
        (VerdictKind.ESCALATE, Outcome.ESCALATED),
        (VerdictKind.NO_ACTION, Outcome.RESOLVED),
    ):
        assert list(said(without_repair(kind, outcome), STORY[:2])) == ["health_alert"]
