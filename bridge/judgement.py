"""What should and may happen to a target now: evidence, rules, the model, guards, and the budget asked without reserving.

Writes nothing: the walk decides with it, and ``simulate`` shows the same decision to an operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from bridge import evidence, guards
from bridge.census import Census
from bridge.consulting import Consultant, Question
from bridge.errors import BridgeError
from bridge.intake import TARGET_LABELS
from bridge.metrics import Metrics
from bridge.model.alert import Alert, Subject
from bridge.model.consultation import Audit, Consultation, OnFailure
from bridge.model.evidence import ContainerFacts, Evidence
from bridge.model.incident import Answer, Decision, Incident, Outcome
from bridge.model.policy import Policy, TargetPolicy, narrowed
from bridge.model.refusal import Reason, Refusal, over_at
from bridge.model.verdict import Verdict, VerdictKind
from bridge.redaction import Redactor
from bridge.roles import ActiveAlerts, Budgets, Containers, EngineHistory, Figures, Journal, Record, Storms
from bridge.triage import fingerprint, phrases, rules, two_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """What a reload replaces whole: the policy, the thresholds of triage, what is taken out of text, and what
    happens to a repair that a model should have confirmed and could not."""

    policy: Policy = field(default_factory=Policy)
    thresholds: rules.Thresholds = field(default_factory=rules.Thresholds)
    redactor: Redactor = field(default_factory=Redactor)
    on_failure: OnFailure = OnFailure.RULES
    people_are_asked: bool = False
    """Whether somebody is there to answer what an escalation proposes. Without, it is told at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A decision, what it rests on, how it came about, and the policy it was made under."""

    evidence: Evidence
    decision: Decision
    policy: TargetPolicy
    audit: Audit


class Judge:
    """``ruleset`` and ``consultant`` may be replaced at any time; a judgement uses those it began with.

    ``consultant`` ``None``: no model is asked.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        budgets: Budgets,
        storms: Storms,
        containers: Containers,
        metrics: Metrics,
        ruleset: Ruleset,
        figures: Figures | None = None,
        alerts: ActiveAlerts | None = None,
        history: EngineHistory | None = None,
        consultant: Consultant | None = None,
    ) -> None:
        self.ruleset = ruleset
        self.consultant = consultant
        self.census = Census(containers)
        self._journal = journal
        self._budgets = budgets
        self._storms = storms
        self._containers = containers
        self._sources = evidence.Sources(
            containers=containers,
            journal=journal,
            listing=self.census.of,
            figures=figures,
            alerts=alerts,
            history=history,
        )
        self._metrics = metrics

    async def close(self) -> None:
        """Give up what is asked of others."""
        await self.census.close()
        if self.consultant is not None:
            await self.consultant.close()

    async def locate(self, subject: Subject) -> evidence.Found | evidence.Missing:
        """The target that a subject names. Raises EdgeUnavailable: whether it exists is unknown."""
        self.census.expect(subject.host)
        found = await evidence.locate(self._containers, subject)
        if isinstance(found, evidence.Missing):
            return found
        return replace(found, populations=await self.census.around(found.facts))

    async def consider(
        self, subject: Subject, firing: Sequence[Alert], found: evidence.Found, *, approved_by: str = ""
    ) -> Considered:
        """What should and may happen to a target now. Writes nothing, reserves no repair: ``simulate`` asks the same.

        ``approved_by``: who approved a repair of it. That answers the guards that ask for an approval, and no other.
        """
        ruleset, now = self.ruleset, await self._journal.now()
        policy = narrowed(ruleset.policy.for_alerts(firing), found.facts.labels)
        with self._metrics.stage_duration.labels("evidence").time():
            collected = await self._collected(found, firing, ruleset, now)
            pause = await self._budgets.paused()
            shares = await self._storms.shares(found.populations, limits=ruleset.policy.limits)
        with self._metrics.stage_duration.labels("triage").time():
            ruled = rules.judge(
                collected,
                policy=policy,
                alert_names=[alert.name for alert in firing],
                thresholds=ruleset.thresholds,
                now=now,
                suspect=any(share.suspect for share in shares),
            )
            if not ruleset.people_are_asked and not approved_by:
                ruled = replace(ruled, proposes=None)
            situation = guards.Situation(
                subject=subject,
                alerts=tuple(firing),
                facts=found.facts,
                verdict=ruled.as_repair if approved_by else ruled,
                target_policy=policy,
                policy=ruleset.policy,
                paused=pause is not None,
                paused_until=pause.until if pause else None,
                paused_by=f"{pause.by}: {pause.why}" if pause else "",
                shares=tuple(shares),
                approved_by=approved_by,
                now=now,
            )
            decision, consultations = await self._decided(found, situation, ruled, collected, ruleset)
        decision = await self._worth_telling(decision, found, policy, ruleset)
        audit = _audit(collected, ruled, firing, consultations, ruleset, now=now)
        return Considered(evidence=collected, decision=decision, policy=policy, audit=audit)

    async def _decided(
        self,
        found: evidence.Found,
        situation: guards.Situation,
        ruled: Verdict,
        collected: Evidence,
        ruleset: Ruleset,
    ) -> tuple[Decision, tuple[Consultation, ...]]:
        """What the guards say to the rules' verdict or, where a model was asked, to what both come to."""
        decision = _guarded(situation)
        if situation.approved_by:  # a person's word needs no model's
            return decision, ()
        consultations = await self._consult(found, situation, decision, collected, ruleset)
        if not consultations:
            return decision, ()
        verdict = two_keys.combine(ruled, consultations, on_failure=ruleset.on_failure)
        return _guarded(replace(situation, verdict=verdict)), consultations

    async def _collected(
        self, found: evidence.Found, firing: Sequence[Alert], ruleset: Ruleset, now: datetime
    ) -> Evidence:
        collected = await evidence.collect(
            self._sources,
            found,
            firing=firing,
            redactor=ruleset.redactor,
            telling=partial(
                phrases.telling_part, limit=evidence.LINE_CHARACTERS, classes=ruleset.thresholds.phrases
            ),
            now=now,
        )
        self._metrics.redacted(collected.redactions)
        return collected

    async def _worth_telling(
        self, decision: Decision, found: evidence.Found, policy: TargetPolicy, ruleset: Ruleset
    ) -> Decision:
        """Nobody is told of, or asked for, what would not be done anyway."""
        if not_ours(decision):
            # The container never agreed to HemoStat at all: then its troubles are not ours to tell either.
            refusals = tuple(answer.refusal for answer in decision.guards if answer.refusal is not None)
            return replace(decision, refusals=refusals)
        if decision.would is None and decision.asks is None:
            return decision
        refusal = await self._would_grant(found, policy, ruleset)
        if refusal is None:
            return decision
        return replace(decision, refusals=(*decision.refusals, refusal), would=None, asks=None)

    async def _consult(
        self,
        found: evidence.Found,
        situation: guards.Situation,
        decision: Decision,
        collected: Evidence,
        ruleset: Ruleset,
    ) -> tuple[Consultation, ...]:
        """What a model says, where it could matter; nothing of a container that is not ours is shown to one."""
        consultant, ruled = self.consultant, situation.verdict
        if consultant is None or not_ours(decision) or not two_keys.worth_asking(ruled):
            return ()
        if any(refusal.reason not in STILL_OPEN for refusal in decision.refusals):
            return ()  # refused whatever a model says
        if decision.allowed and await self._would_grant(found, situation.target_policy, ruleset) is not None:
            return ()
        consultations = await consultant.consult(
            Question(
                evidence=collected,
                policy=situation.target_policy,
                alerts=situation.alerts,
                rules=ruled,
                now=situation.now,
            )
        )
        _, opinion = two_keys.counted(consultations)
        if opinion is not None and opinion.verdict is not ruled.kind:
            self._metrics.disagreements.labels(ruled.kind.value, opinion.verdict.value).inc()
        return consultations

    def objection(
        self, incident: Incident, firing: Sequence[Alert], facts: ContainerFacts, *, now: datetime
    ) -> Refusal | None:
        """What a guard has against the repair that was decided, by the policy and the time of now; ``None``: nothing.

        Kill switch, budgets and how many are sick are asked in the step that writes the intent.
        """
        proposal, decision = incident.proposal, incident.decision
        if decision is None:
            raise ValueError(f"incident {incident.id} was not judged")
        policy = self.ruleset.policy
        situation = guards.Situation(
            subject=incident.subject,
            alerts=tuple(firing),
            facts=facts,
            verdict=decision.verdict,
            policy=policy,
            target_policy=self.policy(firing, facts),
            approved_by=proposal.answered_by if proposal and proposal.answer is Answer.APPROVE else "",
            now=now,
        )
        return next((a.refusal for a in guards.ask_all(situation) if a.refusal is not None), None)

    def policy(self, firing: Sequence[Alert], facts: ContainerFacts) -> TargetPolicy:
        """The policy of now for these alerts of this container."""
        return narrowed(self.ruleset.policy.for_alerts(firing), facts.labels)

    def without_target(self, firing: Sequence[Alert], missing: evidence.Missing) -> tuple[Outcome, str]:
        """How an incident without a target ends: escalated, unless all its alerts ask for no repair."""
        always = {name.lower() for name in self.ruleset.thresholds.always_firing}
        if firing and all(alert.name.lower() in always for alert in firing):
            return Outcome.NO_ACTION, "an alert that always fires: it shows that the path works"
        if firing and all(alert.own for alert in firing):
            # Escalating it would post another one, and so on for ever.
            return Outcome.NO_ACTION, "an alert of HemoStat's own: it is for people"
        given = [
            label for label in TARGET_LABELS if any(alert.labels.get(label, "").strip() for alert in firing)
        ]
        if missing.unnamed and given:
            return (
                Outcome.ESCALATED,
                f"{missing.why}; no container can be called what {', '.join(given)} says",
            )
        return Outcome.ESCALATED, missing.why

    async def would_be_granted(self, found: evidence.Found, policy: TargetPolicy) -> Refusal | None:
        """What the budget would say now, reserving nothing."""
        return await self._would_grant(found, policy, self.ruleset)

    async def _would_grant(
        self, found: evidence.Found, policy: TargetPolicy, ruleset: Ruleset
    ) -> Refusal | None:
        return await self._budgets.would_grant(
            found.target,
            policy=policy,
            limits=ruleset.policy.limits,
            facts=found.facts,
            populations=found.populations,
        )


