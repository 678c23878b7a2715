"""What should happen to one incident, decided by an ordered list of rules over its evidence: the first match wins.

Facts (Docker's state, events, our own history) decide. Untrusted text is read by ``log_veto`` alone, which can only
escalate; and a reason names classes and ids, never the text itself. Unknown is never read as zero or as fine.
No I/O and no clock here: ``now`` is an argument, a container's age is told by its own host's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.model.evidence import Evidence
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import Verdict
from bridge.triage import lifecycle, load, surroundings
from bridge.triage.case import DEFAULTS, Case, Thresholds

__all__ = ["DEFAULTS", "RULES", "STRONG", "Rule", "Thresholds", "asked_until", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. ``when``, ``verdict`` and ``because`` are its line in ``docs/triage.md``.

    ``strong``: a repair of this rule rests on a plain fact (it crashed, its health check fails), so that it may be
    carried out although no second opinion could be had.
    """

    id: str
    when: str
    verdict: str
    because: str
    ask: Callable[[Case], Verdict | None]
    strong: bool = False


def judge(
    evidence: Evidence,
    *,
    policy: TargetPolicy,
    alert_names: Sequence[str],
    now: datetime,
    thresholds: Thresholds = DEFAULTS,
    suspect: bool = False,
) -> Verdict:
    """The verdict of the first rule that matches.

    ``policy`` is the target's, narrowed by its own labels. ``suspect``: so many are sick at once that a guard will
    refuse every repair.
    """
    case = Case(
        evidence=evidence,
        policy=policy,
        alert_names=tuple(alert_names),
        thresholds=thresholds,
        now=now,
        suspect=suspect,
    )
    said = ((rule, rule.ask(case)) for rule in RULES)
    return next(replace(verdict, rule=rule.id) for rule, verdict in said if verdict is not None)


def asked_until(verdict: Verdict) -> tuple[str, ...]:
    """The ids of the rules that were asked until the one that gave this verdict, in order."""
    ids = [rule.id for rule in RULES]
    return tuple(ids[: ids.index(verdict.rule) + 1])


