"""What should happen to one incident, decided by an ordered list of rules over its evidence: the first match wins.

Facts (Docker's state, events, our own history) decide. Untrusted text is read by ``log_veto`` alone, which can only
escalate; and a reason names classes and ids, never the text itself. Unknown is never read as zero or as fine.
No I/O and no clock here: ``now`` is an argument, a container's age is told by its own host's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.model.evidence import ContainerStatus, Evidence, Health
from bridge.model.policy import TargetClass, TargetPolicy
from bridge.model.verdict import Action, Verdict, VerdictKind
from bridge.triage import phrases, wording
from bridge.triage.case import DEFAULTS, Case, Ending, Thresholds, ending, of_last_run, unexplained_starts

__all__ = ["DEFAULTS", "RULES", "STRONG", "Rule", "RuleAnswer", "Thresholds", "judge", "trace"]

STATE = "S1"
"""The id under which the container's state is cited."""


SHORT_RECHECK_SECONDS = 10.0
LONGEST_RECHECK_SECONDS = 60.0
SHORTEST_RECHECK_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. ``when``, ``verdict`` and ``because`` are its line in ``docs/triage.md`` and in ``hemostat explain``.

    ``strong``: a repair of this rule rests on a plain fact (it crashed, its health check fails), so that it may be
    carried out although no second opinion could be had.
    """

    id: str
    when: str
    verdict: str
    because: str
    ask: Callable[[Case], Verdict | None]
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAnswer:
    """What one rule said. ``why`` is the verdict's reason where it matched, else what it would have needed."""

    rule: str
    matched: bool
    why: str


def judge(
    evidence: Evidence,
    *,
    policy: TargetPolicy,
    alert_names: Sequence[str],
    now: datetime,
    thresholds: Thresholds = DEFAULTS,
) -> Verdict:
    """The verdict of the first rule that matches. ``policy`` is the target's, narrowed by its own labels."""
    case = _case(evidence, policy, alert_names, thresholds, now)
    return next(verdict for _, verdict in _walk(case) if verdict is not None)


def trace(
    evidence: Evidence,
    *,
    policy: TargetPolicy,
    alert_names: Sequence[str],
    now: datetime,
    thresholds: Thresholds = DEFAULTS,
) -> tuple[RuleAnswer, ...]:
    """Every rule that was asked, in order; the last one is the one that decided."""
    case = _case(evidence, policy, alert_names, thresholds, now)
    return tuple(
        RuleAnswer(rule=rule.id, matched=verdict is not None, why=verdict.reason if verdict else rule.when)
        for rule, verdict in _walk(case)
    )


def _case(
    evidence: Evidence,
    policy: TargetPolicy,
    alert_names: Sequence[str],
    thresholds: Thresholds,
    now: datetime,
) -> Case:
    return Case(
        evidence=evidence, policy=policy, alert_names=tuple(alert_names), thresholds=thresholds, now=now
    )


def _walk(case: Case) -> Iterator[tuple[Rule, Verdict | None]]:
    for rule in RULES:
        verdict = rule.ask(case)
        yield rule, verdict and replace(verdict, rule=rule.id)
        if verdict is not None:
            return


# A rule's verdict gets its id from the table.


def _escalate(reason: str, *cites: str) -> Verdict:
    return Verdict(kind=VerdictKind.ESCALATE, rule="", reason=reason, cites=cites)


def _no_action(reason: str, *cites: str) -> Verdict:
    return Verdict(kind=VerdictKind.NO_ACTION, rule="", reason=reason, cites=cites)


def _left_alone(reason: str, *cites: str) -> Verdict:
    return Verdict(kind=VerdictKind.WAIT, rule="", reason=reason, cites=cites)


def _wait(reason: str, seconds: float, *cites: str) -> Verdict:
    bounded = min(max(seconds, SHORTEST_RECHECK_SECONDS), LONGEST_RECHECK_SECONDS)
    return Verdict(kind=VerdictKind.WAIT, rule="", reason=reason, cites=cites, recheck_seconds=bounded)


