"""Did the model turn its key? Where it could not be heard, a repair may need a person's word instead."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "second_key"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses a repair that the rules alone want and may not carry out alone, until somebody has approved."""
    verdict = situation.verdict
    inputs = {"decided by": verdict.decided_by, "approved by": situation.approved_by or "nobody"}
    if not verdict.unconfirmed or situation.approved_by:
        return GuardAnswer(guard=NAME, inputs=inputs)
    detail = f"the model gave no usable answer ({verdict.model}): a person must approve"
    return GuardAnswer(
        guard=NAME, inputs=inputs, refusal=Refusal(reason=Reason.APPROVAL_REQUIRED, detail=detail)
    )
