"""What people are told: worth hearing, in order, with its grounds, and without a secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge import telling
from bridge.model.alert import Alert, AlertStatus
from bridge.model.evidence import TextLine
from bridge.model.incident import Answer, Incident, Outcome, Proposal, State, TimelineEntry
from bridge.model.policy import Mode
from bridge.model.refusal import Reason, Refusal
from bridge.model.verdict import Action
from bridge.redaction import Redactor
from bridge.roles import Answered, AnswerResult, EpisodeView, Record
from bridge.telling import Mood
from tests.unit.test_summary import OPEN, healed, judged
from tests.unit.triage.builders import ID, NOW


def closed(outcome: Outcome, incident: Incident | None = None) -> Incident:
    return (incident or judged()).closing(outcome, "so it is", now=NOW, reconsider_at=NOW)


def proposed(answer: Answer | None = None) -> Incident:
    waiting = judged(mode=Mode.APPROVE).waiting("a person must approve", now=NOW, seconds=900)
    until = NOW + timedelta(minutes=15)
    proposal = Proposal(
        id="p", action=Action.RESTART, container_id=ID, started_at=NOW, at=NOW, until=until, answer=answer
    )
    return replace(waiting, proposal=proposal)


def episode(name: str = "ContainerUnhealthy", firing: bool = True, **annotations: str) -> EpisodeView:
    return EpisodeView(
        alert=Alert(
            fingerprint=name,
            status=AlertStatus.FIRING,
            labels={"alertname": name, "severity": "warning"},
            annotations=annotations,
            starts_at=NOW,
        ),
        firing=firing,
    )


def record(incident: Incident, *events: str, episodes: tuple[EpisodeView, ...] = (), **fields: str) -> Record:
    timeline = tuple(TimelineEntry(at=NOW, event=event, fields=fields) for event in ("opened", *events))
    return Record(incident=incident, episodes=episodes or (episode(),), timeline=timeline)


STRANGER = Refusal(reason=Reason.NOT_OPTED_IN, detail="not opted in")


def never_agreed() -> Incident:
    incident = judged()
    assert incident.decision is not None
    answers = tuple(replace(answer, refusal=STRANGER) for answer in incident.decision.guards[:1])
    return replace(incident, decision=replace(incident.decision, guards=answers))


@pytest.mark.parametrize(
    ("incident", "worth"),
    [
        (OPEN, False),
        (OPEN.waiting("its start period is not over", now=NOW, seconds=5), False),
        (judged(), True),
        (proposed(), True),
        (healed(), True),
        (closed(Outcome.ESCALATED), True),
        (closed(Outcome.REFUSED), True),
        (closed(Outcome.NO_ACTION), False),
        (closed(Outcome.RESOLVED), False),
        (never_agreed(), False),
        (closed(Outcome.REFUSED, never_agreed()), False),
    ],
    ids=[
        "open",
        "undecided",
        "judged",
        "asks",
        "healed",
        "escalated",
        "refused",
        "nothing",
        "gone",
        "stranger",
        "stranger's end",
    ],
)
def test_people_hear_what_is_decided_and_not_what_is_nothing_or_not_ours(
    incident: Incident, worth: bool
) -> None:
    assert telling.worth_telling(incident) is worth


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_words_and_a_mood(outcome: Outcome) -> None:
    poster = telling.poster(record(closed(outcome)))
    assert poster.standing
    assert (poster.mood is Mood.BAD) == (outcome in telling.ALARMING)


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
def test_every_state_has_words(state: State) -> None:
    assert telling.standing(replace(judged(), state=state))


def test_a_proposal_is_asked_until_it_is_answered_and_then_says_by_whom() -> None:
    assert telling.poster(record(proposed())).asks is not None
    assert telling.poster(record(proposed())).mood is Mood.ASKING
    answered = proposed(Answer.REJECT)
    assert answered.proposal is not None
    by_ada = replace(answered, proposal=replace(answered.proposal, answered_by="ada"))
    poster = telling.poster(record(by_ada))
    assert (poster.asks, dict(poster.facts)["Approval"]) == (None, "rejected by ada")


def test_the_last_judgement_is_told_with_verdict_citations_guards_and_gaps() -> None:
    incident = judged()
    assert incident.decision is not None
    assert incident.evidence is not None
    verdict = replace(incident.decision.verdict, cites=("L2", "S1"))
    said = replace(
        incident.evidence, log_lines=(TextLine(id="L1", text="fine"), TextLine(id="L2", text="refused"))
    )
    incident = replace(incident, evidence=said, decision=replace(incident.decision, verdict=verdict))
    first, last = telling.chapters(record(incident, "judged", "judged", reason="old reason"), told=1)
    assert (first.text, first.details) == ("Judged: . old reason", ())
    assert last.text == "Judged by rules, rule unhealthy: restart. web runs but its health check fails."
    assert last.quotes == ("L2 refused",)
    assert any(line.startswith("Nothing against it: opted_in") for line in last.details)
    assert "not known: logs (no answer within 1 s)" in last.details


def test_a_refusal_is_told_with_its_reason() -> None:
    (chapter,) = telling.chapters(record(judged(mode=Mode.OBSERVE), "judged"), told=1)
    assert any(line.startswith("observe_mode: ") for line in chapter.details)


def test_only_new_lines_are_told_each_with_its_number() -> None:
    lines = telling.chapters(
        record(healed(), "judged", "reserved", "acted", "closed", outcome="healed"), told=2
    )
    assert [(line.line, line.text.split(":")[0]) for line in lines] == [(4, "Done"), (5, "Healed")]


@pytest.mark.parametrize(
    ("event", "outcome", "loud"),
    [
        ("closed", "escalated", True),
        ("closed", "not_healed", True),
        ("closed", "healed", False),
        ("relapsed", "", True),
        ("judged", "", False),
    ],
)
def test_what_needs_people_is_for_everybody(event: str, outcome: str, loud: bool) -> None:
    told = telling.chapters(record(judged(), event, outcome=outcome), told=1)
    assert [line.loud for line in told] == [loud]


def test_alerts_are_named_once_and_not_without_end() -> None:
    many = tuple(episode(f"A{n}") for n in range(8))
    assert telling.alerts((episode("A1"), *many)) == "A1, A0, A2, A3, A4 and 3 more"


def test_the_opening_says_what_the_alerts_say() -> None:
    told = record(OPEN, episodes=(episode(summary="web is sick"), *(episode(f"A{n}") for n in range(6))))
    (opening,) = telling.chapters(told, told=0)
    assert opening.details[0] == "ContainerUnhealthy (warning): web is sick"
    assert opening.details[-1] == "and 2 more"


def test_a_line_of_a_later_version_is_told_as_it_is() -> None:
    (line,) = telling.chapters(record(OPEN, "odd_thing", why="because"), told=1)
    assert line.text == "Odd thing: why: because"


SECRET = "hunter2hunter2"


def test_no_secret_is_left_in_a_record_wherever_it_stands() -> None:
    incident = judged()
    assert incident.evidence is not None
    line = TextLine(id="L1", text=f"login with password={SECRET} failed")
    told = record(
        replace(
            incident, reason=f"password={SECRET}", evidence=replace(incident.evidence, log_lines=(line,))
        ),
        "closed",
        reason=f"url postgres://app:{SECRET}@db/x",
        episodes=(episode(password=SECRET, summary=f"api_key={SECRET}"),),
    )
    clean = telling.without_secrets(told, Redactor())
    assert SECRET in repr(told)
    assert SECRET not in repr(clean)
    assert clean.incident.target == told.incident.target
    assert clean.incident.state is told.incident.state


def test_a_record_without_secrets_stays_the_same_value() -> None:
    told = record(healed(), "judged", "closed", reason="it is well")
    assert telling.without_secrets(told, Redactor()) == told


@pytest.mark.parametrize(
    ("event", "fields", "said"),
    [
        ("asked", {"action": "restart", "until": "12:15"}, "Asked: may it be restarted? Until 12:15"),
        ("approved", {"by": "ada", "through": "Slack"}, "Approved by ada in Slack"),
        ("rejected", {"by": "ada"}, "Rejected by ada"),
        ("snoozed", {"by": "ada"}, "Snoozed by ada"),
        ("approval_void", {"reason": "it was recreated"}, "The approval does not count: it was recreated"),
    ],
)
def test_the_story_of_an_approval(event: str, fields: dict[str, str], said: str) -> None:
    (line,) = telling.chapters(record(judged(), event, episodes=(), **fields), told=1)
    assert line.text == said


@pytest.mark.parametrize("result", list(AnswerResult))
def test_whoever_answers_hears_what_came_of_it(result: AnswerResult) -> None:
    assert telling.reply_to(
        Answered(result=result, incident_id="i-1", answer=Answer.APPROVE, by="ada", at=NOW)
    )


def test_whoever_was_slower_hears_who_was_faster() -> None:
    already = Answered(result=AnswerResult.ALREADY, incident_id="i-1", answer=Answer.REJECT, by="ada", at=NOW)
    assert telling.reply_to(already) == "It was already rejected by ada at 12:00:00 UTC; that counts."
