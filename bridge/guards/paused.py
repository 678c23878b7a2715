"""Is the kill switch pulled? Then no repair begins anywhere."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "paused"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses while the kill switch is pulled, until its end if it has one."""
    if not situation.paused:
        return GuardAnswer(guard=NAME, inputs={"paused": "no"})
    until = situation.paused_until
    inputs = {
        "paused": "yes",
        "by": situation.paused_by,
        "until": "somebody resumes" if until is None else until.isoformat(),
    }
    if until is not None and until <= situation.now:
        return GuardAnswer(guard=NAME, inputs={**inputs, "paused": "no longer"})
    refusal = Refusal(reason=Reason.PAUSED, detail=f"paused by {situation.paused_by}", until=until)
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
