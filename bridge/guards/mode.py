"""May HemoStat act by itself here? ``observe`` only says what it would do, ``approve`` asks a person first."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.policy import Mode
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "mode"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses in mode ``observe``, and in mode ``approve`` until somebody has approved."""
    mode = situation.target_policy.mode
    inputs = {"mode": mode.value, "approved by": situation.approved_by or "nobody"}
    if mode is Mode.OBSERVE:
        refusal = Refusal(
            reason=Reason.OBSERVE_MODE, detail="mode observe: says what it would do, does nothing"
        )
        return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
    if mode is Mode.APPROVE and not situation.approved_by:
        refusal = Refusal(reason=Reason.APPROVAL_REQUIRED, detail="mode approve: a person must approve")
        return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
    return GuardAnswer(guard=NAME, inputs=inputs)
