"""Rules about the alert and the container itself: its state, how its last run ended, how often it starts.

What each is for stands in the table, ``bridge.triage.rules``.
"""

from __future__ import annotations

from bridge.model.evidence import ContainerStatus, EngineEvent, Health, Measure, Measured
from bridge.model.policy import TargetClass
from bridge.model.verdict import Verdict
from bridge.triage import wording
from bridge.triage.case import SKEW_SECONDS, Case, Ending, end_asked_for, ending, unexplained_starts
from bridge.triage.verdicts import (
    LONGEST_RECHECK_SECONDS,
    SHORT_RECHECK_SECONDS,
    STATE,
    ask,
    escalate,
    left_alone,
    no_action,
    repair,
    sickness,
    wait,
)


def always_firing(case: Case) -> Verdict | None:
    if not case.alerts_named(case.thresholds.always_firing):
        return None
    return no_action("This alert fires on purpose, to show that alerting works.")


def alert_over(case: Case) -> Verdict | None:
    if case.evidence.alert_active is not False:
        return None
    return no_action("The alert is no longer active.")


def evidence_missing(case: Case) -> Verdict | None:
    if case.evidence.container is not None:
        return None
    missing = ", ".join(gap.source for gap in case.evidence.gaps)
    return escalate("Nothing is known about the container" + (f"; missing: {missing}." if missing else "."))


def start_failed(case: Case) -> Verdict | None:
    facts = case.container
    if facts.status not in {ContainerStatus.CREATED, ContainerStatus.EXITED} or not facts.error:
        return None
    return escalate(
        f"Docker could not start {facts.name}{wording.code(facts)}; a restart would fail the same way.", STATE
    )


def operator_stop(case: Case) -> Verdict | None:
    facts = case.container
    if not case.exited:
        return None
    how, cites = ending(case)
    if how is Ending.BY_API:
        return left_alone(
            f"{facts.name} was stopped through Docker's API{wording.code(facts)}.", STATE, *cites
        )
    if case.restart_policy in {"always", "unless-stopped"}:
        # Docker restarts these whatever the exit code, unless somebody told it to stop them.
        reason = f"{facts.name} stands still{wording.code(facts)} although its restart policy is {case.restart_policy}"
        return left_alone(f"{reason}: Docker was told to stop it.", STATE)
    if how is Ending.BY_ITSELF or facts.oom_killed:
        return None
    # 137 is also what the OOM killer leaves behind, so there "no OOM" must be known.
    if facts.exit_code in {130, 143} or (facts.exit_code == 137 and facts.oom_killed is False):
        return left_alone(
            f"{facts.name} ended as `docker stop` or `docker kill` ends it{wording.code(facts)}.", STATE
        )
    return None


def paused(case: Case) -> Verdict | None:
    if case.container.status is not ContainerStatus.PAUSED:
        return None
    return left_alone(f"{case.container.name} is paused; somebody did that on purpose.", STATE)


def being_stopped(case: Case) -> Verdict | None:
    facts = case.container
    asked = end_asked_for(case) if facts.running else None
    if asked is None:
        return None
    # Docker's restart waits for a stop that is under way, and starts what somebody has just stopped.
    return wait(
        f"{facts.name} was asked through Docker's API to end, and is given the time to do so.",
        SHORT_RECHECK_SECONDS,
        STATE,
        asked.id,
    )


def created(case: Case) -> Verdict | None:
    facts = case.container
    if facts.status is not ContainerStatus.CREATED:
        return None
    age = (case.host_now - facts.created_at).total_seconds()
    if age < case.thresholds.deploy_seconds:
        reason = f"{facts.name} was created {wording.span(age)} ago and is not started yet; a deploy may be under way."
        return wait(reason, LONGEST_RECHECK_SECONDS / 2, STATE)
    return escalate(f"{facts.name} was created {wording.span(age)} ago and never started.", STATE)


def exited_zero(case: Case) -> Verdict | None:
    facts = case.container
    if not case.exited or facts.exit_code != 0 or facts.oom_killed:
        return None
    return no_action(f"{facts.name} finished with exit code 0.", STATE)


def being_removed(case: Case) -> Verdict | None:
    facts = case.container
    if facts.status not in {ContainerStatus.REMOVING, ContainerStatus.DEAD}:
        return None
    return escalate(f"{facts.name} is {facts.status}; it cannot be started any more.", STATE)


def crash_loop(case: Case) -> Verdict | None:
    facts, limits = case.container, case.thresholds
    if starts := unexplained_starts(case):
        window = wording.span(limits.crash_loop_seconds)
        reason = (
            f"{facts.name} was started {len(starts)} times in the last {window}, not counting our repairs."
        )
        return escalate(reason, *(event.id for event in starts))
    if (counted := _starts_counted(case)) is not None:
        window = wording.span(STARTS_SECONDS)
        reason = (
            f"{facts.name} was started {counted.last:.0f} times in the last {window}, our repairs included."
        )
        return escalate(reason, counted.id)
    lasted = case.last_run_seconds
    run = "unknown time" if lasted is None else wording.span(lasted)
    short = lasted is None or lasted < limits.crash_loop_seconds
    looping = facts.status is ContainerStatus.RESTARTING or ((facts.running or case.exited) and short)
    if facts.restart_count > limits.crash_loop_restarts and looping:
        return escalate(
            f"{facts.name} was restarted {facts.restart_count} times by its restart policy; last run: {run}.",
            STATE,
        )
    gave_up = case.exited and case.restart_policy == "on-failure" and facts.restart_count >= 1
    if gave_up and facts.exit_code != 0 and (lasted is None or lasted < limits.settle_seconds):
        reason = f"Docker gave up on {facts.name} after {facts.restart_count} restarts; last run: {run}."
        return escalate(reason, STATE)
    return None