def _repair(case: Case, reason: str, *cites: str) -> Verdict:
    preferred = (Action.RESTART,) if case.container.running else (Action.START, Action.RESTART)
    # Where none is allowed the preferred one is still named: a guard refuses it and says why.
    action = next((action for action in preferred if action in case.policy.actions), preferred[0])
    return Verdict(kind=VerdictKind.REPAIR, rule="", reason=reason, action=action, cites=cites)


def _named(names: Sequence[str], known: Sequence[str]) -> bool:
    wanted = {name.lower() for name in known}
    return bool(names) and all(name.lower() in wanted for name in names)


def _sickness(case: Case) -> str:
    facts = case.container
    if case.exited:
        return f"{facts.name} has ended{wording.code(facts)}."
    streak = (
        "" if facts.failing_streak is None else f", {wording.count(facts.failing_streak, 'failure')} in a row"
    )
    return f"{facts.name} runs but its health check fails{streak}{wording.up(facts)}."


def _always_firing(case: Case) -> Verdict | None:
    if not _named(case.alert_names, case.thresholds.always_firing):
        return None
    return _no_action("This alert fires on purpose, to show that alerting works.")


def _alert_over(case: Case) -> Verdict | None:
    if case.evidence.alert_active is not False:
        return None
    return _no_action("The alert is no longer active.")


def _evidence_missing(case: Case) -> Verdict | None:
    if case.evidence.container is not None:
        return None
    missing = ", ".join(gap.source for gap in case.evidence.gaps)
    return _escalate("Nothing is known about the container" + (f"; missing: {missing}." if missing else "."))


def _start_failed(case: Case) -> Verdict | None:
    facts = case.container
    if facts.status not in {ContainerStatus.CREATED, ContainerStatus.EXITED} or not facts.error:
        return None
    return _escalate(
        f"Docker could not start {facts.name}{wording.code(facts)}; a restart would fail the same way.", STATE
    )


def _operator_stop(case: Case) -> Verdict | None:
    facts = case.container
    if not case.exited:
        return None
    how, cites = ending(case)
    if how is Ending.BY_API:
        return _left_alone(
            f"{facts.name} was stopped through Docker's API{wording.code(facts)}.", STATE, *cites
        )
    if case.restart_policy in {"always", "unless-stopped"}:
        # Docker restarts these whatever the exit code, unless somebody told it to stop them.
        reason = f"{facts.name} stands still{wording.code(facts)} although its restart policy is {case.restart_policy}"
        return _left_alone(f"{reason}: Docker was told to stop it.", STATE)
    if how is Ending.BY_ITSELF or facts.oom_killed:
        return None
    # 137 is also what the OOM killer leaves behind, so there "no OOM" must be known.
    if facts.exit_code in {130, 143} or (facts.exit_code == 137 and facts.oom_killed is False):
        return _left_alone(
            f"{facts.name} ended as `docker stop` or `docker kill` ends it{wording.code(facts)}.", STATE
        )
    return None


def _paused(case: Case) -> Verdict | None:
    if case.container.status is not ContainerStatus.PAUSED:
        return None
    return _left_alone(f"{case.container.name} is paused; somebody did that on purpose.", STATE)


def _created(case: Case) -> Verdict | None:
    facts = case.container
    if facts.status is not ContainerStatus.CREATED:
        return None
    age = (case.host_now - facts.created_at).total_seconds()
    if age < case.thresholds.deploy_seconds:
        reason = f"{facts.name} was created {wording.span(age)} ago and is not started yet; a deploy may be under way."
        return _wait(reason, LONGEST_RECHECK_SECONDS / 2, STATE)
    return _escalate(f"{facts.name} was created {wording.span(age)} ago and never started.", STATE)


def _exited_zero(case: Case) -> Verdict | None:
    facts = case.container
    if not case.exited or facts.exit_code != 0 or facts.oom_killed:
        return None
    return _no_action(f"{facts.name} finished with exit code 0.", STATE)


def _being_removed(case: Case) -> Verdict | None:
    facts = case.container
    if facts.status not in {ContainerStatus.REMOVING, ContainerStatus.DEAD}:
        return None
    return _escalate(f"{facts.name} is {facts.status}; it cannot be started any more.", STATE)


