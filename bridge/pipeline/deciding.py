"""From an alert to a granted budget: the target found, evidence, verdict, guards, people asked, budget reserved.

Nothing is done to any container here.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from bridge import approval, errors, evidence
from bridge.judgement import ending, not_ours
from bridge.model.evidence import ContainerFacts
from bridge.model.incident import Answer, Decision, Outcome, Proposal, State
from bridge.model.policy import TargetPolicy
from bridge.model.refusal import Reason, Refusal
from bridge.model.verdict import Action, VerdictKind
from bridge.pipeline.desk import EDGE_AWAY_SECONDS, Desk, action_of, entry_of, listed_in
from bridge.roles import Held

log = logging.getLogger("hemostat.walk")

BUSY_SECONDS = 5.0

SUSPECT_HOLD_SECONDS = 330.0
"""Without Alertmanager's API: its peer timeout (15 s) plus its default group_interval (5 m), after which a stale
firing would have been followed by its resolved. Source: research on Alertmanager pairs."""


CONTRADICTED = "it fires with a start before its last end, no resolved has followed, and yet Alertmanager does not list it"

LISTED_WITHIN_SECONDS = 1.0
"""As long as evidence is waited for; as a rule it has just fetched the same list."""


async def decide(desk: Desk, held: Held) -> Held:
    """Find the target, collect evidence, judge, ask the guards, reserve the budget."""
    if held.resolved:
        return await desk.close(held, Outcome.RESOLVED, "every alert ended before anything was done")
    now = await desk.journal.now()
    if held.incident.suspect and (waits := await _suspect(desk, held, now)) is not None:
        return waits
    if (proposal := held.incident.proposal) is not None and proposal.answer is not Answer.APPROVE:
        return await _unapproved(desk, held, proposal, now)
    try:
        found = await desk.judge.locate(held.incident.subject)
    except errors.EdgeUnavailable as error:
        desk.failed(error)
        return await desk.undecided(held, f"cannot ask Docker: {error}", EDGE_AWAY_SECONDS)
    except errors.EdgeRejected as error:
        desk.failed(error)
        return await desk.close(held, Outcome.ESCALATED, f"cannot tell which container is meant: {error}")
    if isinstance(found, evidence.Missing):
        return await desk.close(held, *desk.judge.without_target(held.firing, found))
    held = replace(held, incident=held.incident.found(found.target))
    if proposal is not None and (why := approval.void(proposal, found.facts, now=now)):
        return await _withdrawn(desk, held, why, now)

    held, decision, policy = await judge(desk, held, found)
    verdict = decision.verdict
    if not decision.allowed:
        if decision.asks is not None:
            return await _ask(desk, held, decision.asks, found.facts, policy)
        if verdict.kind is VerdictKind.WAIT and not not_ours(decision):
            if verdict.recheck_seconds is None:
                return await desk.close(held, Outcome.NO_ACTION, verdict.reason)
            return await desk.undecided(held, verdict.reason, verdict.recheck_seconds)
        return await desk.close(held, *ending(decision))
    if proposal is not None and verdict.action is not proposal.action:
        return await _withdrawn(desk, held, f"by now it wants to {verdict.action}", now)
    return await _reserve(desk, held, found, policy)


async def judge(desk: Desk, held: Held, found: evidence.Found) -> tuple[Held, Decision, TargetPolicy]:
    """What should and may happen to it now, written down."""
    proposal = held.incident.proposal
    considered = await desk.judge.consider(
        held.incident.subject,
        held.firing,
        found,
        approved_by=proposal.answered_by if proposal is not None else "",
    )
    decision, collected = considered.decision, considered.evidence
    verdict = decision.verdict
    desk.metrics.triage.labels(verdict.source.value, verdict.kind.value).inc()
    if held.incident.state is State.OPEN:
        waited = considered.evidence.collected_at - held.incident.opened_at
        desk.metrics.stage_duration.labels("queued").observe(max(0.0, waited.total_seconds()))
    await desk.journal.saw_container(found.target, found.facts)
    now = await desk.journal.now()
    held = replace(held, incident=held.incident.judged(collected, decision, now=now, audit=considered.audit))
    if decision.allowed:
        held = await _listed(desk, held)
    entry = entry_of(
        "judged",
        verdict=verdict.kind.value,
        action=verdict.action.value if verdict.action else "",
        rule=verdict.rule,
        decided_by=verdict.decided_by,
        reason=verdict.reason,
        refused_by=", ".join(refusal.reason.value for refusal in decision.refusals),
        gaps=evidence.gap_sources(collected.gaps),
    )
    return await desk.save(held, entry), decision, considered.policy


async def _listed(desk: Desk, held: Held) -> Held:
    """Note who lists its alerts now: verification believes the silence of nobody else. Whoever is slow is not waited for."""
    try:
        async with asyncio.timeout(LISTED_WITHIN_SECONDS):
            views = await desk.views(held)
    except TimeoutError:
        return held
    return held if views is None else replace(held, incident=held.incident.seen_listed(listed_in(views)))


async def _reserve(desk: Desk, held: Held, found: evidence.Found, policy: TargetPolicy) -> Held:
    incident = held.incident
    with desk.metrics.stage_duration.labels("reserve").time():
        answer = await desk.budgets.acquire(
            held,
            policy=policy,
            limits=desk.judge.ruleset.policy.limits,
            facts=found.facts,
            populations=found.populations,
            entry=entry_of("reserved", action=action_of(incident).value),
        )
    if isinstance(answer, Refusal):
        if answer.reason is Reason.TARGET_BUSY:
            return await desk.undecided(held, answer.detail, BUSY_SECONDS)
        if (decision := incident.decision) is not None:
            decision = replace(decision, would=action_of(incident))
            held = replace(held, incident=replace(incident, decision=decision))
        return await desk.refuse(held, answer)
    now = await desk.journal.now()
    log.info("reserved", extra={"token": answer.token, "target": incident.target and incident.target.key})
    return replace(held, incident=incident.reserved(answer.token, now=now))


async def _ask(desk: Desk, held: Held, action: Action, facts: ContainerFacts, policy: TargetPolicy) -> Held:
    """Only a person's approval is missing: ask for it, and go on with whatever is answered, or when time is up."""
    now = await desk.journal.now()
    proposal = approval.propose(
        secrets.token_hex(16), action, facts, now=now, ttl_seconds=policy.approval_ttl_seconds
    )
    asking = held.incident.asking(proposal, now=now)
    entry = entry_of("asked", action=action.value, until=proposal.until.isoformat(timespec="seconds"))
    return await desk.save(replace(held, incident=asking), entry)


