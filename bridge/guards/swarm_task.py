"""Does Swarm look after the container? Then it is Swarm's to replace: what Docker starts or restarts runs on beside it."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.identity import is_task
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "swarm_task"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses if the container is a task of a Swarm service. Source: ``docs/decisions``, what Swarm looks after."""
    task = is_task(situation.facts)
    inputs = {"a task of Swarm": "yes" if task else "no"}
    if not task:
        return GuardAnswer(guard=NAME, inputs=inputs)
    detail = (
        "Swarm replaces its tasks itself, and a container that Docker starts again would run on beside the new one;"
        " docker service update --force replaces it"
    )
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=Refusal(reason=Reason.SWARM_TASK, detail=detail))
