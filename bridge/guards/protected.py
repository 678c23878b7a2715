"""Is the container protected? HemoStat's own parts and what the operator lists are never touched."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.identity import COMPOSE_SERVICE, SWARM_SERVICE, target_of
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "protected"

SERVICE_LABELS = (COMPOSE_SERVICE, SWARM_SERVICE)
"""What Compose and Swarm call a service, whose containers they name otherwise (``shop-payments-1``)."""


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses if the name of container, target or service, or the image, matches one of ``policy.protected``."""
    name, image = situation.facts.name, situation.facts.image
    inputs = {"name": name, "image": image, "patterns": str(len(situation.policy.protected))}
    services = [situation.facts.labels.get(label, "") for label in SERVICE_LABELS]
    names = (name, target_of(situation.facts).name, *filter(None, services))
    found = (situation.policy.protects(each, image) for each in names)
    pattern = next((each for each in found if each is not None), None)
    if pattern is None:
        return GuardAnswer(guard=NAME, inputs=inputs)
    refusal = Refusal(reason=Reason.PROTECTED, detail=f"protected by the pattern {pattern}")
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
