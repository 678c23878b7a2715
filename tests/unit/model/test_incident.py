"""Which step may follow which; what is frozen stays so."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from bridge.model.alert import Subject, SubjectKind
from bridge.model.evidence import Evidence
from bridge.model.incident import (
    LEGAL,
    Decision,
    Incident,
    IncidentQuery,
    Intent,
    Outcome,
    Repair,
    State,
    Target,
)
from bridge.model.verdict import Action, Verdict, VerdictKind

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
OPEN = Incident(id="i", subject=Subject(kind=SubjectKind.CONTAINER, host="local", name="web"), opened_at=NOW)
RESTART = Verdict(kind=VerdictKind.REPAIR, rule="unhealthy", reason="sick", action=Action.RESTART)
EVIDENCE = Evidence(collected_at=NOW, container=None)
INTENT = Intent(
    action=Action.RESTART,
    container_id="c",
    was_running=True,
    started_at=NOW,
    restart_count=0,
    stop_timeout_seconds=10,
    token=1,
    at=NOW,
)
REPAIR = Repair(action=Action.RESTART, container_id="c", at=NOW)


def in_state(state: State) -> Incident:
    """An incident on the usual way to this state."""
    judged = OPEN.found(Target(host="local", name="web")).judged(
        EVIDENCE, Decision(verdict=RESTART, guards=()), now=NOW
    )
    reserved = judged.reserved(1, now=NOW)
    acting = reserved.acting(INTENT, now=NOW)
    verifying = acting.verifying(REPAIR, now=NOW)
    closed = verifying.closing(Outcome.HEALED, "well", now=NOW, reconsider_at=NOW)
    waiting = OPEN.waiting("starting", now=NOW, seconds=5)
    steps = (OPEN, waiting, judged, reserved, acting, verifying, closed)
    return next(incident for incident in steps if incident.state is state)


STEPS = {
    State.WAITING: lambda i: i.waiting("why", now=NOW, seconds=1),
    State.JUDGED: lambda i: i.judged(EVIDENCE, Decision(verdict=RESTART, guards=()), now=NOW),
    State.RESERVED: lambda i: i.reserved(1, now=NOW),
    State.ACTING: lambda i: i.acting(INTENT, now=NOW),
    State.VERIFYING: lambda i: i.verifying(REPAIR, now=NOW),
    State.CLOSED: lambda i: i.closing(Outcome.REFUSED, "no", now=NOW, reconsider_at=NOW),
}


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("after", list(STEPS))
def test_only_legal_steps_are_taken(before: State, after: State) -> None:
    """The table decides; anything else is a bug that must not be written down."""
    if after in LEGAL[before]:
        assert STEPS[after](in_state(before)).state is after
    else:
        with pytest.raises(ValueError, match=f"{before} cannot become {after}"):
            STEPS[after](in_state(before))


def test_an_action_cannot_begin_without_a_grant() -> None:
    """Nothing leads to ``acting`` but ``reserved`` and ``acting`` itself."""
    assert {state for state, after in LEGAL.items() if State.ACTING in after} == {
        State.RESERVED,
        State.ACTING,
    }


def test_a_step_forgets_the_next_look_of_the_last_one() -> None:
    """Else a later step would wait for no reason."""
    waiting = in_state(State.WAITING)
    assert waiting.look_again_at == NOW + timedelta(seconds=5)
    assert STEPS[State.CLOSED](waiting).look_again_at is None


def test_failures_are_counted_only_for_calls_that_went_wrong() -> None:
    """A crash of ours is no failure of Docker's."""
    acting = in_state(State.ACTING)
    failed = acting.in_doubt(now=NOW, seconds=1, failed=True)
    assert failed.intent is not None
    assert failed.intent.failures == 1
    assert acting.in_doubt(now=NOW, seconds=1).intent == INTENT


def test_a_verdict_has_an_action_exactly_when_it_repairs() -> None:
    """Neither a repair of nothing nor an action beside another verdict."""
    with pytest.raises(ValueError, match="verdict"):
        Verdict(kind=VerdictKind.REPAIR, rule="r", reason="x")
    with pytest.raises(ValueError, match="verdict"):
        Verdict(kind=VerdictKind.WAIT, rule="r", reason="x", action=Action.START)


def test_an_incident_is_frozen() -> None:
    """A change is a new value."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPEN.state = State.CLOSED  # type: ignore[misc]


@pytest.mark.parametrize("asked", ["web.1", "local/web.1", "web", "local/web"])
def test_an_incident_is_found_by_its_target_and_by_what_its_alerts_called_it(asked: str) -> None:
    found = OPEN.found(Target(host="local", name="web.1"))
    assert IncidentQuery(target=asked).fits(found)
    assert not IncidentQuery(target="web.2").fits(found)