RULES: tuple[Rule, ...] = (
    Rule(
        id="always_firing",
        when="every alert is one that fires on purpose (Watchdog, DeadMansSwitch, InfoInhibitor)",
        verdict="no_action",
        because="it proves that alerting works and names no sick container",
        ask=lifecycle.always_firing,
    ),
    Rule(
        id="alert_over",
        when="Alertmanager says that the alert is no longer active",
        verdict="no_action",
        because="what is over needs no repair, whatever became of the container",
        ask=lifecycle.alert_over,
    ),
    Rule(
        id="evidence_missing",
        when="nothing is known about the container",
        verdict="escalate",
        because="unknown is not fine",
        ask=lifecycle.evidence_missing,
    ),
    Rule(
        id="silenced",
        when="an operator silenced this very alert in Alertmanager",
        verdict="wait, nothing to wait for",
        because="somebody knows and is at it",
        ask=surroundings.silenced,
    ),
    Rule(
        id="start_failed",
        when="created or exited, and Docker keeps the error of a failed start",
        verdict="escalate",
        because="a missing command, port or mount is still missing after a restart",
        ask=lifecycle.start_failed,
    ),
    Rule(
        id="operator_stop",
        when="exited, and events show a kill or stop through the API around the last die; or its restart policy is "
        "always or unless-stopped; or, without events, exit code 143, 137 or 130 and no OOM kill",
        verdict="wait, nothing to wait for",
        because="what a person or a deploy stopped is left alone",
        ask=lifecycle.operator_stop,
    ),
    Rule(
        id="paused",
        when="paused",
        verdict="wait, nothing to wait for",
        because="docker pause is an operator's act",
        ask=lifecycle.paused,
    ),
    Rule(
        id="being_stopped",
        when="running, and through the API it was asked to end (TERM, INT, QUIT, KILL), not longer ago than its stop timeout, "
        "or 2 min if that is shorter",
        verdict="wait 10 s",
        because="a restart would start again what a person or a deploy is stopping",
        ask=lifecycle.being_stopped,
    ),
    Rule(
        id="created",
        when="created and never started",
        verdict="wait 30 s in the first 10 min, then escalate",
        because="a deploy creates before it starts; later nobody knows why it was not started",
        ask=lifecycle.created,
    ),
    Rule(
        id="exited_zero",
        when="exited with code 0 and nothing in it was OOM-killed",
        verdict="no_action",
        because="a job that finished is not sick",
        ask=lifecycle.exited_zero,
    ),
    Rule(
        id="being_removed",
        when="removing or dead",
        verdict="escalate",
        because="Docker cannot start it any more",
        ask=lifecycle.being_removed,
    ),
    Rule(
        id="crash_loop",
        when="3 starts in 10 min that were not our repairs, by events or by the figure of starts; or more than 5 restarts by policy and restarting or a run "
        "shorter than 10 min; or restart policy on-failure gave up after a run shorter than 1 min",
        verdict="escalate",
        because="restarting is what already does not help",
        ask=lifecycle.crash_loop,
    ),
    Rule(
        id="oom_loop",
        when="out of memory twice or more within 30 min, by Docker's events",
        verdict="escalate",
        because="the limit is too low or the work too much, and the next run ends the same way",
        ask=lifecycle.oom_loop,
    ),
    Rule(
        id="repair_did_not_help",
        when="a repair would follow, and the last one is less than a cooldown old and did not heal, relapsed or failed; "
        "or so did the last two, the latest less than 6 cooldowns ago; or two of any outcome are less than a cooldown old",
        verdict="escalate",
        because="what did not help will not help now",
        ask=surroundings.repair_did_not_help,
    ),
    Rule(
        id="log_veto",
        when="text of the last run (its last 30 min) shows one of the classes below",
        verdict="escalate",
        because="a restart cures none of them and may do harm; text can only stop a repair, never cause one",
        ask=surroundings.log_veto,
    ),
    Rule(
        id="replaced_recently",
        when="another container had its name until less than 10 min ago",
        verdict="wait 60 s while it runs, else escalate",
        because="somebody is deploying; if the new one fails, that is the deploy's news",
        ask=surroundings.replaced_recently,
    ),
    Rule(
        id="changed_recently",
        when="its image or configuration became another less than 10 min ago",
        verdict="wait 60 s while it runs, else escalate",
        because="the same, told by what became another",
        ask=surroundings.changed_recently,
    ),
    Rule(
        id="starting",
        when="running, and its health check is still starting or it is up for less than min_uptime",
        verdict="wait 2 to 60 s",
        because="it has not had its chance yet",
        ask=lifecycle.starting,
    ),
    Rule(
        id="restarting",
        when="restarting, or restarted by policy less than 1 min ago and not healthy",
        verdict="wait 10 s",
        because="Docker is repairing it; looking again soon shows a loop soon",
        ask=lifecycle.restarting,
    ),
    Rule(
        id="evidence_partial",
        when="a repair would follow, and its log, or of an exited one the events, could not be read",
        verdict="wait 5 s",
        because="what was not read is not fine; looking again is cheap",
        ask=surroundings.evidence_partial,
    ),
    Rule(
        id="dependency_down",
        when="a dependency that it names (hemostat.depends_on, Compose's depends_on) is down or unhealthy, or, where a repair "
        "would follow, is just starting",
        verdict="escalate; wait 10 s for one that is starting",
        because="a restart does not reach the cause",
        ask=surroundings.dependency_down,
    ),
    Rule(
        id="neighbours_sick",
        when="a repair would follow, and 3 others of its Compose project are down or unhealthy (triage.sick_neighbours), or 2 "
        "that are with it more than limits.project_share of it; where incidents about so many are open, the guard "
        "project_share refuses the repair instead",
        verdict="escalate",
        because="they have one cause, and it is none of them",
        ask=surroundings.neighbours_sick,
    ),
    Rule(
        id="host_pressure",
        when="a repair would follow, and the host has CPU pressure of 50 %, memory pressure of 20 %, I/O pressure of 40 % "
        "or a disk at 95 %",
        verdict="escalate",
        because="the host suffers, and a restart adds to its work",
        ask=surroundings.host_pressure,
    ),
    Rule(
        id="outside_alert",
        when="a repair would follow, and another alert fires whose name is about the host, a disk, a certificate, the network "
        "or a store (triage.outside_alerts)",
        verdict="escalate",
        because="it names the cause, and a restart does not reach it",
        ask=surroundings.outside_alert,
    ),
    Rule(
        id="traffic_surge",
        when="it runs, a repair would follow, and it has twice its usual requests, at least 1 a second",
        verdict="escalate",
        because="it drowns; a restart throws away what is warm and ends no surge",
        ask=surroundings.traffic_surge,
    ),
    Rule(
        id="runbook_veto",
        when="a repair would follow, and the operator's note (label hemostat.runbook) says not to restart it",
        verdict="escalate",
        because="the operator wins",
        ask=surroundings.runbook_veto,
    ),
    Rule(
        id="stateful",
        when="class stateful, or no class by label and an image that keeps state (postgres, mysql, mongo, kafka, ...), and "
        "exited or unhealthy",
        verdict="escalate",
        because="a restart of what keeps state needs a person's approval",
        ask=lifecycle.stateful,
    ),
    Rule(
        id="batch",
        when="class batch, and exited or unhealthy",
        verdict="escalate",
        because="a job that runs again does its work again",
        ask=lifecycle.batch,
    ),
    Rule(
        id="crashed",
        when="exited by the OOM killer, with code 1 or 2, by ILL, TRAP, ABRT, BUS, FPE or SEGV, or with 137 where events "
        "show that nobody asked Docker for it",
        verdict="repair: start, else restart",
        because="a single crash loses only the state inside the process",
        ask=lifecycle.crashed,
        strong=True,
    ),
    Rule(
        id="exit_code",
        when="exited with any other code, or an unknown one",
        verdict="escalate",
        because="the code is the program's own message, and nobody told us what it means",
        ask=lifecycle.exit_code,
    ),
    Rule(
        id="unhealthy",
        when="running and its health check fails",
        verdict="repair: restart",
        because="the one fact that says hung, and a restart clears it",
        ask=lifecycle.unhealthy,
        strong=True,
    ),
    Rule(
        id="memory_leak",
        when="memory at 90 % of its limit or more, rising steadily so that it meets the limit within an hour, and up for "
        "15 min or more",
        verdict="repair: restart; of class stateful or batch: escalate",
        because="an orderly restart now beats a kill in the middle of a request",
        ask=load.memory_leak,
    ),
    Rule(
        id="requests_failing",
        when="10 % of its requests fail; or an alert is about errors (*error*rate*, *5xx*) and how many fail is unknown",
        verdict="escalate",
        because="its visitors see errors, whatever the health check says",
        ask=load.requests_failing,
    ),
    Rule(
        id="flapping",
        when="the alert began 4 times or more within the last hour, and it is healthy or the alert is about CPU or memory; "
        "or the alert is of the kind that is over once it runs",
        verdict="no_action, with a hint to tune the rule; for the latter kind escalate",
        because="what comes and goes at a threshold is noise; what goes down again and again is not",
        ask=load.flapping,
    ),
    Rule(
        id="cpu_at_quota",
        when="CPU at 90 % of its quota or more",
        verdict="no_action if healthy or of class batch; escalate otherwise, or where hardly a request is answered any more",
        because="using what it was given is no fault; without a health check nobody can tell",
        ask=load.cpu_at_quota,
    ),
    Rule(
        id="healthy",
        when="running and its health check passes",
        verdict="no_action",
        because="restarting what is well helps nobody",
        ask=lifecycle.healthy,
    ),
    Rule(
        id="running_again",
        when="running without a health check, and every alert is of the kind that is over once it runs (ContainerDown, "
        "ContainerOOMKilled, ...)",
        verdict="no_action",
        because="it has recovered by itself",
        ask=lifecycle.running_again,
    ),
    Rule(
        id="within_limits",
        when="running without a health check, and every alert is about CPU or memory, which are known and below 80 %, or "
        "memory that does not rise and is below 97 %, or about errors, of which few are known",
        verdict="no_action",
        because="the spike is over, or it is how this program lives",
        ask=load.within_limits,
    ),
    Rule(
        id="no_health_check",
        when="running without a health check",
        verdict="escalate",
        because="nothing tells whether it is well",
        ask=lifecycle.no_health_check,
    ),
    Rule(
        id="undecided",
        when="otherwise",
        verdict="escalate",
        because="undecided pages a human",
        ask=lifecycle.undecided,
    ),
)
"""All rules in the order in which they are asked. The last one always matches."""

STRONG = frozenset(rule.id for rule in RULES if rule.strong)
"""Ids of the strong rules (``Verdict.rule``)."""
