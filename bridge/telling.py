"""What people are told of an incident, in words and in order. Pure, and of no channel: how it looks there is its own.

Text of the outside (names, reasons, log lines) is made plain and cut here; escaping it is the channel's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum
from typing import TypeVar

from bridge.model.evidence import Evidence
from bridge.model.incident import Answer, Decision, Incident, Outcome, Proposal, State, TimelineEntry
from bridge.model.refusal import Reason
from bridge.model.verdict import Action, Verdict
from bridge.redaction import TEXT_LIMIT, Redactor
from bridge.roles import Answered, AnswerResult, EpisodeView, Record
from bridge.summary import plain, refused_until

ALERTS_SHOWN = 5
QUOTED_LINES = 6
QUOTED_CHARACTERS = 200


Value = TypeVar("Value")


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

_SILENT_EVENTS = frozenset({"reserved"})
"""Lines of a story that say nothing to people which the next one does not say better."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One line of the story with what belongs to it. ``line`` counts from 1; ``quotes`` are untrusted lines; ``loud``:
    for everybody to see."""

    at: datetime
    text: str
    line: int = 0
    details: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    loud: bool = False


def without_secrets(value: Value, redactor: Redactor) -> Value:
    """The same value with every text in it redacted: the last net before anything leaves for a sink."""
    return _redacted(value, redactor)  # type: ignore[return-value]  # each part becomes a value of its own type


def _redacted(value: object, redactor: Redactor) -> object:
    if isinstance(value, str):
        return value if isinstance(value, Enum) else redactor.text(value).text
    if isinstance(value, tuple):
        return tuple(_redacted(one, redactor) for one in value)
    if isinstance(value, Mapping):
        if all(isinstance(one, str) and not isinstance(one, Enum) for one in value.values()):
            return redactor.mapping(value, limit=TEXT_LIMIT)[0]
        return {name: _redacted(one, redactor) for name, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        parts = {part.name: getattr(value, part.name) for part in fields(value)}
        changed = {name: after for name, one in parts.items() if (after := _redacted(one, redactor)) != one}
        return replace(value, **changed) if changed else value
    return value


def worth_telling(incident: Incident) -> bool:
    """Whether people should hear of it at all. Once they have, they hear the rest of it whatever it is.

    Not: what nobody has looked at yet, what is still undecided, what never agreed to HemoStat, and what turned out to
    be nothing or went by itself.
    """
    if incident.state is State.OPEN or _never_agreed(incident.decision):
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
        facts.append(("Verdict", f"{_verdict(decision.verdict)} (rule {plain(decision.verdict.rule)})"))
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
    name = incident.subject.name or incident.subject.container_id
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


# ---- storms ------------------------------------------------------------------------------------------------------

NAMES_SHOWN = 15
_ASKS, _OPEN = "asks", "open"
_WANTING = (*(outcome.value for outcome in ALARMING), _ASKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class StormPoster:
    """Many incidents at a glance. ``counts``: how many stand how, most first. ``wanting``: those that need a person, as
    many as can be read; ``more`` are left out. ``done``: nothing of it will move any more."""

    since: datetime
    over: bool
    done: bool
    total: int
    counts: tuple[tuple[str, int], ...]
    wanting: tuple[str, ...]
    more: int


def tally_line(incident: Incident) -> str:
    """How an incident of a storm stands, for its tally; ``""``: it is not ours to tell."""
    if _never_agreed(incident.decision):
        return ""
    stands = incident.outcome.value if incident.outcome else _ASKS if awaits(incident) else _OPEN
    return f"{stands}\t{name_of(incident)}"


def needs_a_person(line: str) -> bool:
    """Whether the incident of this line does."""
    return line.partition("\t")[0] in _WANTING


def storm_poster(tally: Mapping[str, str], *, since: datetime, over: bool) -> StormPoster:
    """A storm as its tally has it."""
    lines = {incident_id: line.partition("\t") for incident_id, line in tally.items()}
    counts = Counter(stands for stands, _, _ in lines.values())
    wanting = [
        f"{name}: {stands} ({incident_id})"
        for incident_id, (stands, _, name) in sorted(
            lines.items(), key=lambda one: (one[1][0] != _ASKS, one[1][2])
        )
        if stands in _WANTING
    ]
    return StormPoster(
        since=since,
        over=over,
        done=over and not counts[_OPEN] and not counts[_ASKS],
        total=len(lines),
        counts=tuple((stands.replace("_", " "), count) for stands, count in counts.most_common()),
        wanting=tuple(wanting[:NAMES_SHOWN]),
        more=max(0, len(wanting) - NAMES_SHOWN),
    )


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


# ---- the story ---------------------------------------------------------------------------------------------------


def chapters(record: Record, *, told: int) -> list[Chapter]:
    """What is new in the story after so many lines. The last judgement is told with its grounds."""
    judged = (n for n, entry in enumerate(record.timeline, start=1) if entry.event == "judged")
    last = max(judged, default=0)
    return [
        replace(
            _judgement(record.incident, entry) if number == last else _chapter(record, entry), line=number
        )
        for number, entry in enumerate(record.timeline, start=1)
        if number > told and entry.event not in _SILENT_EVENTS
    ]


def _chapter(record: Record, entry: TimelineEntry) -> Chapter:
    said = {name: plain(text) for name, text in entry.fields.items()}
    reason = said.get("reason", "")
    outcome = said.get("outcome", "")
    match entry.event:
        case "opened":
            return Chapter(at=entry.at, text="Alert", details=tuple(_alert_lines(record.episodes)))
        case "judged":
            text = f"Judged: {' '.join(filter(None, (said.get('verdict'), said.get('action'))))}. {reason}"
        case "waiting":
            text = f"Waiting: {reason}"
        case "acting":
            text = (
                f"{DOING_WORDS.get(said.get('action', ''), 'Acting')} container {said.get('container', '')}"
            )
        case "acted":
            settled = ", as Docker showed after an interruption" if said.get("settled") == "yes" else ""
            text = f"Done: {said.get('action', '')}{settled}"
        case "in_doubt":
            text = f"Not sure yet whether it happened: {reason}"
        case "looked":
            text = f"Looked: {said.get('finding', '')}"
        case "alert_resolved":
            text = "An alert of it has ended"
        case "asked":
            text = f"Asked: may it be {done_word(said.get('action', ''))}? Until {said.get('until', '')}"
        case "approved" | "rejected" | "snoozed":
            through = f" in {said['through']}" if said.get("through") else ""
            text = f"{entry.event.capitalize()} by {said.get('by', '')}{through}"
        case "approval_void":
            text = f"The approval does not count: {reason}"
        case "closed":
            text = f"{outcome.capitalize()}: {reason}"
        case "relapsed":
            text = f"Relapsed: {reason}"
        case "watch_ended":
            text = "Stayed well; no longer watched"
        case other:
            fields = ", ".join(f"{name}: {text}" for name, text in said.items())
            text = f"{plain(other).replace('_', ' ').capitalize()}" + (f": {fields}" if fields else "")
    loud = entry.event == "relapsed" or (entry.event == "closed" and outcome in ALARMING)
    return Chapter(at=entry.at, text=text.strip(), loud=loud)


def done_word(action: str) -> str:
    """``restarted`` of ``restart``; of what is unknown, ``repaired``."""
    return DONE[Action(action)] if action in set(Action) else "repaired"


DOING_WORDS = {action.value: word.capitalize() for action, word in DOING.items()}


def _judgement(incident: Incident, entry: TimelineEntry) -> Chapter:
    decision = incident.decision
    if decision is None:
        return Chapter(at=entry.at, text="Judged")
    verdict = decision.verdict
    who = f"by {plain(verdict.decided_by)}, rule {plain(verdict.rule)}"
    details = [*_guard_lines(decision)]
    quotes: tuple[str, ...] = ()
    if (evidence := incident.evidence) is not None:
        quotes = tuple(cited(evidence, verdict.cites))
        details += [f"not known: {plain(gap.source)} ({plain(gap.reason)})" for gap in evidence.gaps]
        removed = sum(evidence.redactions.values())
        if removed:
            details.append(f"{removed} secret{'s' if removed > 1 else ''} removed from what it was judged by")
    return Chapter(
        at=entry.at,
        text=f"Judged {who}: {_verdict(verdict)}. {plain(verdict.reason)}",
        details=tuple(details),
        quotes=quotes,
    )


def _guard_lines(decision: Decision) -> Iterable[str]:
    for refusal in decision.refusals:
        until = f", until {refusal.until:%Y-%m-%d %H:%M:%S} UTC" if refusal.until else ""
        yield f"{refusal.reason.value}: {plain(refusal.detail)}{until}"
    allowed = [answer.guard for answer in decision.guards if answer.refusal is None]
    if allowed:
        yield f"{'Nothing against it' if not decision.refusals else 'Fine'}: {', '.join(allowed)}"


def _alert_lines(episodes: Sequence[EpisodeView]) -> Iterable[str]:
    for episode in episodes[:ALERTS_SHOWN]:
        alert = episode.alert
        severity = f" ({plain(alert.labels['severity'])})" if alert.labels.get("severity") else ""
        about = alert.annotations.get("summary") or alert.annotations.get("description") or ""
        yield f"{plain(alert.name)}{severity}" + (f": {plain(about)}" if about else "")
    if len(episodes) > ALERTS_SHOWN:
        yield f"and {len(episodes) - ALERTS_SHOWN} more"


def cited(evidence: Evidence, cites: Sequence[str]) -> list[str]:
    """The evidence a verdict cites, a line each, as far as it was kept."""
    lines = {line.id: line.text for line in (*evidence.log_lines, *evidence.health_log)}
    lines |= {
        event.id: f"{event.action}"
        + (f", exit code {event.exit_code}" if event.exit_code is not None else "")
        for event in evidence.events
    }
    lines |= {measure.id: f"{measure.name} {measure.last:.3g}" for measure in evidence.measures}
    found = [(cite, lines[cite]) for cite in cites if cite in lines]
    return [f"{cite} {plain(text)[:QUOTED_CHARACTERS]}" for cite, text in found[:QUOTED_LINES]]


def _verdict(verdict: Verdict) -> str:
    return verdict.action.value if verdict.action else verdict.kind.value.replace("_", " ")


def _action(incident: Incident) -> Action | None:
    if incident.intent is not None:
        return incident.intent.action
    return incident.decision.verdict.action if incident.decision else None


def _never_agreed(decision: Decision | None) -> bool:
    answers = decision.guards if decision else ()
    return any(a.refusal is not None and a.refusal.reason is Reason.NOT_OPTED_IN for a in answers)


_ANSWERED = {
    Answer.APPROVE: "approved",
    Answer.REJECT: "rejected",
    Answer.SNOOZE: "put off",
}


def _answered(proposal: Proposal | None) -> str:
    if proposal is None or proposal.answer is None:
        return ""
    return f"{_ANSWERED[proposal.answer]} by {plain(proposal.answered_by)}"


def reply_to(answered: Answered) -> str:
    """What whoever answered is told, in a sentence."""
    match answered.result:
        case AnswerResult.DONE if answered.answer is Answer.SNOOZE:
            return "Put off for 30 minutes; it is looked at again then."
        case AnswerResult.DONE if answered.answer is Answer.REJECT:
            return "Rejected: nothing is done."
        case AnswerResult.DONE:
            return "Approved: every guard is asked once more, then it is done."
        case AnswerResult.ALREADY:
            did = _ANSWERED[answered.answer] if answered.answer else "answered"
            at = f" at {answered.at:%H:%M:%S} UTC" if answered.at else ""
            return f"It was already {did} by {plain(answered.by)}{at}; that counts."
        case AnswerResult.EXPIRED:
            return "Too late: the time to answer is over, and nothing was done."
        case AnswerResult.VOID:
            return "This question is no longer asked: the incident has moved on since."
        case AnswerResult.NOT_ASKED:
            return "This incident asks nothing now."
        case AnswerResult.ENDED:
            how = f" ({answered.outcome.value})" if answered.outcome else ""
            return f"This incident has ended{how}; nothing was done because of your answer."
        case AnswerResult.UNKNOWN:
            return "There is no such incident (any more)."
