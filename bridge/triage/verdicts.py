"""How rules put a verdict. Its rule's id is added by the table. Nothing here takes untrusted text."""

from __future__ import annotations

from dataclasses import replace

from bridge.model.verdict import Action, Verdict, VerdictKind
from bridge.triage import wording
from bridge.triage.case import Case

STATE = "S1"
"""The id under which the container's state is cited."""

SHORT_RECHECK_SECONDS = 10.0
LONGEST_RECHECK_SECONDS = 60.0
SHORTEST_RECHECK_SECONDS = 2.0


def escalate(reason: str, *cites: str) -> Verdict:
    """A person must look."""
    return Verdict(kind=VerdictKind.ESCALATE, rule="", reason=reason, cites=cites)


def no_action(reason: str, *cites: str) -> Verdict:
    """Nothing is wrong that concerns the container."""
    return Verdict(kind=VerdictKind.NO_ACTION, rule="", reason=reason, cites=cites)


def left_alone(reason: str, *cites: str) -> Verdict:
    """There is nothing to wait for: the incident ends until an alert comes again."""
    return Verdict(kind=VerdictKind.WAIT, rule="", reason=reason, cites=cites)


def wait(reason: str, seconds: float, *cites: str) -> Verdict:
    """Look again after this time, within bounds."""
    bounded = min(max(seconds, SHORTEST_RECHECK_SECONDS), LONGEST_RECHECK_SECONDS)
    return Verdict(kind=VerdictKind.WAIT, rule="", reason=reason, cites=cites, recheck_seconds=bounded)


def repair(case: Case, reason: str, *cites: str) -> Verdict:
    """Restart what runs; start what does not, or restart it (which starts it, too) where start is not allowed."""
    preferred = (Action.RESTART,) if case.container.running else (Action.START, Action.RESTART)
    # Where none is allowed the preferred one is still named: a guard refuses it and says why.
    action = next((action for action in preferred if action in case.policy.actions), preferred[0])
    return Verdict(kind=VerdictKind.REPAIR, rule="", reason=reason, action=action, cites=cites)


def sickness(case: Case) -> str:
    """What is wrong with it, as a sentence."""
    facts = case.container
    if case.exited:
        return f"{facts.name} has ended{wording.code(facts)}."
    streak = (
        "" if facts.failing_streak is None else f", {wording.count(facts.failing_streak, 'failure')} in a row"
    )
    return f"{facts.name} runs but its health check fails{streak}{wording.up(facts)}."


def ask(case: Case, reason: str, *cites: str) -> Verdict:
    """A repair that only a person may decide on: an escalation that proposes it."""
    wanted = repair(case, reason, *cites)
    return replace(wanted, kind=VerdictKind.ESCALATE, action=None, proposes=wanted.action)
