"""What would be decided for a webhook now: the walk's own decision, made for nobody, written nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge import evidence
from bridge.intake import Webhook, redacted, subject_of
from bridge.judgement import Judge, ending
from bridge.model.alert import Alert, AlertStatus, Subject
from bridge.model.incident import Decision, Outcome, Target
from bridge.model.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """One incident that this webhook would open. ``outcome`` ``None``: it would act, or wait and look again."""

    subject: Subject
    alerts: tuple[str, ...]
    target: Target | None
    decision: Decision | None
    outcome: Outcome | None
    summary: str


async def simulate(judge: Judge, webhook: Webhook, *, hosts: Sequence[str]) -> list[Simulated]:
    """The incidents a webhook would open, as if none were open now.

    Raises EdgeUnavailable: the store or Docker does not answer, so nothing can be said.
    """
    firing: dict[str, list[tuple[Alert, Subject]]] = {}
    for alert in redacted(webhook, judge.ruleset.redactor).alerts:
        if alert.status is AlertStatus.FIRING:
            subject = subject_of(alert.labels, hosts=hosts)
            firing.setdefault(subject.key, []).append((alert, subject))
    return [await _one(judge, [a for a, _ in group], group[0][1]) for group in firing.values()]


async def _one(judge: Judge, alerts: Sequence[Alert], subject: Subject) -> Simulated:
    redactor = judge.ruleset.redactor  # in labels, which routes may match, an e-mail address stays until now
    names = tuple(redactor.text(alert.name).text for alert in alerts)
    found = await judge.locate(subject)
    if isinstance(found, evidence.Missing):
        ended, why = judge.without_target(alerts, found)
        return Simulated(
            subject=subject,
            alerts=names,
            target=None,
            decision=None,
            outcome=ended,
            summary=_ended(ended, why),
        )
    considered = await judge.consider(subject, alerts, found)
    decision = considered.decision
    refusal: Refusal | None = None
    if decision.allowed:
        refusal = await judge.would_be_granted(found, considered.policy)
    outcome, summary = _said(decision, refusal)
    return Simulated(
        subject=subject,
        alerts=names,
        target=found.target,
        decision=decision,
        outcome=outcome,
        summary=summary,
    )


def _said(decision: Decision, refusal: Refusal | None) -> tuple[Outcome | None, str]:
    verdict = decision.verdict
    if refusal is not None:
        until = f" until {refusal.until.isoformat(timespec='seconds')}" if refusal.until else ""
        return Outcome.REFUSED, f"would be refused: {refusal.reason}: {refusal.detail}{until}"
    if decision.allowed:
        return None, f"would {verdict.action}: {verdict.reason}"
    if verdict.recheck_seconds is not None and not decision.refusals:
        return None, f"would wait and look again in {verdict.recheck_seconds:g} s: {verdict.reason}"
    outcome, why = ending(decision)
    return outcome, _ended(outcome, why)


def _ended(outcome: Outcome, why: str) -> str:
    verb = "would escalate" if outcome is Outcome.ESCALATED else f"would end {outcome}"
    return f"{verb}: {why}"
