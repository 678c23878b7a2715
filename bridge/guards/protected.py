"""Is the container protected? HemoStat's own parts and what the operator lists are never touched."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "protected"

SERVICE_LABELS = ("com.docker.compose.service", "com.docker.swarm.service.name")
"""What Compose and Swarm call a service, whose containers they name otherwise (``shop-payments-1``)."""


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses if the container's name, its service's or its image matches one of ``policy.protected``."""
    name, image = situation.facts.name, situation.facts.image
    inputs = {"name": name, "image": image, "patterns": str(len(situation.policy.protected))}
    services = [situation.facts.labels.get(label, "") for label in SERVICE_LABELS]
    found = (situation.policy.protects(each, image) for each in (name, *filter(None, services)))
    pattern = next((each for each in found if each is not None), None)
    if pattern is None:
        return GuardAnswer(guard=NAME, inputs=inputs)
    refusal = Refusal(reason=Reason.PROTECTED, detail=f"protected by the pattern {pattern}")
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
