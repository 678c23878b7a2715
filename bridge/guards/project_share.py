"""Are too many containers of this Compose project sick at once? Then what watches them, or what they stand on, is."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal
from bridge.model.share import ShareScope

NAME = "project_share"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses while the share of sick containers of the target's project is too large, and for a while afterwards."""
    share = next((s for s in situation.shares if s.population.scope is ShareScope.PROJECT), None)
    if share is None:
        return GuardAnswer(guard=NAME, inputs={"project": "none"})
    inputs = {"project": share.population.name, **share.inputs}
    if not share.suspect:
        return GuardAnswer(guard=NAME, inputs=inputs)
    refusal = Refusal(reason=Reason.PROJECT_SHARE, detail=share.detail, until=share.until)
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
