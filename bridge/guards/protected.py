"""Is the container protected? HemoStat's own parts and what the operator lists are never touched."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "protected"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses if the container's name or image matches one of ``policy.protected``."""
    name, image = situation.facts.name, situation.facts.image
    inputs = {"name": name, "image": image, "patterns": str(len(situation.policy.protected))}
    pattern = situation.policy.protects(name, image)
    if pattern is None:
        return GuardAnswer(guard=NAME, inputs=inputs)
    refusal = Refusal(reason=Reason.PROTECTED, detail=f"protected by the pattern {pattern}")
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
