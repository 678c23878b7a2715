"""Guards that ask what people permit: the pause, the actions, the mode and an approval."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.guards import action_allowed, mode, paused, second_key
from bridge.model.policy import Mode, TargetPolicy
from bridge.model.refusal import Reason
from bridge.model.verdict import Action, ModelResult, Verdict, VerdictKind
from tests.unit.guards.answers import reason, until
from tests.unit.guards.builders import PAGE, RESTART, situation
from tests.unit.triage.builders import NOW

LATER = NOW + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("pause", "expected"),
    [
        pytest.param({"paused": False}, None, id="not paused"),
        pytest.param({"paused": True}, Reason.PAUSED, id="until somebody resumes"),
        pytest.param({"paused": True, "paused_until": LATER}, Reason.PAUSED, id="for half an hour"),
        pytest.param({"paused": True, "paused_until": NOW}, None, id="over just now"),
    ],
)
def test_paused(pause: dict[str, Any], expected: Reason | None) -> None:
    answer = paused.refuse(situation(paused_by="anna: move", **pause))
    assert reason(answer) is expected
    if expected:
        assert until(answer) == pause.get("paused_until")
        assert answer.inputs["by"] == "anna: move"


@pytest.mark.parametrize(
    ("verdict", "actions", "allowed"),
    [
        pytest.param(RESTART, (Action.RESTART,), True, id="listed"),
        pytest.param(RESTART, (Action.START,), False, id="not listed"),
        pytest.param(RESTART, (), False, id="nothing listed"),
        pytest.param(PAGE, (), True, id="no action wanted"),
    ],
)
def test_action_allowed(verdict: Any, actions: tuple[Action, ...], allowed: bool) -> None:
    asked = situation(verdict=verdict, target_policy=TargetPolicy(actions=actions))
    assert reason(action_allowed.refuse(asked)) is (None if allowed else Reason.ACTION_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("unconfirmed", "approved_by", "refused"),
    [(False, "", False), (True, "", True), (True, "ada", False)],
)
def test_second_key(unconfirmed: bool, approved_by: str, refused: bool) -> None:
    verdict = replace(RESTART, unconfirmed=unconfirmed, model=ModelResult.TIMEOUT)
    answer = second_key.refuse(situation(verdict=verdict, approved_by=approved_by))
    assert reason(answer) is (Reason.APPROVAL_REQUIRED if refused else None)
    assert answer.inputs["decided by"] == "rules (model: timeout)"


@pytest.mark.parametrize(
    ("wanted", "approved_by", "expected"),
    [
        pytest.param(Mode.AUTO, "", None, id="auto"),
        pytest.param(Mode.APPROVE, "", Reason.APPROVAL_REQUIRED, id="nobody approved"),
        pytest.param(Mode.APPROVE, "anna", None, id="approved"),
        pytest.param(Mode.OBSERVE, "", Reason.OBSERVE_MODE, id="observe"),
        pytest.param(Mode.OBSERVE, "anna", Reason.OBSERVE_MODE, id="observe cannot be approved"),
    ],
)
def test_mode(wanted: Mode, approved_by: str, expected: Reason | None) -> None:
    asked = situation(target_policy=TargetPolicy(mode=wanted), approved_by=approved_by)
    assert reason(mode.refuse(asked)) is expected


def test_guards_say_what_they_looked_at() -> None:
    """Where there is something, that; else that there is nothing."""
    verdict = Verdict(kind=VerdictKind.REPAIR, rule="r", reason="sick", action=Action.RESTART)
    policy = TargetPolicy(actions=(Action.RESTART,))
    asked = situation(verdict=verdict, target_policy=policy, approved_by="ada")
    assert action_allowed.refuse(asked).inputs == {"action": "restart", "allowed": "restart"}
    assert mode.refuse(asked).inputs["approved by"] == "ada"
    assert second_key.refuse(asked).inputs["approved by"] == "ada"
    none = situation(
        verdict=replace(verdict, kind=VerdictKind.ESCALATE, action=None),
        target_policy=replace(policy, actions=()),
    )
    assert action_allowed.refuse(none).inputs == {"action": "none", "allowed": "none"}
    assert mode.refuse(none).inputs["approved by"] == "nobody"
    assert second_key.refuse(none).inputs["approved by"] == "nobody"
