"""All guards together: every refusal is kept, and what is decided from them."""

from dataclasses import replace

import pytest

from bridge import guards
from bridge.model.policy import Mode, Policy, TargetPolicy
from bridge.model.refusal import GuardAnswer, Reason, Refusal
from bridge.model.verdict import Action, ModelResult
from tests.unit.guards.builders import OTHER_ID, PAGE, RESTART, alert, of_fleet, of_project, situation, window
from tests.unit.triage.builders import unhealthy

TABLE = [
    "opted_in",
    "protected",
    "swarm_task",
    "paused",
    "project_share",
    "fleet_share",
    "maintenance",
    "target_unchanged",
    "action_allowed",
    "min_uptime",
    "second_key",
    "mode",
]


def test_nothing_speaks_against_a_repair_that_is_allowed() -> None:
    answers = guards.ask_all(situation())
    assert [answer.guard for answer in answers] == TABLE
    decision = guards.decide(RESTART, answers)
    assert decision.allowed
    assert decision.would is None


def test_all_guards_are_asked_and_all_refusals_kept_in_the_order_of_the_table() -> None:
    asked = situation(
        facts=unhealthy(up=5, labels={"com.docker.swarm.task.id": "x7k2"}),
        alerts=(alert(container_id=OTHER_ID),),
        policy=Policy(protected=("web",), maintenance=(window("always"),)),
        target_policy=TargetPolicy(mode=Mode.OBSERVE, actions=(), min_uptime_seconds=60.0),
        paused=True,
        verdict=replace(RESTART, unconfirmed=True, model=ModelResult.BUSY),
        shares=(of_project(5, 8), of_fleet(10, 20)),
    )
    answers = guards.ask_all(asked)
    decision = guards.decide(RESTART, answers)
    assert [answer.guard for answer in answers if not answer.allowed] == TABLE
    assert [refusal.reason for refusal in decision.refusals] == [
        Reason.NOT_OPTED_IN,
        Reason.PROTECTED,
        Reason.SWARM_TASK,
        Reason.PAUSED,
        Reason.PROJECT_SHARE,
        Reason.FLEET_SHARE,
        Reason.MAINTENANCE,
        Reason.TARGET_CHANGED,
        Reason.ACTION_NOT_ALLOWED,
        Reason.STARTED_RECENTLY,
        Reason.APPROVAL_REQUIRED,
        Reason.OBSERVE_MODE,
    ]
    assert not decision.allowed
    assert decision.would is None


def answered(*reasons: Reason) -> list[GuardAnswer]:
    return [
        GuardAnswer(guard=each.value, inputs={}, refusal=Refusal(reason=each, detail="no"))
        for each in reasons
    ]


@pytest.mark.parametrize(
    ("reasons", "would"),
    [
        pytest.param([Reason.OBSERVE_MODE], Action.RESTART, id="observe alone"),
        pytest.param([Reason.PAUSED, Reason.OBSERVE_MODE], None, id="it would not have done it anyway"),
        pytest.param([Reason.APPROVAL_REQUIRED], None, id="approval is asked for"),
    ],
)
def test_decide_says_what_it_would_have_done(reasons: list[Reason], would: Action | None) -> None:
    decision = guards.decide(RESTART, answered(*reasons))
    assert decision.would is would
    assert not decision.allowed


@pytest.mark.parametrize(
    ("reasons", "asks"),
    [
        pytest.param([Reason.APPROVAL_REQUIRED], Action.RESTART, id="an approval alone is missing"),
        pytest.param([Reason.APPROVAL_REQUIRED] * 2, Action.RESTART, id="for two reasons"),
        pytest.param([Reason.PAUSED, Reason.APPROVAL_REQUIRED], None, id="it would not be done anyway"),
        pytest.param([], None, id="nothing is missing"),
    ],
)
def test_people_are_asked_where_their_approval_alone_is_missing(
    reasons: list[Reason], asks: Action | None
) -> None:
    assert guards.decide(RESTART, answered(*reasons)).asks is asks


def test_only_a_repair_can_be_refused() -> None:
    """The answers are kept for people, but nothing was refused where nothing was wanted."""
    decision = guards.decide(PAGE, answered(Reason.PAUSED, Reason.OBSERVE_MODE))
    assert decision.refusals == ()
    assert decision.would is None
    assert len(decision.guards) == 2
    assert not decision.allowed
