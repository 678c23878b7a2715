"""The walk of one incident, step after step, resumable at every one. Knows roles, never a vendor.

    open ─> judged ─> reserved ─> acting ─> verifying ─> closed
      └─> waiting (look again)         └─ settled by comparison after a crash

``STEPS`` is the whole order: a worker takes an incident at whatever state it finds and goes on from there. Each step
writes what it did before the next begins; a refusal is a value, an outcome comes from a closed list, and whatever
stays undecided is told to a human.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bridge import approval, errors, evidence, verification
from bridge.actions import ACTIONS
from bridge.judgement import Judge, ending, not_ours, until_text
from bridge.metrics import Metrics
from bridge.model.evidence import ContainerFacts, Health
from bridge.model.incident import (
    Answer,
    Decision,
    Entry,
    Incident,
    Intent,
    Outcome,
    Proposal,
    Repair,
    State,
)
from bridge.model.policy import TargetPolicy, narrowed
from bridge.model.refusal import Reason, Refusal, over_at
from bridge.model.verdict import Action, VerdictKind
from bridge.redaction import clean
from bridge.roles import ActiveAlerts, Budgets, Containers, Deadman, Held, Journal
from bridge.verification import AlertState, Settled

log = logging.getLogger("hemostat.walk")

LOOK_SECONDS = 1.0
"""Between two looks of a verification, and of an action in doubt."""

EDGE_AWAY_SECONDS = 2.0
"""Until a neighbour that did not answer is asked again."""

DEADMAN_SHARE = 0.8
"""Of the lease: the timer must end the process before anybody else may take the incident over."""

MAX_FAILURES = 3
"""Calls that Docker may answer with an error before the action counts as failed. A crash of ours is not counted."""

STUMBLE_SECONDS = 10.0
"""Until an incident whose walk ended in a bug is walked again."""

BUSY_SECONDS = 5.0
WATCH_SECONDS = 10.0

SUSPECT_HOLD_SECONDS = 330.0
"""Without Alertmanager's API: its peer timeout (15 s) plus its default group_interval (5 m), after which a stale
firing would have been followed by its resolved. Source: research on Alertmanager pairs."""


class Pipeline:
    """Everything the walk needs, each as a role."""

    def __init__(
        self,
        *,
        journal: Journal,
        budgets: Budgets,
        containers: Containers,
        alerts: ActiveAlerts | None,
        metrics: Metrics,
        judge: Judge,
        deadman: Deadman,
        lease_seconds: float,
    ) -> None:
        self.journal = journal
        self.budgets = budgets
        self.containers = containers
        self.alerts = alerts
        self.metrics = metrics
        self.judge = judge
        self._deadman = deadman
        self._lease_seconds = lease_seconds

    async def walk(self, held: Held) -> float | None:
        """One incident from where it stands to its end (``None``), or to the next look (in seconds).

        Raises:
            ClaimLost: somebody else has it now; nothing more may be written.
            EdgeUnavailable: the store is away; the incident stays as it was last written.
        """
        while True:
            held = await STEPS[held.incident.state](self, held)
            incident = held.incident
            if incident.look_again_at is not None:
                return max(0.0, (incident.look_again_at - await self.journal.now()).total_seconds())
            if incident.closed:
                return None

    async def stumbled(self, held: Held) -> float | None:
        """After a walk that ended in a bug: again in a while, and for ``wait_for`` at most; then a human is told."""
        held = await self.journal.load(held)
        now = await self.journal.now()
        since = held.incident.updated_at or held.incident.opened_at
        if held.incident.closed or (now - since).total_seconds() <= self._policy(held).wait_for_seconds:
            return STUMBLE_SECONDS
        outcome = Outcome.ESCALATED if held.incident.intent is None else Outcome.UNVERIFIED
        await self._close(held, outcome, "HemoStat failed at it by an error of its own; see its log")
        return None

    # ---- decide ----------------------------------------------------------------------------------------------

    async def decide(self, held: Held) -> Held:
        """Find the target, collect evidence, judge, ask the guards, reserve the budget."""
        if held.resolved:
            return await self._close(held, Outcome.RESOLVED, "every alert ended before anything was done")
        now = await self.journal.now()
        if held.incident.suspect and (waits := await self._suspect(held, now)) is not None:
            return waits
        if (proposal := held.incident.proposal) is not None and proposal.answer is not Answer.APPROVE:
            return await self._unapproved(held, proposal, now)
        try:
            found = await self.judge.locate(held.incident.subject)
        except errors.EdgeUnavailable as error:
            self._failed(error)
            return await self._undecided(held, f"cannot ask Docker: {error}", EDGE_AWAY_SECONDS)
        except errors.EdgeRejected as error:
            self._failed(error)
            return await self._close(
                held, Outcome.ESCALATED, f"cannot tell which container is meant: {error}"
            )
        if isinstance(found, evidence.Missing):
            return await self._close(held, *self.judge.without_target(held.firing, found))
        held = replace(held, incident=held.incident.found(found.target))
        if proposal is not None and (why := approval.void(proposal, found.facts, now=now)):
            return await self._withdrawn(held, why, now)

        held, decision, policy = await self._judge(held, found)
        verdict = decision.verdict
        if not decision.allowed:
            if decision.asks is not None:
                return await self._ask(held, decision.asks, found.facts, policy)
            if verdict.kind is VerdictKind.WAIT and not not_ours(decision):
                if verdict.recheck_seconds is None:
                    return await self._close(held, Outcome.NO_ACTION, verdict.reason)
                return await self._undecided(held, verdict.reason, verdict.recheck_seconds)
            return await self._close(held, *ending(decision))
        if proposal is not None and verdict.action is not proposal.action:
            return await self._withdrawn(held, f"by now it wants to {verdict.action}", now)
        return await self._reserve(held, found, policy)

    async def _judge(self, held: Held, found: evidence.Found) -> tuple[Held, Decision, TargetPolicy]:
        proposal = held.incident.proposal
        considered = await self.judge.consider(
            held.incident.subject,
            held.firing,
            found,
            approved_by=proposal.answered_by if proposal is not None else "",
        )
        decision, collected = considered.decision, considered.evidence
        verdict = decision.verdict
        self.metrics.triage.labels(verdict.source.value, verdict.kind.value).inc()
        if held.incident.state is State.OPEN:
            waited = considered.evidence.collected_at - held.incident.opened_at
            self.metrics.stage_duration.labels("queued").observe(max(0.0, waited.total_seconds()))
        await self.journal.saw_container(found.target, found.facts)
        now = await self.journal.now()
        held = replace(
            held, incident=held.incident.judged(collected, decision, now=now, audit=considered.audit)
        )
        entry = _entry(
            "judged",
            verdict=verdict.kind.value,
            action=verdict.action.value if verdict.action else "",
            rule=verdict.rule,
            decided_by=verdict.decided_by,
            reason=verdict.reason,
            refused_by=", ".join(refusal.reason.value for refusal in decision.refusals),
            gaps=evidence.gap_sources(collected.gaps),
        )
        return await self._save(held, entry), decision, considered.policy

    async def _reserve(self, held: Held, found: evidence.Found, policy: TargetPolicy) -> Held:
        incident = held.incident
        with self.metrics.stage_duration.labels("reserve").time():
            answer = await self.budgets.acquire(
                held,
                policy=policy,
                limits=self.judge.ruleset.policy.limits,
                facts=found.facts,
                populations=found.populations,
                entry=_entry("reserved", action=_action(incident).value),
            )
        if isinstance(answer, Refusal):
            if answer.reason is Reason.TARGET_BUSY:
                return await self._undecided(held, answer.detail, BUSY_SECONDS)
            decision = incident.decision
            if decision is not None:
                refused = replace(decision, refusals=(*decision.refusals, answer), would=_action(incident))
                held = replace(held, incident=replace(incident, decision=refused))
            return await self._close(held, Outcome.REFUSED, until_text(answer))
        now = await self.journal.now()
        log.info("reserved", extra={"token": answer.token, "target": incident.target and incident.target.key})
        return replace(held, incident=incident.reserved(answer.token, now=now))

    # ---- ask -------------------------------------------------------------------------------------------------

    async def _ask(self, held: Held, action: Action, facts: ContainerFacts, policy: TargetPolicy) -> Held:
        """Only a person's approval is missing: ask for it, and go on with whatever is answered, or when time is up."""
        now = await self.journal.now()
        proposal = approval.propose(
            secrets.token_hex(16), action, facts, now=now, ttl_seconds=policy.approval_ttl_seconds
        )
        asking = held.incident.asking(proposal, now=now)
        entry = _entry("asked", action=action.value, until=proposal.until.isoformat(timespec="seconds"))
        return await self._save(replace(held, incident=asking), entry)

    async def _unapproved(self, held: Held, proposal: Proposal, now: datetime) -> Held:
        """It was asked, and nobody has approved it."""
        match proposal.answer:
            case Answer.REJECT:
                refusal = approval.rejected(proposal)
                return await self._close(_refused(held, refusal), Outcome.REFUSED, until_text(refusal))
            case Answer.SNOOZE:
                why = approval.put_off(proposal)
                later = held.incident.not_asking(why, now=now, seconds=approval.SNOOZE_SECONDS)
                return await self._save(replace(held, incident=later), _entry("waiting", reason=why))
        if now < proposal.until:
            return held
        return await self._close(held, Outcome.ESCALATED, approval.unanswered(proposal))

    async def _withdrawn(self, held: Held, why: str, now: datetime) -> Held:
        """What was approved is not what would be done any more: it is judged anew, and asked anew if it must be."""
        off = held.incident.not_asking(f"the approval does not count: {why}", now=now, seconds=0.0)
        return await self._save(replace(held, incident=off), _entry("approval_void", reason=why))

    async def _suspect(self, held: Held, now: datetime) -> Held | None:
        """A firing that began before the last resolved ended: stale or true. ``None``: it is true, go on."""
        incident = held.incident
        hold = (incident.opened_at + timedelta(seconds=SUSPECT_HOLD_SECONDS) - now).total_seconds()
        views, unreachable = await self._views(held)
        if views is not None and not unreachable:
            if any(active for active, _ in views):
                return None
            return await self._close(
                held, Outcome.RESOLVED, "a stale firing: Alertmanager says that the alert has ended"
            )
        if hold <= 0:
            return None
        why = "it fires with a start before its last end, and nobody can say whether that is true"
        return await self._save(
            replace(held, incident=incident.waiting(why, now=now, seconds=min(hold, EDGE_AWAY_SECONDS * 15))),
            _entry("waiting", reason=why) if incident.state is State.OPEN else None,
        )

    # ---- act -------------------------------------------------------------------------------------------------

    async def begin(self, held: Held) -> Held:
        """The budget is granted: look once more, write the intent, act."""
        held = await self.journal.load(held)
        incident, now = held.incident, await self.journal.now()
        if held.resolved:
            return await self._close(held, Outcome.RESOLVED, "every alert ended before the action began")
        judged = _judged_container(incident)
        try:
            facts = await self.containers.inspect(_target_host(incident), judged.id if judged else "")
        except errors.EdgeError as error:
            self._failed(error)
            return await self._undecided(held, f"cannot ask Docker: {error}", EDGE_AWAY_SECONDS)
        if (
            facts is None
            or judged is None
            or facts.started_at != judged.started_at
            or facts.status != judged.status
            or (facts.health is Health.HEALTHY and judged.health is not Health.HEALTHY)
        ):
            what = "was removed" if facts is None else "changed"
            refusal = Refusal(
                reason=Reason.TARGET_CHANGED, detail=f"the container {what} after it was judged"
            )
            return await self._close(_refused(held, refusal), Outcome.REFUSED, refusal.detail)
        return await self._act(held, facts, now)

    async def _act(self, held: Held, facts: ContainerFacts, now: datetime) -> Held:
        incident = held.incident
        action = _action(incident)
        intent = Intent(
            action=action,
            container_id=facts.id,
            was_running=facts.running,
            started_at=facts.started_at,
            restart_count=facts.restart_count,
            stop_timeout_seconds=facts.stop_timeout_seconds if facts.running else 0.0,
            token=incident.token or 0,
            at=now,
            failures=incident.intent.failures if incident.intent else 0,
        )
        held = replace(held, incident=incident.acting(intent, now=now))
        # Armed before the intent, whose answer may reach a process that was paused for longer than the lease it tells of.
        with self._or_dead(held):
            refusal = await self._begun(held, _entry("acting", action=action.value, container=facts.id[:12]))
            failure = None if refusal is not None else await self._carry_out(held, intent)
        if refusal is not None:
            return await self._close(
                _refused(replace(held, incident=incident), refusal), Outcome.REFUSED, until_text(refusal)
            )
        if isinstance(failure, errors.EdgeRejected):
            self.metrics.repairs.labels(action.value, "failed").inc()
            return await self._close(held, Outcome.FAILED, f"{action.value} failed: {failure}")
        if failure is not None:
            # It may have happened. The container's own StartedAt will tell; repeating blindly would act twice.
            self.metrics.repairs.labels(action.value, "in_doubt").inc()
            later = held.incident.in_doubt(now=await self.journal.now(), seconds=LOOK_SECONDS, failed=True)
            return await self._save(replace(held, incident=later), _entry("in_doubt", reason=str(failure)))
        self.metrics.repairs.labels(action.value, "done").inc()
        return await self._acted(held, settled=False)

    async def _begun(self, held: Held, entry: Entry) -> Refusal | None:
        """Write the intent. Raises: EdgeUnavailable: not confirmed in time; a store that hangs is no paused process."""
        try:
            async with asyncio.timeout(DEADMAN_SHARE / 2 * self._lease_seconds):
                return await self.budgets.begin(held, entry)
        except TimeoutError:
            raise errors.EdgeUnavailable("redis", "the intent was not confirmed in time") from None

    async def _carry_out(self, held: Held, intent: Intent) -> errors.EdgeError | None:
        """Do what is intended; what went wrong, if anything."""
        target = held.incident.target
        log.info("acting", extra={"action": intent.action.value, "target": target and target.key})
        try:
            with self.metrics.stage_duration.labels("act").time():
                await ACTIONS[intent.action](
                    self.containers, _target_host(held.incident), intent.container_id
                )
        except errors.EdgeError as error:
            self._failed(error)
            return error
        return None

    @contextlib.contextmanager
    def _or_dead(self, held: Held) -> Iterator[None]:
        """Inside, a process that is paused ends before anybody else may take the incident over."""
        key = str(held.claim)
        self._deadman.arm(key, DEADMAN_SHARE * self._lease_seconds)
        try:
            yield
        finally:
            self._deadman.disarm(key)

    async def _acted(self, held: Held, *, settled: bool) -> Held:
        now = await self.journal.now()
        intent = held.incident.intent
        if intent is None:
            raise ValueError(f"incident {held.incident.id} acted without an intent")
        self.metrics.time_to_repair.observe((now - held.incident.opened_at).total_seconds())
        repair = Repair(action=intent.action, container_id=intent.container_id, at=now, settled=settled)
        entry = _entry("acted", action=intent.action.value, settled="yes" if settled else "no")
        return await self._save(replace(held, incident=held.incident.verifying(repair, now=now)), entry)

    async def settle(self, held: Held) -> Held:
        """An intent whose action nobody reported: compare it with what Docker says, then go on from there."""
        held = await self.journal.load(held)
        incident, intent = held.incident, held.incident.intent
        if intent is None:
            raise ValueError(f"incident {incident.id} is acting without an intent")
        try:
            facts = await self.containers.inspect(_target_host(incident), intent.container_id)
        except errors.EdgeError as error:
            self._failed(error)
            return await self._unsettled(held, intent, error)
        # After the answer: an Engine that hung may have taken long to give it.
        now = await self.journal.now()
        verdict = verification.settle(intent, facts, now=now)
        match verdict:
            case Settled.HAPPENED:
                return await self._settled(held, intent)
            case Settled.HALF_DONE:
                return await self._start_missing(held, intent, now)
            case Settled.MAYBE_STILL:
                unchanged_since = intent.unchanged_since or now
                later = incident.in_doubt(now=now, seconds=LOOK_SECONDS, unchanged_since=unchanged_since)
                return await self._save(replace(held, incident=later), None)
            case Settled.TARGET_CHANGED:
                return await self._close(
                    held, Outcome.FAILED, "the container was removed or recreated during the action"
                )
            case Settled.NOT_DONE:
                if held.resolved:
                    return await self._close(
                        held, Outcome.RESOLVED, "every alert ended before the action happened"
                    )
                if facts is None:
                    raise AssertionError("a container that is gone is TARGET_CHANGED")
                if intent.failures >= MAX_FAILURES:
                    why = f"Docker answered {intent.failures} times with an error and did not {intent.action.value} it"
                    return await self._close(held, Outcome.FAILED, why)
                return await self._act(held, facts, now)

    async def _start_missing(self, held: Held, intent: Intent, now: datetime) -> Held:
        """Stopped and never started: the missing half is not a second restart, and a no-op if it runs.

        A pause does not stand against it: it begins nothing, and what we stopped must not stay down until someone resumes.
        """
        incident = held.incident
        with self._or_dead(held):
            # Renews the lease under the timer: a process that was paused must not start what people stopped later.
            doubt = incident.in_doubt(now=now, seconds=0)
            held = await self._save(
                replace(held, incident=doubt), _entry("starting", reason="half a restart")
            )
            try:
                await self.containers.start(_target_host(incident), intent.container_id)
            except errors.EdgeError as error:
                failure: errors.EdgeError | None = error
                self._failed(error)
            else:
                failure = None
        if isinstance(failure, errors.EdgeRejected):
            return await self._close(held, Outcome.FAILED, f"the missing start failed: {failure}")
        if failure is not None:
            return await self._unsettled(held, intent, failure)
        return await self._settled(held, intent)

    async def _settled(self, held: Held, intent: Intent) -> Held:
        self.metrics.repairs.labels(intent.action.value, "settled").inc()
        return await self._acted(held, settled=True)

    async def _unsettled(self, held: Held, intent: Intent, error: errors.EdgeError) -> Held:
        """Docker cannot be asked whether it happened: again later, and after a while a human is told."""
        policy, now = self._policy(held).verify, await self.journal.now()
        if now - intent.at > timedelta(seconds=policy.within_seconds + intent.stop_timeout_seconds):
            why = f"whether the {intent.action.value} happened could not be found out: {error}"
            return await self._close(held, Outcome.UNVERIFIED, why)
        later = held.incident.in_doubt(now=now, seconds=EDGE_AWAY_SECONDS)
        return await self._save(replace(held, incident=later), None)

    # ---- verify ----------------------------------------------------------------------------------------------

    async def verify(self, held: Held) -> Held:
        """One look at the repaired container."""
        held = await self.journal.load(held)
        incident, repair = held.incident, held.incident.repair
        if repair is None:
            raise ValueError(f"incident {incident.id} is verifying without a repair")
        policy = self._policy(held).verify
        now = await self.journal.now()
        try:
            facts = await self.containers.inspect(_target_host(incident), repair.container_id)
        except errors.EdgeError as error:
            self._failed(error)
            answer = verification.unseen(repair, self._plain(str(error)), policy=policy, now=now)
        else:
            alert = await self._alert_state(held, repair)
            answer = verification.assess(repair, facts, incident.finding, policy=policy, alert=alert, now=now)
        if isinstance(answer, verification.LookAgain):
            news = incident.finding is None or incident.finding.text != answer.finding.text
            entry = _entry("looked", finding=answer.finding.text) if news else None
            return await self._save(
                replace(held, incident=incident.looked(answer.finding, now=now, seconds=LOOK_SECONDS)), entry
            )
        return await self._close(held, answer.outcome, answer.reason)

    async def watch(self, held: Held) -> Held:
        """A healed target is looked at for a while longer: a repair that does not last did not help."""
        incident, repair = held.incident, held.incident.repair
        now = await self.journal.now()
        if incident.watch_until is None or repair is None:
            return held
        try:
            facts = await self.containers.inspect(_target_host(incident), repair.container_id)
            why = verification.relapse(repair, facts)
        except errors.EdgeError as error:
            self._failed(error)
            why = None
        if why is not None:
            self.metrics.incidents_closed.labels(Outcome.RELAPSED.value).inc()
            log.warning("relapsed", extra={"reason": why})
            relapsed = replace(held, incident=incident.relapsed(f"healed, then {why}", now=now))
            return await self.journal.close(
                relapsed,
                _entry("relapsed", reason=why),
                healed=False,
                breaker=self._policy(held).breaker,
            )
        if now >= incident.watch_until:
            return await self.journal.close(
                replace(held, incident=incident.settled_down(now=now)),
                _entry("watch_ended"),
                healed=True,
                breaker=self._policy(held).breaker,
            )
        seconds = min(WATCH_SECONDS, max(0.5, (incident.watch_until - now).total_seconds()))
        return await self._save(
            replace(held, incident=incident.watched(now=now, seconds=seconds, until=incident.watch_until)),
            None,
        )

    async def _alert_state(self, held: Held, repair: Repair) -> AlertState:
        views, unreachable = (None, False) if held.resolved else await self._views(held)
        return verification.alert_state(
            all_resolved=held.resolved, views=views, unreachable=unreachable, acted_at=repair.at
        )

    async def _views(self, held: Held) -> tuple[list[tuple[bool, datetime | None]] | None, bool]:
        """Alertmanager's view of each alert that fires, and whether it could not be asked."""
        if self.alerts is None:
            return None, False
        try:
            views = [await self.alerts.active(alert.fingerprint) for alert in held.firing]
        except errors.EdgeError as error:
            self._failed(error)
            return None, True
        return [(view.active, view.updated_at) for view in views], False

    # ---- write -----------------------------------------------------------------------------------------------

    def _policy(self, held: Held) -> TargetPolicy:
        alerts = [episode.alert for episode in held.episodes]
        container = _judged_container(held.incident)
        return narrowed(self.judge.ruleset.policy.for_alerts(alerts), container.labels if container else {})

    async def _undecided(self, held: Held, reason: str, seconds: float) -> Held:
        """Look again later; after ``wait_for`` a human is told instead."""
        reason = self._plain(reason)
        now = await self.journal.now()
        policy = self._policy(held)
        proposal = held.incident.proposal
        since = (proposal and proposal.answered_at) or held.incident.opened_at
        waited = (now - since).total_seconds()
        if waited > policy.wait_for_seconds:
            return await self._close(held, Outcome.ESCALATED, f"undecided for {waited:.0f} s: {reason}")
        if held.incident.state is State.RESERVED:
            return await self._save(
                replace(held, incident=held.incident.held_back(now=now, seconds=seconds)), None
            )
        news = held.incident.state is not State.WAITING or held.incident.reason != reason
        entry = _entry("waiting", reason=reason) if news else None
        return await self._save(
            replace(held, incident=held.incident.waiting(reason, now=now, seconds=seconds)), entry
        )

    def _failed(self, error: errors.EdgeError) -> None:
        self.metrics.edge_errors.labels(error.edge).inc()

    def _plain(self, reason: str) -> str:
        """What a neighbour said may hold a secret; nothing of that is written down."""
        return self.judge.ruleset.redactor.text(clean(reason)).text

    async def _save(self, held: Held, entry: Entry | None) -> Held:
        if entry is not None:
            entry = replace(entry, fields={name: self._plain(value) for name, value in entry.fields.items()})
        held = await self.journal.save(held, entry)
        if entry is not None:
            log.info(entry.event, extra=dict(entry.fields))
        return held

    async def _close(self, held: Held, outcome: Outcome, reason: str) -> Held:
        incident, now, policy = held.incident, await self.journal.now(), self._policy(held)
        reason = self._plain(reason)
        refusals = incident.decision.refusals if incident.decision else ()
        unpaused = [refusal for refusal in refusals if refusal.reason is not Reason.PAUSED]
        closed = incident.closing(
            outcome,
            reason,
            now=now,
            reconsider_at=over_at(refusals, otherwise=now + timedelta(seconds=policy.cooldown_seconds)),
            reconsider_unpaused_at=over_at(unpaused, otherwise=now) if unpaused != [*refusals] else None,
        )
        if outcome is Outcome.HEALED and policy.verify.relapse_watch_seconds > 0:
            end = now + timedelta(seconds=policy.verify.relapse_watch_seconds)
            closed = closed.watched(
                now=now, seconds=min(WATCH_SECONDS, policy.verify.relapse_watch_seconds), until=end
            )
        try:
            held = await self.journal.close(
                replace(held, incident=closed),
                _entry("closed", outcome=outcome.value, reason=reason),
                healed=_breaker_effect(closed),
                breaker=policy.breaker,
                refund=incident.token is not None and incident.intent is None,
            )
        except errors.JoinedMeanwhile:
            return replace(
                held, incident=replace(incident, look_again_at=now)
            )  # this step again, with all alerts
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


