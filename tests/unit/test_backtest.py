"""Past incidents judged again by the rules of today."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.backtest import PAGE, backtest
from bridge.cli import main
from bridge.judgement import Ruleset
from bridge.model.alert import Alert, AlertStatus, Subject, SubjectKind
from bridge.model.consultation import Audit
from bridge.model.evidence import Evidence, Health
from bridge.model.incident import Decision, Incident, IncidentQuery, Outcome, State, Target
from bridge.model.refusal import GuardAnswer, Reason, Refusal
from bridge.model.verdict import VerdictKind
from bridge.roles import EpisodeView, Record
from bridge.triage import rules
from tests.unit.triage.builders import NOW, evidence, exited, lines, neighbour, unhealthy

ALERT = Alert(
    fingerprint="f", status=AlertStatus.FIRING, labels={"alertname": "Sick"}, annotations={}, starts_at=NOW
)


class InMemoryPast:
    """A journal of closed incidents, newest first, read in pages."""

    def __init__(self, *records: Record) -> None:
        self.records = list(records)
        self.pages: list[int] = []

    async def newest(self, query: IncidentQuery) -> tuple[list[Incident], str | None]:
        """A page."""
        since = query.since
        known = [r.incident for r in self.records if since is None or r.incident.opened_at >= since]
        first = int(query.cursor or 0)
        self.pages.append(query.limit)
        following = first + query.limit
        return known[first:following], str(following) if following < len(known) else None

    async def read(self, incident_id: str) -> Record | None:
        """One of them."""
        return next((r for r in self.records if r.incident.id == incident_id), None)


def judged(name: str, seen: Evidence, *, guards: Sequence[GuardAnswer] = (), suspect: bool = False) -> Record:
    """An incident as the journal keeps it, judged by the rules as they are shipped."""
    ruleset = Ruleset()
    verdict = rules.judge(seen, policy=ruleset.policy.root, alert_names=["Sick"], now=NOW, suspect=suspect)
    incident = Incident(
        id=name,
        subject=Subject(kind=SubjectKind.CONTAINER, host="local", name="web"),
        opened_at=NOW,
        state=State.CLOSED,
        outcome=Outcome.HEALED,
        target=Target(host="local", name="web"),
        evidence=seen,
        decision=Decision(verdict=verdict, guards=tuple(guards)),
        audit=Audit(decided_at=NOW, evidence_hash="", rules=verdict, asked=(), alert_names=("Sick",)),
    )
    return Record(incident=incident, episodes=(EpisodeView(alert=ALERT, firing=False),))


def strict() -> Ruleset:
    """Rules under which a crash with 1 is not to be repaired."""
    return Ruleset(thresholds=rules.Thresholds(crash_exit_codes=(139,)))


async def test_nothing_differs_under_the_same_rules() -> None:
    past = InMemoryPast(judged("a", evidence(unhealthy())), judged("b", evidence(exited(1))))
    found = await backtest(past, Ruleset(), since=None, limit=10)
    assert (found.judged, found.unjudged, found.repairs_then, found.repairs_today) == (2, 0, 2, 2)
    assert found.changed == ()


async def test_what_would_be_judged_otherwise_is_named_with_its_outcome() -> None:
    past = InMemoryPast(judged("a", evidence(unhealthy())), judged("b", evidence(exited(1))))
    found = await backtest(past, strict(), since=None, limit=10)
    [changed] = found.changed
    assert (found.repairs_then, found.repairs_today) == (2, 1)
    assert (changed.id, changed.target, changed.outcome) == ("b", "local/web", Outcome.HEALED)
    assert (changed.then.rule, changed.today.rule) == ("crashed", "exit_code")
    assert changed.today.kind is VerdictKind.ESCALATE


async def test_text_is_judged_again_as_well() -> None:
    past = InMemoryPast(judged("a", evidence(unhealthy(), log_lines=lines("the flux is drained"))))
    table = rules.Thresholds(phrases=rules.DEFAULTS.phrases)
    same = await backtest(past, Ruleset(thresholds=table), since=None, limit=10)
    assert same.changed == ()


async def test_incidents_that_were_never_judged_are_counted_and_left_out() -> None:
    record = judged("a", evidence(unhealthy()))
    bare = replace(record, incident=replace(record.incident, decision=None, audit=None, evidence=None))
    found = await backtest(InMemoryPast(bare), Ruleset(), since=None, limit=10)
    assert (found.judged, found.unjudged) == (0, 1)


async def test_a_refusal_for_too_many_sick_is_remembered() -> None:
    """The rule about neighbours left the word to the guard then, and does so again."""
    sick = tuple(neighbour(name, health=Health.UNHEALTHY) for name in "abc")
    guard = GuardAnswer(
        guard="project_share", inputs={}, refusal=Refusal(reason=Reason.PROJECT_SHARE, detail="4 of 4")
    )
    past = InMemoryPast(judged("a", evidence(unhealthy(), neighbours=sick), guards=[guard], suspect=True))
    assert (await backtest(past, Ruleset(), since=None, limit=10)).changed == ()


async def test_many_are_read_in_pages_and_not_beyond_the_limit() -> None:
    past = InMemoryPast(*(judged(str(number), evidence(unhealthy())) for number in range(PAGE + 50)))
    assert (await backtest(past, Ruleset(), since=None, limit=PAGE + 20)).judged == PAGE + 20
    assert past.pages == [PAGE, 20]
    assert (await backtest(past, Ruleset(), since=NOW + timedelta(seconds=1), limit=10)).judged == 0


def test_an_age_that_is_no_duration_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["backtest", "--since", "yesterday"])
    assert caught.value.code == 2
    assert "'yesterday' is not a duration" in capsys.readouterr().err
