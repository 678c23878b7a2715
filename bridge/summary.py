"""One incident as text for people: for the command line, and for whoever else tells people about it. Pure.

Text of the outside (names, reasons, values) is reduced to printable characters and cut, so that it cannot forge a
line or steer a terminal. What a channel needs beyond that (escaping in Slack, say) is that channel's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from bridge.model.consultation import Audit, Consultation
from bridge.model.evidence import Evidence
from bridge.model.incident import Incident, State, TimelineEntry
from bridge.model.refusal import GuardAnswer, Refusal
from bridge.model.verdict import Source, Verdict
from bridge.roles import EpisodeView

VALUE_LIMIT = 400
"""Characters of one value from outside."""

LABEL_WIDTH = 10
MOST_ALERTS = 10


def one_line(incident: Incident) -> str:
    """Which incident, about what, how it stands and why, in one line."""
    how = incident.outcome.value if incident.outcome else incident.state.value
    why = incident.reason or (incident.decision.verdict.reason if incident.decision else "")
    line = f"{incident.id} {_target(incident)}: {how}"
    return f"{line}: {plain(why)}" if why else line


def story(
    incident: Incident, timeline: Sequence[TimelineEntry], episodes: Sequence[EpisodeView] = ()
) -> list[str]:
    """Everything that was seen, said and done, a line each, in the order in which it came about."""
    return [
        *_heading(incident),
        *_alerts(episodes),
        *_grounds(incident),
        *_answers(incident),
        *_refusals(incident),
        *_deeds(incident),
        *_timeline(timeline),
    ]


def refused_until(refusals: Iterable[Refusal]) -> datetime | None:
    """The instant from which none of these refusals holds any more; ``None`` if time alone does not help."""
    ends = [refusal.until for refusal in refusals]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _heading(incident: Incident) -> list[str]:
    lines = [_line("incident", incident.id), _line("target", _target(incident))]
    lines.append(_line("opened", _time(incident.opened_at)))
    if incident.closed_at is not None:
        lines.append(_line("closed", _time(incident.closed_at)))
    if incident.outcome is not None:
        lines.append(_line("outcome", f"{incident.outcome}: {plain(incident.reason)}"))
    else:
        lines.append(
            _line("state", incident.state.value + (f": {plain(incident.reason)}" if incident.reason else ""))
        )
    if incident.suspect:
        lines.append(
            _line("suspect", "the alert may be a late copy; it was checked before anything was done")
        )
    if (
        incident.state in {State.WAITING, State.ACTING, State.VERIFYING}
        and incident.look_again_at is not None
    ):
        lines.append(_line("next look", _time(incident.look_again_at)))
    if incident.watch_until is not None:
        lines.append(_line("watched", f"for a relapse until {_time(incident.watch_until)}"))
    return lines


def _alerts(episodes: Sequence[EpisodeView]) -> list[str]:
    """What fired, with the labels by which its target was looked for."""
    if not episodes:
        return []
    lines = [_line("alerts", str(len(episodes)))]
    for episode in episodes[:MOST_ALERTS]:
        alert = episode.alert
        labels = ", ".join(
            f'{name}="{value}"' for name, value in sorted(alert.labels.items()) if name != "alertname"
        )
        since = f"firing since {_time(alert.starts_at)}" if episode.firing else "ended"
        lines.append(f"  {plain(alert.name or 'nameless')} {since} {plain(f'{{{labels}}}')}")
    if (rest := len(episodes) - MOST_ALERTS) > 0:
        lines.append(f"  and {rest} more")
    return lines


def _grounds(incident: Incident) -> list[str]:
    lines = []
    if incident.decision is not None:
        lines.append(_line("verdict", _verdict(incident.decision.verdict)))
        lines.append(_line("because", plain(incident.decision.verdict.reason)))
        lines += _cited(incident.decision.verdict, incident.evidence)
        if incident.audit is not None:
            lines += _audit(incident.audit, incident.decision.verdict)
    if incident.evidence is not None:
        lines += [_line("missing", f"{gap.source}: {plain(gap.reason)}") for gap in incident.evidence.gaps]
        if removed := incident.evidence.redactions:
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(removed.items()))
            lines.append(_line("redacted", told))
    return lines


def _audit(audit: Audit, verdict: Verdict) -> list[str]:
    """How the verdict came about: what the rules said where it is not theirs, and each opinion of a model."""
    lines = [_line("asked", f"{len(audit.asked)} rules; the last one matched: {', '.join(audit.asked)}")]
    if verdict.source is Source.LLM:
        ruled = audit.rules
        what = f"{ruled.kind}({ruled.action})" if ruled.action else ruled.kind.value
        lines.append(_line("rules", f"{what}: {plain(ruled.reason)}"))
    for consultation in audit.consultations:
        lines += _consultation(consultation)
    lines.append(_line("evidence", f"sha256 {audit.evidence_hash}"))
    return lines


def _consultation(asked: Consultation) -> list[str]:
    who = f"{asked.provider} {plain(asked.model)}"
    took = f"{asked.latency_seconds:.1f} s, {asked.usage.total} tokens, ${asked.cost_usd:.4f}"
    request = f", request {plain(asked.request_id)}" if asked.request_id else ""
    said = f"{asked.opinion.said} ({asked.result})" if asked.opinion is not None else asked.result.value
    lines = [_line("model", f"{who}: {said}, {asked.prompt_version}, {took}{request}")]
    if (opinion := asked.opinion) is not None:
        lines.append(f"  it says  {opinion.cause}, confidence {opinion.confidence}: {plain(opinion.summary)}")
        for claim in opinion.claims:
            lines.append(f"  because  {plain(claim.text)} [{', '.join(plain(cite) for cite in claim.cites)}]")
        if opinion.downgraded:
            lines.append(f"  counts   as {opinion.verdict}: {'; '.join(opinion.downgraded)}")
    lines += [f"  problem  {plain(problem)}" for problem in asked.problems]
    return lines


def _cited(verdict: Verdict, evidence: Evidence | None) -> list[str]:
    """The lines a verdict rests on, as they were collected: without secrets."""
    found = [evidence.line(cite) for cite in verdict.cites] if evidence is not None else []
    return [f"  {line.id:<4} {plain(line.text)}" for line in found if line is not None]


def _verdict(verdict: Verdict) -> str:
    what = f"{verdict.kind}({verdict.action})" if verdict.action else verdict.kind.value
    cited = f", citing {', '.join(plain(cite) for cite in verdict.cites)}" if verdict.cites else ""
    return f"{what} by {verdict.decided_by}, rule {verdict.rule}{cited}"


def _answers(incident: Incident) -> list[str]:
    guards = incident.decision.guards if incident.decision else ()
    return (
        [_line("guards", f"{len(guards)} asked"), *(_answer(answer) for answer in guards)] if guards else []
    )


def _answer(answer: GuardAnswer) -> str:
    inputs = ", ".join(f"{name}: {plain(value)}" for name, value in answer.inputs.items())
    said = "allows" if answer.refusal is None else f"refuses: {_refusal(answer.refusal)}"
    return f"  {answer.guard:<16} {said}" + (f" ({inputs})" if inputs else "")


def _refusals(incident: Incident) -> list[str]:
    decision = incident.decision
    if decision is None:
        return []
    lines = [_line("refused", _refusal(refusal)) for refusal in decision.refusals]
    if until := refused_until(decision.refusals):
        lines.append(_line("until", _time(until)))
    if decision.would is not None:
        lines.append(_line("would", f"{decision.would}, but for what refused it"))
    return lines


def _refusal(refusal: Refusal) -> str:
    until = f", until {_time(refusal.until)}" if refusal.until else ""
    return f"{refusal.reason}: {plain(refusal.detail)}{until}"


def _deeds(incident: Incident) -> list[str]:
    lines = []
    if (proposal := incident.proposal) is not None:
        what = f"whether to {proposal.action} container {plain(proposal.container_id[:12])}"
        lines.append(_line("asked", f"{what}, until {_time(proposal.until)}"))
        if proposal.answer is not None and proposal.answered_at is not None:
            said = f"{proposal.answer} by {plain(proposal.answered_by)} at {_time(proposal.answered_at)}"
            lines.append(_line("answer", said))
    if (intent := incident.intent) is not None:
        what = f"{intent.action} of container {plain(intent.container_id[:12])}, token {intent.token}"
        lines.append(_line("intent", f"{what}, written {_time(intent.at)}"))
    if (repair := incident.repair) is not None:
        settled = ", settled after a crash by what Docker says" if repair.settled else ""
        what = f"{repair.action} of container {plain(repair.container_id[:12])}"
        lines.append(_line("repair", f"{what} at {_time(repair.at)}{settled}"))
    if (finding := incident.finding) is not None:
        since = f", well since {_time(finding.healthy_since)}" if finding.healthy_since else ""
        lines.append(_line("finding", f"{plain(finding.text)}{since} (seen {_time(finding.at)})"))
    return lines


def _timeline(timeline: Sequence[TimelineEntry]) -> list[str]:
    if not timeline:
        return []
    lines = [_line("timeline", f"{len(timeline)} entries" if len(timeline) > 1 else "1 entry")]
    for entry in timeline:
        fields = ", ".join(
            f"{plain(name)}: {plain(value).rstrip('.')}" for name, value in entry.fields.items()
        )
        lines.append(f"  {_instant(entry.at)} {plain(entry.event):<12} {fields}".rstrip())
    return lines


def _target(incident: Incident) -> str:
    if incident.target is not None:
        return plain(incident.target.key)
    subject = incident.subject
    return f"no target found ({subject.kind} {plain(subject.named)})" if subject.named else "no target named"


def _line(label: str, text: str) -> str:
    return f"{label:<{LABEL_WIDTH}} {text}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _instant(moment: datetime) -> str:
    """To the millisecond: a whole repair may take less than a second."""
    return f"{moment.astimezone(UTC):%H:%M:%S}.{moment.microsecond // 1000:03}"


def plain(text: str) -> str:
    """Printable characters only, on one line, at most VALUE_LIMIT of them."""
    clean = "".join(char if char.isprintable() else " " for char in text[: VALUE_LIMIT + 1])
    return clean if len(clean) <= VALUE_LIMIT else f"{clean[: VALUE_LIMIT - 1]}…"