STEPS: Mapping[State, Callable[[Pipeline, Held], Awaitable[Held]]] = {
    State.OPEN: Pipeline.decide,
    State.WAITING: Pipeline.decide,
    State.JUDGED: Pipeline.decide,  # a crash in between: facts have aged, so they are collected anew
    State.RESERVED: Pipeline.begin,
    State.ACTING: Pipeline.settle,
    State.VERIFYING: Pipeline.verify,
    State.CLOSED: Pipeline.watch,
}

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


def _breaker_effect(closed: Incident) -> bool | None:
    """A healing counts once its watch is over, else a target that always relapses would never trip the breaker."""
    if closed.intent is None or closed.outcome is None or closed.watch_until is not None:
        return None
    return {Outcome.HEALED: True, Outcome.NOT_HEALED: False, Outcome.FAILED: False}.get(closed.outcome)


def _refused(held: Held, refusal: Refusal) -> Held:
    decision = held.incident.decision
    if decision is None:
        return held
    return replace(
        held,
        incident=replace(held.incident, decision=replace(decision, refusals=(*decision.refusals, refusal))),
    )


def _action(incident: Incident) -> Action:
    if incident.decision is None or incident.decision.verdict.action is None:
        raise ValueError(f"incident {incident.id} has no action to carry out")
    return incident.decision.verdict.action


def _judged_container(incident: Incident) -> ContainerFacts | None:
    return incident.evidence.container if incident.evidence is not None else None


def _target_host(incident: Incident) -> str:
    if incident.target is None:
        raise ValueError(f"incident {incident.id} has no target")
    return incident.target.host


def _entry(event: str, **fields: str) -> Entry:
    return Entry(event=event, fields={name: value for name, value in fields.items() if value})