def _crash_loop(case: Case) -> Verdict | None:
    facts, limits = case.container, case.thresholds
    if starts := unexplained_starts(case):
        window = wording.span(limits.crash_loop_seconds)
        reason = (
            f"{facts.name} was started {len(starts)} times in the last {window}, not counting our repairs."
        )
        return _escalate(reason, *(event.id for event in starts))
    lasted = case.last_run_seconds
    run = "unknown time" if lasted is None else wording.span(lasted)
    short = lasted is None or lasted < limits.crash_loop_seconds
    looping = facts.status is ContainerStatus.RESTARTING or ((facts.running or case.exited) and short)
    if facts.restart_count > limits.crash_loop_restarts and looping:
        return _escalate(
            f"{facts.name} was restarted {facts.restart_count} times by its restart policy; last run: {run}.",
            STATE,
        )
    gave_up = case.exited and case.restart_policy == "on-failure" and facts.restart_count >= 1
    if gave_up and facts.exit_code != 0 and (lasted is None or lasted < limits.settle_seconds):
        reason = f"Docker gave up on {facts.name} after {facts.restart_count} restarts; last run: {run}."
        return _escalate(reason, STATE)
    return None


def _log_veto(case: Case) -> Verdict | None:
    facts, table = case.container, case.thresholds.phrases
    spoken = phrases.sightings(of_last_run(case, case.evidence.log_lines), classes=table)
    checked = phrases.sightings(
        of_last_run(case, case.evidence.health_log),
        classes=table,
        own_names=(facts.name, facts.id[:12]),
        of_health_check=True,
    )
    seen = spoken + checked
    if not seen:
        return None
    meanings = {sighting.kind: sighting.meaning for sighting in seen}
    cites = tuple(dict.fromkeys(sighting.line_id for sighting in seen))
    named = " and ".join(f"{meaning} ({kind})" for kind, meaning in meanings.items())
    reason = f"{facts.name}'s own words point to {named}, in {wording.count(len(cites), 'line')}; a restart would not help."
    return _escalate(reason, *cites[:8])


def _replaced_recently(case: Case) -> Verdict | None:
    if case.evidence.replaced_at is None:
        return None
    age = (case.now - case.evidence.replaced_at).total_seconds()
    left = case.thresholds.deploy_seconds - age
    if left <= 0:
        return None
    reason = f"{case.container.name} replaced another container {wording.span(age)} ago"
    if case.container.running:
        return _wait(f"{reason}; the deploy gets time to settle.", left, STATE)
    return _escalate(f"{reason} and is {case.container.status} now{wording.code(case.container)}.", STATE)


def _starting(case: Case) -> Verdict | None:
    facts = case.container
    if not facts.running:
        return None
    uptime = facts.uptime_seconds
    if facts.health is Health.STARTING:
        left = facts.start_period_seconds - (uptime or 0.0)
        # Past its start period it stays "starting" until its retries are used up.
        left = left if left > 0 else SHORT_RECHECK_SECONDS
        return _wait(
            f"{facts.name} is starting; its health check has not decided yet{wording.up(facts)}.", left, STATE
        )
    least = case.policy.min_uptime_seconds
    if uptime is None or uptime >= least:
        return None
    return _wait(
        f"{facts.name} is left alone until it is up for {wording.span(least)}{wording.up(facts)}.",
        least - uptime,
        STATE,
    )


def _restarting(case: Case) -> Verdict | None:
    facts = case.container
    if facts.status is ContainerStatus.RESTARTING:
        reason = f"Docker is restarting {facts.name} by its restart policy (restart {facts.restart_count})."
        return _wait(reason, SHORT_RECHECK_SECONDS, STATE)
    uptime = facts.uptime_seconds
    young = facts.running and uptime is not None and uptime < case.thresholds.settle_seconds
    if facts.restart_count < 1 or not young or facts.health is Health.HEALTHY:
        return None
    reason = f"Docker has just restarted {facts.name} by its restart policy{wording.up(facts)}."
    return _wait(reason, SHORT_RECHECK_SECONDS, STATE)


