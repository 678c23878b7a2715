"""Incidents of every outcome in a store, the words in them as hostile as a container's can be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from bridge.model.consultation import Audit
from bridge.model.evidence import Evidence, Health, TextLine
from bridge.model.incident import Decision, Entry, Finding, Incident, Intent, Outcome, Repair, Target
from bridge.model.policy import BreakerPolicy
from bridge.model.refusal import GuardAnswer, Reason, Refusal
from bridge.model.verdict import Action, Verdict, VerdictKind
from bridge.roles import Held
from tests.integration.desk import Desk, alert
from tests.unit.triage.builders import running

HOSTILE = "<img src=x onerror=alert(1)><script>document.title='taken'</script>"
WHY = {
    Outcome.HEALED: "healthy for 30 s on end, and the alert has ended",
    Outcome.NOT_HEALED: "unhealthy again 40 s after the restart: a restart does not help",
    Outcome.RELAPSED: "it had healed, and fell sick again 4 min later",
    Outcome.UNVERIFIED: "nobody could see whether it helped: Alertmanager does not answer",
    Outcome.REFUSED: "cooldown: repaired less than its cooldown ago",
    Outcome.NO_ACTION: "it was stopped by a person",
    Outcome.ESCALATED: "a crash loop: exit code 1 on each of 5 starts in ten minutes",
    Outcome.RESOLVED: "the alert ended before anything was done",
    Outcome.FAILED: "Docker: cannot restart container: no space left on device",
}
ACTED = {Outcome.HEALED, Outcome.NOT_HEALED, Outcome.RELAPSED, Outcome.UNVERIFIED, Outcome.FAILED}


async def write(desk: Desk, outcomes: Iterable[Outcome] = tuple(Outcome), *, name: str = "") -> list[str]:
    """One closed incident for each outcome, the newest last; gives their ids."""
    ids = []
    for outcome in outcomes:
        held = await judged(desk, name or f"shop-{outcome.value.replace('_', '-')}-1", outcome)
        now = held.incident.updated_at
        assert now is not None
        incident = carried_out(held.incident, outcome) if outcome in ACTED else held.incident
        if outcome is Outcome.RELAPSED:
            incident = incident.closing(Outcome.HEALED, WHY[Outcome.HEALED], now=now, reconsider_at=now)
            incident = incident.relapsed(WHY[outcome], now=now)
        else:
            incident = incident.closing(outcome, WHY[outcome], now=now, reconsider_at=now)
        fields = {"outcome": outcome.value, "reason": WHY[outcome]}
        await desk.journal.close(
            replace(held, incident=incident),
            Entry(event="closed", fields=fields),
            healed=None,
            breaker=BreakerPolicy(),
        )
        ids.append(incident.id)
    return ids


async def judged(desk: Desk, name: str, outcome: Outcome) -> Held:
    """An incident about this container with evidence, a verdict and every guard's answer, written."""
    held = await desk.claim(await desk.incident_for(alert(name, fingerprint=name)))
    now = await desk.journal.now()
    refusal = Refusal(
        reason=Reason.COOLDOWN,
        detail="repaired less than its cooldown ago",
        until=now + timedelta(minutes=42),
    )
    refusals = (refusal,) if outcome is Outcome.REFUSED else ()
    wants = Verdict(
        kind=VerdictKind.REPAIR,
        rule="unhealthy_hang",
        reason="health checks time out and the process runs: it hangs",
        action=Action.RESTART,
        cites=("L2", "H1"),
    )
    escalates = Verdict(
        kind=VerdictKind.ESCALATE, rule="crash_loop", reason=WHY[Outcome.ESCALATED], cites=("L2",)
    )
    verdict = escalates if outcome is Outcome.ESCALATED else wants
    guards = (
        GuardAnswer(guard="opted_in", inputs={"hemostat.enable": "true"}),
        GuardAnswer(guard="maintenance", inputs={"windows": "none"}),
        GuardAnswer(
            guard="budget",
            inputs={"cooldown": "1h", "caps": "3 per 1h"},
            refusal=refusal if refusals else None,
        ),
    )
    facts = running(name=name, health=Health.UNHEALTHY)
    evidence = Evidence(
        collected_at=now,
        container=facts,
        log_lines=(
            TextLine(id="L1", text="GET /checkout 200 12ms", count=57),
            TextLine(id="L2", text=f"ERROR worker stuck on user input {HOSTILE}"),
            TextLine(id="L3", text="\u202etxt.exe ]0;title", count=1),
        ),
        health_log=(TextLine(id="H1", text="Health check exceeded timeout (5s)"),),
        alert_active=True,
    )
    audit = Audit(
        decided_at=now,
        evidence_hash="0" * 64,
        rules=verdict,
        asked=("paused", verdict.rule),
        alert_names=("ContainerUnhealthy",),
    )
    incident = held.incident.found(Target(host="local", name=name))
    incident = incident.judged(
        evidence, Decision(verdict=verdict, guards=guards, refusals=refusals), now=now, audit=audit
    )
    held = replace(held, incident=incident)
    await desk.journal.saw_container(Target(host="local", name=name), facts)
    fields = {"verdict": verdict.kind.value, "rule": verdict.rule, "reason": verdict.reason}
    return await desk.journal.save(held, Entry(event="judged", fields=fields))


def carried_out(incident: Incident, outcome: Outcome) -> Incident:
    """The same incident after its repair, as far as the outcome says."""
    now = incident.updated_at
    assert now is not None
    intent = Intent(
        action=Action.RESTART,
        container_id="4f1c0ffee0ab",
        was_running=True,
        started_at=None,
        restart_count=0,
        stop_timeout_seconds=10.0,
        token=7,
        at=now,
    )
    incident = incident.reserved(7, now=now).acting(intent, now=now)
    if outcome is Outcome.FAILED:
        return incident
    incident = incident.verifying(Repair(action=Action.RESTART, container_id="4f1c0ffee0ab", at=now), now=now)
    return incident.looked(
        Finding(at=now, text="running, health healthy", healthy_since=now), now=now, seconds=1
    )
