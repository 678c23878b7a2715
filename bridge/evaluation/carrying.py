"""What would become of a verdict: guards and budgets asked as the walk asks them, and their refusal put as a verdict.

A repair that is refused because somebody is at work, or because the last one was just made, is a ``wait``; one that is
refused for good is for a person: ``escalate``.
"""

from __future__ import annotations

from datetime import timedelta

from bridge import guards
from bridge.evaluation.scenario import Scenario
from bridge.intake import subject_of
from bridge.model.identity import COMPOSE_PROJECT
from bridge.model.policy import TargetPolicy
from bridge.model.refusal import Reason
from bridge.model.share import Population, Share, ShareScope
from bridge.model.verdict import Verdict, VerdictKind
from bridge.triage.surroundings import UNHELPFUL

WAITED_FOR = frozenset({Reason.PAUSED, Reason.MAINTENANCE, Reason.STARTED_RECENTLY, Reason.COOLDOWN})
"""Refusals that end by themselves, or when whoever is at work has done it."""


def carried_out(scenario: Scenario, verdict: Verdict) -> tuple[VerdictKind, Reason | None]:
    """What would be done, and by which refusal it became something else."""
    container = scenario.evidence.container
    if verdict.kind is not VerdictKind.REPAIR or container is None:
        return verdict.kind, None
    labels = scenario.alerts[0].labels if scenario.alerts else {}
    situation = guards.Situation(
        subject=subject_of(labels, hosts=[container.host]),
        alerts=scenario.firing,
        facts=container,
        verdict=verdict,
        policy=scenario.policy,
        target_policy=scenario.target_policy,
        paused=scenario.paused,
        paused_by="an operator" if scenario.paused else "",
        shares=shares_of(scenario),
        now=scenario.now,
    )
    decision = guards.decide(verdict, guards.ask_all(situation))
    reason = decision.refusals[0].reason if decision.refusals else _budget(scenario)
    if reason is None:
        return VerdictKind.REPAIR, None
    return (VerdictKind.WAIT if reason in WAITED_FOR else VerdictKind.ESCALATE), reason


def shares_of(scenario: Scenario) -> tuple[Share, ...]:
    """The share of sick containers of its project, as far as the scenario tells of its neighbours."""
    container = scenario.evidence.container
    known = [one for one in scenario.evidence.neighbours if one.sick is not None]
    if container is None or not known:
        return ()
    project = container.labels.get(COMPOSE_PROJECT, "project")
    return (
        Share(
            population=Population(scope=ShareScope.PROJECT, host=container.host, name=project),
            sick=sum(1 for one in known if one.sick) + 1,
            known=len(known) + 1,
            limit=scenario.policy.limits.project_share,
        ),
    )


def _budget(scenario: Scenario) -> Reason | None:
    """What the budgets in Redis would say, from the repairs that the scenario tells of."""
    policy: TargetPolicy = scenario.target_policy
    past = sorted(scenario.evidence.past_repairs, key=lambda repair: repair.at, reverse=True)
    if not past:
        return None
    since_last = scenario.now - past[0].at
    helpless = next((n for n, repair in enumerate(past) if repair.outcome not in UNHELPFUL), len(past))
    if helpless >= policy.breaker.failures and since_last < timedelta(
        seconds=policy.breaker.open_for_seconds
    ):
        return Reason.BREAKER_OPEN
    if since_last < timedelta(seconds=policy.cooldown_seconds):
        return Reason.COOLDOWN
    for cap in policy.caps:
        since = scenario.now - timedelta(seconds=cap.per_seconds)
        if sum(1 for repair in past if repair.at > since) >= cap.max:
            return Reason.TARGET_CAP
    return None