class NothingToReplay(BridgeError):
    """The incident was never judged, or its evidence is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The verdict on record, and what the same evidence and the same opinions come to under the rules of today.

    ``asked`` are the ids of the rules asked now. What guards and budgets said belongs to its moment and is not
    repeated.
    """

    recorded: Verdict
    verdict: Verdict
    rules: Verdict
    asked: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether something else should happen now, or for another reason."""
        before, after = self.recorded, self.verdict
        return (before.kind, before.action, before.rule) != (after.kind, after.action, after.rule)


def replay(record: Record, ruleset: Ruleset) -> Replayed:
    """Judge again, as of the moment of the decision; nobody is asked. Raises: NothingToReplay."""
    incident = record.incident
    collected, decision, audit = incident.evidence, incident.decision, incident.audit
    if collected is None or decision is None or audit is None:
        raise NothingToReplay(f"incident {incident.id} was not judged")
    alerts = [episode.alert for episode in record.episodes]
    labels = collected.container.labels if collected.container is not None else {}
    ruled = rules.judge(
        collected,
        policy=narrowed(ruleset.policy.for_alerts(alerts), labels),
        alert_names=audit.alert_names,
        thresholds=ruleset.thresholds,
        now=audit.decided_at,
        suspect=any(
            answer.refusal is not None and answer.refusal.reason in SHARES for answer in decision.guards
        ),
    )
    verdict = two_keys.combine(ruled, audit.consultations, on_failure=ruleset.on_failure)
    if decision.verdict.action is not None:  # approved by a person, if it was no repair before
        verdict = verdict.as_repair
    return Replayed(recorded=decision.verdict, verdict=verdict, rules=ruled, asked=rules.asked_until(ruled))


SHARES = frozenset({Reason.PROJECT_SHARE, Reason.FLEET_SHARE})
"""Refusals for so many being sick at once that the monitor is suspect."""

STILL_OPEN = frozenset({Reason.APPROVAL_REQUIRED, Reason.OBSERVE_MODE})
"""Refusals after which a person reads what was proposed, and what a model says of it."""

NAME_CHARACTERS = 200


def _audit(
    collected: Evidence,
    ruled: Verdict,
    firing: Sequence[Alert],
    consultations: tuple[Consultation, ...],
    ruleset: Ruleset,
    *,
    now: datetime,
) -> Audit:
    return Audit(
        decided_at=now,
        evidence_hash=fingerprint.evidence_hash(collected),
        rules=ruled,
        asked=rules.asked_until(ruled),
        alert_names=tuple(ruleset.redactor.plain(alert.name, limit=NAME_CHARACTERS).text for alert in firing),
        consultations=consultations,
    )


def _guarded(situation: guards.Situation) -> Decision:
    # Of an escalation that proposes a repair the guards are asked about that.
    answers = guards.ask_all(replace(situation, verdict=situation.verdict.as_repair))
    return guards.decide(situation.verdict, answers)


def not_ours(decision: Decision) -> bool:
    """Whether the container never agreed to HemoStat at all."""
    return any(a.refusal is not None and a.refusal.reason is Reason.NOT_OPTED_IN for a in decision.guards)


def ending(decision: Decision) -> tuple[Outcome, str]:
    """How an incident ends that is decided without a repair."""
    verdict, refusals = decision.verdict, decision.refusals
    if not not_ours(decision) and verdict.kind is not VerdictKind.REPAIR:
        return (
            Outcome.ESCALATED if verdict.kind is VerdictKind.ESCALATE else Outcome.NO_ACTION
        ), verdict.reason
    why = "; ".join(until_text(refusal) for refusal in refusals)
    if all(refusal.reason is Reason.APPROVAL_REQUIRED for refusal in refusals):
        return Outcome.ESCALATED, f"{why}; proposed: {verdict.action}"
    return Outcome.REFUSED, f"{why}; would have done: {decision.would}" if decision.would else why


def unpaused_from(refusals: Sequence[Refusal], *, now: datetime) -> datetime | None:
    """From when on the end of the pause among them leaves nothing that refuses; ``None``: never by itself."""
    others = [refusal for refusal in refusals if refusal.reason is not Reason.PAUSED]
    lasting = any(refusal.until is None and refusal.reason not in STILL_OPEN for refusal in others)
    return None if lasting or len(others) == len(refusals) else over_at(others, otherwise=now)


def until_text(refusal: Refusal) -> str:
    """A refusal for people, with the time from which it no longer holds."""
    if refusal.until is None:
        return f"{refusal.reason.value}: {refusal.detail}"
    return f"{refusal.reason.value}: {refusal.detail}; until {refusal.until.isoformat(timespec='seconds')}"
