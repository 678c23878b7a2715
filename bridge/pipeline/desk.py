"""What every step of the walk has at hand: the roles, and how a step is written down before the next begins."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge import errors
from bridge.judgement import Judge, unpaused_from, until_text
from bridge.metrics import Metrics
from bridge.model.evidence import ContainerFacts
from bridge.model.incident import Entry, Incident, Outcome, State
from bridge.model.policy import TargetPolicy, narrowed
from bridge.model.refusal import Refusal, over_at
from bridge.model.verdict import Action
from bridge.redaction import clean
from bridge.roles import ActiveAlerts, AlertView, Budgets, Containers, Deadman, Held, Journal

log = logging.getLogger("hemostat.walk")

LOOK_SECONDS = 1.0
"""Between two looks of a verification, and of an action in doubt."""

EDGE_AWAY_SECONDS = 2.0
"""Until a neighbour that did not answer is asked again."""

WATCH_SECONDS = 10.0
"""Between two looks at a target that has healed."""

NEEDS_A_HUMAN = frozenset(
    {
        Outcome.ESCALATED,
        Outcome.NOT_HEALED,
        Outcome.RELAPSED,
        Outcome.UNVERIFIED,
        Outcome.FAILED,
        Outcome.REFUSED,
    }
)
"""Outcomes after which the target may still be sick and nobody but a human will do anything about it."""


@dataclass(slots=True, kw_only=True, eq=False)
class Desk:
    """Everything the walk needs, each as a role; ``alerts`` ``None``: no Alertmanager is configured."""

    journal: Journal
    budgets: Budgets
    containers: Containers
    alerts: ActiveAlerts | None
    metrics: Metrics
    judge: Judge
    deadman: Deadman
    lease_seconds: float

    def policy(self, held: Held) -> TargetPolicy:
        """The policy for its alerts, narrowed by the labels of the container that was judged."""
        alerts = [episode.alert for episode in held.episodes]
        container = judged_container(held.incident)
        return narrowed(self.judge.ruleset.policy.for_alerts(alerts), container.labels if container else {})

    async def views(self, held: Held) -> Mapping[str, AlertView] | None:
        """Alertmanager's view of each alert that fires, or of all where every one has ended, by fingerprint; ``None``:
        there is none, or it does not answer."""
        if self.alerts is None:
            return None
        alerts = held.firing or tuple(episode.alert for episode in held.episodes)
        try:
            return {alert.fingerprint: await self.alerts.active(alert.fingerprint) for alert in alerts}
        except errors.EdgeError as error:
            self.failed(error)
            return None

    async def undecided(self, held: Held, reason: str, seconds: float) -> Held:
        """Look again later; after ``wait_for`` a human is told instead."""
        reason = self.plain(reason)
        now = await self.journal.now()
        policy = self.policy(held)
        waited = waited_seconds(held.incident, now=now)
        if waited > policy.wait_for_seconds:
            return await self.close(held, Outcome.ESCALATED, f"undecided for {waited:.0f} s: {reason}")
        if held.incident.state is State.RESERVED:
            return await self.save(
                replace(held, incident=held.incident.held_back(now=now, seconds=seconds)), None
            )
        news = held.incident.state is not State.WAITING or held.incident.reason != reason
        entry = entry_of("waiting", reason=reason) if news else None
        return await self.save(
            replace(held, incident=held.incident.waiting(reason, now=now, seconds=seconds)), entry
        )

    async def save(self, held: Held, entry: Entry | None) -> Held:
        """Write the incident as it is now, and this line of its story."""
        if entry is not None:
            entry = replace(entry, fields={name: self.plain(value) for name, value in entry.fields.items()})
        held = await self.journal.save(held, entry)
        if entry is not None:
            log.info(entry.event, extra=dict(entry.fields))
        return held

    async def refuse(self, held: Held, refusal: Refusal, *, counts: bool = False) -> Held:
        """The end, for a reason that came after the guards. ``counts``: as if it had been repaired, for its budget."""
        decision = held.incident.decision
        if decision is not None:
            decision = replace(decision, refusals=(*decision.refusals, refusal))
            held = replace(held, incident=replace(held.incident, decision=decision))
        return await self.close(held, Outcome.REFUSED, until_text(refusal), counts=counts)

    async def close(self, held: Held, outcome: Outcome, reason: str, *, counts: bool = False) -> Held:
        """The end. Where an alert joined meanwhile nothing ends: the same step comes again, with all alerts.

        A grant that was not begun is given back, unless it ``counts`` all the same.
        """
        incident, now, policy = held.incident, await self.journal.now(), self.policy(held)
        reason = self.plain(reason)
        refusals = incident.decision.refusals if incident.decision else ()
        closed = incident.closing(
            outcome,
            reason,
            now=now,
            reconsider_at=over_at(refusals, otherwise=now + timedelta(seconds=policy.cooldown_seconds)),
            reconsider_unpaused_at=unpaused_from(refusals, now=now),
        )
        if outcome is Outcome.HEALED and policy.verify.relapse_watch_seconds > 0:
            end = now + timedelta(seconds=policy.verify.relapse_watch_seconds)
            closed = closed.watched(
                now=now, seconds=min(WATCH_SECONDS, policy.verify.relapse_watch_seconds), until=end
            )
        try:
            held = await self.journal.close(
                replace(held, incident=closed),
                entry_of("closed", outcome=outcome.value, reason=reason),
                healed=_breaker_effect(closed),
                breaker=policy.breaker,
                refund=incident.token is not None and incident.intent is None and not counts,
            )
        except errors.JoinedMeanwhile:
            return replace(held, incident=replace(incident, look_again_at=now))
        self._count(closed, now)
        level = logging.WARNING if outcome in NEEDS_A_HUMAN else logging.INFO
        log.log(
            level,
            "closed",
            extra={"outcome": outcome.value, "reason": reason, "target": closed.target and closed.target.key},
        )
        return held

    def _count(self, closed: Incident, now: datetime) -> None:
        if closed.outcome is None:
            return
        self.metrics.incidents_closed.labels(closed.outcome.value).inc()
        if closed.outcome is Outcome.REFUSED and closed.decision and closed.decision.refusals:
            self.metrics.refusals.labels(closed.decision.refusals[0].reason.value).inc()
        if closed.outcome is Outcome.HEALED:
            self.metrics.time_to_heal.observe((now - closed.opened_at).total_seconds())
        if closed.repair is not None:
            self.metrics.stage_duration.labels("verify").observe((now - closed.repair.at).total_seconds())

    def failed(self, error: errors.EdgeError) -> None:
        """Count that a neighbour did not do what it was asked."""
        self.metrics.edge_errors.labels(error.edge).inc()

    def plain(self, reason: str) -> str:
        """What a neighbour said may hold a secret; nothing of that is written down."""
        return self.judge.ruleset.redactor.text(clean(reason)).text


def _breaker_effect(closed: Incident) -> bool | None:
    """A healing counts once its watch is over, else a target that always relapses would never trip the breaker."""
    if closed.intent is None or closed.outcome is None or closed.watch_until is not None:
        return None
    return {Outcome.HEALED: True, Outcome.NOT_HEALED: False, Outcome.FAILED: False}.get(closed.outcome)


def listed_in(views: Mapping[str, AlertView]) -> Mapping[str, datetime]:
    """The alerts that fire according to a list that is known to be one process', and since when that is up."""
    return {one: view.up_since for one, view in views.items() if view.active and view.up_since is not None}


def waited_seconds(incident: Incident, *, now: datetime) -> float:
    """Since it opened, or since a person's answer: the time until then was theirs."""
    proposal = incident.proposal
    since = (proposal and proposal.answered_at) or incident.opened_at
    return (now - since).total_seconds()


def action_of(incident: Incident) -> Action:
    """What it was decided to do."""
    if incident.decision is None or incident.decision.verdict.action is None:
        raise ValueError(f"incident {incident.id} has no action to carry out")
    return incident.decision.verdict.action


def judged_container(incident: Incident) -> ContainerFacts | None:
    """The container as it was when the incident was judged."""
    return incident.evidence.container if incident.evidence is not None else None


def host_of(incident: Incident) -> str:
    """The host of its target."""
    if incident.target is None:
        raise ValueError(f"incident {incident.id} has no target")
    return incident.target.host


def entry_of(event: str, **fields: str) -> Entry:
    """A line for its story; empty fields are left out."""
    return Entry(event=event, fields={name: value for name, value in fields.items() if value})