STARTS_SECONDS = 600.0
"""The window of ``Measured.RESTARTS``."""


def _starts_counted(case: Case) -> Measure | None:
    """The figure of starts, if it shows more than our own repairs explain: it comes from elsewhere than the events."""
    measure = case.evidence.measure(Measured.RESTARTS)
    if measure is None:
        return None
    ours = [
        one for one in case.evidence.past_repairs if (case.now - one.at).total_seconds() <= STARTS_SECONDS
    ]
    return measure if measure.last - len(ours) >= case.thresholds.crash_loop_starts else None


def oom_loop(case: Case) -> Verdict | None:
    killed: list[EngineEvent] = []
    for event in sorted(case.evidence.events, key=lambda event: event.at):
        # One run out of memory may lose several processes at once.
        if event.action == "oom" and (
            not killed or (event.at - killed[-1].at).total_seconds() > SKEW_SECONDS
        ):
            killed.append(event)
    if len(killed) < 2:
        return None
    times = f"{len(killed)} times within {wording.span((killed[-1].at - killed[0].at).total_seconds())}"
    return escalate(
        f"{case.container.name} ran out of memory {times}: its limit is too low, or its work too much.",
        *(event.id for event in killed[:8]),
    )


def starting(case: Case) -> Verdict | None:
    facts = case.container
    if not facts.running:
        return None
    uptime = facts.uptime_seconds
    if facts.health is Health.STARTING:
        left = facts.start_period_seconds - (uptime or 0.0)
        # Past its start period it stays "starting" until its retries are used up.
        left = left if left > 0 else SHORT_RECHECK_SECONDS
        return wait(
            f"{facts.name} is starting; its health check has not decided yet{wording.up(facts)}.", left, STATE
        )
    least = case.policy.min_uptime_seconds
    if uptime is None or uptime >= least:
        return None
    return wait(
        f"{facts.name} is left alone until it is up for {wording.span(least)}{wording.up(facts)}.",
        least - uptime,
        STATE,
    )


def restarting(case: Case) -> Verdict | None:
    facts = case.container
    if facts.status is ContainerStatus.RESTARTING:
        reason = f"Docker is restarting {facts.name} by its restart policy (restart {facts.restart_count})."
        return wait(reason, SHORT_RECHECK_SECONDS, STATE)
    uptime = facts.uptime_seconds
    young = facts.running and uptime is not None and uptime < case.thresholds.settle_seconds
    if facts.restart_count < 1 or not young or facts.health is Health.HEALTHY:
        return None
    reason = f"Docker has just restarted {facts.name} by its restart policy{wording.up(facts)}."
    return wait(reason, SHORT_RECHECK_SECONDS, STATE)


def stateful(case: Case) -> Verdict | None:
    if not case.keeps_state or not case.sick:
        return None
    if case.policy.target_class is TargetClass.STATEFUL:
        return ask(case, f"{sickness(case)} It keeps state, so a person must approve a repair.", STATE)
    return ask(
        case,
        f"{sickness(case)} Its image keeps state, so a person must approve a repair; the label "
        "hemostat.class=stateless says otherwise.",
        STATE,
    )


def batch(case: Case) -> Verdict | None:
    if case.policy.target_class is not TargetClass.BATCH or not case.sick:
        return None
    return escalate(f"{sickness(case)} It is a batch job, which would do its work again.", STATE)


def crashed(case: Case) -> Verdict | None:
    facts = case.container
    if not case.exited:
        return None
    if facts.oom_killed:
        return repair(case, f"{facts.name} ran out of memory and was killed{wording.code(facts)}.", STATE)
    if facts.exit_code in case.thresholds.crash_exit_codes:
        return repair(case, f"{facts.name} crashed{wording.code(facts)}.", STATE)
    how, cites = ending(case)
    if facts.exit_code == 137 and facts.oom_killed is False and how is Ending.BY_ITSELF:
        return repair(
            case, f"{facts.name} was killed, but not through Docker{wording.code(facts)}.", STATE, *cites
        )
    return None


def exit_code(case: Case) -> Verdict | None:
    facts = case.container
    if not case.exited:
        return None
    if facts.exit_code is None:
        return escalate(f"{facts.name} has ended and its exit code is unknown.", STATE)
    return escalate(
        f"{facts.name} ended{wording.code(facts)}, which is not known to be cured by a restart.", STATE
    )


def unhealthy(case: Case) -> Verdict | None:
    return repair(case, sickness(case), STATE) if case.unhealthy else None


def healthy(case: Case) -> Verdict | None:
    facts = case.container
    if not case.healthy:
        return None
    reason = f"{facts.name} runs and its health check passes{wording.up(facts)}; the container does not explain the alert."
    return no_action(reason, STATE)


def running_again(case: Case) -> Verdict | None:
    facts = case.container
    if not case.unchecked or not case.alerts_named(case.thresholds.over_when_running):
        return None
    return no_action(f"{facts.name} runs again{wording.up(facts)}, which is all this alert asks for.", STATE)


def no_health_check(case: Case) -> Verdict | None:
    facts = case.container
    if not case.unchecked:
        return None
    return escalate(
        f"{facts.name} runs{wording.up(facts)} and has no health check: nothing tells whether it is well.",
        STATE,
    )


def undecided(case: Case) -> Verdict:
    facts = case.container
    return escalate(f"No rule covers {facts.name}: {facts.status}, health {facts.health}.", STATE)