async def _unapproved(desk: Desk, held: Held, proposal: Proposal, now: datetime) -> Held:
    """It was asked, and nobody has approved it."""
    match proposal.answer:
        case Answer.REJECT:
            return await desk.refuse(held, approval.rejected(proposal))
        case Answer.SNOOZE:
            why = approval.put_off(proposal)
            later = held.incident.not_asking(why, now=now, seconds=approval.SNOOZE_SECONDS)
            return await desk.save(replace(held, incident=later), entry_of("waiting", reason=why))
    if now < proposal.until:
        return held
    return await desk.close(held, Outcome.ESCALATED, approval.unanswered(proposal))


async def _withdrawn(desk: Desk, held: Held, why: str, now: datetime) -> Held:
    """What was approved is not what would be done any more: it is judged anew, and asked anew if it must be."""
    off = held.incident.not_asking(f"the approval does not count: {why}", now=now, seconds=0.0)
    return await desk.save(replace(held, incident=off), entry_of("approval_void", reason=why))


async def _suspect(desk: Desk, held: Held, now: datetime) -> Held | None:
    """A firing that began before the last resolved ended: stale or true. ``None``: it is true, go on."""
    incident = held.incident
    hold = (
        (incident.suspected_at or incident.opened_at) + timedelta(seconds=SUSPECT_HOLD_SECONDS) - now
    ).total_seconds()
    views = await desk.views(held)
    if views is not None and any(view.active for view in views.values()):
        return None
    if hold <= 0:
        return None if views is None else await desk.close(held, Outcome.ESCALATED, CONTRADICTED)
    # That Alertmanager does not list it ends nothing: the other one of its cluster, which sent it, may be the one that
    # is told. A stale firing is followed by its resolved.
    why = "it fires with a start before its last end, and nobody can say whether that is true"
    return await desk.save(
        replace(held, incident=incident.waiting(why, now=now, seconds=min(hold, EDGE_AWAY_SECONDS * 15))),
        entry_of("waiting", reason=why) if incident.state is State.OPEN else None,
    )
