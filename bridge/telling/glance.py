"""How an incident stands, at a glance: what its one message shows, edited as it moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.model.incident import Answer, Decision, Incident, Outcome, Proposal, State
from bridge.model.refusal import Reason
from bridge.model.verdict import Action, Verdict
from bridge.roles import EpisodeView, Record
from bridge.summary import plain, refused_until

ALERTS_SHOWN = 5


class Mood(StrEnum):
    """How an incident stands, at a glance."""

    WORKING = "working"
    ASKING = "asking"
    GOOD = "good"
    CALM = "calm"
    BAD = "bad"


ALARMING = frozenset(
    {Outcome.ESCALATED, Outcome.NOT_HEALED, Outcome.RELAPSED, Outcome.UNVERIFIED, Outcome.FAILED}
)
"""Outcomes that everybody in the channel should see, not only who reads the thread."""

DOING = {Action.RESTART: "restarting", Action.START: "starting"}
DONE = {Action.RESTART: "restarted", Action.START: "started"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster:
    """An incident at a glance: what its one message shows, edited as it moves.

    ``asks``: the proposal that waits for an answer now.
    """

    mood: Mood
    target: str
    standing: str
    reason: str
    facts: tuple[tuple[str, str], ...]
    opened_at: datetime
    until: datetime | None
    asks: Proposal | None


def worth_telling(incident: Incident) -> bool:
    """Whether people should hear of it at all. Once they have, they hear the rest of it whatever it is.

    Not: what nobody has looked at yet, what is still undecided, what never agreed to HemoStat, and what turned out to
    be nothing or went by itself.
    """
    if incident.state is State.OPEN or never_agreed(incident.decision):
        return False
    if incident.state is State.WAITING:
        return incident.proposal is not None
    return incident.outcome not in (Outcome.NO_ACTION, Outcome.RESOLVED)


def poster(record: Record) -> Poster:
    """The incident as it stands."""
    incident = record.incident
    asks = incident.proposal if incident.proposal and awaits(incident) else None
    decision = incident.decision
    facts = [("Alerts", alerts(record.episodes))]
    if decision is not None:
        facts.append(("Verdict", f"{verdict_word(decision.verdict)} (rule {plain(decision.verdict.rule)})"))
    if answered := _answered(incident.proposal):
        facts.append(("Approval", answered))
    return Poster(
        mood=_mood(incident),
        target=name_of(incident),
        standing=standing(incident),
        reason=plain(incident.reason or (decision.verdict.reason if decision else "")),
        facts=tuple(facts),
        opened_at=incident.opened_at,
        until=refused_until(decision.refusals) if decision and incident.outcome is Outcome.REFUSED else None,
        asks=asks,
    )


def awaits(incident: Incident) -> bool:
    """Whether a person's answer is waited for."""
    proposal = incident.proposal
    return incident.state is State.WAITING and proposal is not None and proposal.answer is None


def name_of(incident: Incident) -> str:
    """The target, or what the alert called it."""
    if incident.target is not None:
        return plain(incident.target.key)
    name = incident.subject.named
    return plain(f"{incident.subject.host}/{name}" if incident.subject.host and name else name) or "no target"


def standing(incident: Incident) -> str:
    """How it stands, in a few words."""
    action = _action(incident)
    match incident.state:
        case State.CLOSED:
            return _ended(incident, action)
        case State.WAITING if awaits(incident):
            return f"may it be {DONE[action]}?" if action else "may it be repaired?"
        case State.OPEN | State.WAITING:
            return "being looked at"
        case State.JUDGED | State.RESERVED:
            return f"about to be {DONE[action]}" if action else "being looked at"
        case State.ACTING:
            return DOING[action] if action else "being repaired"
        case State.VERIFYING:
            return f"{DONE[action] if action else 'repaired'}, watching whether it helped"


def _ended(incident: Incident, action: Action | None) -> str:
    done = DONE[action] if action else "repaired"
    match incident.outcome:
        case Outcome.HEALED:
            return f"healed, {done}"
        case Outcome.NOT_HEALED:
            return f"{done}, and still sick"
        case Outcome.RELAPSED:
            return f"{done}, healed, and sick again"
        case Outcome.UNVERIFIED:
            return f"{done}, and nobody could see whether it helped"
        case Outcome.FAILED:
            return f"could not be {done}"
        case Outcome.ESCALATED:
            return "needs a person"
        case Outcome.REFUSED:
            would = incident.decision.would if incident.decision else None
            return f"only observed, would have been {DONE[would]}" if would else "not repaired"
        case Outcome.RESOLVED:
            return "well again by itself"
        case _:
            return "nothing to be done"


def _mood(incident: Incident) -> Mood:
    if awaits(incident):
        return Mood.ASKING
    if not incident.closed:
        return Mood.WORKING
    if incident.outcome in ALARMING:
        return Mood.BAD
    return Mood.GOOD if incident.outcome in (Outcome.HEALED, Outcome.RESOLVED) else Mood.CALM


def alerts(episodes: Sequence[EpisodeView]) -> str:
    """Their names, each once, as many as can be read."""
    names = list(dict.fromkeys(plain(episode.alert.name) or "(no name)" for episode in episodes))
    more = len(names) - ALERTS_SHOWN
    return ", ".join(names[:ALERTS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def verdict_word(verdict: Verdict) -> str:
    return verdict.action.value if verdict.action else verdict.kind.value.replace("_", " ")


def _action(incident: Incident) -> Action | None:
    if incident.intent is not None:
        return incident.intent.action
    return incident.decision.verdict.action if incident.decision else None


def never_agreed(decision: Decision | None) -> bool:
    answers = decision.guards if decision else ()
    return any(a.refusal is not None and a.refusal.reason is Reason.NOT_OPTED_IN for a in answers)


ANSWERED = {
    Answer.APPROVE: "approved",
    Answer.REJECT: "rejected",
    Answer.SNOOZE: "put off",
}


def _answered(proposal: Proposal | None) -> str:
    if proposal is None or proposal.answer is None:
        return ""
    return f"{ANSWERED[proposal.answer]} by {plain(proposal.answered_by)}"
