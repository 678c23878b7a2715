"""What should and may happen to a target now: evidence, rules, guards, and the budget asked without reserving.

Writes nothing: the walk decides with it, and ``simulate`` shows the same decision to an operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from bridge import evidence, guards
from bridge.census import Census
from bridge.metrics import Metrics
from bridge.model.alert import Alert, Subject
from bridge.model.evidence import Evidence
from bridge.model.incident import Decision, Outcome
from bridge.model.policy import Policy, TargetPolicy, narrowed
from bridge.model.refusal import Reason, Refusal
from bridge.model.verdict import VerdictKind
from bridge.redaction import Redactor
from bridge.roles import Budgets, Containers, Journal, Storms
from bridge.triage import phrases, rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """What a reload replaces whole: the policy, the thresholds of triage, and what is taken out of text."""

    policy: Policy = field(default_factory=Policy)
    thresholds: rules.Thresholds = field(default_factory=rules.Thresholds)
    redactor: Redactor = field(default_factory=Redactor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A decision, what it rests on, and the policy it was made under."""

    evidence: Evidence
    decision: Decision
    policy: TargetPolicy


class Judge:
    """``ruleset`` may be replaced at any time; a judgement uses the one it began with."""

    def __init__(
        self,
        *,
        journal: Journal,
        budgets: Budgets,
        storms: Storms,
        containers: Containers,
        metrics: Metrics,
        ruleset: Ruleset,
    ) -> None:
        self.ruleset = ruleset
        self.census = Census(containers)
        self._journal = journal
        self._budgets = budgets
        self._storms = storms
        self._containers = containers
        self._sources = evidence.Sources(containers=containers, journal=journal, listing=self.census.of)
        self._metrics = metrics

    async def locate(self, subject: Subject) -> evidence.Found | evidence.Missing:
        """The target that a subject names. Raises EdgeUnavailable: whether it exists is unknown."""
        found = await evidence.locate(self._containers, subject)
        if isinstance(found, evidence.Missing):
            return found
        return replace(found, populations=await self.census.around(found.facts))

    async def consider(self, subject: Subject, firing: Sequence[Alert], found: evidence.Found) -> Considered:
        """What should and may happen to a target now. Writes nothing, reserves nothing: ``simulate`` asks the same."""
        ruleset, now = self.ruleset, await self._journal.now()
        policy = narrowed(ruleset.policy.for_alerts(firing), found.facts.labels)
        with self._metrics.stage_duration.labels("evidence").time():
            active = True if firing else None
            collected = await evidence.collect(
                self._sources,
                found,
                alert_active=active,
                redactor=ruleset.redactor,
                telling=partial(phrases.says_something, classes=ruleset.thresholds.phrases),
                now=now,
            )
            self._metrics.redacted(collected.redactions)
            pause = await self._budgets.paused()
            shares = await self._storms.shares(found.populations, limits=ruleset.policy.limits)
        with self._metrics.stage_duration.labels("triage").time():
            names = [alert.name for alert in firing]
            verdict = rules.judge(
                collected,
                policy=policy,
                alert_names=names,
                thresholds=ruleset.thresholds,
                now=now,
                suspect=any(share.suspect for share in shares),
            )
            situation = guards.Situation(
                subject=subject,
                alerts=tuple(firing),
                facts=found.facts,
                verdict=verdict,
                target_policy=policy,
                policy=ruleset.policy,
                paused=pause is not None,
                paused_until=pause.until if pause else None,
                paused_by=f"{pause.by}: {pause.why}" if pause else "",
                shares=tuple(shares),
                now=now,
            )
            decision = guards.decide(verdict, guards.ask_all(situation))
        if not_ours(decision):
            # The container never agreed to HemoStat at all: then its troubles are not ours to tell either.
            refusals = tuple(answer.refusal for answer in decision.guards if answer.refusal is not None)
            decision = replace(decision, refusals=refusals)
        elif decision.would is not None:
            refusal = await self._would_grant(found, policy, ruleset)
            if refusal is not None:
                decision = replace(decision, refusals=(*decision.refusals, refusal), would=None)
        return Considered(evidence=collected, decision=decision, policy=policy)

    def without_target(self, firing: Sequence[Alert], missing: evidence.Missing) -> tuple[Outcome, str]:
        """How an incident without a target ends: escalated, unless all its alerts ask for no repair."""
        always = {name.lower() for name in self.ruleset.thresholds.always_firing}
        if firing and all(alert.name.lower() in always for alert in firing):
            return Outcome.NO_ACTION, "an alert that always fires: it shows that the path works"
        if firing and all(alert.own for alert in firing):
            # Escalating it would post another one, and so on for ever.
            return Outcome.NO_ACTION, "an alert of HemoStat's own: it is for people"
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


def until_text(refusal: Refusal) -> str:
    """A refusal for people, with the time from which it no longer holds."""
    if refusal.until is None:
        return f"{refusal.reason.value}: {refusal.detail}"
    return f"{refusal.reason.value}: {refusal.detail}; until {refusal.until.isoformat(timespec='seconds')}"
