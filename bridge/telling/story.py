"""The story of an incident, line after line, each with what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.model.evidence import Evidence
from bridge.model.incident import Decision, Incident, TimelineEntry
from bridge.model.verdict import Action
from bridge.roles import EpisodeView, Record
from bridge.summary import plain
from bridge.telling.glance import ALARMING, ALERTS_SHOWN, DOING, DONE, verdict_word

QUOTED_LINES = 6
QUOTED_CHARACTERS = 200

_DOING_WORDS = {action.value: word.capitalize() for action, word in DOING.items()}

_SILENT_EVENTS = frozenset({"reserved"})
"""Lines of a story that say nothing to people which the next one does not say better."""


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
                f"{_DOING_WORDS.get(said.get('action', ''), 'Acting')} container {said.get('container', '')}"
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
            text = f"No longer watched: {reason}" if reason else "Stayed well; no longer watched"
        case other:
            fields = ", ".join(f"{name}: {text}" for name, text in said.items())
            text = f"{plain(other).replace('_', ' ').capitalize()}" + (f": {fields}" if fields else "")
    loud = entry.event == "relapsed" or (entry.event == "closed" and outcome in ALARMING)
    return Chapter(at=entry.at, text=text.strip(), loud=loud)


def done_word(action: str) -> str:
    """``restarted`` of ``restart``; of what is unknown, ``repaired``."""
    return DONE[Action(action)] if action in set(Action) else "repaired"


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
        text=f"Judged {who}: {verdict_word(verdict)}. {plain(verdict.reason)}",
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