def _stateful(case: Case) -> Verdict | None:
    if case.policy.target_class is not TargetClass.STATEFUL or not case.sick:
        return None
    return _escalate(f"{_sickness(case)} It keeps state, so a person must approve a repair.", STATE)


def _batch(case: Case) -> Verdict | None:
    if case.policy.target_class is not TargetClass.BATCH or not case.sick:
        return None
    return _escalate(f"{_sickness(case)} It is a batch job, which would do its work again.", STATE)


def _crashed(case: Case) -> Verdict | None:
    facts = case.container
    if not case.exited:
        return None
    if facts.oom_killed:
        return _repair(case, f"{facts.name} ran out of memory and was killed{wording.code(facts)}.", STATE)
    if facts.exit_code in case.thresholds.crash_exit_codes:
        return _repair(case, f"{facts.name} crashed{wording.code(facts)}.", STATE)
    how, cites = ending(case)
    if facts.exit_code == 137 and facts.oom_killed is False and how is Ending.BY_ITSELF:
        return _repair(
            case, f"{facts.name} was killed, but not through Docker{wording.code(facts)}.", STATE, *cites
        )
    return None


def _exit_code(case: Case) -> Verdict | None:
    facts = case.container
    if not case.exited:
        return None
    if facts.exit_code is None:
        return _escalate(f"{facts.name} has ended and its exit code is unknown.", STATE)
    return _escalate(
        f"{facts.name} ended{wording.code(facts)}, which is not known to be cured by a restart.", STATE
    )


def _unhealthy(case: Case) -> Verdict | None:
    if not case.container.running or case.container.health is not Health.UNHEALTHY:
        return None
    return _repair(case, _sickness(case), STATE)


def _healthy(case: Case) -> Verdict | None:
    facts = case.container
    if not facts.running or facts.health is not Health.HEALTHY:
        return None
    reason = f"{facts.name} runs and its health check passes{wording.up(facts)}; the container does not explain the alert."
    return _no_action(reason, STATE)


def _running_again(case: Case) -> Verdict | None:
    facts = case.container
    unchecked = facts.running and facts.health is Health.NONE
    if not unchecked or not _named(case.alert_names, case.thresholds.over_when_running):
        return None
    return _no_action(f"{facts.name} runs again{wording.up(facts)}, which is all this alert asks for.", STATE)


def _no_health_check(case: Case) -> Verdict | None:
    facts = case.container
    if not facts.running or facts.health is not Health.NONE:
        return None
    return _escalate(
        f"{facts.name} runs{wording.up(facts)} and has no health check: nothing tells whether it is well.",
        STATE,
    )


def _undecided(case: Case) -> Verdict:
    facts = case.container
    return _escalate(f"No rule covers {facts.name}: {facts.status}, health {facts.health}.", STATE)


