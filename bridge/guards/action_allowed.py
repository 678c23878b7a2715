"""Does the policy for this target allow the action that is wanted?"""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "action_allowed"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses an action that the file's policy, narrowed by the container's labels, does not list."""
    action, allowed = situation.verdict.action, situation.target_policy.actions
    listed = ", ".join(allowed) or "none"
    inputs = {"action": action or "none", "allowed": listed}
    if action is None or action in allowed:
        return GuardAnswer(guard=NAME, inputs=inputs)
    refusal = Refusal(
        reason=Reason.ACTION_NOT_ALLOWED, detail=f"{action} is not allowed here; allowed: {listed}"
    )
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