RULES: tuple[Rule, ...] = (
    Rule(
        id="always_firing",
        when="every alert is one that fires on purpose (Watchdog, DeadMansSwitch, InfoInhibitor)",
        verdict="no_action",
        because="it proves that alerting works and names no sick container",
        ask=_always_firing,
    ),
    Rule(
        id="alert_over",
        when="Alertmanager says that the alert is no longer active",
        verdict="no_action",
        because="what is over needs no repair, whatever became of the container",
        ask=_alert_over,
    ),
    Rule(
        id="evidence_missing",
        when="nothing is known about the container",
        verdict="escalate",
        because="unknown is not fine",
        ask=_evidence_missing,
    ),
    Rule(
        id="start_failed",
        when="created or exited, and Docker keeps the error of a failed start",
        verdict="escalate",
        because="a missing command, port or mount is still missing after a restart",
        ask=_start_failed,
    ),
    Rule(
        id="operator_stop",
        when="exited, and events show a kill or stop through the API around the last die; or its restart policy is "
        "always or unless-stopped; or, without events, exit code 143, 137 or 130 and no OOM kill",
        verdict="wait, nothing to wait for",
        because="what a person or a deploy stopped is left alone",
        ask=_operator_stop,
    ),
    Rule(
        id="paused",
        when="paused",
        verdict="wait, nothing to wait for",
        because="docker pause is an operator's act",
        ask=_paused,
    ),
    Rule(
        id="created",
        when="created and never started",
        verdict="wait 30 s in the first 10 min, then escalate",
        because="a deploy creates before it starts; later nobody knows why it was not started",
        ask=_created,
    ),
    Rule(
        id="exited_zero",
        when="exited with code 0 and nothing in it was OOM-killed",
        verdict="no_action",
        because="a job that finished is not sick",
        ask=_exited_zero,
    ),
    Rule(
        id="being_removed",
        when="removing or dead",
        verdict="escalate",
        because="Docker cannot start it any more",
        ask=_being_removed,
    ),
    Rule(
        id="crash_loop",
        when="3 starts in 10 min that were not our repairs; or more than 5 restarts by policy and restarting or a run "
        "shorter than 10 min; or restart policy on-failure gave up after a run shorter than 1 min",
        verdict="escalate",
        because="restarting is what already does not help",
        ask=_crash_loop,
    ),
    Rule(
        id="log_veto",
        when="text of the last run (its last 30 min) shows one of the classes below",
        verdict="escalate",
        because="a restart cures none of them and may do harm; text can only stop a repair, never cause one",
        ask=_log_veto,
    ),
    Rule(
        id="replaced_recently",
        when="another container had its name until less than 10 min ago",
        verdict="wait 60 s while it runs, else escalate",
        because="somebody is deploying; if the new one fails, that is the deploy's news",
        ask=_replaced_recently,
    ),
    Rule(
        id="starting",
        when="running, and its health check is still starting or it is up for less than min_uptime",
        verdict="wait 2 to 60 s",
        because="it has not had its chance yet",
        ask=_starting,
    ),
    Rule(
        id="restarting",
        when="restarting, or restarted by policy less than 1 min ago and not healthy",
        verdict="wait 10 s",
        because="Docker is repairing it; looking again soon shows a loop soon",
        ask=_restarting,
    ),
    Rule(
        id="stateful",
        when="class stateful, and exited or unhealthy",
        verdict="escalate",
        because="a restart of what keeps state needs a person's approval",
        ask=_stateful,
    ),
    Rule(
        id="batch",
        when="class batch, and exited or unhealthy",
        verdict="escalate",
        because="a job that runs again does its work again",
        ask=_batch,
    ),
    Rule(
        id="crashed",
        when="exited by the OOM killer, with code 1 or 2, by ILL, TRAP, ABRT, BUS, FPE or SEGV, or with 137 where events "
        "show that nobody asked Docker for it",
        verdict="repair: start, else restart",
        because="a single crash loses only the state inside the process",
        ask=_crashed,
        strong=True,
    ),
    Rule(
        id="exit_code",
        when="exited with any other code, or an unknown one",
        verdict="escalate",
        because="the code is the program's own message, and nobody told us what it means",
        ask=_exit_code,
    ),
    Rule(
        id="unhealthy",
        when="running and its health check fails",
        verdict="repair: restart",
        because="the one fact that says hung, and a restart clears it",
        ask=_unhealthy,
        strong=True,
    ),
    Rule(
        id="healthy",
        when="running and its health check passes",
        verdict="no_action",
        because="restarting what is well helps nobody",
        ask=_healthy,
    ),
    Rule(
        id="running_again",
        when="running without a health check, and every alert is of the kind that is over once it runs (ContainerDown, "
        "ContainerOOMKilled, ...)",
        verdict="no_action",
        because="it has recovered by itself",
        ask=_running_again,
    ),
    Rule(
        id="no_health_check",
        when="running without a health check",
        verdict="escalate",
        because="nothing tells whether it is well",
        ask=_no_health_check,
    ),
    Rule(
        id="undecided",
        when="otherwise",
        verdict="escalate",
        because="undecided pages a human",
        ask=_undecided,
    ),
)
"""All rules in the order in which they are asked. The last one always matches."""

STRONG = frozenset(rule.id for rule in RULES if rule.strong)
"""Ids of the strong rules (``Verdict.rule``)."""
